"""Builds of index artifacts: killed, at the same time, under readers, short of memory; and what is said of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from multiprocessing.context import ForkServerContext
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from psycopg import sql as pgsql

from answering.releases import load_release
from answering.retrieval import Query, search
from resources.embedded_postgres import EmbeddedPostgres
from resources.kinds import PULL_REQUEST
from resources.postgres import Database, open_database
from resources.settings import Settings
from starsearch_assets import audits
from starsearch_assets.dirty import mark_months
from starsearch_assets.embeddings.spaces import ensure_space
from starsearch_assets.index.build import Effort, IndexResult, build_spaces
from starsearch_assets.index.cost import Cost, costs, shown_bytes
from starsearch_assets.index.metadata import index_metadata
from starsearch_assets.index.recall import LADDER, measure
from starsearch_assets.release.control import activate_release, drop_unused, resume
from tests.integration.processes import in_threads, kill, until, waiting
from tests.integration.test_index_and_release import (
    DIMENSIONS,
    NOVEMBER,
    OCTOBER,
    ClusteredVectors,
    build,
    release,
    store,
)

DAY = date(2025, 10, 6)
KILLS = 8
ROWS = 300
INDEXING = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX%'"
UNMEASURED = "SELECT count(*) > 0 FROM index_artifacts WHERE recall IS NULL"


class SecondVectors(ClusteredVectors):
    """Another model, with a space of its own."""

    model = "second"


def in_two_spaces(database: Database) -> None:
    """The same items with vectors of two models, all of one time."""
    store(database, DAY, 1, ROWS)
    database.execute("UPDATE pull_requests SET created_at = '2025-10-05'")
    with database.transaction() as connection:
        first, second = (ensure_space(connection, PULL_REQUEST, one()) for one in (ClusteredVectors, SecondVectors))
        connection.execute(pgsql.SQL("INSERT INTO {} SELECT * FROM {}").format(second.table, first.table))
        audits.record(connection, audits.Audit(PULL_REQUEST.embeddings, f"{DAY}", "1", True, {}, second.gate), None)


def change(database: Database, number: int) -> None:
    """Another state of one item, told to the month as whoever changes items tells it."""
    with database.transaction() as connection:
        connection.execute("UPDATE pull_requests SET author_login = %s WHERE number = 7", [f"author-{number}"])
        mark_months(connection, [(PULL_REQUEST.name, OCTOBER)])


def is_dirty(database: Database) -> bool:
    return database.fetch_value("SELECT count(*) > 0 FROM dirty_months")


def work(settings: Settings) -> None:
    """Build the month in all spaces, as one run of the asset does."""
    with open_database(settings) as database:
        build_spaces(database, PULL_REQUEST, OCTOBER, 0.9)


def stray_tables(database: Database) -> list[tuple[Any, ...]]:
    """Tables of artifacts that no artifact names, and artifacts without a table."""
    return database.fetch_all(
        "SELECT table_name, tablename FROM index_artifacts"
        " FULL JOIN (SELECT tablename FROM pg_tables WHERE schemaname = 'artifacts') tables ON tablename = table_name"
        " WHERE table_name IS NULL OR tablename IS NULL"
    )


def artifacts(database: Database) -> list[tuple[Any, ...]]:
    """Every artifact with a digest of its rows and whether it was measured; without times."""
    named = database.fetch_all(
        "SELECT table_name, version, row_count, fingerprint, recall IS NOT NULL, passed FROM index_artifacts ORDER BY 1"
    )
    return [
        (*one, database.fetch_value(f"SELECT md5(string_agg(a::text, ',' ORDER BY ref)) FROM artifacts.{one[0]} a"))
        for one in named
    ]


def test_a_build_killed_anywhere_and_run_again_leaves_what_an_undisturbed_one_leaves(
    settings: Settings, database: Database, undisturbed: Settings, processes: ForkServerContext
) -> None:
    """Each version of a month in two spaces is killed once, in the middle of an index, before it is measured or at
    some other moment, and then run: the same artifacts, numbered alike, and the month is to be built until it is."""
    with open_database(undisturbed) as other:
        in_two_spaces(other)
        for number in range(KILLS):
            change(other, number)
            began = time.monotonic()
            work(undisturbed)
            duration = time.monotonic() - began
        expected = artifacts(other)
    in_two_spaces(database)
    order = random.Random(0)
    until: list[Callable[[], bool]] = [
        lambda: database.fetch_value(INDEXING),
        lambda: database.fetch_value(UNMEASURED),
        lambda: True,
        lambda: True,
    ]
    killed = 0
    for number in range(KILLS):
        change(database, number)
        process = processes.Process(target=work, args=(settings,))
        process.start()
        moment = 0.0 if number % 4 < 2 else order.random() * duration
        if kill(process, moment, until[number % 4]):
            killed += 1
            assert is_dirty(database)
        assert stray_tables(database) == []
        work(settings)
        assert not is_dirty(database)
    assert killed >= KILLS / 2
    assert stray_tables(database) == []
    assert artifacts(database) == expected
    assert [one[1] for one in expected] == 2 * list(range(1, KILLS + 1))


@contextmanager
def nobody_registers(database: Database, server: EmbeddedPostgres) -> Iterator[None]:
    """Until the block ends a build waits before it writes down its artifact."""
    with psycopg.connect(server.url("postgres", database.fetch_value("SELECT current_database()"))) as other:
        other.execute("LOCK TABLE starsearch.index_artifacts IN SHARE MODE")
        yield


def test_of_two_builds_at_once_one_builds(database: Database, server: EmbeddedPostgres) -> None:
    """The one that waits sees what the other made, and builds nothing."""
    store(database, DAY, 1, 60)

    def release_both() -> None:
        with nobody_registers(database, server):
            until(lambda: waiting(database) == 2)

    *results, _ = in_threads(lambda: build(database), lambda: build(database), release_both)
    assert sorted(result.built for result in results) == [False, True]
    assert len({(result.artifact_id, result.table, result.rows) for result in results}) == 1
    assert all(result.recall is not None for result in results)
    assert [one[1] for one in artifacts(database)] == [1]
    assert stray_tables(database) == []


def test_who_waited_indexes_what_came_meanwhile(database: Database, server: EmbeddedPostgres) -> None:
    """A change that is committed during another build is in the artifact of the one that waited for it, not in both."""
    store(database, DAY, 1, 60)

    def change_and_release() -> None:
        with nobody_registers(database, server):
            until(lambda: waiting(database) == 2)
            change(database, 1)

    *results, _ = in_threads(lambda: build(database), lambda: build(database), change_and_release)
    assert all(result.built for result in results)
    first, second = sorted(results, key=lambda result: result.artifact_id)
    authors = [
        database.fetch_value(f"SELECT author_login FROM artifacts.{result.table} WHERE ref = '7'")
        for result in (first, second)
    ]
    assert authors == ["author2", "author-1"]
    assert not build(database).built


def test_items_that_came_just_now_are_analyzed_once(database: Database) -> None:
    """The plan of a month knows how many items there are, also before autovacuum has seen their table."""
    database.execute("ALTER TABLE pull_requests SET (autovacuum_enabled = false)")
    store(database, DAY, 1, 60)
    size = "SELECT reltuples FROM pg_class WHERE oid = 'pull_requests'::regclass"
    assert database.fetch_value(size) == -1
    build(database)
    assert database.fetch_value(size) == 60
    store(database, DAY, 101, 20)
    build(database)
    assert database.fetch_value(size) == 60


def test_the_fingerprint_is_of_the_indexed_rows(database: Database) -> None:
    """A change that is undone after a build leaves the month as it was indexed; one that stays is built."""
    store(database, DAY, 1, 60)
    first = build(database)
    change(database, 1)
    database.execute("UPDATE pull_requests SET author_login = 'author2' WHERE number = 7")
    assert (build(database).built, build(database).artifact_id) == (False, first.artifact_id)
    change(database, 2)
    assert build(database).built


def test_every_query_finds_the_same_while_releases_go_forth_and_back(database: Database, tools: Database) -> None:
    """A month is built again and published, an earlier release activated, the newest resumed and the unused dropped:
    whoever searches finds the item itself and nine others, in every version."""
    points = store(database, DAY, 1, 200)
    build(database)
    first = release(database, tools).release_id
    assert first is not None
    problems: list[str] = []
    seen: set[int] = set()
    stop = threading.Event()

    def ask(number: int) -> None:
        while not stop.is_set():
            number = number % len(points) + 1
            try:
                active = load_release(tools)
                hits = search(tools, active, Query("item", points[number - 1]), k=10)
            except Exception as error:
                problems.append(repr(error))
            else:
                seen.add(active.release_id)
                if len(hits) != 10 or str(number) not in [hit.ref for hit in hits]:
                    problems.append(f"{number}: {[hit.ref for hit in hits]} in release {active.release_id}")

    def is_seen(release_id: int | None) -> Callable[[], bool]:
        seen.clear()
        return lambda: release_id in seen

    threads = [threading.Thread(target=ask, args=(number,)) for number in (0, 100)]
    for thread in threads:
        thread.start()
    try:
        dropped = 0
        for number in range(9):
            change(database, number)
            assert build(database).built
            newest = release(database, tools)
            assert newest.outcome == "activated"
            until(is_seen(newest.release_id))
            activate_release(database, first)
            dropped += len(drop_unused(database))
            until(is_seen(first))
            assert resume(database) == newest.release_id
            until(is_seen(newest.release_id))
            first = newest.release_id or first
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert dropped > 0


def test_a_graph_without_room_says_what_to_set(database: Database) -> None:
    """The warning and the metadata name the setting and a figure, and with that figure there is no warning."""
    store(database, DAY, 1, 2500)

    def built_with(megabytes: int) -> IndexResult:
        change(database, megabytes)
        (result,) = build_spaces(database, PULL_REQUEST, OCTOBER, 0.9, effort=Effort(0, megabytes))
        assert result.built
        return result

    slow = built_with(1)
    assert slow.warning is not None
    assert slow.warning.startswith("The index outgrew its 1 MB of memory after")
    assert "of 2,500 rows" in slow.warning
    assert slow.passed
    enough = int(slow.warning.partition("INDEX_MEMORY_MB to ")[2].partition(" ")[0])
    assert enough > 1
    assert index_metadata([slow], 0.9, costs(database))["warning"].value == f"{ClusteredVectors.model}: {slow.warning}"
    fast = built_with(enough)
    assert fast.warning is None
    assert "warning" not in index_metadata([fast], 0.9, costs(database))


def test_recall_is_what_counting_by_hand_gives(database: Database) -> None:
    """A lean index of random points: at every ef_search the share of the exact neighbours that the index finds; none
    finds all, so that all are tried."""
    points = filled(database, 600, m=2, ef_construction=4)
    identifier = pgsql.Identifier("some_rows")
    with database.transaction() as connection:
        measured = measure(connection, identifier, len(points), DIMENSIONS, queries=len(points))
    assert measured.queries == len(points)
    assert tuple(measured.by_ef_search) == tuple(measured.latency) == LADDER
    distances = 1 - points @ points.T
    np.fill_diagonal(distances, np.inf)
    exact = [set(nearest) for nearest in np.argsort(distances, axis=1)[:, :10]]
    with database.transaction() as connection:
        connection.execute("SET LOCAL enable_seqscan = off")
        for ef_search, share in measured.by_ef_search.items():
            connection.execute(f"SET LOCAL hnsw.ef_search = {ef_search + 1}")
            found = 0
            for number, point in enumerate(points):
                rows = connection.execute(
                    "SELECT ref::int FROM some_rows ORDER BY embedding <=> %s::halfvec LIMIT 11",
                    [HalfVector(point.astype(np.float16)).to_text()],
                ).fetchall()
                found += len(exact[number] & {ref for (ref,) in rows if ref != number})
            assert share == pytest.approx(found / (10 * len(points)), abs=2e-3)  # equal distances
    assert measured.best < 1.0
    assert all(0 < one.p50 <= one.p95 for one in measured.latency.values())


def test_the_ladder_ends_where_all_is_found(database: Database) -> None:
    """A generous index of few rows finds everything early: what is beyond is not tried."""
    points = filled(database, 150, m=32, ef_construction=200)
    with database.transaction() as connection:
        measured = measure(connection, pgsql.Identifier("some_rows"), len(points), DIMENSIONS)
    tried = tuple(measured.by_ef_search)
    assert tried == LADDER[: len(tried)]
    assert len(tried) < len(LADDER)
    assert [ef for ef in tried if measured.by_ef_search[ef] == 1.0] == [tried[-1]]


def filled(database: Database, count: int, m: int, ef_construction: int) -> np.ndarray:
    """A table `some_rows` of random points with an index; the points as they are stored, (count, DIMENSIONS)."""
    points = np.random.default_rng(3).normal(size=(count, DIMENSIONS)).astype(np.float16)
    database.execute(
        f"CREATE TABLE some_rows (repo_id int, ref text, embedding halfvec({DIMENSIONS}), PRIMARY KEY (repo_id, ref))"
    )
    with database.transaction() as connection:
        connection.cursor().executemany(
            "INSERT INTO some_rows VALUES (1, %s, %s::halfvec)",
            [(str(number), HalfVector(point).to_text()) for number, point in enumerate(points)],
        )
        connection.execute(
            "CREATE INDEX ON some_rows USING hnsw (embedding halfvec_cosine_ops)"
            f" WITH (m = {m}, ef_construction = {ef_construction})"
        )
    unit = points.astype(np.float32)
    return unit / np.linalg.norm(unit, axis=1, keepdims=True)


def test_costs_are_what_is_on_the_disk(database: Database, tools: Database) -> None:
    """An artifact counts once, where it is used most; bytes are those of its table with all indexes, as PostgreSQL has
    them; seconds are the builds'."""
    store(database, DAY, 1, 80)
    store(database, date(2025, 11, 6), 1001, 40, seed=2)
    everywhere = build(database, NOVEMBER)  # in both releases
    kept = build(database)
    release(database, tools)
    change(database, 1)
    active = build(database)
    release(database, tools)
    change(database, 2)
    unused = build(database)

    def on_disk(*results: IndexResult) -> Cost:
        size = sum(
            database.fetch_value("SELECT pg_total_relation_size(%s::regclass)", [f"artifacts.{result.table}"])
            for result in results
        )
        seconds = database.fetch_value(
            "SELECT sum(build_seconds)::float8 FROM index_artifacts WHERE table_name = ANY (%s)",
            [[result.table for result in results]],
        )
        assert seconds == pytest.approx(sum(result.build_seconds for result in results))
        return Cost(len(results), size, seconds)

    found = costs(database, PULL_REQUEST.name)
    assert found.active == on_disk(everywhere, active)
    assert found.kept == on_disk(kept)
    assert found.unused == on_disk(unused)
    assert found == costs(database)
    assert costs(database, "issue").total == Cost(0, 0, 0.0)
    total = on_disk(everywhere, kept, active, unused)
    assert (found.total.artifacts, found.total.bytes) == (4, total.bytes)
    shown = found.rows()
    assert [row["number"] for row in shown] == [2, 1, 1, 4]
    assert [row["bytes"] for row in shown] == [found.active.bytes, found.kept.bytes, found.unused.bytes, total.bytes]
    assert shown[-1]["disk"] == shown_bytes(total.bytes)
