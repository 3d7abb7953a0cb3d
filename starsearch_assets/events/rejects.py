"""Rejected lines: list them, look at one, read them again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from resources.errors import NothingLoaded
from resources.postgres import Database
from starsearch_assets.events.load import COLUMNS, mark_dirty
from starsearch_assets.events.parse import BadLine, parse_line
from starsearch_assets.events.storage import event_storage


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
        raise NothingLoaded(f"Line {line_number} of source {source_id} was not rejected: see `starsearch rejected list`.")
    return bytes(value)


def replay(database: Database) -> Replay:
    """Parse every rejected line again; events that come out of it are stored, and their days are dirty."""
    rows = database.fetch_all("SELECT source_id, line_number, raw FROM rejected_events ORDER BY source_id, line_number")
    now = datetime.now(UTC)
    storage = event_storage(database)
    stored = 0
    for source_id, line_number, line in rows:
        try:
            row = parse_line(bytes(line), now)
        except BadLine:
            continue
        storage.prepare([row.created_at.date()])
        with database.transaction() as connection:
            connection.execute("CREATE TEMPORARY TABLE incoming (LIKE events) ON COMMIT DROP")
            with connection.cursor().copy(f"COPY incoming ({COLUMNS}) FROM STDIN") as copy:
                copy.write(row.copy + b"\t%d\n" % source_id)
            connection.execute(
                f"INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM incoming ON CONFLICT DO NOTHING"
            )
            mark_dirty(connection, [(row.created_at.date(), row.type)])
            connection.execute(
                "DELETE FROM rejected_events WHERE source_id = %s AND line_number = %s", [source_id, line_number]
            )
            connection.execute(
                "UPDATE ingest_ledger SET events = events + 1, inserted = inserted + 1, rejected = rejected - 1"
                " WHERE source_id = %s",
                [source_id],
            )
        stored += 1
    return Replay(stored, len(rows) - stored)
