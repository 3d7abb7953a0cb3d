"""Webhook deliveries at a fixed rate against the real service process: latency to 202, and nothing lost."""

from __future__ import annotations

import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks.report import REAL_DATA, Report
from benchmarks.server import temporary_database
from benchmarks.webhook_client import SECRET
from resources.postgres import Database
from resources.webhooks import EVENT_TYPES

RATE, SECONDS = 500.0, 25.0
RATE_TARGET, P95_TARGET = 0.98, 50.0
_SIZES = (7_000, 8_800, 10_400, 12_200, 13_700, 15_300, 16_200, 27_000, 28_000, 28_700, 30_000, 31_900)


def run(rate: float = RATE, seconds: float = SECONDS, repetitions: int = 3) -> Report:
    """Several runs, because the machine may be busy with something else; the median of each figure counts."""
    report = Report(f"webhooks: {rate:,.0f} deliveries a second for {seconds:.0f} s, each signed and one of its own")
    runs = []
    with temporary_database() as (database, home):
        bodies, origin = _bodies(home / "bodies")
        sizes = sorted(len(body) for body in bodies)
        report.note(f"{origin}: {sizes[0]:,} to {sizes[-1]:,} bytes, median {statistics.median(sizes):,.0f}")
        with _service(home) as (process, port):
            report.row("", "rate", "p50", "p95", "p99", "lost")
            for number in range(repetitions):
                database.execute("TRUNCATE service.inbox, service.inbox_hours")
                before = sum(process.cpu_times()[:2])
                found = _drive(port, rate, seconds, home / "bodies")
                found["service_cpu"] = sum(process.cpu_times()[:2]) - before
                found["lost"] = _lost(database, found["acknowledged"])
                found["batches"] = [
                    size
                    for (size,) in database.fetch_all(
                        "SELECT count(*) FROM service.inbox GROUP BY received_at ORDER BY received_at"
                    )
                ]
                runs.append(found)
                _show(report, f"service, run {number + 1}", found["latencies"], found["rate"], found["lost"])
                floor = _floor(database, found["batches"])
                found["ratio"] = _percentile(found["latencies"], 50) / _percentile(floor, 50)
                _show(report, "floor: COPY of the same bodies and batches", floor)
        stored = database.fetch_value("SELECT pg_total_relation_size('service.inbox') / count(*) FROM service.inbox")
    middle = runs[-1]
    report.note(
        f"batches: median {statistics.median(middle['batches']):.0f}, largest {max(middle['batches'])};"
        f" {stored:,} bytes of table and indexes a delivery; CPU of the service {middle['service_cpu']:.1f} s, of the"
        f" client {middle['cpu']:.1f} s; the client was at most {middle['late'] * 1000:.0f} ms late;"
        f" load average {os.getloadavg()[0]:.1f}"
    )
    others = {status: n for one in runs for status, n in one["statuses"].items() if status != "202"}
    if others:
        report.note(f"other answers: {others}")
    median = {name: statistics.median(one[name] for one in runs) for name in ("rate", "ratio")}
    p95 = statistics.median(_percentile(one["latencies"], 95) for one in runs)
    report.verdict("deliveries acknowledged a second", median["rate"], ">=", RATE_TARGET * rate)
    report.verdict("p95 from due to 202", p95 * 1000, "<=", P95_TARGET, "ms")
    report.verdict("acknowledged and not in the inbox, all runs", sum(one["lost"] for one in runs), "<=", 0)
    report.verdict("not acknowledged, all runs", sum(others.values()), "<=", 0)
    report.note(f"p50 over the floor's: {median['ratio']:.1f}")
    return report


def _show(report: Report, label: str, latencies: Sequence[float], rate: float | None = None, lost: int = 0) -> None:
    figures = [f"{_percentile(latencies, share) * 1000:.1f} ms" for share in (50, 95, 99)]
    report.row(label, "" if rate is None else f"{rate:,.0f}/s", *figures, "" if rate is None else f"{lost}")


def _percentile(values: Sequence[float], share: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


def _bodies(folder: Path) -> tuple[list[bytes], str]:
    """Files EVENT.N.json: real payloads of events that are read, or generated ones of the same sizes."""
    folder.mkdir()
    real = REAL_DATA / "rest" / "octokit_webhooks"
    bodies: list[tuple[str, bytes]] = []
    origin = f"{len(_SIZES)} generated payloads (no real ones in {real})"
    if real.is_dir():
        for path in sorted(real.glob("*.json")):
            payload = json.loads(path.read_bytes())
            event = path.name.split(".")[0]
            if event in EVENT_TYPES and payload["repository"]["private"] is False:
                bodies.append((event, path.read_bytes()))
        origin = f"{len(bodies)} real payloads"
    else:
        words = random.Random(0)
        for size in _SIZES:
            text = " ".join(f"{words.getrandbits(40):x}" for _ in range(size // 11))
            issue = {"number": size, "title": "Generated", "body": text, "updated_at": "2025-11-01T10:00:00Z"}
            payload = {"action": "opened", "issue": issue}
            payload["repository"] = {"id": 1, "full_name": "a/b", "private": False}
            bodies.append(("issues", json.dumps(payload).encode()))
    for number, (event, body) in enumerate(bodies):
        (folder / f"{event}.{number}.json").write_bytes(body)
    return [body for _, body in bodies], origin


@contextmanager
def _service(home: Path) -> Iterator[tuple[psutil.Process, int]]:
    """`starsearch serve` on the benchmark's server, with its model loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "STARSEARCH_HOME": str(home), "GITHUB_WEBHOOK_SECRET": SECRET.decode()}
    command = [sys.executable, "-m", "starsearch_assets.cli", "serve", "--port", str(port)]
    with (home / "service.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            assert process.poll() is None, (home / "service.log").read_text()
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == httpx.codes.OK:
                    break
            time.sleep(0.2)
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(30)


def _drive(port: int, rate: float, seconds: float, folder: Path) -> dict[str, Any]:
    result = folder.parent / "result.json"
    arguments = [str(port), str(rate), str(seconds), str(folder), str(result)]
    subprocess.run([sys.executable, "-m", "benchmarks.webhook_client", *arguments], check=True)
    found: dict[str, Any] = json.loads(result.read_text())
    found["rate"] = len(found["latencies"]) / found["elapsed"]
    return found


def _lost(database: Database, acknowledged: Sequence[str]) -> int:
    """How many acknowledged deliveries the inbox does not have."""
    stored = {digest for (digest,) in database.fetch_all("SELECT encode(sha256, 'hex') FROM service.inbox")}
    return len(set(acknowledged) - stored)


def _floor(database: Database, batches: Sequence[int]) -> list[float]:
    """Seconds that each delivery's batch takes when it is copied, bare and alone, into an equal table."""
    rows = database.fetch_all(
        "SELECT source, sha256, body, headers::text, repo_id FROM service.inbox ORDER BY inbox_id"
    )
    database.execute("DROP TABLE IF EXISTS floor_inbox")
    database.execute("CREATE TABLE floor_inbox (LIKE service.inbox INCLUDING ALL)")
    seconds: list[float] = []
    start = 0
    statement = "COPY floor_inbox (source, sha256, body, headers, repo_id) FROM STDIN (FORMAT binary)"
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO starsearch, public")
        connection.commit()
        for size in batches:
            started = time.perf_counter()
            with connection.cursor().copy(statement) as copy:
                copy.set_types(["text", "bytea", "bytea", "jsonb", "int8"])
                for source, sha256, body, headers, repo_id in rows[start : start + size]:
                    copy.write_row((source, sha256, body, headers, repo_id))
            connection.commit()
            seconds += [time.perf_counter() - started] * size
            start += size
    return seconds
