"""The same events again: what a look at the keys finds stored is neither parsed nor written, yet counted."""

from __future__ import annotations

import threading
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.errors import CorruptFile
from resources.gh_archive import GHArchive
from resources.postgres import Database, sql
from starsearch_assets.events import read, rejects
from starsearch_assets.events.known import look_up
from starsearch_assets.events.parse import read_key
from starsearch_assets.events.rejects import Replay
from tests.factories import at, event, item, line, write_hour
from tests.integration.hours import HOUR, dirty, event_ids, fetched, ledger, loaded, pull, push
from tests.integration.test_rejects import put_aside

FIGURES = ("events", "rejected", "sanitized", "withheld", "first_event_at", "last_event_at")
Object = dict[str, Any]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The lines that were parsed, by the real parser."""
    lines: list[bytes] = []
    real = read.parse_line

    def noted(raw: bytes, *rest: Any, **named: Any) -> Any:
        lines.append(raw)
        return real(raw, *rest, **named)

    monkeypatch.setattr(read, "parse_line", noted)
    return lines


def forget_file(database: Database) -> None:
    """Remove what says that the file was loaded, and nothing of its events."""
    database.execute("DELETE FROM ingest_ledger")
    database.execute("DELETE FROM dirty_days")


def test_a_replay_rebuilds_the_ledger_and_nothing_else(database: Database, tmp_path: Path, parsed: list[bytes]) -> None:
    """Events, rejects, sanitized lines and the span of times are those of the first load; no row, no dirty day."""
    peculiar = [
        line(pull(5, body="\x00")),
        line(pull(6, _links="\x00")),
        line(pull(7, body="HERE")).replace(b"HERE", rb"\ud83d"),
        line(pull(8, body="HERE")).replace(b"HERE", b"caf\xe9"),
        line(push(9)).replace(b'"id": "9"', b'"id": 9'),
    ]
    plain = [line(one) for one in (pull(1), push(2), push(2), pull(3, "2025-02-28 23:59"), push(4, "2025-03-02 00:00"))]
    bad = [b"broken", b"", b'{"id": "2", "type": "PushEvent", "created_at": "2025-03-01T07:20:00Z"', b"[]"]
    loaded(database, tmp_path, *plain[:2], *bad[:2], *peculiar, *plain[2:], *bad[2:])
    columns = ", ".join(FIGURES)
    rejected = "SELECT line_number, reason, raw FROM rejected_events ORDER BY 1"
    sanitized = "SELECT line_number, created_at, event_id, type, reason FROM sanitized_events ORDER BY 1"
    rows = "SELECT * FROM events ORDER BY created_at, event_id, type"
    first = [ledger(database, columns), *(database.fetch_all(query) for query in (rejected, sanitized, rows))]
    assert first[0][0][:3] == (10, 4, 3)
    parsed.clear()
    forget_file(database)
    again = fetched(database, tmp_path)
    second = [ledger(database, columns), *(database.fetch_all(query) for query in (rejected, sanitized, rows))]
    assert second == first
    assert (again.status, again.inserted, dirty(database)) == ("loaded", 0, {})
    assert sorted(parsed) == sorted([*peculiar, *bad])


def test_keys_are_compared_exactly(database: Database, tmp_path: Path) -> None:
    """One id at another time, of another type, one more or less at the ends of 64 bits: other events, all stored."""
    greatest = 2**63 - 1
    known = [push(5), push(greatest), push(2**32), push(0)]
    loaded(database, tmp_path, *known)
    near = [
        push(5, "2025-03-01 07:21"),
        pull(5, "2025-03-01 07:20"),
        push(6),
        push(greatest - 1),
        push(2**32 + 1),
        push(1),
        push(5) | {"created_at": "2025-03-01T07:20:00.000001Z"},
    ]
    same = push(5) | {"created_at": "2025-03-01T08:20:00+01:00"}
    result = loaded(database, tmp_path, *known, *near, same, hour=HOUR + timedelta(hours=1))
    assert (result.events, result.inserted) == (12, 7)
    assert len(event_ids(database)) == 11


def test_a_look_at_the_keys_finds_what_is_stored(database: Database, tmp_path: Path) -> None:
    """For each line the time of its event, or None; nothing at all where a sample of the lines is new."""
    loaded(database, tmp_path, push(1), push(2))
    lines = [line(push(number)) for number in range(100)]
    known = look_up(database, lines, sample=False)
    assert known is not None
    assert [number for number, time in enumerate(known.times) if time is not None] == [1, 2]
    assert {known.times[1], known.times[2]} == {at("2025-03-01 07:20")}
    assert look_up(database, lines, sample=True) is None
    assert look_up(database, [*lines[1:3] * 50, *lines], sample=True) is not None
    assert look_up(database, [b"broken", b""], sample=False) is None


def test_the_keys_are_read_from_an_index(database: Database, tmp_path: Path) -> None:
    """Also of a partition that was just filled, of which the planner knows nothing: one block must not cost a day."""
    loaded(database, tmp_path, *(push(number) for number in range(3000)))
    with database.transaction() as connection:
        connection.execute("SET LOCAL enable_seqscan TO off")
        query = sql("starsearch_assets.events", "known")
        times = [at("2025-03-01 07:20") + timedelta(seconds=second) for second in range(200)]
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {query}", [times]).fetchall())
    assert "Index Only Scan using events_20250301_pkey" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"[]", b'{"id": "1"}', line(push(1)) + b"}", b"\xff" + line(push(1)), line(pull(1, body="\x00"))),
        *(line(push(1) | {"id": value}) for value in (1, "-1", "1_0", "\u0663", "9" * 30, str(2**63), "", None)),
        *(line(push(1) | {"created_at": value}) for value in ("2025-03-01T07:00:00", "yesterday", None)),
    ],
)
def test_what_has_to_be_parsed_has_no_key(raw: bytes) -> None:
    """A line that may be rejected or sanitized is read whole each time."""
    assert read_key(raw) is None


def test_days_are_dirty_where_an_event_was_inserted(database: Database, tmp_path: Path) -> None:
    """A file that brings an issue of one day and known pull requests of others makes only the issue's day dirty."""
    days = [f"2025-03-0{number} 07:00" for number in range(1, 5)]
    pulls = [pull(number, day) for number, day in enumerate(days)]
    loaded(database, tmp_path, *pulls)
    database.execute("DELETE FROM dirty_days")
    release = event(50, "ReleaseEvent", "2025-03-07 07:00", {"action": "published", "release": {"tag_name": "v1"}})
    loaded(database, tmp_path, *pulls, release, hour=HOUR + timedelta(hours=1))
    assert set(dirty(database)) == {("release", date(2025, 3, 7))}
    # The sample is new, the rest is not: the block goes through staging.
    database.execute("DELETE FROM dirty_days")
    new = [push(100 + number) for number in range(40)]
    late = event(51, "ReleaseEvent", "2025-03-08 07:00", {"action": "published", "release": {"tag_name": "v2"}})
    mixed: list[Object] = [*new[:3], pulls[1], *new[3:], late]
    assert loaded(database, tmp_path, *mixed, hour=HOUR + timedelta(hours=2)).inserted == 41
    assert set(dirty(database)) == {("release", date(2025, 3, 8))}


def test_forgotten_repositories_and_persons_are_withheld(database: Database, tmp_path: Path) -> None:
    """Their events are counted and nowhere stored: no event, no reject, no note, no dirty day; twice is the same."""
    database.execute("INSERT INTO tombstones VALUES ('repository', 66, 'private'), ('person', 13, 'asked')")
    other = {"repository": (66, "acme/secret")}
    about = {"action": "opened", "pull_request": item(1, "A", body="\x00")}
    secret = event(2, "PullRequestEvent", "2025-03-02 07:00", about, **other)
    person = push(3, "2025-03-03 07:00") | {"actor": {"id": 13, "login": "eve"}}
    not_them = [
        push(4) | {"actor": {"id": 66, "login": "ada"}},
        event(5, "PushEvent", "2025-03-01 07:00", {}, repository=(13, "a/b")),
    ]
    lines: list[Object | bytes] = [pull(1), secret, person, *not_them, b"broken"]
    result = loaded(database, tmp_path, *lines)
    assert (result.events, result.inserted, result.withheld, result.rejected, result.sanitized) == (3, 3, 2, 1, 0)
    assert event_ids(database) == [1, 4, 5]
    assert ledger(database, *FIGURES) == [(3, 1, 0, 2, at("2025-03-01 07:00"), at("2025-03-01 07:20"))]
    assert {day for _, day in dirty(database)} == {date(2025, 3, 1)}
    assert fetched(database, tmp_path).withheld == 2
    forget_file(database)
    again = fetched(database, tmp_path)
    assert (again.events, again.inserted, again.withheld, again.rejected) == (3, 0, 2, 1)


def test_a_rejected_line_of_whom_was_forgotten_is_withheld(database: Database, tmp_path: Path) -> None:
    """It leaves the rejects, bytes and all, and becomes no event."""
    database.execute("INSERT INTO tombstones VALUES ('repository', 66, 'private')")
    loaded(database, tmp_path, push(1))
    put_aside(database, 7, event(2, "PushEvent", "2025-03-01 07:00", {}, repository=(66, "acme/secret")))
    put_aside(database, 8, push(3))
    assert rejects.replay(database) == Replay(1, 0, 1)
    assert ledger(database, "events", "inserted", "rejected", "withheld") == [(2, 2, 0, 1)]
    assert (event_ids(database), rejects.listing(database)) == ([1, 3], [])


def test_no_thread_outlives_a_load(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that ends, nor one whose file is damaged, nor one that is given up in the middle."""

    def readers() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("read-ahead")]

    monkeypatch.setattr("resources.json_lines.BLOCK", 5000)
    path = write_hour(tmp_path, HOUR, [push(number) for number in range(500)])
    with GHArchive(str(tmp_path)).fetch(HOUR) as file:
        blocks = file.blocks()
        assert next(blocks)[0] == 1
        assert len(readers()) == 1
        blocks.close()
        assert readers() == []
    fetched(database, tmp_path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CorruptFile):
        fetched(database, tmp_path)
    assert readers() == []
