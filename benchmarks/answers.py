"""The service over the bundled sample: open-loop latency and CPU without an LLM, and streams with one."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil

from benchmarks import pauses
from benchmarks.definitions import environment
from benchmarks.report import Report
from benchmarks.search import kept_year
from benchmarks.server import KeptHome, kept_home
from resources.postgres import open_database
from resources.torch_runtime import has_native_bfloat16

RATE, YEAR_RATE, SECONDS = 20, 5, 20
P95_MS, YEAR_P95_MS, FIRST_MS, STREAMS, STREAMS_MB = 50.0, 100.0, 20.0, 200, 100.0
_KEPT_ALIVE = 3.0
"""Seconds for which a connection is kept without a request: the service closes it after five."""
_FORMS = (
    "What is known about {title}?",
    "Which issues speak of {title}?",
    "What has @{login} worked on, apart from {title}?",
    "Who knows {word} in {repo}, as in {title}?",
)


def run(rows: int = 1_000_000, keep: Path | None = None) -> Report:
    """p95 of distinct questions, each sent when it is due, whether those before are answered or not: 20 a second over
    the sample, 5 over a year of `rows` items; then what streams take."""
    report = Report("answers: POST /v1/ask over the bundled sample, cache off")
    report.note(f"The embedding model computes in {'bfloat16' if has_native_bfloat16() else 'float32'}")
    with kept_home(keep, "demo") as home:
        if not home.filled:
            command = [sys.executable, "-m", "starsearch_assets.cli", "demo"]
            subprocess.run(command, env=environment(str(home.folder)), check=True, stdout=subprocess.DEVNULL)
            home.mark_filled()
        _without_llm(report, home, RATE, P95_MS)
        _with_llm(report, home.folder)
    with kept_year(report, rows, keep) as (home, _, _):
        _without_llm(report, home, YEAR_RATE, YEAR_P95_MS, f" over {rows:,} vectors")
    return report


def _without_llm(report: Report, home: KeptHome, rate: float, target: float, where: str = "") -> None:
    with open_database(home.settings) as database:
        rows = database.fetch_all(
            "SELECT DISTINCT ON (md5(title)) title, coalesce(author_login, 'nobody'), repo FROM items"
            " WHERE array_length(string_to_array(title, ' '), 1) > 3 ORDER BY md5(title), ref LIMIT 1000"
        )
    forms = itertools.cycle(_FORMS)
    questions = [
        next(forms).format(title=title, login=login, repo=repo, word=max(title.split(), key=len))
        for title, login, repo in rows
    ]
    with _service(home.folder) as (url, process):
        count = rate * SECONDS
        _open_loop(url, questions[-40:], rate)  # warm
        before = process.cpu_times()
        with pauses.watched() as paused:
            answers = _open_loop(url, [questions[n % len(questions)] for n in range(count)], rate)
        after = process.cpu_times()
    cpu = (after.user + after.system - before.user - before.system) / count * 1000
    answered = sum(not json.loads(one.body)["abstained"] for one in answers)
    report.row("", "median", "p95", "worst")
    p95 = _latencies(report, f"{count} questions{where} at {rate}/s, {answered} answered, ms", answers)
    steady = [one for one in answers if not paused.met(one.due, one.ended)]
    apart = _latencies(report, f"{len(steady)} of them while the machine did not pause", steady)
    report.note(f"The machine paused {len(paused.spans)} times, {paused.seconds:.1f} s in all")
    report.note(f"CPU of the service a question: {cpu:.1f} ms, PostgreSQL apart")
    report.verdict(f"p95 at {rate} requests/s{where}", p95, "<=", target, "ms")
    report.verdict(f"p95 at {rate} requests/s{where}, pauses of the machine apart", apart, "<=", target, "ms")


@dataclass(frozen=True)
class _Answered:
    """When a question was due and when it was answered, in seconds of `time.perf_counter`, and the answer's JSON."""

    due: float
    ended: float
    body: bytes


def _latencies(report: Report, what: str, answers: list[_Answered]) -> float:
    """A row of them; the p95 in ms."""
    latencies = [(one.ended - one.due) * 1000 for one in answers]
    p95 = float(np.percentile(latencies, 95))
    report.row(what, *(f"{one:.1f}" for one in (np.median(latencies), p95, max(latencies))))
    return p95


def _open_loop(url: str, questions: list[str], rate: float) -> list[_Answered]:
    """Each is sent when it is due, whether those before it are answered or not.

    By threads that sleep until then, over connections of the standard library: what takes the machine's time beside the
    service should be what it is asked, and httpx takes 4 ms a question.
    """
    idle: list[tuple[float, http.client.HTTPConnection]] = []  # since when
    began = time.perf_counter()

    def one(number: int, question: str) -> _Answered:
        due = began + number / rate
        body = json.dumps({"question": question}).encode()
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            since, connection = idle.pop()
        except IndexError:
            since, connection = due, http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        if due - since > _KEPT_ALIVE:
            connection.close()  # and opened anew
        connection.request("POST", "/v1/ask", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        read = reply.read()
        ended = time.perf_counter()
        if reply.status != 200:
            raise AssertionError(f"expected an answer, got {reply.status}: {read[:200]!r}")
        idle.append((ended, connection))
        return _Answered(due, ended, read)

    with ThreadPoolExecutor(len(questions)) as threads:
        answered = list(threads.map(one, range(len(questions)), questions))
    for _, connection in idle:
        connection.close()
    return answered


def _with_llm(report: Report, folder: Path) -> None:
    with _llm() as (llm_url, sent):
        most = f"{2 * STREAMS}"
        more = {
            "LLM_BASE_URL": llm_url, "ANSWER_MODEL": "model", "ANSWER_CONCURRENCY": most, "ANSWERS_AT_ONCE": most,
        }  # fmt: skip
        with _service(folder, **more) as (url, process):
            asyncio.run(_first_delta(url, _QUESTION))
            delays = []
            for _ in range(20):
                sent.clear()
                came = asyncio.run(_first_delta(url, _QUESTION))
                delays.append((came - sent[0]) * 1000)
            p95 = float(np.percentile(delays, 95))
            report.row("first delta after the token that completes it, ms", f"{np.median(delays):.1f}", f"{p95:.1f}",
                       f"{max(delays):.1f}")  # fmt: skip
            report.verdict("first delta after its token, p95", p95, "<=", FIRST_MS, "ms")
            before = process.memory_info().rss
            open_at_once, peak = asyncio.run(_many(url, process))
            report.note(f"{open_at_once} streams were open at once")
            report.verdict("200 open streams add", (peak - before) / 2**20, "<=", STREAMS_MB, "MiB")


async def _first_delta(url: str, question: str) -> float:
    """When the first sentence of an answer came."""
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream("POST", f"{url}/v1/ask", json={"question": question}, headers=_STREAM) as reply,
    ):
        async for line in reply.aiter_lines():
            if line == "event: delta":
                return time.perf_counter()
    raise AssertionError("no delta came")


async def _many(url: str, process: psutil.Process) -> tuple[int, int]:
    """How many streams had their first sentence while all were open, and the most memory of the service."""
    limits = httpx.Limits(max_connections=None)
    begun, most = 0, 0

    async def one(client: httpx.AsyncClient) -> None:
        nonlocal begun
        body = {"question": _QUESTION}
        async with client.stream("POST", f"{url}/v1/ask", json=body, headers=_STREAM) as reply:
            first = True
            async for line in reply.aiter_lines():
                if line == "event: delta":
                    begun, first = begun + first, False
                if line == "event: done":
                    return

    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        tasks = [asyncio.create_task(one(client)) for _ in range(STREAMS)]
        for _ in range(600):
            most = max(most, process.memory_info().rss)
            if begun >= STREAMS or all(task.done() for task in tasks):
                break
            await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return begun, most


_QUESTION = "Who knows TypeScript?"
_STREAM = {"Accept": "text/event-stream"}
_HEAD: dict[str, Any] = {"id": "1", "created": 1, "model": "model"}


@contextmanager
def _service(folder: Path, **more: str) -> Iterator[tuple[str, psutil.Process]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "starsearch_assets.cli", "serve", "--port", f"{port}"]
    env = environment(str(folder)) | {"ANSWER_CACHE": "false"} | more
    running = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{url}/readyz").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        yield url, psutil.Process(running.pid)
    finally:
        running.terminate()
        running.wait(30)


@contextmanager
def _llm() -> Iterator[tuple[str, list[float]]]:
    """A model that calls no functions and writes slowly, one backed sentence and then filler: its URL, and when the
    token went out behind which the first sentence was known to be complete."""
    sent: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not body.get("stream"):
                message = {"role": "assistant", "content": "I call nothing."}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                self._reply(json.dumps({**_HEAD, "object": "chat.completion", "choices": [choice]}))
                return
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                for piece in ("It was ", "found ", "[1]."):
                    self._piece(piece)
                sent.append(time.perf_counter())
                self._piece(" And")
                for _ in range(300):
                    time.sleep(0.1)
                    self._piece(" so on")
            except OSError:
                self.close_connection = True

        def _piece(self, text: str) -> None:
            choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
            chunk = {**_HEAD, "object": "chat.completion.chunk", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.flush()

        def _reply(self, text: str) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", f"{len(text)}")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * STREAMS
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", sent
    finally:
        server.shutdown()
