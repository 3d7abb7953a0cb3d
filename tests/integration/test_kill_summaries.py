"""Runs of summaries that are killed, lose their server, or are ended by the UI; and many at the same time."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from datetime import date, timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any

import dagster as dg
import openai  # noqa: F401 - for the processes, which start with what is imported here
import pytest

from resources.kinds import PULL_REQUEST
from resources.llm import LLM
from resources.llm_fleet import STORED_TOGETHER
from resources.postgres import Database, open_database
from resources.settings import Settings
from starsearch_assets.definitions import build_definitions
from starsearch_assets.summaries.process import summarize_day
from starsearch_assets.summaries.share import Share
from starsearch_assets.summaries.summarizers import LLMSummarizer
from tests.doubles.llm_server import LLMProcess, llm_process
from tests.integration.processes import is_storing, kill, until
from tests.integration.summaries import DAY, add_many

MODEL = "test-model"
KILLS, ITEMS, CONCURRENCY = 8, 1_200, 16
LOST = CONCURRENCY + 2 * STORED_TOGETHER
"""Requests that a kill may cost: those in flight, a batch that is being stored, and what waits to be the next one."""
PROBE = 5
"""Requests with which a run begins, at most: the server's models, and what it can do."""
RUNS, SLOTS, ITEMS_A_RUN = 20, 64, 40
SECONDS = 0.05  # of a reply


@pytest.fixture
def llm_server() -> Iterator[LLMProcess]:
    """The simulated vLLM in a process of its own."""
    with llm_process(slots=SLOTS, latency_ms=SECONDS * 1000) as server:
        yield server


def work(settings: Settings, url: str, run_id: str) -> None:
    """Summarize the day, as one run does."""
    with open_database(settings) as database:
        llm = LLM(url, MODEL, concurrency=CONCURRENCY, outage_seconds=60)
        summarize_day(database, PULL_REQUEST, DAY, LLMSummarizer(llm), run_id)


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What a day leaves, without runs and times."""
    return {
        "summaries": database.fetch_all(
            "SELECT content_hash, model, prompt_version, summary FROM summaries ORDER BY 1"
        ),
        "contents": database.fetch_all("SELECT kind, repo_id, ref, content_hash FROM item_contents ORDER BY 1, 2, 3"),
        "failures": database.fetch_all("SELECT content_hash FROM summary_failures"),
        "verdicts": database.fetch_all(
            "SELECT partition, check_name, data_version, passed FROM newest_audits ORDER BY 1, 2"
        ),
    }


def spent(database: Database) -> tuple[int, int, int]:
    """Summaries, requests and retries in the ledger, over all runs."""
    return database.fetch_all(
        "SELECT coalesce(sum(items), 0)::int, coalesce(sum(requests), 0)::int, coalesce(sum(retries), 0)::int"
        " FROM llm_usage"
    )[0]  # type: ignore[return-value]


def summarized(database: Database) -> int:
    return database.fetch_value("SELECT count(*) FROM summaries")


def nothing_in_flight(server: LLMProcess) -> bool:
    return server.stats()["in_flight"] == 0


def test_a_day_killed_anywhere_costs_what_was_in_flight(
    settings: Settings, database: Database, undisturbed: Settings, processes: ForkServerContext, llm_server: LLMProcess
) -> None:
    """Killed eight times, in the middle of requests and while it stores, then run to its end: the same rows as without
    kills, each summary counted once, and no more requests repeated than a kill can lose."""
    with open_database(undisturbed) as other:
        add_many(other, ITEMS)
        work(undisturbed, llm_server.url, "run")
        expected = rows(other)
    assert len(expected["summaries"]) == ITEMS
    add_many(database, ITEMS)
    llm_server.forget()
    order = random.Random(0)
    killed = 0
    for number in range(KILLS):
        before = llm_server.stats()["requests"]
        process = processes.Process(target=work, args=(settings, llm_server.url, f"run-{number}"))
        process.start()
        while llm_server.stats()["requests"] <= before + PROBE:  # there its work begins
            assert process.is_alive()
        killed += kill(process, order.random() * 0.6, lambda n=number: n % 2 == 0 or is_storing(database))
    done = summarized(database)
    assert killed == KILLS
    assert 0 < done < ITEMS
    assert database.fetch_value("SELECT count(*) FROM audits") == 0
    assert spent(database)[0] == done
    work(settings, llm_server.url, "run-last")
    assert rows(database) == expected
    items, requests, retries = spent(database)
    assert (items, requests - retries) == (ITEMS, ITEMS)
    sent = llm_server.stats()["requests"]
    assert ITEMS <= sent <= ITEMS + retries + (KILLS + 1) * PROBE + KILLS * LOST
    work(settings, llm_server.url, "run-again")
    assert llm_server.stats()["requests"] == sent


def test_a_server_that_is_restarted_in_the_middle_is_waited_for(
    settings: Settings, database: Database, processes: ForkServerContext, llm_server: LLMProcess
) -> None:
    """Killed and started again at its port: the partition finishes, every item has its summary, retries are counted."""
    add_many(database, ITEMS)
    process = processes.Process(target=work, args=(settings, llm_server.url, "run"))
    process.start()
    until(lambda: summarized(database) > 0)
    llm_server.kill()
    assert process.is_alive()
    time.sleep(0.3)  # the outage
    llm_server.start()
    process.join()
    assert process.exitcode == 0
    assert summarized(database) == ITEMS
    items, requests, retries = spent(database)
    assert items == ITEMS
    assert 0 < retries == requests - ITEMS
    assert database.fetch_value("SELECT bool_and(passed) FROM newest_audits")


def materialize(settings: Settings) -> None:
    """Run the asset as a run of the daemon does; ended by an interruption it fails."""
    definitions = build_definitions(settings)
    with dg.instance_for_test() as instance:
        result = dg.materialize(
            list(definitions.assets or []),  # type: ignore[arg-type]
            selection=dg.AssetSelection.assets(PULL_REQUEST.summaries),
            instance=instance,
            resources=dict(definitions.resources or {}),
            partition_key=f"{DAY}",
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        os._exit(0 if result.success else 1)


@pytest.mark.parametrize("ends_with", [signal.SIGINT, signal.SIGTERM], ids=["terminate", "SIGTERM"])
def test_a_run_that_is_terminated_leaves_no_request(
    ends_with: signal.Signals,
    settings: Settings,
    database: Database,
    processes: ForkServerContext,
    llm_server: LLMProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dagster interrupts a run that the UI terminates: it ends, the server works for nobody, what was done is kept and
    the day has no verdict; the next run does the rest."""
    add_many(database, ITEMS)
    llm_server.change(latency={"fixed": 0.5})
    configured = settings.model_copy(
        update={
            "starsearch_start": date(2026, 1, 1), "starsearch_end": date(2026, 1, 31),
            "llm_base_url": llm_server.url, "summary_model": MODEL, "llm_concurrency": CONCURRENCY,
        }
    )  # fmt: skip
    process = processes.Process(target=_materialize_with, args=(configured,))
    process.start()
    until(lambda: summarized(database) > 0, seconds=60)
    assert process.pid is not None
    os.kill(process.pid, ends_with)
    process.join(30)
    assert process.exitcode not in (None, 0)
    until(lambda: nothing_in_flight(llm_server))
    done = summarized(database)
    assert 0 < done < ITEMS
    assert spent(database)[0] == done
    assert database.fetch_value("SELECT count(*) FROM audits") == 0
    llm_server.change(latency={"fixed": 0.0})
    work(settings, llm_server.url, "run-2")
    assert summarized(database) == ITEMS
    assert spent(database)[0] == ITEMS


def _materialize_with(settings: Settings) -> None:
    """`materialize` with the environment that the daemon's processes have."""
    os.environ |= {"STARSEARCH_HOME": str(settings.home), "DATABASE_URL": settings.database_url.get_secret_value()}  # type: ignore[union-attr]
    materialize(settings)


def take_part(settings: Settings, url: str, day: date, together: Barrier) -> None:
    """One of many runs: joins, waits for the others to have joined, and summarizes its day."""
    with open_database(settings) as database, Share(database, SLOTS, 0.05) as share:
        share.join()
        together.wait()
        until(lambda: share.limit() == SLOTS // RUNS)
        together.wait()
        llm = LLM(url, MODEL, concurrency=SLOTS)
        summarize_day(database, PULL_REQUEST, day, LLMSummarizer(llm), f"run-{day}", share=share)


def test_twenty_runs_share_one_server(
    settings: Settings, database: Database, processes: ForkServerContext, llm_server: LLMProcess
) -> None:
    """All finish; together they never have more in flight than one alone may have, and they use most of it."""
    days = [DAY + timedelta(days=number) for number in range(RUNS)]
    for number, day in enumerate(days):
        add_many(database, ITEMS_A_RUN, day, first=number * ITEMS_A_RUN + 1)
    together = processes.Barrier(RUNS)
    running: list[BaseProcess] = []
    with contextlib.ExitStack() as stack:
        for day in days:
            process = processes.Process(target=take_part, args=(settings, llm_server.url, day, together))
            process.start()
            stack.callback(process.kill)
            running.append(process)
        for process in running:
            process.join(120)
    assert [process.exitcode for process in running] == [0] * RUNS
    assert summarized(database) == RUNS * ITEMS_A_RUN
    assert database.fetch_value("SELECT count(DISTINCT partition) FROM newest_audits") == RUNS
    assert database.fetch_value("SELECT bool_and(passed) FROM newest_audits")
    assert SLOTS // RUNS < llm_server.stats()["max_in_flight"] <= SLOTS
