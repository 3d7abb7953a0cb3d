"""How many events a feed brings, from what it brought."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from starsearch_assets.polling.plan import DAY, HOUR, SMALL

PRIOR = 1 / DAY
"""Events a second of a feed that nobody has seen: one a day."""
_MEMORY_EVENTS = 8
_SHORTEST_MEMORY, _LONGEST_MEMORY = 6 * HOUR, 30 * DAY
_MOST = 100.0


def first_rate(times: Iterable[datetime], now: datetime) -> float:
    """From the times of all events that a feed offers, at its first poll or when more came than it offers.

    n events of which the oldest is t seconds old: (n - 1) / t, which is what Poisson arrivals make of it; at least
    what they are of the 30 days that a feed looks back.
    """
    ages = [max((now - time).total_seconds(), 0.0) for time in times]
    if not ages:
        return SMALL / 2
    return min(max((len(ages) - 1) / max(*ages, 60.0), (len(ages) + 0.5) * SMALL), _MOST)


def next_rate(rate: float, events: int, elapsed: float) -> float:
    """The estimate after `events` more in `elapsed` seconds: an exponentially weighted mean.

    It remembers about 8 events, but no less than 6 hours and no more than 30 days: days of quiet feeds weigh as much
    as minutes of busy ones, and no single event makes a quiet feed look busy.
    """
    if elapsed <= 0:
        return rate
    memory = min(max(_MEMORY_EVENTS / max(rate, SMALL), _SHORTEST_MEMORY), _LONGEST_MEMORY)
    old = math.exp(-elapsed / memory)
    return min(old * rate + (1 - old) * events / elapsed, _MOST)
