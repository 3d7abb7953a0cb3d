"""Load one hour file: events, rejects, ledger and dirty days in one transaction.

The same file again does nothing (its digest is in the ledger); a file that fails leaves no events.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from psycopg import DataError
from psycopg.errors import StatementTooComplex

from resources.kinds import KINDS
from resources.postgres import Connection, Database, retry_deadlocks
from starsearch_assets.dirty import mark_days
from starsearch_assets.events.known import Forgotten
from starsearch_assets.events.read import BlockReader, Tally, line_parser
from starsearch_assets.events.storage import EventStorage, event_storage
from starsearch_assets.events.write import EventWriter
from starsearch_assets.forgetting_lock import hold_off_forgetting

Status = Literal["loaded", "unchanged", "missing"]


@dataclass(frozen=True)
class HourResult:
    """What one hour file brought.

    events: what the file holds, without the withheld ones. inserted: those that no earlier file had brought.
    withheld: events of repositories and persons that were forgotten.
    """

    status: Status
    url: str
    events: int = 0
    inserted: int = 0
    rejected: int = 0
    sanitized: int = 0
    withheld: int = 0
    bytes: int = 0


class EventFile(Protocol):
    """A source of events that the ledger knows by its URL: an hour file, or an hour of the inbox."""

    @property
    def url(self) -> str:
        """Where it came from."""

    @property
    def hour(self) -> datetime:
        """The hour that it stands for."""

    @property
    def sha256(self) -> str:
        """Hex digest: the same digest, the same events."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def etag(self) -> str | None:
        """As its server sent it."""

    @property
    def timeline(self) -> bool:
        """Whether it may hold the timeline format of before 2015."""

    def verify_events(self, events: int) -> bool:
        """Whether its source named digest and count, and both agree."""

    def blocks(self) -> Generator[tuple[int, list[bytes]], None, None]:
        """(number of the first line, from 1; raw lines)."""


@retry_deadlocks  # files share events; two loads that met them in another order would wait for one another
def load_hour(
    database: Database,
    file: EventFile,
    run_id: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> HourResult:
    """Store the events of `file`.

    Raises:
        CorruptFile: the file is damaged; nothing of it is stored.
        ManifestMismatch: it holds another number of events than its manifest says; nothing of it is stored.
    """
    storage = event_storage(database)
    try:
        return _load(database, storage, file, run_id, progress)
    except (DataError, StatementTooComplex):  # a payload that PostgreSQL does not take as it stands
        return _load(database, storage, file, run_id, progress, careful=True)


def _load(
    database: Database,
    storage: EventStorage,
    file: EventFile,
    run_id: str | None,
    progress: Callable[[int], None] | None,
    *,
    careful: bool = False,
) -> HourResult:
    with database.transaction() as connection:
        hold_off_forgetting(connection)
        source_id, known = _open_ledger(connection, file)
        if known is not None:
            connection.execute("UPDATE ingest_ledger SET etag = %s WHERE source_id = %s", [file.etag, source_id])
            return known
        tally, forgotten = Tally(file.url), Forgotten(connection)
        reader = BlockReader(database, line_parser(timeline=file.timeline, careful=careful), forgotten, tally)
        sent = None if progress is None else lambda: progress(tally.events)
        with closing(file.blocks()) as blocks, EventWriter(connection, storage, source_id, sent) as writer:
            for first, lines in blocks:
                writer.write(reader.rows(first, lines, look=not writer.straight))
        mark_dirty(connection, writer.inserted)
        _close_ledger(connection, source_id, file, tally, writer.inserted.total(), run_id)
    return HourResult(
        "loaded",
        file.url,
        tally.events,
        writer.inserted.total(),
        len(tally.rejected),
        len(tally.sanitized),
        tally.withheld,
        file.size,
    )


def record_failure(
    database: Database,
    url: str,
    hour: datetime,
    status: Literal["missing", "failed"],
    error: str,
    run_id: str | None = None,
) -> None:
    """Note in the ledger that an hour is missing or damaged; what an earlier file brought stays."""
    database.execute(
        "INSERT INTO ingest_ledger (url, hour, status, error, run_id) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (url) DO UPDATE SET error = excluded.error, run_id = excluded.run_id, loaded_at = now(),"
        " status = CASE WHEN ingest_ledger.status = 'loaded' THEN 'loaded' ELSE excluded.status END",
        [url, hour, status, error, run_id],
    )


def _open_ledger(connection: Connection, file: EventFile) -> tuple[int, HourResult | None]:
    """Take (and lock) the file's row in the ledger: a second load of the same file waits here.

    The result is there when this very file is in the ledger already.
    """
    row = connection.execute(
        "INSERT INTO ingest_ledger AS known (url, hour, status) VALUES (%s, %s, 'failed')"
        " ON CONFLICT (url) DO UPDATE SET error = NULL"
        " RETURNING source_id, status = 'loaded' AND sha256 = %s, events, rejected, sanitized, withheld",
        [file.url, file.hour, file.sha256],
    ).fetchone()
    assert row is not None
    source_id, unchanged, events, rejected, sanitized, withheld = row
    if unchanged:
        return source_id, HourResult("unchanged", file.url, events, 0, rejected, sanitized, withheld, file.size)
    # The hour was missing, or damaged, under the other of its two names.
    twin = file.url.removesuffix(".gz") if file.url.endswith(".gz") else f"{file.url}.gz"
    connection.execute("DELETE FROM ingest_ledger WHERE url = %s AND status <> 'loaded'", [twin])
    return source_id, None


def _close_ledger(
    connection: Connection, source_id: int, file: EventFile, tally: Tally, inserted: int, run_id: str | None
) -> None:
    verified = file.verify_events(tally.lines)
    connection.execute("DELETE FROM rejected_events WHERE source_id = %s", [source_id])
    connection.execute("DELETE FROM sanitized_events WHERE source_id = %s", [source_id])
    connection.cursor().executemany(
        "INSERT INTO rejected_events (source_id, line_number, reason, raw) VALUES (%s, %s, %s, %s)",
        [(source_id, *rejected) for rejected in tally.rejected],
    )
    note_sanitized(connection, source_id, tally)
    connection.execute(
        "UPDATE ingest_ledger SET status = 'loaded', sha256 = %s, bytes = %s, events = %s,"
        " inserted = coalesce(inserted, 0) + %s, rejected = %s,"
        " sanitized = %s, withheld = %s, first_event_at = %s, last_event_at = %s, run_id = %s, etag = %s,"
        " verified = %s, loaded_at = now() WHERE source_id = %s",
        [
            file.sha256, file.size, tally.events, inserted, len(tally.rejected), len(tally.sanitized), tally.withheld,
            tally.first, tally.last, run_id, file.etag, verified, source_id,
        ],
    )  # fmt: skip


def note_sanitized(connection: Connection, source_id: int, tally: Tally) -> None:
    """Record the events of which characters were replaced."""
    connection.cursor().executemany(
        "INSERT INTO sanitized_events (source_id, line_number, created_at, event_id, type, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(source_id, *sanitized) for sanitized in tally.sanitized],
    )


def mark_dirty(connection: Connection, days: Iterable[tuple[date, str]]) -> None:
    """Record every (kind, day) that new events can say something about."""
    mark_days(
        connection, {(kind.name, day) for day, event_type in days for kind in KINDS if event_type in kind.event_types}
    )
