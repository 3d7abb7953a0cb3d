"""Rows of one file into `events`, each key stored once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import date
from types import TracebackType
from typing import Self

from psycopg import Copy
from psycopg.errors import UniqueViolation

from resources.postgres import Connection
from starsearch_assets.events.parse import EventRow
from starsearch_assets.events.storage import EventStorage

COLUMNS = "created_at, event_id, type, repo_id, repo_name, actor_id, actor_login, payload, source_id"
_PIECE = 64 * 1024  # bytes that go to the server together
_BLOCK = 16 * 1024 * 1024  # the client waits for the server at the end of each

DayTypes = Counter[tuple[date, str]]
"""How many events of a type lie on a day (UTC)."""


class EventWriter:
    """Writes the rows of a file into `events` inside the caller's transaction, in blocks of 16 MiB.

    A block is copied straight into the table under a savepoint: an hour that is new, as nearly all are,
    costs one pass. A block with a key that is there already is undone and goes through a staging table,
    and so do the blocks after it until one brings new events only. As a context manager it finishes the
    last block, or, on an exception, abandons the running COPY so that the transaction can be rolled back.

    inserted: the new events of the blocks that are finished. straight: whether the last of them was new as a
    whole. sent: called after every piece.
    """

    def __init__(
        self, connection: Connection, storage: EventStorage, source_id: int, sent: Callable[[], None] | None = None
    ) -> None:
        self.inserted: DayTypes = Counter()
        self._connection, self._storage = connection, storage
        self._ending = b"\t%d\n" % source_id
        self._sent = sent
        self.straight = True
        self._open: tuple[ExitStack, Copy] | None = None
        self._pieces: list[bytes] = []  # of the block
        self._size = 0
        self._days: set[date] = set()  # that the table has room for
        self._block: DayTypes = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
        elif self._open is not None:
            self._open[0].__exit__(kind, error, traceback)

    def write(self, rows: Iterable[EventRow]) -> None:
        """Take rows; they go to the server in pieces."""
        parts: list[bytes] = []
        size, created_at, day = 0, None, date.min
        for row in rows:
            if row.created_at is not created_at:  # one object for all events of a second
                created_at = row.created_at
                day = created_at.date()
                if day not in self._days:
                    self._send(parts)
                    self._make_room(day)
            self._block[day, row.type] += 1
            parts += (row.copy, self._ending)
            size += len(row.copy)
            if size >= _PIECE:
                self._send(parts)
                size = 0
        self._send(parts)

    def flush(self) -> None:
        """Finish the block; its events are in the table, though not committed."""
        if not self._pieces:
            return
        if self._open is None:
            self._stage()
        else:
            (stack, _), self._open = self._open, None
            try:
                stack.close()
                self.inserted += self._block
            except UniqueViolation:
                self._stage()
        self._pieces.clear()
        self._block.clear()
        self._size = 0

    def _make_room(self, day: date) -> None:
        self.flush()  # a running COPY does not see a partition that is made now
        self._storage.prepare([day])
        self._days.add(day)

    def _send(self, parts: list[bytes]) -> None:
        if not parts:
            return
        piece = b"".join(parts)
        parts.clear()
        self._pieces.append(piece)
        self._size += len(piece)
        if self.straight:
            self._copy().write(piece)
        if self._sent is not None:
            self._sent()
        if self._size >= _BLOCK:
            self.flush()

    def _copy(self) -> Copy:
        if self._open is None:
            with ExitStack() as stack:
                stack.enter_context(self._connection.transaction())  # a savepoint
                copy = stack.enter_context(self._connection.cursor().copy(f"COPY events ({COLUMNS}) FROM STDIN"))
                self._open = (stack.pop_all(), copy)
        return self._open[1]

    def _stage(self) -> None:
        connection = self._connection
        connection.execute("CREATE TEMPORARY TABLE IF NOT EXISTS incoming (LIKE events) ON COMMIT DROP")
        with connection.cursor().copy(f"COPY incoming ({COLUMNS}) FROM STDIN") as copy:
            for piece in self._pieces:
                copy.write(piece)
        rows = connection.execute(
            f"WITH new AS (INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM incoming ON CONFLICT DO NOTHING"
            "              RETURNING created_at, type)"
            " SELECT (created_at AT TIME ZONE 'UTC')::date, type, count(*) FROM new GROUP BY 1, 2"
        ).fetchall()
        connection.execute("TRUNCATE incoming")
        inserted = Counter({(day, kind): count for day, kind, count in rows})
        self.inserted += inserted
        self.straight = inserted == self._block
