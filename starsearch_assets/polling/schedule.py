"""Which feed is next: the plan over time. No clock of its own and no input or output, so that it can be simulated.

All times are seconds since 1970 (of any one clock).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from resources.github_events import EVENTS_A_PAGE, POLL_INTERVAL
from starsearch_assets.polling import plan as planning
from starsearch_assets.polling.pace import Pace
from starsearch_assets.polling.plan import DAY, Plan
from starsearch_assets.polling.rates import PRIOR, next_rate

REPLAN_SECONDS = 60.0
_NEW_SHARE = 0.5
"""Of the hour's requests, what is at most left to feeds that nobody has seen, while there are any."""
_REQUESTS_A_NEW_FEED = 2
_AT_ONCE = 100.0
_FORESEEN = 0.99
"""Of the budget: further pages are known only when they are needed."""
_FIRST_RETRY, _LONGEST_RETRY = 15.0, 900.0
_FIRST_ABSENT = 900.0


@dataclass(slots=True, eq=False)
class Feed:
    """One feed. rate: None until its first answer. floor: X-Poll-Interval. not_before: GitHub, or a fault, says so."""

    name: str
    rate: float | None = None
    floor: float = POLL_INTERVAL
    etag: str | None = None
    polled_at: float | None = None
    not_before: float = 0.0
    failures: int = 0
    absent: bool = False
    paused: bool = False
    interval: float = 0.0
    entry: int = field(default=-1, repr=False)
    promised: float = field(default=0.0, repr=False)

    @property
    def next_at(self) -> float:
        """When it is due."""
        if self.failures or self.polled_at is None:
            return self.not_before
        return max(self.not_before, self.polled_at + self.interval)

    def answered(self, events: int, now: float, *, rate: float | None = None) -> None:
        """It was polled in full. rate: the estimate, where this was its first poll or more came than it offers."""
        if rate is not None:
            self.rate = rate
        elif self.polled_at is not None:
            self.rate = next_rate(PRIOR if self.rate is None else self.rate, events, now - self.polled_at)
        self.polled_at, self.not_before, self.failures, self.absent = now, now + self.floor, 0, False

    def failed(self, now: float, *, absent: bool = False) -> None:
        """It gave no answer, or GitHub has no such feed: tried again, each time later."""
        self.failures += 1
        first, longest = (_FIRST_ABSENT, DAY) if absent else (_FIRST_RETRY, _LONGEST_RETRY)
        self.not_before = now + max(self.floor, min(first * 2.0 ** min(self.failures - 1, 20), longest))
        self.absent = absent


class Schedule:
    """Feeds by the time at which they are due, handed out as the limits allow; those never seen in turn with others."""

    def __init__(self, hourly_requests: int, reserve: float) -> None:
        self.feeds: dict[str, Feed] = {}
        self.plan = Plan(0.0)
        self._reserve = reserve
        self._allowed = planning.budget(hourly_requests, reserve)
        self._charged = Pace(_FORESEEN * self._allowed.charged, min(_AT_ONCE, self._allowed.charged / 2))
        self._requests = Pace(_FORESEEN * self._allowed.requests, min(_AT_ONCE, self._allowed.requests / 2))
        self._numbers = itertools.count()
        self._seen: list[tuple[float, int, Feed]] = []
        self._unseen: list[tuple[float, int, Feed]] = []
        self._turn = False

    def allow(self, hourly_requests: int) -> None:
        """GitHub gives so many requests an hour."""
        self._allowed = planning.budget(hourly_requests, self._reserve)
        self._charged.set(_FORESEEN * self._allowed.charged)

    def add(self, feeds: Iterable[Feed]) -> None:
        """Follow feeds from now on."""
        for feed in feeds:
            self.feeds[feed.name] = feed
            self.put(feed)

    def remove(self, names: Iterable[str]) -> None:
        """Follow them no more; what is in flight ends as it ends."""
        for name in names:
            if (feed := self.feeds.pop(name, None)) is not None:
                feed.entry = -1

    def put(self, feed: Feed) -> None:
        """Queue a feed by its present times."""
        if self.feeds.get(feed.name) is not feed:
            return
        if feed.rate is not None:
            feed.interval = self.plan.interval(feed.rate, feed.floor)
        feed.entry = next(self._numbers)
        if not feed.paused:
            heapq.heappush(self._unseen if feed.rate is None else self._seen, (feed.next_at, feed.entry, feed))

    def take(self, now: float) -> Feed | None:
        """The feed to poll now, out of the queue until `put`; None while `wait` says so."""
        if self.wait(now) > 0:
            return None
        due = [queue for queue in (self._seen, self._unseen) if queue and queue[0][0] <= now]
        self._turn = not self._turn  # neither kind waits for the other to have none left
        feed = heapq.heappop(due[self._turn if len(due) > 1 else 0])[2]
        feed.entry = -1
        elapsed = 0.0 if feed.polled_at is None else now - feed.polled_at
        events = (feed.rate or 0.0) * elapsed
        feed.promised = 1.0 if feed.etag is None else -math.expm1(-events) + min(events / EVENTS_A_PAGE, 2.0)
        self._charged.spend(feed.promised, now)
        self._requests.spend(1, now)
        return feed

    def settle(self, feed: Feed, requests: int, charged: int, now: float) -> None:
        """Say what the poll of a feed that was taken has really cost."""
        self._charged.spend(charged - feed.promised, now)
        self._requests.spend(requests - 1, now)

    def wait(self, now: float) -> float:
        """Seconds until a feed may be taken; infinite where there is none."""
        for queue in (self._seen, self._unseen):
            while queue and queue[0][1] != queue[0][2].entry:
                heapq.heappop(queue)
        due = min((queue[0][0] - now for queue in (self._seen, self._unseen) if queue), default=math.inf)
        return max(due, 0.0, self._charged.wait(now), self._requests.wait(now)) if due < math.inf else due

    def replan(self) -> list[Feed]:
        """Fit the plan to the present rates; returns the feeds whose interval changed by more than a tenth."""
        planned = [feed for feed in self.feeds.values() if feed.rate is not None and not feed.paused]
        unseen = sum(feed.rate is None and not feed.failures for feed in self.feeds.values())
        new = min(_NEW_SHARE * self._allowed.charged, _REQUESTS_A_NEW_FEED * unseen)
        left = planning.Budget(self._allowed.charged - new, self._allowed.requests - new)
        rates = np.array([feed.rate for feed in planned], dtype=np.float64)
        floors = np.array([feed.floor for feed in planned], dtype=np.float64)
        self.plan = planning.plan(rates, floors, left)
        intervals = self.plan.intervals(rates, floors).tolist() if planned else []
        changed = [
            feed
            for feed, interval in zip(planned, intervals, strict=True)
            if abs(interval - feed.interval) > 0.1 * feed.interval
        ]
        for feed, interval in zip(planned, intervals, strict=True):
            feed.interval = interval
        self._seen = list(self._queued(planned))
        heapq.heapify(self._seen)
        return changed

    def behind(self, now: float) -> int:
        """Feeds that are late by more than their interval and a minute."""
        feeds = (feed for feed in self.feeds.values() if not feed.paused and feed.polled_at is not None)
        return sum(now - feed.next_at > feed.interval + POLL_INTERVAL for feed in feeds)

    def _queued(self, feeds: Iterable[Feed]) -> Iterator[tuple[float, int, Feed]]:
        for feed in feeds:
            if feed.entry >= 0:
                yield feed.next_at, feed.entry, feed
