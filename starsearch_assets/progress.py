"""Progress of long work, for whoever watches: the commands draw it, runs elsewhere log it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, float, float, str], None]
"""(asset, done, total, what is being worked on)."""

logger = logging.getLogger(__name__)
_listeners: list[Listener] = []


def announce(asset: str, done: float, total: float, detail: str) -> None:
    """Tell the listeners how far the work on `asset` is."""
    logger.debug("progress", extra={"asset": asset, "done": done, "total": total, "detail": detail})
    for listener in _listeners:
        listener(asset, done, total, detail)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener` for all progress inside the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
