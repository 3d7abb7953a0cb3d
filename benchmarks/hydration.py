"""`hydrate_day` against a client that keeps as many of the same queries in flight and stores nothing."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, cast

import httpx
import orjson

from benchmarks.double import TOKEN, Double, Stats, double
from benchmarks.report import Report, paired, timed
from benchmarks.server import temporary_database
from resources.github import GitHub, Reply
from resources.github_items import ITEMS_A_QUERY, ItemKey, fetch_items
from resources.kinds import PULL_REQUEST
from resources.postgres import Database
from starsearch_assets.hydration.process import candidates, hydrate_day
from starsearch_assets.reconciliation.plan import HOURLY_POINTS

CONCURRENCY, LATENCY_MS, RESERVE = 8, 50, 0.1
IN_USE_TARGET = 0.9
_REPOSITORIES, _ITEMS = 160, 150  # two thirds of the double's items are pull requests
_DAY = date(2025, 1, 1)


def measure(report: Report, repetitions: int) -> None:
    """Concurrency in use, limits kept, items/s. Every run asks a double of its own, whose counters begin with it."""
    counted: list[Stats] = []
    with temporary_database() as (database, _):
        _track(database)
        keys = candidates(database, PULL_REQUEST, _DAY)
        queries = asyncio.run(_queries(keys))

        def ours() -> float:
            _forget_texts(database)
            with _populated() as github:
                settings = github.settings(github_concurrency=CONCURRENCY, github_reserve=RESERVE)
                with timed() as timer:
                    result = hydrate_day(database, PULL_REQUEST, _DAY, lambda: GitHub(settings))
                counted.append(github.stats())
            assert (result.wanted, result.found, result.without_text) == (len(keys), len(keys), 0), result
            return timer.seconds

        def floor() -> float:
            with _populated() as github, timed() as timer:
                asyncio.run(_bare(github, queries))
            return timer.seconds

        pairs = paired(ours, floor, repetitions)
    report.row(f"{CONCURRENCY} requests at a time, {LATENCY_MS} ms before each reply", "ours", "bare client", "ratio")
    report.row(
        f"hydration of {len(keys):,} pull requests, {counted[0].queries:,} queries",
        f"{len(keys) / pairs.ours_median:,.0f} items/s",
        f"{len(keys) / pairs.floor_median:,.0f} items/s",
        f"{1 / pairs.slowdown:.2f}",
    )
    in_use = statistics.median(one.mean_in_flight for one in counted) / CONCURRENCY
    report.verdict("mean requests in flight over those allowed", in_use, ">=", IN_USE_TARGET)
    report.verdict("most requests in flight", max(one.max_in_flight for one in counted), "<=", CONCURRENCY)
    report.verdict("limits exceeded, as the double counts", sum(one.limit_violations for one in counted), "<=", 0)
    points = max(one.points for one in counted) / (HOURLY_POINTS * (1 - RESERVE))
    report.verdict("points used over those of an hour without its reserve", points, "<=", 1)


def _populated() -> AbstractContextManager[Double]:
    return double(
        latency_ms=LATENCY_MS, concurrency_limit=CONCURRENCY, hourly_points=HOURLY_POINTS,
        repositories=_REPOSITORIES, items=_ITEMS,
    )  # fmt: skip


def _track(database: Database) -> None:
    """The double's repositories and pull requests, as slim events would have named them."""
    database.execute(
        "INSERT INTO repositories (repo_id, name) SELECT n, 'octo/repository-' || n FROM generate_series(1, %s) n",
        [_REPOSITORIES],
    )
    database.execute(
        "INSERT INTO activity (kind, repo_id, ref, day) SELECT %s, r, i::text, %s"
        " FROM generate_series(1, %s) r, generate_series(1, %s) i WHERE i %% 3 <> 0",
        [PULL_REQUEST.name, _DAY, _REPOSITORIES, _ITEMS],
    )
    database.execute("ANALYZE repositories, activity")


def _forget_texts(database: Database) -> None:
    database.execute("TRUNCATE pull_requests, comments, hydrations, repository_names")
    database.execute(
        "INSERT INTO pull_requests (repo_id, number, last_active_at) SELECT repo_id, ref::bigint, day FROM activity"
    )
    database.execute("ANALYZE pull_requests")


class _Recorder:
    """Stands where the client would: keeps the queries that it is asked."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def graphql(self, query: str, variables: Mapping[str, Any], _points: int) -> Reply:
        self.bodies.append(orjson.dumps({"query": query, "variables": variables}))
        return Reply({}, ())


async def _queries(keys: Sequence[ItemKey]) -> list[bytes]:
    """The bodies of the requests that hydration sends for the keys."""
    recorder = _Recorder()
    for start in range(0, len(keys), ITEMS_A_QUERY):
        await fetch_items(cast("GitHub", recorder), PULL_REQUEST, keys[start : start + ITEMS_A_QUERY])
    return recorder.bodies


async def _bare(github: Double, queries: Sequence[bytes]) -> None:
    """Ask the same, as many at a time, and drop the answers."""
    left = iter(queries)
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client, asyncio.TaskGroup() as group:

        async def ask() -> None:
            for body in left:
                (await client.post(f"{github.url}/graphql", content=body)).raise_for_status()

        for _ in range(CONCURRENCY):
            group.create_task(ask())
