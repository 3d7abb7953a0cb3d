"""Rejected lines: list them, look at one, read them again."""

from __future__ import annotations

from dataclasses import dataclass

from resources.errors import NothingLoaded
from resources.gh_archive import TIMELINE_UNTIL
from resources.postgres import Connection, Database
from starsearch_assets.events.known import Forgotten
from starsearch_assets.events.load import mark_dirty, note_sanitized
from starsearch_assets.events.read import BlockReader, Tally, line_parser
from starsearch_assets.events.storage import EventStorage, event_storage
from starsearch_assets.events.write import EventWriter
from starsearch_assets.forgetting_lock import hold_off_forgetting


@dataclass(frozen=True)
class Reject:
    """One rejected line."""

    source_id: int
    line_number: int
    reason: str
    url: str


@dataclass(frozen=True)
class Replay:
    """stored: lines that are events now; left: still rejected; withheld: of whom was forgotten."""

    stored: int
    left: int
    withheld: int = 0


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

    A line that is an event now counts as one of its file, also where another file had brought the event; one of
    a repository or person that was forgotten is withheld. Identical lines of a file are read together: before
    2015 their number is part of an event's id.
    """
    groups = database.fetch_all(
        "SELECT source_id, array_agg(line_number ORDER BY line_number) FROM rejected_events"
        " GROUP BY source_id, raw ORDER BY source_id, min(line_number)"
    )
    storage = event_storage(database)
    read = [_replay_lines(database, storage, source_id, numbers) for source_id, numbers in groups]
    stored = sum(one.stored for one in read)
    withheld = sum(one.withheld for one in read)
    return Replay(stored, sum(len(numbers) for _, numbers in groups) - stored - withheld, withheld)


def _replay_lines(database: Database, storage: EventStorage, source_id: int, numbers: list[int]) -> Replay:
    """Read identical lines of one file again."""
    with database.transaction() as connection:
        hold_off_forgetting(connection)
        # The ledger's row first, as a load does: a file that is loaded again replaces its rejects.
        source = connection.execute(
            "SELECT url, hour FROM ingest_ledger WHERE source_id = %s FOR UPDATE", [source_id]
        ).fetchone()
        lines = connection.execute(
            "SELECT line_number, raw FROM rejected_events WHERE source_id = %s AND line_number = ANY (%s)"
            " ORDER BY line_number",
            [source_id, numbers],
        ).fetchall()
        if source is None or not lines:
            return Replay(0, 0)
        url, hour = source
        tally, forgotten = Tally(url), Forgotten(connection)
        parse = line_parser(timeline=hour < TIMELINE_UNTIL, careful=True)  # a number that COPY refuses stays a reject
        reader = BlockReader(database, parse, forgotten, tally)
        with EventWriter(connection, storage, source_id) as writer:
            for number, raw in lines:
                writer.write(reader.parsed([(number, bytes(raw))]))
        mark_dirty(connection, writer.inserted)
        _settle(connection, source_id, tally, writer.inserted.total(), [number for number, _ in lines])
    return Replay(tally.events, len(tally.rejected), tally.withheld)


def _settle(connection: Connection, source_id: int, tally: Tally, inserted: int, numbers: list[int]) -> None:
    """Take the lines that are events now from the rejects, and correct the file's figures."""
    rejected = {number for number, _, _ in tally.rejected}
    connection.execute(
        "DELETE FROM rejected_events WHERE source_id = %s AND line_number = ANY (%s)",
        [source_id, [number for number in numbers if number not in rejected]],
    )
    note_sanitized(connection, source_id, tally)
    connection.execute(
        "UPDATE ingest_ledger SET events = events + %s, inserted = inserted + %s, rejected = rejected - %s,"
        " sanitized = sanitized + %s, withheld = withheld + %s, first_event_at = least(first_event_at, %s),"
        " last_event_at = greatest(last_event_at, %s) WHERE source_id = %s",
        [
            tally.events, inserted, tally.events + tally.withheld, len(tally.sanitized), tally.withheld,
            tally.first, tally.last, source_id,
        ],
    )  # fmt: skip
