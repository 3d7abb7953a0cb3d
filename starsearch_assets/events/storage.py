"""How the table `events` is kept: native range partitions by day, or a TimescaleDB hypertable.

Nothing else knows which. Both strategies keep the same columns, key and indexes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Protocol

from psycopg import sql as pgsql

from resources.postgres import Connection, Database, sql

_LOCK = 0x57A25EA2C5  # any constant: one process at a time makes partitions


class EventStorage(Protocol):
    """Makes room for the days of events that are about to be stored."""

    def prepare(self, days: Iterable[date]) -> None:
        """Make sure that events of `days` (UTC) can be inserted."""


class NativePartitions:
    """A partition a day, made in a short transaction of its own, so that loads do not wait for one another."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def prepare(self, days: Iterable[date]) -> None:
        """Make the partitions of `days` that are missing."""
        with self._database.transaction() as connection:
            for day in sorted(days):
                name = f"events_{day:%Y%m%d}"
                if _exists(connection, name):
                    continue
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
                if not _exists(connection, name):
                    statement = pgsql.SQL(sql(__package__, "partitions")).format(
                        partition=pgsql.Identifier(name),
                        start=pgsql.Literal(f"{day} 00:00:00+00"),
                        stop=pgsql.Literal(f"{day + timedelta(days=1)} 00:00:00+00"),
                    )
                    connection.execute(statement)


class TimescaleHypertable:
    """TimescaleDB makes its chunks by itself."""

    def prepare(self, days: Iterable[date]) -> None:
        """Nothing to make."""


def event_storage(database: Database) -> EventStorage:
    """The strategy that the migrations chose for this database."""
    partitioned = database.fetch_value("SELECT relkind = 'p' FROM pg_class WHERE oid = 'starsearch.events'::regclass")
    return NativePartitions(database) if partitioned else TimescaleHypertable()


def _exists(connection: Connection, name: str) -> bool:
    # Not to_regclass: its cache may still say no after another process has made the partition.
    query = "SELECT FROM pg_class WHERE relnamespace = 'starsearch'::regnamespace AND relname = %s"
    return connection.execute(query, [name]).fetchone() is not None
