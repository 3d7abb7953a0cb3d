"""Load one hour file: events, rejects, ledger and dirty days in one transaction.

The same file again does nothing (its digest is in the ledger); a file that fails leaves no events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import stamina
from psycopg import DataError
from psycopg.errors import DeadlockDetected, StatementTooComplex

from resources.errors import CorruptFile
from resources.gh_archive import HourFile
from resources.kinds import KINDS
from resources.postgres import Connection, Database
from starsearch_assets.events.parse import BadLine, parse_line
from starsearch_assets.events.storage import EventStorage, event_storage
from starsearch_assets.events.write import EventWriter

_FLUSH = 64 * 1024
_RAW_LIMIT = 1024 * 1024
_REJECTS_LIMIT = 64 * 1024 * 1024  # bytes of rejected lines that one load holds in memory

Status = Literal["loaded", "unchanged", "missing"]


@dataclass(frozen=True)
class HourResult:
    """What one hour file brought. `inserted`: events that no earlier file had brought."""

    status: Status
    url: str
    events: int = 0
    inserted: int = 0
    rejected: int = 0
    sanitized: int = 0
    bytes: int = 0


@dataclass
class _Tally:
    """Counts and notes of one pass over the file at `url`."""

    url: str
    days: Counter[tuple[date, str]]
    rejected: list[tuple[int, str, bytes]]
    sanitized: list[tuple[int, datetime, int, str, str]]
    first: datetime | None = None
    last: datetime | None = None
    rejected_bytes: int = 0

    @property
    def events(self) -> int:
        return self.days.total()

    @property
    def lines(self) -> int:
        """Lines that are not blank."""
        return self.events + sum(1 for _, _, raw in self.rejected if raw.strip())

    def reject(self, number: int, reason: str, raw: bytes) -> None:
        self.rejected.append((number, reason, raw))
        self.rejected_bytes += len(raw) + 100
        if self.rejected_bytes > _REJECTS_LIMIT:
            raise CorruptFile(
                f"{self.url}: {len(self.rejected):,} of the first {number:,} lines are not events (the last: {reason}):"
                " this is not an hour file of GH Archive. Nothing of it was stored; put the right file in its place"
                " and materialize the hour again."
            )


def load_hour(
    database: Database,
    file: HourFile,
    run_id: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> HourResult:
    """Store the events of `file`.

    Raises:
        CorruptFile: the file is damaged; nothing of it is stored.
        ManifestMismatch: it holds another number of events than its manifest says; nothing of it is stored.
    """
    storage = event_storage(database)
    # Files share events; two loads that met them in another order would wait for one another.
    for attempt in stamina.retry_context(on=DeadlockDetected, attempts=4):
        with attempt:
            try:
                result = _load(database, storage, file, run_id, progress)
            except (DataError, StatementTooComplex):  # a payload that PostgreSQL does not take as it stands
                result = _load(database, storage, file, run_id, progress, careful=True)
    return result


def _load(
    database: Database,
    storage: EventStorage,
    file: HourFile,
    run_id: str | None,
    progress: Callable[[int], None] | None,
    *,
    careful: bool = False,
) -> HourResult:
    with database.transaction() as connection:
        source_id, known = _open_ledger(connection, file)
        if known is not None:
            connection.execute("UPDATE ingest_ledger SET etag = %s WHERE source_id = %s", [file.etag, source_id])
            return known
        tally = _Tally(file.url, Counter(), [], [])
        with EventWriter(connection, storage) as writer:
            for block in _blocks(file.lines(), b"\t%d\n" % source_id, tally, careful=careful):
                writer.write(block, {day for day, _ in tally.days})
                if progress is not None:
                    progress(tally.events)
        inserted = writer.inserted
        if inserted:
            mark_dirty(connection, tally.days)
        _close_ledger(connection, source_id, file, tally, inserted, run_id)
    return HourResult("loaded", file.url, tally.events, inserted, len(tally.rejected), len(tally.sanitized), file.size)


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


def _blocks(
    lines: Iterable[tuple[int, bytes]], ending: bytes, tally: _Tally, *, careful: bool = False
) -> Iterator[bytes]:
    now, days = datetime.now(UTC), tally.days
    parts: list[bytes] = []
    size = 0
    created_at, day = now, now.date()
    for number, raw in lines:
        try:
            row = parse_line(raw, now, careful=careful)
        except BadLine as reason:
            tally.reject(number, str(reason), raw[:_RAW_LIMIT])
            continue
        if row.created_at is not created_at:  # one object for all events of a second
            created_at = row.created_at
            day = created_at.date()
            tally.first = min(tally.first or created_at, created_at)
            tally.last = max(tally.last or created_at, created_at)
        days[day, row.type] += 1
        if row.sanitized is not None:
            tally.sanitized.append((number, created_at, row.event_id, row.type, row.sanitized))
        parts.append(row.copy)
        parts.append(ending)
        size += len(row.copy)
        if size > _FLUSH:
            yield b"".join(parts)
            parts.clear()
            size = 0
    yield b"".join(parts)


def _open_ledger(connection: Connection, file: HourFile) -> tuple[int, HourResult | None]:
    """Take (and lock) the file's row in the ledger: a second load of the same file waits here.

    The result is there when this very file is in the ledger already.
    """
    row = connection.execute(
        "INSERT INTO ingest_ledger AS known (url, hour, status) VALUES (%s, %s, 'failed')"
        " ON CONFLICT (url) DO UPDATE SET error = NULL"
        " RETURNING source_id, status = 'loaded' AND sha256 = %s, events, rejected, sanitized",
        [file.url, file.hour, file.sha256],
    ).fetchone()
    assert row is not None
    source_id, unchanged, events, rejected, sanitized = row
    if unchanged:
        return source_id, HourResult("unchanged", file.url, events, 0, rejected, sanitized, file.size)
    # The hour was missing, or damaged, under the other of its two names.
    twin = file.url.removesuffix(".gz") if file.url.endswith(".gz") else f"{file.url}.gz"
    connection.execute("DELETE FROM ingest_ledger WHERE url = %s AND status <> 'loaded'", [twin])
    return source_id, None


def _close_ledger(
    connection: Connection, source_id: int, file: HourFile, tally: _Tally, inserted: int, run_id: str | None
) -> None:
    verified = file.verify_events(tally.lines)
    connection.execute("DELETE FROM rejected_events WHERE source_id = %s", [source_id])
    connection.execute("DELETE FROM sanitized_events WHERE source_id = %s", [source_id])
    cursor = connection.cursor()
    cursor.executemany(
        "INSERT INTO rejected_events (source_id, line_number, reason, raw) VALUES (%s, %s, %s, %s)",
        [(source_id, *rejected) for rejected in tally.rejected],
    )
    cursor.executemany(
        "INSERT INTO sanitized_events (source_id, line_number, created_at, event_id, type, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(source_id, *sanitized) for sanitized in tally.sanitized],
    )
    connection.execute(
        "UPDATE ingest_ledger SET status = 'loaded', sha256 = %s, bytes = %s, events = %s,"
        " inserted = coalesce(inserted, 0) + %s, rejected = %s,"
        " sanitized = %s, first_event_at = %s, last_event_at = %s, run_id = %s, etag = %s,"
        " verified = %s, loaded_at = now() WHERE source_id = %s",
        [
            file.sha256, file.size, tally.events, inserted, len(tally.rejected), len(tally.sanitized),
            tally.first, tally.last, run_id, file.etag, verified, source_id,
        ],
    )  # fmt: skip


def mark_dirty(connection: Connection, days: Iterable[tuple[date, str]]) -> None:
    """Record every (kind, day) that the file's events can say something about."""
    dirty = sorted({(kind.name, day) for day, event_type in days for kind in KINDS if event_type in kind.event_types})
    connection.cursor().executemany(
        "INSERT INTO dirty_days (kind, day) VALUES (%s, %s)"
        " ON CONFLICT (kind, day) DO UPDATE SET version = nextval('dirty_version')",
        dirty,
    )
