"""An embedded PostgreSQL for a benchmark, migrated, and stopped at the end: temporary, or kept for the next run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Database, open_database
from resources.settings import Settings


@contextmanager
def temporary_database() -> Iterator[tuple[Database, Path]]:
    """The database as owner, and a folder for the benchmark's own files."""
    with tempfile.TemporaryDirectory(prefix="starsearch-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        settings = Settings(_env_file=None, starsearch_home=home, database_url=None)  # type: ignore[call-arg]
        try:
            with open_database(settings) as database:
                yield database, home
        finally:
            EmbeddedPostgres(home).stop()


@dataclass(frozen=True)
class KeptHome:
    """The folder of one server. filled: an earlier run filled its database to the end."""

    folder: Path
    filled: bool

    @property
    def settings(self) -> Settings:
        """Of the embedded server in the folder."""
        return Settings(_env_file=None, starsearch_home=self.folder, database_url=None)  # type: ignore[call-arg]

    def mark_filled(self) -> None:
        """From now on the database is used again."""
        _mark(self.folder).touch()

    def configure(self, **parameters: str) -> None:
        """Restart the server with other parameters of PostgreSQL than the embedded one has."""
        server = EmbeddedPostgres(self.folder)
        with psycopg.connect(server.url(role="postgres"), autocommit=True) as connection:
            for name, value in parameters.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        server.stop()
        server.url()


@contextmanager
def kept_home(keep: Path | None, fingerprint: str) -> Iterator[KeptHome]:
    """The folder `fingerprint` in `keep`, emptied if it was left half filled; None: a temporary one."""
    with tempfile.TemporaryDirectory(prefix="starsearch-bench-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) if keep is None else keep.expanduser().absolute() / fingerprint
        filled = _mark(folder).exists()
        if not filled and (folder / "postgres").exists():
            EmbeddedPostgres(folder).stop()
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield KeptHome(folder, filled)
        finally:
            EmbeddedPostgres(folder).stop()


def _mark(folder: Path) -> Path:
    return folder / "filled"
