"""Rejected lines: list them, look at one, read them again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from resources.errors import NothingLoaded
from resources.postgres import Database
from starsearch_assets.events.load import mark_dirty
from starsearch_assets.events.parse import BadLine, parse_line
from starsearch_assets.events.storage import EventStorage, event_storage
from starsearch_assets.events.write import EventWriter


@dataclass(frozen=True)
class Reject:
    """One rejected line."""

    source_id: int
    line_number: int
    reason: str
    url: str


@dataclass(frozen=True)
class Replay:
    """stored: lines that are events now; left: still rejected."""

    stored: int
    left: int


def listing(database: Database) -> list[Reject]:
    """All rejected lines, by file and line."""
    rows = database.fetch_all(
        "SELECT source_id, line_number, reason, url FROM rejected_events JOIN ingest_ledger USING (source_id)"
        " ORDER BY source_id, line_number"
    )
    return [Reject(*row) for row in rows]


def raw(database: Database, source_id: int, line_number: int) -> bytes:
    """The bytes of one rejected line.

    Raises:
        NothingLoaded: there is no such line.
    """
    value = database.fetch_value(
        "SELECT raw FROM rejected_events WHERE source_id = %s AND line_number = %s", [source_id, line_number]
    )
    if value is None:
        raise NothingLoaded(
            f"Line {line_number} of source {source_id} was not rejected: see `starsearch rejected list`."
        )
    return bytes(value)


def replay(database: Database) -> Replay:
    """Parse every rejected line again; events that come out of it are stored, and their days are dirty.

    A line that is an event now counts as one of its file, also where another file had brought the event.
    """
    lines = database.fetch_all("SELECT source_id, line_number FROM rejected_events ORDER BY source_id, line_number")
    now, storage = datetime.now(UTC), event_storage(database)
    stored = sum(_replay_line(database, storage, source_id, number, now) for source_id, number in lines)
    return Replay(stored, len(lines) - stored)


def _replay_line(database: Database, storage: EventStorage, source_id: int, line_number: int, now: datetime) -> bool:
    with database.transaction() as connection:
        # The ledger's row first, as a load does: a file that is loaded again replaces its rejects.
        connection.execute("SELECT FROM ingest_ledger WHERE source_id = %s FOR UPDATE", [source_id])
        found = connection.execute(
            "SELECT raw FROM rejected_events WHERE source_id = %s AND line_number = %s", [source_id, line_number]
        ).fetchone()
        if found is None:
            return False
        try:
            row = parse_line(bytes(found[0]), now)
        except BadLine:
            return False
        with EventWriter(connection, storage, source_id) as writer:
            writer.write([row])
        mark_dirty(connection, writer.inserted)
        if row.sanitized is not None:
            connection.execute(
                "INSERT INTO sanitized_events (source_id, line_number, created_at, event_id, type, reason)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [source_id, line_number, row.created_at, row.event_id, row.type, row.sanitized],
            )
        connection.execute(
            "DELETE FROM rejected_events WHERE source_id = %s AND line_number = %s", [source_id, line_number]
        )
        connection.execute(
            "UPDATE ingest_ledger SET events = events + 1, inserted = inserted + %s, rejected = rejected - 1,"
            " sanitized = sanitized + %s, first_event_at = least(first_event_at, %s),"
            " last_event_at = greatest(last_event_at, %s) WHERE source_id = %s",
            [writer.inserted.total(), int(row.sanitized is not None), row.created_at, row.created_at, source_id],
        )
    return True
