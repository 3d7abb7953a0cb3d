"""GitHub's limits for one token: requests at the same time, points a minute and an hour, server time a minute.

Source: https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api and
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gidgethub.sansio import RateLimit

from resources.errors import GitHubExhausted

CONCURRENCY = 100
"""Requests at the same time that GitHub allows one token, REST and GraphQL together."""
REQUESTS_A_MINUTE = {"graphql": 2000, "core": 900}
"""Queries and REST reads in any 60 seconds: one point each of the secondary limit, whatever they cost of the hour."""
SERVER_SECONDS_A_MINUTE = 60.0
"""Processor time that GraphQL requests may use in any 60 seconds."""
NODES_A_QUERY = 500_000
LONGEST_PAUSE = timedelta(minutes=5)
"""A secondary limit that asks for more than this ends the work for now instead of holding a run."""

_MINUTE = 60.0


@dataclass(frozen=True)
class Spent:
    """What was used so far."""

    requests: int
    points: int


class MinuteUse:
    """What was used in the last 60 seconds, by all clients of one token in this process."""

    def __init__(self) -> None:
        self.requests = {name: _Window(limit) for name, limit in REQUESTS_A_MINUTE.items()}
        self.server_seconds = _Window(SERVER_SECONDS_A_MINUTE)


@functools.cache
def minute_use(api_url: str, token_digest: bytes) -> MinuteUse:  # noqa: ARG001 - they are the cache's key
    """The one for a token: a run over many days opens a client a day, and GitHub counts them together."""
    return MinuteUse()


class Limiter:
    """Lets requests through as the limits allow. One an event loop.

    reserve: share of the hourly budget that is left to others who use the same token.
    """

    def __init__(self, concurrency: int, reserve: float, minute: MinuteUse) -> None:
        self._slots = asyncio.Semaphore(concurrency)
        self._reserve = reserve
        self._minute = minute
        self._budgets: dict[str, RateLimit] = {}
        self._promised: dict[str, int] = {}  # points of the requests in flight
        self._paused_until = 0.0
        self._fastest = float("inf")
        self._requests = self._spent = 0

    @property
    def spent(self) -> Spent:
        """What this limiter let through."""
        return Spent(self._requests, self._spent)

    def budget(self, resource: str) -> RateLimit | None:
        """The hourly budget as the last response told it."""
        return self._budgets.get(resource)

    @asynccontextmanager
    async def slot(self, resource: str, points: int) -> AsyncIterator[None]:
        """Hold a request's place while the block runs; waits for a free place and for the minute's limits.

        Raises:
            GitHubExhausted: the hourly budget, less the reserve, does not hold `points` any more.
        """
        async with self._slots:
            while (wait := self._wait(resource)) > 0:
                await asyncio.sleep(wait)
            self._check_hour(resource, points)
            self._minute.requests[resource].add(1)
            self._promised[resource] = self._promised.get(resource, 0) + points
            self._requests += 1
            started = time.monotonic()
            try:
                yield
            except BaseException:
                if (budget := self._budgets.get(resource)) is not None:
                    budget.remaining -= points  # no response tells it, but GitHub may have taken the points
                raise
            finally:
                self._promised[resource] -= points
                # What is beyond the fastest response is taken for work of the server; the rest is the network's.
                seconds = time.monotonic() - started
                self._fastest = min(self._fastest, seconds)
                self._minute.server_seconds.add(seconds - self._fastest)

    def learn(self, resource: str, headers: Mapping[str, str], cost: int) -> None:
        """Take the budget from a response; `cost`: the points that it cost."""
        self._spent += cost
        if (told := RateLimit.from_http(headers)) is not None:
            known = self._budgets.get(resource)
            # Responses overtake one another: within one hour the budget only shrinks.
            if known is None or told.reset_datetime > known.reset_datetime or told.remaining < known.remaining:
                self._budgets[resource] = told

    def pause(self, asked: timedelta) -> None:
        """Let nothing through for so long: a secondary limit.

        Raises:
            GitHubExhausted: that is too long to wait here.
        """
        if asked > LONGEST_PAUSE:
            raise GitHubExhausted(datetime.now(UTC) + asked, "a secondary rate limit")
        self._paused_until = max(self._paused_until, time.monotonic() + asked.total_seconds())

    def _wait(self, resource: str) -> float:
        now = time.monotonic()
        minute = self._minute.requests[resource].wait(now, 1)
        return max(self._paused_until - now, minute, self._minute.server_seconds.wait(now, 0))

    def _check_hour(self, resource: str, points: int) -> None:
        budget = self._budgets.get(resource)
        if budget is None:
            return
        if datetime.now(UTC) >= budget.reset_datetime:
            del self._budgets[resource]
            return
        left = budget.remaining - self._promised.get(resource, 0) - points
        if left < self._reserve * budget.limit:
            raise GitHubExhausted(
                budget.reset_datetime,
                f"the hourly budget ({budget.remaining:,} of {budget.limit:,} left, {self._reserve:.0%} reserved)",
            )


class _Window:
    """An amount that may be used in any 60 seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._entries: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    def add(self, amount: float) -> None:
        self._entries.append((time.monotonic(), amount))
        self._sum += amount

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` more fits."""
        while self._entries and self._entries[0][0] <= now - _MINUTE:
            self._sum -= self._entries.popleft()[1]
        over = self._sum + min(amount, self._limit) - self._limit
        if over <= 0:
            return 0.0
        for at, used in self._entries:
            over -= used
            if over <= 0:
                return at + _MINUTE - now
        return _MINUTE
