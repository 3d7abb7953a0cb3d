"""Index artifacts and releases over real vectors in a real database: write, audit, publish, and back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector

from answering.errors import NoActiveRelease, ScopeError
from answering.releases import load_release
from answering.retrieval import Query, Scope, search
from resources.errors import NothingLoaded
from resources.kinds import ISSUE, KINDS, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets import audits
from starsearch_assets.embeddings.spaces import ensure_space
from starsearch_assets.index import verdicts
from starsearch_assets.index.build import build_month
from starsearch_assets.release.control import activate_release, drop_unused, releases, resume
from starsearch_assets.release.publish import publish

MODEL = "clustered"
DIMENSIONS = 32
OCTOBER, NOVEMBER = date(2025, 10, 1), date(2025, 11, 1)


class ClusteredVectors:
    """Stands where a model stands: vectors come from a seeded mixture, not from texts."""

    model = MODEL
    dimensions = DIMENSIONS

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return vectors(len(texts), seed=7)


def vectors(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, DIMENSIONS))
    points = centres[random.integers(20, size=count)] + 0.4 * random.normal(size=(count, DIMENSIONS))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def store(database: Database, day: date, first: int, count: int, *, seed: int = 1, kind=PULL_REQUEST, passed=True):
    """`count` items active on `day`, with vectors and the day's verdict."""
    points = vectors(count, seed)
    with database.transaction() as connection:
        space = ensure_space(connection, kind, ClusteredVectors())
        connection.execute("INSERT INTO repositories (repo_id, name) VALUES (1, 'acme/web') ON CONFLICT DO NOTHING")
        for number, point in zip(range(first, first + count), points, strict=True):
            connection.execute(
                f"INSERT INTO {kind.table} (repo_id, number, title, body, hydrated_at, hydrated_event, author_login,"
                " author_is_bot, created_at, state) VALUES (1, %s, %s, '', now(), 1, %s, false, now(), 'open')"
                " ON CONFLICT DO NOTHING",
                [number, f"Item {number}", f"author{number % 5}"],
            )
            connection.execute(
                "INSERT INTO activity VALUES (%s, 1, %s, %s) ON CONFLICT DO NOTHING", [kind.name, str(number), day]
            )
            connection.execute(
                f"INSERT INTO {space.table.as_string()} (repo_id, ref, text_hash, document, document_source, lexemes,"
                " embedding) VALUES (1, %s, %s, %s, 'source', document_lexemes(%s, ''), %s::halfvec)"
                " ON CONFLICT (repo_id, ref) DO UPDATE SET embedding = excluded.embedding,"
                " text_hash = excluded.text_hash",
                [
                    str(number),
                    f"{seed}/{number}".encode(),
                    f"Document {number}",
                    f"Document {number}",
                    HalfVector(point.astype(np.float16)).to_text(),
                ],
            )
        verdict = audits.Audit(kind.embeddings, f"{day}", f"{seed}", passed, {"documents": count}, space.gate)
        audits.record(connection, verdict, None)
    return points


def build(database: Database, month: date = OCTOBER, kind=PULL_REQUEST, floor: float = 0.9):
    return build_month(database, kind, month, MODEL, floor)


def release(database: Database, tools: Database, floor: float = 0.9):
    return publish(database, tools, MODEL, floor)


def refs(hits) -> list[str]:
    return [hit.ref for hit in hits]


def test_the_same_rows_build_nothing(database):
    """The same rows give the same fingerprint and no new artifact; a changed one gives a new version."""
    store(database, date(2025, 10, 6), 1, 300)
    first = build(database)
    assert (first.built, first.rows, first.passed) == (True, 300, True)
    second = build(database)
    assert (second.built, second.artifact_id) == (False, first.artifact_id)
    database.execute("UPDATE pull_requests SET state = 'closed' WHERE number = 5")
    third = build(database)
    assert third.built
    assert third.artifact_id != first.artifact_id
    assert database.fetch_value(f"SELECT state FROM artifacts.{first.table} WHERE ref = '5'") == "open"


def test_recall_is_measured_against_exact_search(database):
    """The metadata's recall@10 rises with ef_search and reaches the exact result on clustered vectors."""
    store(database, date(2025, 10, 6), 1, 1500)
    result = build(database)
    assert result.recall is not None
    values = [result.recall.by_ef_search[ef] for ef in sorted(result.recall.by_ef_search)]
    assert values[-1] >= 0.98
    assert values[0] <= values[-1]
    assert result.recall.queries == 100


def test_the_index_is_used(database, tools):
    """The hot query of search plans as a scan of the HNSW index, and as merged scans over several months."""
    store(database, date(2025, 10, 6), 1, 1500)
    store(database, date(2025, 11, 6), 2001, 1500, seed=2)
    tables = [build(database).table, build(database, NOVEMBER).table]
    probe = HalfVector(vectors(1, 3)[0]).to_text()
    branches = " UNION ALL ".join(
        f"(SELECT ref, embedding <=> '{probe}'::halfvec AS d FROM artifacts.{table} a"
        f" ORDER BY embedding <=> '{probe}'::halfvec LIMIT 10)"
        for table in tables
    )
    plan = "\n".join(row[0] for row in tools.fetch_all(f"EXPLAIN SELECT * FROM ({branches}) u ORDER BY d LIMIT 10"))
    assert plan.count("Index Scan using") == 2
    assert "Seq Scan" not in plan


def test_only_audited_days_reach_the_index(database):
    """Vectors of a day that failed its audit stay where no reader looks, until it passes."""
    store(database, date(2025, 10, 6), 1, 50)
    store(database, date(2025, 10, 7), 101, 50, seed=2, passed=False)
    assert build(database).rows == 50
    store(database, date(2025, 10, 7), 101, 50, seed=3, passed=True)
    assert build(database).rows == 100


def test_a_broken_index_is_not_released(database, tools, monkeypatch):
    """An artifact whose index finds too little is in no release; one that is merely below the floor is warned of."""
    store(database, date(2025, 10, 6), 1, 200)
    monkeypatch.setattr(verdicts, "BROKEN", 1.1)
    assert not build(database).passed
    assert release(database, tools).outcome == "empty"
    monkeypatch.setattr(verdicts, "BROKEN", 0.5)
    database.execute("UPDATE pull_requests SET state = 'closed' WHERE number = 5")
    assert build(database, floor=1.1).passed
    warned = audits.newest(database, "pull_request_index", [f"{OCTOBER}"], verdicts.ENOUGH)
    assert not warned[f"{OCTOBER}"].passed


def test_an_item_counts_only_in_its_newest_month(database, tools):
    """An item that is active again in November stands once in the results, as its newest artifact has it."""
    store(database, date(2025, 10, 6), 1, 60)
    build(database)
    points = store(database, date(2025, 11, 3), 1, 20, seed=9)
    build(database, NOVEMBER)
    result = release(database, tools)
    assert result.outcome == "activated"
    assert database.fetch_value("SELECT count(*) FROM superseded WHERE release_id = %s", [result.release_id]) == 20
    hits = search(tools, load_release(tools), Query("", points[4]), k=60)
    assert len(refs(hits)) == len(set(refs(hits))) == 60
    assert hits[0].ref == "5"
    assert hits[0].activity_day == date(2025, 11, 3)


def test_scope_is_enforced_in_sql(database, tools):
    """Author, time and repository filters keep everything else out, and unknown repositories are refused."""
    points = store(database, date(2025, 10, 6), 1, 400)
    build(database)
    release(database, tools)
    active = load_release(tools)
    by_author = search(tools, active, Query("", points[0]), scope=Scope(authors=("AUTHOR2",)), k=50)
    assert len(by_author) == 50
    assert {hit.author for hit in by_author} == {"author2"}
    assert search(tools, active, Query("", points[0]), scope=Scope(since=date(2025, 10, 7))) == []
    assert len(search(tools, active, Query("", points[0]), scope=Scope(until=date(2025, 10, 7)))) == 10
    assert len(search(tools, active, Query("", points[0]), scope=Scope(repos=("ACME/web",)))) == 10
    with pytest.raises(ScopeError, match="acme/other"):
        search(tools, active, Query("", points[0]), scope=Scope(repos=("acme/other",)))
    with pytest.raises(ScopeError, match="commits"):
        search(tools, active, Query("", points[0]), scope=Scope(kinds=("commits",)))


def test_a_release_chooses_ef_search_by_measured_recall(database, tools):
    """ef_search, recall and its lower bound are recorded for every space of the release."""
    store(database, date(2025, 10, 6), 1, 800)
    store(database, date(2025, 10, 6), 1, 80, kind=ISSUE, seed=4)
    build(database)
    build(database, kind=ISSUE)
    result = release(database, tools, floor=0.95)
    assert result.outcome == "activated"
    recorded = database.fetch_value("SELECT recall FROM search_releases WHERE release_id = %s", [result.release_id])
    assert set(recorded) == {"pull_request", "issue"}
    assert all(one["lower_bound"] >= 0.95 for one in recorded.values())
    served = load_release(tools)
    assert {one.kind: one.ef_search for one in result.recall} == {
        one.kind: served.ef_search[one.space_id] for one in served.artifacts
    }


def test_a_refused_release_leaves_the_active_one(database, tools):
    """A candidate below the floor is kept with its reason; readers do not notice it."""
    store(database, date(2025, 10, 6), 1, 100)
    build(database)
    first = release(database, tools)
    store(database, date(2025, 10, 7), 201, 100, seed=5)
    build(database)
    refused = publish(database, tools, MODEL, recall_floor=1.01)
    assert refused.outcome == "refused"
    assert "recall@10 of pull_request" in refused.reason
    assert load_release(tools).release_id == first.release_id
    assert release(database, tools).outcome == "activated"


def test_the_same_artifacts_make_no_new_release(database, tools):
    """Publishing again without new artifacts changes nothing."""
    store(database, date(2025, 10, 6), 1, 50)
    build(database)
    first = release(database, tools)
    again = release(database, tools)
    assert (again.outcome, again.release_id) == ("unchanged", first.release_id)
    assert len(releases(database)) == 1


def test_going_back_pauses_activation_until_resume(database, tools):
    """`release activate N` serves N; new releases wait; `release resume` serves the newest."""
    store(database, date(2025, 10, 6), 1, 50)
    build(database)
    first = release(database, tools)
    store(database, date(2025, 10, 7), 101, 50, seed=2)
    build(database)
    second = release(database, tools)
    activate_release(database, first.release_id)
    assert load_release(tools).release_id == first.release_id
    store(database, date(2025, 10, 8), 201, 50, seed=3)
    build(database)
    third = release(database, tools)
    assert third.outcome == "published"
    assert load_release(tools).release_id == first.release_id
    assert resume(database) == third.release_id
    assert load_release(tools).release_id == third.release_id
    assert second.release_id in {row.release_id for row in releases(database)}
    with pytest.raises(NothingLoaded, match="does not exist"):
        activate_release(database, 999)


def test_a_release_is_announced(database, tools):
    """Whoever listens hears the number of the release that became active."""
    store(database, date(2025, 10, 6), 1, 50)
    build(database)
    with psycopg.connect(tools.url, autocommit=True) as listener:
        listener.execute("LISTEN starsearch_release")
        result = release(database, tools)
        heard = list(listener.notifies(timeout=5, stop_after=1))
    assert [one.payload for one in heard] == [str(result.release_id)]


def test_seven_releases_and_their_artifacts_are_kept(database, tools):
    """Older releases are forgotten and their artifacts dropped, unless a kept release names them."""
    for number in range(9):
        store(database, date(2025, 10, 6), 1 + 20 * number, 20, seed=number)
        build(database)
        assert release(database, tools).outcome == "activated"
    dropped = drop_unused(database)
    assert len(dropped) == 2
    assert all(one.bytes > 0 and one.build_seconds > 0 for one in dropped)
    assert len(releases(database)) == 7
    remaining = database.fetch_value("SELECT count(*) FROM pg_tables WHERE schemaname = 'artifacts'")
    assert remaining == 7
    assert drop_unused(database) == []


def test_queries_never_fail_while_releases_change(database, tools):
    """Searching goes on, with a full result each time, while artifacts are built, switched and dropped."""
    points = store(database, date(2025, 10, 6), 1, 200)
    build(database)
    release(database, tools)
    problems: list[str] = []
    searched = 0
    stop = threading.Event()

    def ask() -> None:
        nonlocal searched
        while not stop.is_set():
            try:
                hits = search(tools, load_release(tools), Query("item", points[searched % 200]), k=10)
                if len(hits) != 10:
                    problems.append(f"{len(hits)} hits")
            except Exception as error:
                problems.append(repr(error))
            searched += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(9):
        store(database, date(2025, 10, 7), 1001 + 20 * number, 20, seed=10 + number)
        build(database)
        release(database, tools)
        drop_unused(database)
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert searched > 20


def test_without_a_release_the_way_to_one_is_named(tools):
    """Nothing active: the error says what to run."""
    with pytest.raises(NoActiveRelease, match="make demo"):
        load_release(tools)


def test_every_kind_has_its_names():
    """Names of assets and tables follow from the kind."""
    assert [(kind.table, kind.summaries, kind.index) for kind in KINDS] == [
        ("pull_requests", "pull_request_summaries", "pull_request_index"),
        ("issues", "issue_summaries", "issue_index"),
        ("releases", "release_summaries", "release_index"),
        ("commits", "commit_summaries", "commit_index"),
    ]
