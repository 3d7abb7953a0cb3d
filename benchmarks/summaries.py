"""Summaries against a simulated vLLM: slots kept busy, CPU a request, memory, many runs at once, a replay."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self, cast

import httpx
import orjson
import psutil
from pydantic import SecretStr

from benchmarks.content import KIND, store_pull_requests
from benchmarks.report import Report, timed
from benchmarks.server import temporary_database
from resources.embedder import Embedder
from resources.llm import LLM, Completion, Session, create_summary_llm
from resources.postgres import Database, open_database
from resources.settings import Settings
from starsearch_assets.summaries.process import summarize_day
from starsearch_assets.summaries.share import Share
from starsearch_assets.summaries.summarizers import create_summarizer
from tests.doubles.llm_server import LLMProcess, llm_process

SLOTS, RUNS = 64, 20
BUSY_TARGET, CPU_TARGET, MEMORY_TARGET, REPLAY_TARGET, FAIRNESS_TARGET = 0.95, 3.0, 1.1, 1.0, 0.9
_MODEL, _DAY = "test-model", date(2025, 9, 1)
_LATENCY = {"latency_ms": 150, "prefill_rate": 8000, "token_rate": 160, "output_tokens": 90, "spread": 0.5}
"""About 0.9 s a request, with lengths as those of real replies: the double draws them log-normally."""


def run(items: int = 10_000) -> Report:
    """One partition of `items` alone, then the same again, then RUNS partitions at the same time."""
    report = Report(f"summaries: {items:,} pull requests against a simulated vLLM with {SLOTS} slots")
    with temporary_database() as (database, home):
        store_pull_requests(database, texts(items), [_DAY])
        with llm_process(slots=SLOTS, **_LATENCY) as server:
            settings = _settings(home, server.url)
            _fleet(report, database, settings, server, items)
            _replay(report, database, settings, server, items)
        with llm_process(slots=SLOTS, **_LATENCY) as server:
            _client_alone(report, _settings(home, server.url))
        with llm_process(slots=SLOTS, **_LATENCY) as server:
            _many_runs(report, database, home, server)
    return report


def texts(count: int) -> list[tuple[str, str]]:
    """Titles and bodies whose lengths vary as real ones do: most short, some of thousands of words."""
    chance = random.Random(5)
    words = (
        "the cache router parser build test index release docs memory query server client fails returns when".split()
    )
    made = []
    for number in range(count):
        length = min(int(chance.lognormvariate(4.0, 1.1)), 4000)
        body = " ".join(chance.choice(words) + ("." if position % 12 == 11 else "") for position in range(length))
        made.append((f"Fix {chance.choice(words)} of module {number}", body))
    return made


def _settings(home: Path, url: str) -> Settings:
    return Settings(
        _env_file=None, starsearch_home=home, database_url=None, llm_base_url=url, llm_api_key=SecretStr("bench"),
        summary_model=_MODEL, llm_concurrency=SLOTS,
    )  # type: ignore[call-arg]  # fmt: skip


def _summarize(database: Database, settings: Settings, day: date) -> int:
    summarizer = create_summarizer(settings, cast("Embedder", None))  # an LLM is configured: nothing is embedded
    with Share(database, settings.llm_concurrency) as share:
        result = summarize_day(database, KIND, day, summarizer, run_id=f"bench-{day}", share=share)
    return result.written


@dataclass
class _Memory:
    """Resident MiB of this process, looked at while the block runs."""

    seen: list[float] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        process = psutil.Process()
        while not self._end.wait(0.25):
            self.seen.append(process.memory_info().rss / 2**20)

    @property
    def growth(self) -> float:
        """The peak of all over the peak of the first fifth."""
        return max(self.seen) / max(self.seen[: max(1, len(self.seen) // 5)])


def _fleet(report: Report, database: Database, settings: Settings, server: LLMProcess, items: int) -> None:
    cpu = time.process_time()
    with _Memory() as memory, timed() as timer:
        written = _summarize(database, settings, _DAY)
    cpu = time.process_time() - cpu
    stats = server.stats()
    requests = stats["paths"]["/v1/chat/completions"]
    assert written == items, written
    report.row("", "items/s", "requests", "CPU ms a request", "peak MiB")
    report.row(
        "one partition, rows read, checked and written",
        f"{items / timer.seconds:,.0f}",
        f"{requests:,}",
        f"{cpu / requests * 1000:.2f}",
        f"{max(memory.seen):,.0f}",
    )
    report.note(
        f"that is {items / timer.seconds * 3600:,.0f} items an hour; at most {stats['max_in_flight']} in flight"
    )
    report.verdict("slot time busy, from warm-up to the last batch", stats["busy_share"], ">=", BUSY_TARGET)
    report.verdict("most requests in flight", stats["max_in_flight"], "<=", SLOTS)
    report.verdict("peak memory over that of the first fifth", memory.growth, "<=", MEMORY_TARGET)


def _replay(report: Report, database: Database, settings: Settings, server: LLMProcess, items: int) -> None:
    server.forget()
    seconds = []
    for _ in range(3):
        with timed() as timer:
            assert _summarize(database, settings, _DAY) == 0
        seconds.append(timer.seconds)
    with timed() as floor:
        database.fetch_all("SELECT sha256(convert_to(title || body, 'UTF8')) FROM pull_requests")
    report.row("the same day again", f"{min(seconds):.2f} s", f"{min(seconds) / floor.seconds:.1f} x hashing")
    report.verdict("requests of a replay", server.stats()["requests"], "<=", 0)
    report.verdict(f"seconds of a replay of {items:,} items", min(seconds), "<=", REPLAY_TARGET, "s")


def _client_alone(report: Report, settings: Settings) -> None:
    """CPU of the client alone, over a bare httpx client that posts the same bodies."""
    count = 2000
    users = [f"Title: {title}\n{body}"[:4000] for title, body in texts(count)]
    llm = create_summary_llm(settings)
    assert llm is not None

    async def ask(session: Session, user: str) -> Completion:
        return await session.ask(
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": user}], max_tokens=300
        )

    cpu = time.process_time()
    llm.run(users, ask, lambda _: None)
    ours = (time.process_time() - cpu) / count * 1000
    cpu = time.process_time()
    _bare(llm, settings, users)
    floor = (time.process_time() - cpu) / count * 1000
    report.row(
        "CPU a request: client alone, bare httpx, ratio", f"{ours:.2f} ms", f"{floor:.2f} ms", f"{ours / floor:.2f}"
    )
    report.verdict("CPU of the client a request", ours, "<=", CPU_TARGET, "ms")


def _bare(llm: LLM, settings: Settings, users: Sequence[str]) -> None:
    """As many of the same requests at a time by httpx, whose replies are parsed as JSON and dropped."""
    import asyncio

    async def post() -> None:
        left = iter(users)
        async with httpx.AsyncClient(timeout=60) as client, asyncio.TaskGroup() as group:

            async def ask() -> None:
                for user in left:
                    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": user}]
                    body = orjson.dumps({"model": llm.model, "messages": messages, "max_tokens": 300})
                    reply = await client.post(
                        f"{settings.llm_base_url}/chat/completions",
                        content=body,
                        headers={"content-type": "application/json"},
                    )
                    orjson.loads(reply.content)

            for _ in range(SLOTS):
                group.create_task(ask())

    asyncio.run(post())


def _many_runs(report: Report, database: Database, home: Path, server: LLMProcess) -> None:
    """RUNS processes, a partition each, over the same server: how evenly they were served while all were at work."""
    a_run = 150
    days = [_DAY + timedelta(days=number + 1) for number in range(RUNS)]
    database.execute("TRUNCATE repositories, pull_requests, activity, item_contents, summaries, audits CASCADE")
    store_pull_requests(database, texts(a_run * RUNS), days)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_one_run, args=(home, server.url, day)) for day in days]
    for process in processes:
        process.start()
    shares: dict[str, Any] = {}
    while all(process.is_alive() for process in processes):
        shares = dict(
            database.fetch_all(
                "SELECT partition, items::float FROM llm_usage WHERE partition = ANY (%s)", [[f"{day}" for day in days]]
            )
        )
        time.sleep(0.2)
    for process in processes:
        process.join()
        assert process.exitcode == 0, process.exitcode
    done = [shares.get(f"{day}", 0.0) for day in days]
    fairness = sum(done) ** 2 / (len(done) * sum(one * one for one in done)) if any(done) else 0.0
    stats = server.stats()
    report.row(
        f"{RUNS} runs at once: items done when the first ended, least and most",
        f"{min(done):.0f}",
        f"{max(done):.0f}",
        f"of {a_run}",
    )
    report.note(f"at most {stats['max_in_flight']} requests in flight over all")
    report.verdict("Jain's index of fairness among the runs", fairness, ">=", FAIRNESS_TARGET)


def _one_run(home: Path, url: str, day: date) -> None:
    settings = _settings(home, url)
    with open_database(settings) as database:
        _summarize(database, settings, day)
