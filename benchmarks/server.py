"""A temporary embedded PostgreSQL, migrated, stopped and removed at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
