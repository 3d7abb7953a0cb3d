"""Rejected lines can be listed, looked at and read again."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from resources.errors import NothingLoaded
from resources.postgres import Database
from starsearch_assets.events import rejects
from starsearch_assets.events.rejects import Replay
from tests.factories import at, event, item, line
from tests.integration.hours import HOUR, dirty, event_ids, ledger, loaded, pull, push
from tests.integration.processes import in_threads

COUNTS = ("events", "inserted", "rejected", "sanitized")


def put_aside(database: Database, number: int, one: dict[str, Any]) -> None:
    """Make a line rejected that is an event, as an older parser would have left it."""
    source_id = database.fetch_value("SELECT source_id FROM ingest_ledger ORDER BY source_id LIMIT 1")
    database.execute(
        "INSERT INTO rejected_events (source_id, line_number, reason, raw) VALUES (%s, %s, 'once refused', %s)",
        [source_id, number, line(one)],
    )
    database.execute("UPDATE ingest_ledger SET rejected = rejected + 1 WHERE source_id = %s", [source_id])


def test_listing_and_raw_bytes(database: Database, tmp_path: Path) -> None:
    """Each by file and line with its reason; the bytes are those of the file."""
    loaded(database, tmp_path, b"\xff\x00broken", push(1), b"[]")
    listed = rejects.listing(database)
    assert [(one.line_number, one.url.rsplit("/", 1)[1]) for one in listed] == [
        (1, "2025-03-01-7.json.gz"), (3, "2025-03-01-7.json.gz"),
    ]  # fmt: skip
    assert listed[1].reason == "expected a JSON object, found list"
    assert rejects.raw(database, listed[0].source_id, 1) == b"\xff\x00broken"


def test_a_line_that_was_not_rejected(database: Database, tmp_path: Path) -> None:
    """Asking for it says so, and which command lists those that were."""
    loaded(database, tmp_path, push(1))
    with pytest.raises(NothingLoaded, match="starsearch rejected list"):
        rejects.raw(database, 1, 1)


def test_replay_stores_what_is_an_event_now(database: Database, tmp_path: Path) -> None:
    """The event, its dirty days and the ledger's figures, as if the line had been read at first; repeating is free."""
    loaded(database, tmp_path, push(1), b"broken")
    put_aside(database, 7, pull(2, "2025-03-02 12:00", body="\x00"))
    put_aside(database, 8, push(3, "2025-02-28 12:00"))
    assert rejects.replay(database) == Replay(2, 1)
    assert event_ids(database) == [1, 2, 3]
    assert ledger(database, *COUNTS) == [(3, 3, 1, 1)]
    assert ledger(database, "first_event_at", "last_event_at") == [(at("2025-02-28 12:00"), at("2025-03-02 12:00"))]
    assert set(dirty(database)) == {("pull_request", date(2025, 3, 2))}
    assert database.fetch_all("SELECT line_number, event_id FROM sanitized_events") == [(7, 2)]
    assert rejects.replay(database) == Replay(0, 1)
    assert ledger(database, *COUNTS) == [(3, 3, 1, 1)]


def test_replay_of_an_event_that_another_file_brought(database: Database, tmp_path: Path) -> None:
    """It is an event of its file, but not a new one, and makes no day dirty again."""
    loaded(database, tmp_path, push(1), pull(2))
    put_aside(database, 7, pull(2))
    before = dirty(database)
    assert rejects.replay(database) == Replay(1, 0)
    assert event_ids(database) == [1, 2]
    assert ledger(database, *COUNTS) == [(3, 2, 0, 0)]
    assert dirty(database) == before


def test_two_replays_at_once(database: Database, tmp_path: Path) -> None:
    """Each line is stored and counted by one of them."""
    loaded(database, tmp_path, push(1))
    for number in range(20):
        put_aside(database, 10 + number, pull(10 + number))
    results = in_threads(lambda: rejects.replay(database), lambda: rejects.replay(database))
    assert sum(result.stored for result in results) == 20
    assert ledger(database, *COUNTS) == [(21, 21, 0, 0)]
    assert len(event_ids(database)) == 21


def test_a_loaded_hour_stays_loaded_after_a_replay(database: Database, tmp_path: Path) -> None:
    """The same file again does nothing."""
    one = event(5, "IssuesEvent", "2025-03-01 07:00", {"action": "opened", "issue": item(1, "A")})
    loaded(database, tmp_path, push(1))
    put_aside(database, 2, one)
    rejects.replay(database)
    assert loaded(database, tmp_path, push(1)).status == "unchanged"
    assert (event_ids(database), ledger(database, "hour")) == ([1, 5], [(HOUR,)])


def test_a_number_that_postgresql_refuses_stays_a_reject(database: Database, tmp_path: Path) -> None:
    """Replaying it changes nothing, and the other lines are read."""
    refused = line(push(2)).replace(b'"push_id": 2', b'"push_id": 1e999999')
    loaded(database, tmp_path, push(1), refused)
    put_aside(database, 9, push(3))
    assert rejects.replay(database) == Replay(1, 1)
    assert (event_ids(database), ledger(database, *COUNTS)) == ([1, 3], [(2, 2, 1, 0)])
