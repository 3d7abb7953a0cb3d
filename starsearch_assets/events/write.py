"""Rows of one file into `events`, each key stored once."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from datetime import date
from types import TracebackType
from typing import Self

from psycopg import Copy
from psycopg.errors import UniqueViolation

from resources.postgres import Connection
from starsearch_assets.events.storage import EventStorage

COLUMNS = "created_at, event_id, type, repo_id, repo_name, actor_id, actor_login, payload, source_id"
_BLOCK = 16 * 1024 * 1024  # the client waits for the server at the end of each


class EventWriter:
    """Writes COPY text into `events` inside the caller's transaction, in blocks of 16 MiB.

    A block is copied straight into the table under a savepoint: an hour that is new, as nearly all are,
    costs one pass. A block with a key that is there already is undone and goes through a staging table,
    and so do the blocks after it until one brings new events only. As a context manager it finishes the
    last block, or, on an exception, abandons the running COPY so that the transaction can be rolled back.
    """

    def __init__(self, connection: Connection, storage: EventStorage) -> None:
        self.inserted = 0
        self._connection, self._storage = connection, storage
        self._straight = True
        self._open: tuple[ExitStack, Copy] | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._days: set[date] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.flush()
        elif self._open is not None:
            self._open[0].__exit__(kind, error, traceback)

    def write(self, piece: bytes, days: AbstractSet[date]) -> None:
        """Take whole COPY lines whose events lie on `days` (of this piece or of earlier ones)."""
        if missing := days - self._days:
            self.flush()  # a running COPY does not see a partition that is made now
            self._storage.prepare(missing)
            self._days |= missing
        self._pieces.append(piece)
        self._size += len(piece)
        if self._straight:
            self._copy().write(piece)
        if self._size >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Finish the block; its events are in the table, though not committed."""
        if not self._pieces:
            return
        if self._open is None:
            self._stage()
        else:
            (stack, copy), self._open = self._open, None
            try:
                stack.close()
                self.inserted += copy.cursor.rowcount
            except UniqueViolation:
                self._stage()
        self._pieces.clear()
        self._size = 0

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
        with connection.cursor() as cursor:
            with cursor.copy(f"COPY incoming ({COLUMNS}) FROM STDIN") as copy:
                for piece in self._pieces:
                    copy.write(piece)
            staged = cursor.rowcount
        inserted = connection.execute(
            f"INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM incoming ON CONFLICT DO NOTHING"
        ).rowcount
        connection.execute("TRUNCATE incoming")
        self.inserted += inserted
        self._straight = inserted == staged
