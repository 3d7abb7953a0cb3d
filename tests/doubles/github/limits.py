"""GitHub's rate limits, counted and enforced: points an hour, points a minute, requests at a time.

https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Resource = Literal["core", "graphql"]
Violation = Literal["concurrency", "points_a_minute", "ignored_retry_after", "hourly_points"]
HOUR, MINUTE = 3600, 60


@dataclass
class Limits:
    """How much is allowed; each may be changed at any time.

    anonymous_requests: REST without a token, an hour. requests a minute count as in GitHub's secondary limit: each
    query and each GET is one point there, whatever it costs of the hour. retry_after: seconds for which everything
    is refused once a secondary limit was exceeded. exhausted: what GraphQL says once the hour is spent, 200 with an
    error of type RATE_LIMITED or 403; REST always says 403.
    """

    hourly_points: int = 5_000
    hourly_requests: int = 5_000
    anonymous_requests: int = 60
    graphql_points_a_minute: int = 2_000
    rest_points_a_minute: int = 900
    concurrency: int = 100
    retry_after: int = 60
    max_nodes: int = 500_000
    exhausted: Literal[200, 403] = 200


@dataclass
class Budget:
    """What was used of one resource in its current hour."""

    resource: Resource
    limit: Callable[[], int]
    clock: Callable[[], float]
    used: int = 0
    reset: int = 0

    def refresh(self) -> None:
        """Begin a new hour where the current one is over."""
        now = self.clock()
        if now >= self.reset:
            self.used, self.reset = 0, int(now) + HOUR

    @property
    def remaining(self) -> int:
        """Points left in the current hour."""
        self.refresh()
        return max(self.limit() - self.used, 0)

    def take(self, points: int) -> bool:
        """Whether `points` were there to be taken."""
        if points > self.remaining:
            return False
        self.used += points
        return True

    def headers(self) -> dict[str, str]:
        """X-RateLimit-* as after the last taking."""
        remaining = self.remaining
        return {
            "X-RateLimit-Limit": str(self.limit()),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Resource": self.resource,
        }

    def as_json(self) -> dict[str, int]:
        """As in GET /rate_limit."""
        remaining = self.remaining
        return {"limit": self.limit(), "used": self.used, "remaining": remaining, "reset": self.reset}


@dataclass
class RateLimiter:
    """The budgets of the double's one token and of requests without one, and the secondary limits of both."""

    limits: Limits
    clock: Callable[[], float]
    violations: Counter[Violation] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.graphql = Budget("graphql", lambda: self.limits.hourly_points, self.clock)
        self.core = Budget("core", lambda: self.limits.hourly_requests, self.clock)
        self.anonymous = Budget("core", lambda: self.limits.anonymous_requests, self.clock)
        self._minutes: dict[Resource, tuple[int, int]] = {}
        self._refused_until = 0.0

    def secondary(self, resource: Resource, in_flight: int) -> int | None:
        """Count one request, `in_flight` included; the seconds to wait where it exceeds a secondary limit."""
        now = self.clock()
        if now < self._refused_until:
            self.violations["ignored_retry_after"] += 1
            return max(int(self._refused_until - now), 1)
        minute, points = self._minutes.get(resource, (0, 0))
        points = points + 1 if minute == int(now) // MINUTE else 1
        self._minutes[resource] = int(now) // MINUTE, points
        allowed = self.limits.graphql_points_a_minute if resource == "graphql" else self.limits.rest_points_a_minute
        if in_flight <= self.limits.concurrency and points <= allowed:
            return None
        self.violations["concurrency" if in_flight > self.limits.concurrency else "points_a_minute"] += 1
        self._refused_until = now + self.limits.retry_after
        return self.limits.retry_after
