"""Which feed is polled how often, so that events are seen as soon as the limits of one token allow.

A feed with r events a second that is polled every T seconds shows an event T / 2 seconds late on average. With a number
of polls an hour to give away, the sum of r T / 2 over all feeds is least where T is proportional to 1 / sqrt(r): the
result of Sia, Cho and Cho, "Efficient Monitoring Algorithm for Fast News Alerts", IEEE Transactions on Knowledge and
Data Engineering 19(7), 2007 (resource allocation for the delay metric). So

    T = c / sqrt(r + SMALL), at least X-Poll-Interval, at most 24 hours and HORIZON_SHARE * 300 / r,

with one c for all feeds, the least that keeps within

    (a) requests that cost something of the hour: a poll costs one when there was an event, which for Poisson arrivals
        has the probability 1 - exp(-r T); bursts make it less likely (Jensen's inequality), so this is an upper bound.
        n events take n // 100 further pages, on average at most r T / 100, and never more than 2;
    (b) requests in all, those that GitHub answers with 304 for nothing among them: a secondary limit of 900 a minute.

Both fall with c, so that bisection finds it. SMALL keeps feeds that never had an event from never being looked at.
Where not even the longest intervals keep within (a) and (b), the limit of 300 / r is given up: the busiest feeds bring
more than they offer at once, which is noted as gaps and reconciled, and all others are still seen once a day. Where
that is not enough, 24 hours are stretched by a factor. The limits are never exceeded. Times in seconds, rates a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resources.github_events import EVENTS_A_PAGE, HORIZON, RETENTION_DAYS
from resources.github_limits import REQUESTS_A_MINUTE

Floats = NDArray[np.float64]

HOUR, DAY = 3600.0, 86400.0
LONGEST = DAY
SMALL = 1 / (RETENTION_DAYS * DAY)
"""An event in the time that a feed looks back."""
HORIZON_SHARE = 0.5
"""Of a feed's 300 events, the part that its mean may fill between two polls."""
HOURLY_REQUESTS = 5000
"""What GitHub gives a personal token; an app's installation has more."""
SECONDARY_SHARE = 0.5
"""Of the 900 requests a minute: hydration, reconciliation and others use the same token."""
UTILIZATION = 0.95
"""Of what the limits allow: at 1, every chance delay would stay for ever."""

_MOST_FURTHER_PAGES = HORIZON / EVENTS_A_PAGE - 1
_PRECISION = 1e-4


@dataclass(frozen=True)
class Budget:
    """Requests an hour: those that cost something of it, and all."""

    charged: float
    requests: float


@dataclass(frozen=True)
class Plan:
    """c: of the formula. charged, requests: expected an hour.

    crowded: feeds may overflow, because the budget does not hold all events. stretch: 1, or the factor by which even
    the 24 hours are exceeded.
    """

    c: float
    charged: float = 0.0
    requests: float = 0.0
    crowded: bool = False
    stretch: float = 1.0

    def interval(self, rate: float, floor: float) -> float:
        """Seconds between polls of one feed."""
        longest = max(LONGEST if self.crowded else _longest(rate), floor)
        return min(max(self.c / math.sqrt(rate + SMALL), floor), longest) * self.stretch

    def intervals(self, rates: Floats, floors: Floats) -> Floats:
        """The same of many."""
        return np.clip(self.c / np.sqrt(rates + SMALL), floors, _ceilings(rates, floors, self.crowded)) * self.stretch


def budget(hourly_requests: int, reserve: float) -> Budget:
    """What polling may use. reserve: share of the hour that is left to others."""
    return Budget(hourly_requests * (1 - reserve), SECONDARY_SHARE * 60 * REQUESTS_A_MINUTE["core"])


def plan(rates: Floats, floors: Floats, allowed: Budget) -> Plan:
    """The plan for feeds with these rates and X-Poll-Intervals."""
    charged, requests = UTILIZATION * allowed.charged, UTILIZATION * allowed.requests
    if not len(rates):
        return Plan(0.0)
    shape = 1 / np.sqrt(rates + SMALL)

    def fits(intervals: Floats) -> bool:
        return charged_an_hour(rates, intervals) <= charged and requests_an_hour(rates, intervals) <= requests

    crowded = not fits(_ceilings(rates, floors, crowded=False))
    ceilings = _ceilings(rates, floors, crowded)
    least, most = float(np.min(floors / shape)), float(np.max(ceilings / shape))
    stretch = 1.0
    if fits(ceilings):
        most = _least(max(least, _PRECISION), most, lambda c: fits(np.clip(c * shape, floors, ceilings)))
    else:
        longest = 2.0
        while not fits(ceilings * longest):
            longest *= 2
        stretch = _least(longest / 2, longest, lambda factor: fits(ceilings * factor))
    found = Plan(most, crowded=crowded, stretch=stretch)
    intervals = found.intervals(rates, floors)
    return replace(found, charged=charged_an_hour(rates, intervals), requests=requests_an_hour(rates, intervals))


def cost(rates: Floats, elapsed: Floats) -> Floats:
    """Expected requests of one poll that cost something of the hour, after so many seconds."""
    events = rates * elapsed
    return -np.expm1(-events) + _further_pages(events)


def charged_an_hour(rates: Floats, intervals: Floats) -> float:
    """Expected requests that cost something of the hour."""
    return float(np.sum(cost(rates, intervals) / intervals) * HOUR)


def requests_an_hour(rates: Floats, intervals: Floats) -> float:
    """Expected requests, all of them."""
    return float(np.sum((1 + _further_pages(rates * intervals)) / intervals) * HOUR)


def lag(rates: Floats, intervals: Floats) -> float:
    """Expected seconds from an event's appearance in its feed to the poll that brings it, over all events."""
    total = float(np.sum(rates))
    return float(np.sum(rates * intervals) / 2 / total) if total else 0.0


def _longest(rate: float) -> float:
    return min(LONGEST, HORIZON_SHARE * HORIZON / rate) if rate > 0 else LONGEST


def _ceilings(rates: Floats, floors: Floats, crowded: bool) -> Floats:
    if crowded:
        return np.maximum(LONGEST, floors)
    with np.errstate(divide="ignore"):
        return np.maximum(np.minimum(LONGEST, HORIZON_SHARE * HORIZON / rates), floors)


def _further_pages(events: Floats) -> Floats:
    return np.minimum(events / EVENTS_A_PAGE, _MOST_FURTHER_PAGES)


def _least(low: float, high: float, fits: Callable[[float], bool]) -> float:
    """The least value for which it fits, to a relative precision, by bisection of the logarithm; `high` fits."""
    if fits(low):
        return low
    while high / low > 1 + _PRECISION:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
