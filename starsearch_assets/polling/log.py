"""Structured log lines: an event in words, then fields. Counts and names of feeds, never a body or a token."""

from __future__ import annotations

import logging

logger = logging.getLogger("starsearch_assets.polling")


def say(event: str, **fields: object) -> None:
    """Log an event with its fields."""
    shown = " ".join(
        f"{name}={value!r}" if isinstance(value, str) else f"{name}={value}" for name, value in fields.items()
    )
    logger.info("%s %s", event, shown, extra={"fields": fields})


class Backoff:
    """Seconds to wait for something that is away: twice as long each time, at most a minute."""

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first, self._longest = first, longest
        self._seconds = first

    def next(self) -> float:
        """How long to wait now."""
        seconds, self._seconds = self._seconds, min(2 * self._seconds, self._longest)
        return seconds

    def reset(self) -> None:
        """It is there again."""
        self._seconds = self._first
