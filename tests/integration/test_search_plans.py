"""How PostgreSQL runs searches: through the HNSW and GIN indexes, or exactly where filters leave few rows."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta

import psycopg
import pytest

from answering.releases import Release
from answering.retrieval import Query, Scope, search
from answering.retrieval.planner import estimated_rows, scans_exactly
from answering.retrieval.scope import compile_scope
from answering.retrieval.vectors import LONGEST_WALK
from answering.warming import warm_artifacts
from resources.postgres import Database, Role, open_database
from resources.settings import Settings
from tests.integration.corpus import BagOfWords, Item, release_of

ROWS = 3000
WORDS = "cache upload router parser token theme socket query index worker plugin locale".split()


@pytest.fixture
def release(database: Database, tools: Database) -> Release:
    """Two months of 1,500 items each; one author of ten, one of a hundred, one of all; technologies likewise."""
    items = [
        Item(
            n,
            f"{WORDS[n % 12]} {WORDS[n // 12 % 12]} number{n}",
            f"{WORDS[n // 144 % 12]} text of item {n}",
            repo=1 + n % 50,
            author="rare" if n % 300 == 0 else f"some{n % 10}",
            technologies=("Zig",) if n % 100 == 1 else ("Go",),
            day=date(2025, 10, 1) + timedelta(days=n * 60 // ROWS),
        )
        for n in range(1, ROWS + 1)
    ]
    return release_of(database, tools, items)


@pytest.fixture
def plans(database: Database, tools: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The plan of every statement that reads artifacts, as it is run: without the values of its parameters."""
    collected: list[str] = []
    execute = psycopg.Connection.execute

    def explained(self, query, params=None, **options):
        text = query.decode() if isinstance(query, bytes) else str(query)
        if '"artifacts".' in text and not text.startswith("EXPLAIN"):
            for number, name in enumerate(params, 1):
                text = text.replace(f"%({name})s", f"${number}")
            with tools.transaction() as other:  # the search's own connection is in a pipeline
                execute(other, sys.modules[search.__module__]._SETTINGS)
                rows = execute(other, f"EXPLAIN (GENERIC_PLAN) {text.replace('%%', '%')}").fetchall()
            collected.append("\n".join(row[0] for row in rows))
        return execute(self, query, params, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", explained)
    return collected


def query(text: str) -> Query:
    return Query(text, BagOfWords().encode([text])[0])


def test_vectors_are_found_through_the_hnsw_index(tools: Database, release: Release, plans: list[str]) -> None:
    """Without a filter each month is one HNSW scan; the hits' rows come by their keys. Nothing is scanned whole."""
    assert len(search(tools, release, query("upload cache"), mode="vector")) == 10
    nearest, rows = plans
    assert len(re.findall(r"Index Scan using \w+embedding_idx", nearest)) == 2
    assert "pkey" in rows
    assert "Seq Scan" not in "\n".join(plans)


def test_words_are_found_through_the_gin_index(tools: Database, release: Release, plans: list[str]) -> None:
    """Few words of few items: each month's bitmap of the GIN index."""
    assert search(tools, release, query("number77"), mode="text")[0].title.endswith("number77")
    assert len(re.findall(r"Bitmap Index Scan on \w+lexemes_idx", plans[0])) == 2
    assert "Seq Scan" not in plans[0]


def test_few_rows_are_scanned_exactly(tools: Database, release: Release, plans: list[str]) -> None:
    """An author of ten items: by the author's index, never through the graph, and all ten are found."""
    hits = search(tools, release, query("upload"), scope=Scope(authors=("rare",)), mode="vector", k=20)
    assert {hit.author for hit in hits} == {"rare"}
    assert len(hits) == 10
    assert "embedding_idx" not in plans[0]
    assert "lower_idx" in plans[0]


def test_a_day_is_read_by_its_index(tools: Database, release: Release, plans: list[str]) -> None:
    """And not the whole month."""
    scope = Scope(since=date(2025, 10, 7), until=date(2025, 10, 8))
    assert len(search(tools, release, query("upload"), scope=scope, mode="vector", k=60)) == 50
    assert "activity_day_idx" in plans[0]
    assert "Seq Scan" not in plans[0]


def test_a_filter_that_keeps_most_uses_the_graph(tools: Database, release: Release, plans: list[str]) -> None:
    """What 99 % of the items pass is no reason for an exact scan."""
    hits = search(tools, release, query("upload"), scope=Scope(technologies=("go",)), mode="vector")
    assert len(hits) == 10
    assert plans[0].count("embedding_idx") == 2


def test_estimates_follow_the_filters(tools: Database, release: Release) -> None:
    """The planner's estimate of what a filter leaves is near enough to choose by."""
    artifacts = release.of_kind("pull_request")
    with tools.transaction() as connection:
        for scope, expected in (
            (Scope(authors=("rare",)), 10),
            (Scope(technologies=("zig",)), 30),
            (Scope(repos=("acme/repo7",)), 60),
            (Scope(technologies=("go",)), 2970),
        ):
            conditions = compile_scope(connection, scope, release.release_id)
            rows = sum(estimated_rows(connection, artifacts, conditions).values())
            assert expected / 2 <= rows <= 2 * expected, scope
        none = compile_scope(connection, Scope(), release.release_id)
        assert estimated_rows(connection, artifacts, none) == {}
    assert [scans_exactly(artifact, None, 40) for artifact in artifacts] == [False, False]


def test_a_walk_that_ends_too_early_is_completed(
    tools: Database, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where statistics mislead and the graph is given up before enough rows passed, an exact scan finds them."""
    monkeypatch.setattr("answering.retrieval.vectors.scans_exactly", lambda *_: False)
    settings = sys.modules[search.__module__]  # the package has a function of that name
    monkeypatch.setattr(settings, "_SETTINGS", settings._SETTINGS.replace(f"'{LONGEST_WALK}'", "'1'"))
    scope = Scope(authors=("rare",))
    found = search(tools, release, query("upload"), scope=scope, mode="vector")
    exact = search(tools, release, query("upload"), scope=scope, mode="vector", exact=True)
    assert [hit.ref for hit in found] == [hit.ref for hit in exact]
    assert len(found) == 10


def test_months_outside_of_the_time_range_are_not_read(tools: Database, release: Release, plans: list[str]) -> None:
    """A range inside November reads November's artifact only."""
    hits = search(tools, release, query("upload"), scope=Scope(since=date(2025, 11, 1)), mode="vector")
    assert {hit.activity_day.month for hit in hits} == {11}
    assert "2025_11" in plans[0]
    assert "2025_10" not in "\n".join(plans)


def test_the_rows_behind_hits_are_one_statement(tools: Database, release: Release) -> None:
    """Whatever they are and wherever they stand: it is planned once, and not for each search."""
    for text in ("upload", "cache token", "number77", "number2999", "locale"):
        search(tools, release, query(text))
    ((count, times),) = tools.fetch_all(
        "SELECT count(*), sum(generic_plans) FROM pg_prepared_statements WHERE statement LIKE 'WITH wanted%%tsquery%%'"
    )
    assert (count, times) == (1, 4)  # the first search did not know yet that there would be another


def test_words_may_be_looked_for_in_the_rows_that_a_filter_leaves(
    tools: Database, release: Release, plans: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In place of the words' index, which is read for all rows; the hits are the same."""
    module, scope = sys.modules[search.__module__], Scope(authors=("rare",))
    monkeypatch.setattr(module, "are_few", lambda _: False)
    found = []
    for is_cheaper in (True, False):
        monkeypatch.setattr(module, "scans_for_words", lambda *_, scans=is_cheaper: scans)
        plans.clear()
        found.append([hit.item for hit in search(tools, release, query("upload token text"), scope=scope, mode="text")])
        assert ("lexemes_idx" in plans[0]) is not is_cheaper
    assert found[0] == found[1]
    assert found[0]


def test_of_words_that_very_many_have_the_newest_are_ranked(
    tools: Database, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All items have the word, and half of them are enough: those of October are not read; a rare word's are."""
    for module in ("answering.retrieval.words", search.__module__):
        monkeypatch.setattr(sys.modules[module], "MOST_RANKED", 1000)
    common = search(tools, release, query("text"), mode="text", k=30)
    assert {hit.activity_day.month for hit in common} == {11}
    assert search(tools, release, query("number77"), mode="text")[0].activity_day.month == 10


def test_months_that_have_more_of_the_nearest_are_walked_again(
    database: Database, tools: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight months one has nearly everything about the query: as an exact search tells."""
    items = [
        Item(
            n,
            f"Zeppelin {WORDS[n % 12]}" if n % 8 == 3 and n < 200 else f"{WORDS[n % 12]} {WORDS[n // 12 % 12]}",
            technologies=("Go",),
            day=date(2025, 1 + n % 8, 2),
        )
        for n in range(1, 400)
    ]
    release = release_of(database, tools, items)
    monkeypatch.setattr("answering.retrieval.vectors.scans_exactly", lambda *_: False)
    monkeypatch.setattr(sys.modules[search.__module__], "are_few", lambda _: False)
    scope, again = Scope(technologies=("go",)), []
    execute = psycopg.Connection.execute

    def counted(self, query, params=None, **options):
        text = query.decode() if isinstance(query, bytes) else str(query)
        again.extend([text.count("SELECT")] * ("<=>" in text and "EXPLAIN" not in text and "wanted" not in text))
        return execute(self, query, params, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    for k in (10, 20, 30):
        again.clear()
        found = search(tools, release, query("Zeppelin"), scope=scope, mode="vector", k=k)
        assert again[0] == 8
        assert again[1] < 8
        exact = search(tools, release, query("Zeppelin"), scope=scope, mode="vector", k=k, exact=True)
        assert [hit.score for hit in found] == [hit.score for hit in exact]
    assert sum(hit.title.startswith("Zeppelin") for hit in found) == 25


def test_what_searches_read_is_read_before_they_come(settings: Settings, database: Database, release: Release) -> None:
    """Rows, graph and words' index, all their pages. What was read is told when the connections that read it close."""
    pages = (
        "SELECT s.indexrelname, s.idx_blks_read + s.idx_blks_hit, c.relpages FROM pg_statio_all_indexes s"
        " JOIN pg_class c ON c.oid = s.indexrelid WHERE s.schemaname = 'artifacts'"
        " AND s.indexrelname ~ '(embedding|lexemes)_idx$' UNION ALL"
        " SELECT s.relname, s.heap_blks_read + s.heap_blks_hit, c.relpages FROM pg_statio_all_tables s"
        " JOIN pg_class c ON c.oid = s.relid WHERE s.schemaname = 'artifacts' ORDER BY 1"
    )
    before = database.fetch_all(pages)
    assert len(before) == 2 * 3
    with open_database(settings, Role.TOOLS) as tools:
        warm_artifacts(tools, release)
    deadline = time.monotonic() + 30
    while [name for name, *_ in unread(before, database.fetch_all(pages))] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert unread(before, database.fetch_all(pages)) == []


def unread(before: Sequence[tuple[str, int, int]], after: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """What was read fewer times than it has pages: its name, how often, its pages."""
    read = [(name, then - earlier, pages) for (name, earlier, _), (_, then, pages) in zip(before, after, strict=True)]
    return [(name, times, pages) for name, times, pages in read if times < 0.9 * pages]
