"""Requests in flight are shared by all runs that summarize: each holds a lock, and counts who else does.

PostgreSQL gives the lock of a killed process back by itself. Locks are the sessions': behind a proxy that gives each
transaction another session (PgBouncer in transaction mode) the count is wrong, so DATABASE_URL has to lead to the
server or to a proxy that keeps sessions together, as everything else here needs, too. A wrong count never stops a run:
the share is at least 1 and at most all.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from types import TracebackType
from typing import Self

import psycopg

from resources.postgres import Connection, Database

LOOK_EVERY = 2.0
"""Seconds between two counts."""

_LOCK = 0x57A25EA2C8  # any constant
_COUNT = """\
SELECT count(DISTINCT pid) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid = %(lock)s::bigint >> 32 AND objid = %(lock)s::bigint & 4294967295
"""
# So that the server notices within a minute that the machine of a holder is gone.
_KEEPALIVES = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"

logger = logging.getLogger(__name__)


class Share:
    """A run's share of `concurrency` requests in flight, from `join` until it is closed.

    The first one to join has all of it at once. Whoever comes to others begins with one request, and has its full
    share a look later, when the others have seen it; what they have in flight above their new share ends by itself.
    """

    def __init__(self, database: Database, concurrency: int, look_every: float = LOOK_EVERY) -> None:
        self._url, self._concurrency, self._look_every = database.url, concurrency, look_every
        self._limit = 1
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def limit(self) -> int:
        """How many requests this run may have in flight now, at least 1; cheap, from any thread."""
        return self._limit

    def join(self) -> None:
        """Begin to share, unless it is so already.

        Raises:
            psycopg.Error: the database cannot be reached.
        """
        if self._thread is not None:
            return
        connection = self._registered()
        if (holders := _holders(connection)) == 1:
            self._share(holders)
        self._thread = threading.Thread(target=self._watch, args=(connection,), name="llm-share", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave what it had to the others."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _watch(self, connection: Connection | None) -> None:
        while not self._ended.wait(self._look_every):
            try:
                if connection is None:
                    connection = self._registered()
                self._share(_holders(connection))
            except psycopg.Error as error:  # the share stays as it was, and the next look joins again
                logger.warning("Runs that summarize cannot be counted now: %s", str(error).strip())
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _share(self, holders: int) -> None:
        self._limit = max(1, self._concurrency // max(1, holders))

    def _registered(self) -> Connection:
        connection = psycopg.connect(self._url, autocommit=True, connect_timeout=10, application_name="starsearch-llm",
                                     options=_KEEPALIVES)  # fmt: skip
        try:
            connection.execute("SELECT pg_advisory_lock_shared(%s)", [_LOCK])
        except psycopg.Error:
            connection.close()
            raise
        return connection


def _holders(connection: Connection) -> int:
    row = connection.execute(_COUNT, {"lock": _LOCK}).fetchone()
    assert row is not None
    return int(row[0])
