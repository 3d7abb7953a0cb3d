"""The service's own database, opened with the first request that needs it: the service starts without."""

from __future__ import annotations

import threading

from resources.postgres import Database, Role, open_database
from resources.settings import Settings

_CONNECTIONS = 8
_SECONDS = 5.0  # somebody waits


class ServiceDatabase:
    """A pool of connections as the service's role."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Database:
        """The database.

        Raises:
            DatabaseUnavailable: PostgreSQL cannot be asked.
        """
        with self._lock:
            if self._database is None:
                self._database = open_database(self._settings, Role.SERVICE, max_size=_CONNECTIONS, timeout=_SECONDS)
            return self._database

    @property
    def opened(self) -> Database | None:
        """The database, where it was opened already."""
        return self._database

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None
