"""Postgres: a pool of psycopg 3 connections for one of the three roles.

owner      migrations and assets
service    the answering service's own schema
tools      read-only on the published views and index artifacts (what answers may rest on)
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import stamina
from psycopg.errors import DeadlockDetected
from psycopg_pool import ConnectionPool, PoolTimeout

from resources.embedded_postgres import DAGSTER_DATABASE, OWNER, SERVICE, TOOLS, EmbeddedPostgres
from resources.errors import DatabaseUnavailable
from resources.schema import SCHEMA, check_version, is_current, migrate
from resources.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


PLANNED_ONCE = "SELECT set_config('plan_cache_mode', 'force_generic_plan', true)"
"""From here on a transaction's statements are planned for any values, once a connection: for those that look rows up by
their keys, or in few, which takes less time than to plan it."""

PLANNED_FOR_VALUES = "SELECT set_config('plan_cache_mode', 'auto', true)"
"""From here on they are planned for their values: which of two filters leaves fewer rows depends on those."""

retry_deadlocks = stamina.retry(on=DeadlockDetected, attempts=4)
"""For a function that may be called again: PostgreSQL ends one of two transactions that wait for one another."""


class Role(enum.StrEnum):
    """Who connects, and with which rights."""

    OWNER = OWNER
    SERVICE = SERVICE
    TOOLS = TOOLS


_SESSION: dict[Role, tuple[str, ...]] = {
    Role.OWNER: ("SET search_path TO starsearch, artifacts, public", "SET timezone TO 'UTC'"),
    Role.SERVICE: ("SET search_path TO service, published, public", "SET timezone TO 'UTC'"),
    Role.TOOLS: (
        "SET search_path TO published, artifacts, public",
        "SET timezone TO 'UTC'",
        "SET statement_timeout TO '10s'",
        "SET default_transaction_read_only TO on",
    ),
}


@dataclass(frozen=True)
class PoolState:
    """Connections in use, how many there may be at most, and statements that wait for one."""

    in_use: int
    most: int
    waiting: int


class Database:
    """A pool of connections in one role. Close it, or use it as a context manager.

    timeout: seconds that a transaction waits for a connection.

    Raises:
        DatabaseUnavailable: the server cannot be reached, or refuses the role.
        SchemaVersionMismatch: the schema is not this code's (`check=False` leaves that out).
    """

    def __init__(
        self, url: str, role: Role = Role.OWNER, *, max_size: int = 8, timeout: float = 30, check: bool = True
    ) -> None:
        self.url, self.role, self._timeout = url, role, timeout
        try:
            with psycopg.connect(url, connect_timeout=10) as probe:
                _configure(probe, role)
                if check and role is Role.OWNER:
                    check_version(probe)
        except psycopg.Error as error:
            raise DatabaseUnavailable(
                f"PostgreSQL at {redacted(url)} cannot be used as {role}: {str(error).strip()}. Check"
                " DATABASE_URL (postgresql://user:password@host:port/database), or unset it to use the"
                " embedded server."
            ) from error
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            kwargs={"prepare_threshold": 5 if role is Role.OWNER else 1},  # the service asks the same again and again
            min_size=0,
            max_size=max_size,
            timeout=timeout,
            max_idle=60,
            configure=functools.partial(_configure, role=role),
            open=True,
            name=f"starsearch-{role}",
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside one transaction: committed at the end, rolled back on any exception."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                f"PostgreSQL at {redacted(self.url)} gave no connection in {self._timeout:.0f} s: it is down or full."
            ) from error

    def fetch_all(self, query: str, parameters: Any = None, *, planned_once: bool = False) -> list[tuple[Any, ...]]:
        """All rows of one query, in a transaction of its own. planned_once: see PLANNED_ONCE."""
        if planned_once:
            with self.transaction() as connection, connection.pipeline():
                connection.execute(PLANNED_ONCE)
                return connection.execute(query, parameters).fetchall()
        with self._statement() as connection:
            return connection.execute(query, parameters).fetchall()

    def fetch_value(self, query: str, parameters: Any = None) -> Any:
        """The first column of the first row, or None."""
        rows = self.fetch_all(query, parameters)
        return rows[0][0] if rows else None

    def execute(self, query: str, parameters: Any = None) -> int:
        """Run one statement in a transaction of its own and return how many rows it touched."""
        with self._statement() as connection:
            return connection.execute(query, parameters).rowcount

    @contextmanager
    def _statement(self) -> Iterator[Connection]:
        """A connection for one statement, which is a transaction by itself: BEGIN and COMMIT would be two more."""
        with self.transaction() as connection:
            connection.autocommit = True
            try:
                yield connection
            finally:
                if not connection.closed:
                    connection.autocommit = False

    @property
    def pool(self) -> PoolState:
        """How the pool is used at the moment."""
        told = self._pool.get_stats()
        in_use = told["pool_size"] - told["pool_available"]
        return PoolState(in_use, told["pool_max"], told.get("requests_waiting", 0))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def as_array(values: Iterable[int | str | None]) -> str:
    """Numbers or texts as an array's text, which the statement casts to its type.

    To a list of numbers psycopg gives the narrowest type, and of each type the statement is another one; a list of 300
    texts takes it half a millisecond and more, long ones 6.
    """
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: int | str | None) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return "NULL" if value is None else str(value)


def open_database(settings: Settings, role: Role = Role.OWNER, *, max_size: int = 8, timeout: float = 30) -> Database:
    """The database that `settings` name, in `role`; the embedded one is started and migrated."""
    return Database(_ready_url(settings, role), role, max_size=max_size, timeout=timeout)


def connect(settings: Settings, role: Role, **parameters: Any) -> Connection:
    """One connection outside any pool, for who has to know at once that it is lost. parameters: libpq's.

    Raises:
        psycopg.Error: the server cannot be reached, or refuses the role.
    """
    connection = psycopg.connect(_ready_url(settings, role), **parameters)
    try:
        _configure(connection, role)
    except psycopg.Error:
        connection.close()
        raise
    return connection


def owner_url(settings: Settings) -> str:
    """The owner's URL; starts the embedded server, migrates nothing."""
    return _url(settings, Role.OWNER) if not settings.embedded else EmbeddedPostgres(settings.home).url()


def dagster_url(settings: Settings) -> str:
    """Dagster's own database: a second one on the same server unless DAGSTER_DATABASE_URL says otherwise."""
    if settings.dagster_database_url is not None:
        return settings.dagster_database_url.get_secret_value()
    if settings.embedded:
        return EmbeddedPostgres(settings.home).url(database=DAGSTER_DATABASE)
    parts = urlsplit(_url(settings, Role.OWNER))
    return urlunsplit(parts._replace(path=f"/{DAGSTER_DATABASE}"))


def redacted(url: str) -> str:
    """The URL without its password, for messages."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(no URL)"
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))


@functools.cache
def sql(package: str, name: str) -> str:
    """The text of `name`.sql beside the modules of `package`."""
    return (files(package) / f"{name}.sql").read_text(encoding="utf-8")


@functools.cache
def _migrate_embedded(url: str) -> None:
    with psycopg.connect(url) as connection:
        if is_current(connection):
            return
    migrate(url)


def run_script(connection: Connection, script: str, parameters: dict[str, Any] | None = None) -> int:
    """Run a file of statements with values bound on the client: PostgreSQL binds only single ones.

    Returns how many rows the last one touched.
    """
    return psycopg.ClientCursor(connection).execute(script, parameters).rowcount


def _ready_url(settings: Settings, role: Role) -> str:
    """The URL of the role; the embedded server is started and migrated."""
    if not settings.embedded:
        return _url(settings, role)
    server = EmbeddedPostgres(settings.home)
    _migrate_embedded(server.url())
    return server.url(role.value)


def _url(settings: Settings, role: Role) -> str:
    own = {Role.SERVICE: settings.service_database_url, Role.TOOLS: settings.tools_database_url}.get(role)
    secret = own or settings.database_url
    if secret is None:
        raise DatabaseUnavailable("DATABASE_URL is not set.")
    return secret.get_secret_value()


def _configure(connection: Connection, role: Role) -> None:
    """Take the role where the login is another one, and set what its sessions always have."""
    with connection.transaction():
        user = connection.execute("SELECT current_user").fetchone()
        if role is not Role.OWNER and user is not None and user[0] != role.value:
            connection.execute(f"SET ROLE {role.value}")
        for statement in _SESSION[role]:
            connection.execute(statement)


__all__ = [
    "SCHEMA",
    "Connection",
    "Cursor",
    "Database",
    "Role",
    "connect",
    "dagster_url",
    "open_database",
    "owner_url",
    "redacted",
    "retry_deadlocks",
    "run_script",
    "sql",
]
