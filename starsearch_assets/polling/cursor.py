"""What of a feed is known: a set of keys. Never "the highest id": ids restarted in 2025 and are in no order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from resources.github_events import HORIZON, RETENTION_DAYS, FeedEvent

KEPT = 2 * HORIZON
"""Keys that are remembered: twice what a feed offers, because its order is not quite that of arrival."""
_BYTES = 8
_STILL_OFFERED = timedelta(days=RETENTION_DAYS - 1)
NEARLY_FULL = 200
"""Events of a feed that may have had more: GitHub's pages come short where it leaves events out."""


class Cursor:
    """The keys of the events seen last, newest first, as 8 bytes of their SHA-256 each.

    Two different keys of one feed meet in 8 bytes with a chance of 3 in 10^17 for an event.
    """

    def __init__(
        self, packed: bytes = b"", newest_at: datetime | None = None, polled_at: datetime | None = None
    ) -> None:
        self.packed, self.newest_at, self.polled_at = packed, newest_at, polled_at
        self._known = {packed[at : at + _BYTES] for at in range(0, len(packed), _BYTES)}

    def knows(self, event: FeedEvent) -> bool:
        """Whether the event was seen."""
        return _digest(event) in self._known

    def after(self, offered: Sequence[FeedEvent]) -> bytes:
        """What is known once these are stored."""
        keys = dict.fromkeys(_digest(event) for event in offered)
        older = (self.packed[at : at + _BYTES] for at in range(0, len(self.packed), _BYTES))
        return b"".join(list(dict.fromkeys([*keys, *older]))[:KEPT])

    def gap(self, offered: Sequence[FeedEvent], now: datetime) -> tuple[datetime, datetime] | None:
        """The time of which events were missed, given all that a feed offers; None where nothing was.

        The newest event known would still be on offer, had not more come after it than a feed holds; one that is
        older than a feed looks back may be gone for its age.
        """
        if self.polled_at is None or not offered or any(map(self.knows, offered)):
            return None
        lost = self.newest_at is not None and self.newest_at > now - _STILL_OFFERED
        if not lost and len(offered) < NEARLY_FULL:
            return None
        since = self.newest_at or self.polled_at
        until = min(times(offered), default=now)
        return min(since, until), max(since, until)


def times(events: Iterable[FeedEvent]) -> list[datetime]:
    """Of those that have one."""
    return [event.created_at for event in events if event.created_at is not None]


def _digest(event: FeedEvent) -> bytes:
    return hashlib.sha256(event.key.encode()).digest()[:_BYTES]
