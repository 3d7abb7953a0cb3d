"""Follows the active release: LISTEN, with polling as fallback. An answer in work keeps its own."""

from __future__ import annotations

import logging
import threading
import time

import psycopg

from answering.ask import Answerer
from answering.errors import AnsweringError
from answering.releases import CHANNEL
from resources.errors import ResourceError
from resources.postgres import Role, open_database
from resources.settings import Settings

logger = logging.getLogger(__name__)
_POLL_SECONDS = 15.0


class ReleaseWatcher:
    """Holds the newest active release in an Answerer until it is told to stop."""

    def __init__(self, settings: Settings, answerer: Answerer) -> None:
        self._settings, self._answerer = settings, answerer

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set; a lost connection is tried again."""
        while not stop.is_set():
            try:
                self._listen(stop)
            except (psycopg.Error, ResourceError) as error:
                logger.warning("lost the release channel, trying again", extra={"reason": str(error)})
                stop.wait(2.0)

    def _listen(self, stop: threading.Event) -> None:
        with (
            open_database(self._settings, Role.TOOLS, max_size=1) as tools,
            psycopg.connect(tools.url, autocommit=True) as connection,
        ):
            connection.execute(f"LISTEN {CHANNEL}")
            while not stop.is_set():
                self.refresh()
                deadline = time.monotonic() + _POLL_SECONDS
                while not stop.is_set() and time.monotonic() < deadline:
                    if list(connection.notifies(timeout=0.5, stop_after=1)):
                        break

    def refresh(self) -> None:
        """Hold the release that is active now."""
        held = self._answerer.pinned
        try:
            newest = self._answerer.active_release()
        except AnsweringError as error:
            logger.info("no release to serve", extra={"reason": str(error)})
            self._answerer.pinned = None
            return
        if held is None or held.release_id != newest.release_id:
            self._answerer.pinned = newest
            logger.info("serving a release", extra={"release": newest.release_id})
