"""Follows the active release: LISTEN, with polling as fallback. An answer in work keeps its own.

A new release is served when its model is loaded and its indexes are in memory; until then the old one is.
"""

from __future__ import annotations

import logging
import threading
import time

import psycopg

from answering.ask import Answerer
from answering.errors import AnsweringError, NoActiveRelease
from answering.releases import CHANNEL, load_release
from resources.errors import ResourceError
from resources.postgres import Database, Role, open_database
from resources.settings import Settings

logger = logging.getLogger(__name__)
_POLL_SECONDS = 15.0


class ReleaseWatcher:
    """Holds the newest active release in an Answerer until it is told to stop.

    held_back: why the active release is not served yet; None: it is, or is being prepared.
    """

    def __init__(self, settings: Settings, answerer: Answerer) -> None:
        self._settings, self._answerer = settings, answerer
        self.held_back: str | None = None

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
                self.refresh(tools)
                deadline = time.monotonic() + _POLL_SECONDS
                while not stop.is_set() and time.monotonic() < deadline:
                    if list(connection.notifies(timeout=0.5, stop_after=1)):
                        break

    def refresh(self, tools: Database) -> None:
        """Hold the release that is active now, once it is prepared."""
        held = self._answerer.pinned
        try:
            newest = load_release(tools)
        except NoActiveRelease as error:
            logger.info("no release to serve", extra={"reason": str(error)})
            self._answerer.pinned = self.held_back = None
            return
        if held is not None and held.release_id == newest.release_id:
            self.held_back = None
            return
        try:
            self._answerer.prepare(newest, held)
        except (AnsweringError, ResourceError) as error:
            reason = f"Release {newest.release_id} is active, but cannot be served: {error}"
            if reason != self.held_back:
                logger.warning(reason, extra={"release": newest.release_id, "serving": held and held.release_id})
            self.held_back = reason
            return
        self._answerer.pinned, self.held_back = newest, None
        logger.info("serving a release", extra={"release": newest.release_id, "model": newest.model})
