"""The Answerer behind the routes: opened in a thread of its own, and kept on the active release."""

from __future__ import annotations

import gc
import logging
import threading
from typing import Any

from answering.answer import coverage_text
from answering.ask import Answerer
from answering.errors import AnsweringError, NoActiveRelease
from answering.http.watcher import ReleaseWatcher
from answering.session import open_answerer
from resources.errors import ResourceError
from resources.postgres import Role, open_database
from resources.settings import Settings

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 5.0
"""Between attempts to open what is missing."""


class BackgroundAnswerer:
    """Loads the model while the service already answers health checks; then follows the releases."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._answerer: Answerer | None = None
        self._watcher: ReleaseWatcher | None = None
        self._error: str | None = None
        self._stop, self._settled = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="answerer", daemon=True)

    def start(self) -> None:
        """Begin loading."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of the database; waits at most ten seconds."""
        self._stop.set()
        self._thread.join(timeout=10)

    @property
    def answerer(self) -> Answerer:
        """The loaded answerer.

        Raises:
            NoActiveRelease: it is still loading, or could not be loaded.
        """
        if self._answerer is None:
            raise NoActiveRelease(self._error or "The service is starting: the embedding model is being loaded.")
        return self._answerer

    @property
    def held(self) -> Answerer | None:
        """The same; None where there is none."""
        return self._answerer

    def loaded(self) -> Answerer:
        """The same, once it is known whether it can be loaded."""
        self._settled.wait()
        return self.answerer

    def readiness(self) -> dict[str, Any]:
        """ready: questions can be asked. release, coverage: what they would be answered from, or None.

        error: why not; or, of a service that is ready, why it serves an older release than the active one.
        """
        release = self._answerer.pinned if self._answerer is not None else None
        held_back = self._watcher.held_back if self._watcher is not None else None
        return {
            "ready": self._answerer is not None and (release is not None or held_back is None),
            "release": release.release_id if release else None,
            "coverage": {"text": coverage_text(release)} if release else None,
            "error": self._error or held_back,
        }

    def _run(self) -> None:
        """Until it is stopped: what cannot be opened yet (a database, a server of models) may be there later."""
        while not self._stop.is_set():
            try:
                self._follow()
            except (ResourceError, AnsweringError) as error:
                if self._error != str(error):
                    self._error = str(error)
                    logger.exception("the service cannot answer; it tries again every %.0f s", _AGAIN_SECONDS)
            finally:
                self._answerer = None
                self._settled.set()
            self._stop.wait(_AGAIN_SECONDS)

    def _follow(self) -> None:
        """Open what answers need, and serve the releases as they come."""
        with open_answerer(self._settings) as answerer:
            self._watcher = watcher = ReleaseWatcher(self._settings, answerer)
            with open_database(self._settings, Role.TOOLS, max_size=1) as tools:
                watcher.refresh(tools)
            if answerer.pinned is None and watcher.held_back is None:
                answerer.warm()
            gc.collect()
            gc.freeze()  # the libraries and the model stay: no collection under a question looks through them again
            self._answerer, self._error = answerer, None
            self._settled.set()
            watcher.run(self._stop)
