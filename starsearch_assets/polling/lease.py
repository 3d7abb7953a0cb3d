"""One poller at a time: a row with a holder and an expiry, renewed by heartbeat, checked by every write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from resources.errors import ResourceError
from resources.postgres import Connection, Database

TIME_TO_LIVE = timedelta(seconds=30)
_NAME = "poller"


class LeaseLost(ResourceError):
    """Another poller has taken over: this one was too slow to say that it lives. It writes nothing more."""


class Lease:
    """The right to poll. Times are the database's own, so that no two clocks have to agree."""

    def __init__(self, database: Database, holder: str, time_to_live: timedelta = TIME_TO_LIVE) -> None:
        self._database, self.holder, self.time_to_live = database, holder, time_to_live

    def take(self) -> str | None:
        """Take it where it is free, expired or our own; else the name of who holds it."""
        with self._database.transaction() as connection:
            taken = connection.execute(
                "INSERT INTO polling_lease AS lease (name, holder, taken_at, expires_at)"
                " VALUES (%(name)s, %(holder)s, clock_timestamp(), clock_timestamp() + %(ttl)s)"
                " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, taken_at = excluded.taken_at,"
                " expires_at = clock_timestamp() + %(ttl)s"
                " WHERE lease.expires_at <= clock_timestamp() OR lease.holder = excluded.holder RETURNING holder",
                {"name": _NAME, "holder": self.holder, "ttl": self.time_to_live},
            ).fetchone()
            if taken is not None:
                return None
            row = connection.execute("SELECT holder FROM polling_lease WHERE name = %s", [_NAME]).fetchone()
            return "another one" if row is None else str(row[0])

    def renew(self) -> None:
        """Say that its holder lives.

        Raises:
            LeaseLost: it is another's.
        """
        if not self._database.execute(
            "UPDATE polling_lease SET expires_at = clock_timestamp() + %s"
            " WHERE name = %s AND holder = %s AND expires_at > clock_timestamp()",
            [self.time_to_live, _NAME, self.holder],
        ):
            raise LeaseLost("Another poller has taken over.")

    def release(self) -> None:
        """Let the next one have it at once."""
        self._database.execute("DELETE FROM polling_lease WHERE name = %s AND holder = %s", [_NAME, self.holder])

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that commits only while the lease is ours: it locks the row, so that nobody takes over before
        its end.

        Raises:
            LeaseLost: it is another's.
        """
        with self._database.transaction() as connection:
            if not connection.execute(
                "SELECT FROM polling_lease WHERE name = %s AND holder = %s AND expires_at > clock_timestamp()"
                " FOR SHARE",
                [_NAME, self.holder],
            ).fetchall():
                raise LeaseLost("Another poller has taken over.")
            yield connection
