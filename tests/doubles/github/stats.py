"""What the double has seen: counters for tests and benchmarks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any


class Stats:
    """Counters since the double began. Times are not the double's own clock, which a test may move."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.in_flight = 0
        self.max_in_flight = 0
        self.points_used = 0
        self.items_served = 0
        self.limit_violations: Counter[str] = Counter()
        self._busy_seconds = 0.0
        self._request_seconds = 0.0
        self._changed = clock()

    @property
    def total_requests(self) -> int:
        """All requests, those in flight included."""
        return sum(self.requests.values())

    @property
    def mean_in_flight(self) -> float:
        """Requests in flight, weighted by time, over the time in which there was at least one."""
        return self._request_seconds / self._busy_seconds if self._busy_seconds else 0.0

    def begin(self, path: str) -> None:
        """A request came."""
        self.requests[path] += 1
        self._advance(1)
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self) -> None:
        """A request was answered, or its client left."""
        self._advance(-1)

    def as_json(self) -> dict[str, Any]:
        """As in GET /_double/stats."""
        return {
            "requests": dict(self.requests),
            "total_requests": self.total_requests,
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "mean_in_flight": round(self.mean_in_flight, 3),
            "busy_seconds": round(self._busy_seconds, 3),
            "points_used": self.points_used,
            "items_served": self.items_served,
            "limit_violations": dict(self.limit_violations),
        }

    def _advance(self, change: int) -> None:
        now = self._clock()
        if self.in_flight:
            self._busy_seconds += now - self._changed
            self._request_seconds += self.in_flight * (now - self._changed)
        self._changed = now
        self.in_flight += change
