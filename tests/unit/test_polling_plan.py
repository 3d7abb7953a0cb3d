"""The plan of polling, its estimates, and the schedule that carries it out: properties, without any clock."""

from __future__ import annotations

import itertools
import math
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.github_events import FeedEvent
from starsearch_assets.polling import plan as planning
from starsearch_assets.polling.cursor import KEPT, Cursor
from starsearch_assets.polling.pace import Pace
from starsearch_assets.polling.plan import DAY, HOUR, UTILIZATION, Budget, Floats, plan
from starsearch_assets.polling.rates import first_rate, next_rate
from starsearch_assets.polling.schedule import Feed, Schedule
from tests.factories import at

RATES = st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1.0)), min_size=1, max_size=60)
BUDGETS = st.builds(Budget, charged=st.floats(10, 50_000), requests=st.floats(10, 100_000))


def floors(rates: list[float], floor: float) -> Floats:
    return np.full(len(rates), floor)


@given(RATES, BUDGETS, st.floats(1, 600))
def test_the_budget_is_never_exceeded(rates: list[float], budget: Budget, floor: float) -> None:
    """Neither what costs nor what is asked, whatever the rates; and X-Poll-Interval is always obeyed."""
    array = np.array(rates)
    found = plan(array, floors(rates, floor), budget)
    intervals = found.intervals(array, floors(rates, floor))
    assert planning.charged_an_hour(array, intervals) <= budget.charged * UTILIZATION * 1.000001
    assert planning.requests_an_hour(array, intervals) <= budget.requests * UTILIZATION * 1.000001
    assert np.all(intervals >= floor * 0.999999)
    assert found.stretch >= 1


@given(RATES, BUDGETS, st.floats(1, 600))
def test_the_budget_is_used(rates: list[float], budget: Budget, floor: float) -> None:
    """Shorter intervals would exceed it, unless all are as short as GitHub allows already."""
    array = np.array(rates)
    found = plan(array, floors(rates, floor), budget)
    intervals = found.intervals(array, floors(rates, floor))
    shorter = np.maximum(intervals * 0.99, floor)
    used = max(
        planning.charged_an_hour(array, shorter) / budget.charged,
        planning.requests_an_hour(array, shorter) / budget.requests,
    )
    at_the_ceiling = found.c * 0.999 / np.sqrt(array + planning.SMALL)
    assert used > UTILIZATION * 0.985 or np.all(shorter <= floor * 1.0001) or np.all(at_the_ceiling <= floor * 1.001)


@given(RATES, BUDGETS)
def test_busier_feeds_are_polled_at_least_as_often(rates: list[float], budget: Budget) -> None:
    """With one X-Poll-Interval for all; none more rarely than once a day or so that it overflows, if that fits."""
    array = np.sort(np.array(rates))
    found = plan(array, floors(rates, 60), budget)
    intervals = found.intervals(array, floors(rates, 60))
    assert np.all(np.diff(intervals) <= 1e-9 * intervals[:-1])
    if found.stretch == 1:
        assert np.all(intervals <= DAY)
    if not found.crowded:
        assert found.stretch == 1
        assert np.all((array * intervals <= 150.001) | (intervals <= 60))


@given(RATES, BUDGETS, st.floats(1, 600))
def test_one_feed_at_a_time_is_the_same_plan(rates: list[float], budget: Budget, floor: float) -> None:
    """`interval` of a feed is its place in `intervals`."""
    array = np.array(rates)
    found = plan(array, floors(rates, floor), budget)
    assert [found.interval(rate, floor) for rate in rates] == pytest.approx(
        found.intervals(array, floors(rates, floor)).tolist()
    )


def test_no_other_division_of_the_same_polls_is_better() -> None:
    """Where no limit binds but the number of requests: the mean lag is least at 1/sqrt(rate)."""
    rates = np.array([1e-5, 1e-4, 1e-3])
    found = plan(rates, np.full(3, 1.0), Budget(1e9, 60))
    best = found.intervals(rates, np.full(3, 1.0))
    assert best * np.sqrt(rates + planning.SMALL) == pytest.approx(np.full(3, found.c))
    polls = 1 / best
    order = np.random.default_rng(0)
    for _ in range(200):
        other = polls * order.uniform(0.5, 2, 3)
        other *= polls.sum() / other.sum()
        assert planning.lag(rates, 1 / other) >= planning.lag(rates, best) * 0.999


def test_no_feeds_no_plan() -> None:
    """An empty list is planned like any other."""
    assert plan(np.empty(0), np.empty(0), Budget(5000, 27_000)) == planning.Plan(0.0)


@given(st.floats(1e-7, 0.1))
def test_the_estimate_finds_a_steady_rate(rate: float) -> None:
    """From whatever it was before, after so much time as holds some fifty events, to within a fifth."""
    estimate, elapsed, carried = 1 / DAY, min(max(0.5 / rate, 60.0), DAY), 0.0
    for _ in range(int(60 / rate / elapsed) + 1000):
        carried += rate * elapsed
        estimate = next_rate(estimate, int(carried), elapsed)
        carried -= int(carried)
        elapsed = min(max(0.5 / rate, 60.0), DAY)
    floor = planning.SMALL
    assert estimate == pytest.approx(rate, rel=0.35, abs=floor)


@given(st.lists(st.floats(0, 1e7), max_size=40), st.floats(0, 1e6), st.integers(0, 300))
def test_estimates_are_finite_and_not_negative(ages: list[float], elapsed: float, events: int) -> None:
    """Events of the same second, of the future, none at all, no time between two polls."""
    now = at("2026-01-01 00:00")
    first = first_rate([now - timedelta(seconds=age - 10) for age in ages], now)
    then = next_rate(first, events, elapsed)
    assert math.isfinite(first) and first > 0
    assert math.isfinite(then) and then >= 0


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 3)), min_size=1, max_size=300))
def test_the_pace_is_kept_in_every_hour(steps: list[tuple[float, float]]) -> None:
    """Whoever waits as told spends no more in any hour than is allowed, and one request beyond."""
    pace, now, spent = Pace(360, 20), 1e9, []
    for pause, amount in steps:
        now += pause
        now += pace.wait(now)
        assert pace.wait(now) == 0
        pace.spend(amount, now)
        spent.append((now, amount))
    for start, _ in spent:
        assert sum(amount for time, amount in spent if start <= time < start + HOUR) <= 360 + 3


def test_a_schedule_hands_out_what_is_due_and_no_feed_starves_another() -> None:
    """Seen and unseen feeds take turns; a feed that is out is not handed out twice; a removed one never comes back."""
    schedule = Schedule(5000, 0.0)
    schedule.add([Feed(f"seen/{n}", rate=1e-3, polled_at=0.0, etag="x") for n in range(3)])
    schedule.add([Feed(f"new/{n}") for n in range(3)])
    schedule.replan()
    now = 1e6
    taken = [schedule.take(now) for _ in range(6)]
    assert schedule.take(now) is None
    assert schedule.wait(now) == math.inf
    names = [feed.name for feed in taken if feed is not None]
    assert len(set(names)) == 6
    assert all(a.partition("/")[0] != b.partition("/")[0] for a, b in itertools.pairwise(names))
    feed = taken[0]
    assert feed is not None
    schedule.remove([feed.name])
    schedule.put(feed)
    assert schedule.wait(now) == math.inf


def test_failures_wait_longer_each_time() -> None:
    """A fault up to 15 minutes, an absent feed up to a day; an answer ends it; X-Poll-Interval holds in any case."""
    feed = Feed("x", floor=60)
    waits = []
    for _ in range(8):
        feed.failed(0.0)
        waits.append(feed.next_at)
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (60, 900)
    for _ in range(12):
        feed.failed(0.0, absent=True)
    assert feed.next_at == DAY
    feed.answered(0, 100.0, rate=1e-5)
    assert (feed.failures, feed.absent, feed.next_at) == (0, False, 160.0)


def happened(number: int, time: str = "2026-01-01 00:00") -> FeedEvent:
    return FeedEvent(b"{}", f"{number}", at(time))


@given(st.lists(st.integers(0, 2000), max_size=900), st.lists(st.integers(0, 2000), max_size=300))
def test_a_cursor_knows_the_newest(older: list[int], newer: list[int]) -> None:
    """All of the last poll, and of those before as many as it keeps; nothing else."""
    first = Cursor(Cursor().after([happened(n) for n in older]))
    both = Cursor(first.after([happened(n) for n in newer]))
    expected = list(dict.fromkeys([*newer, *list(dict.fromkeys(older))[:KEPT]]))[:KEPT]
    assert len(both.packed) == 8 * len(expected)
    assert all(both.knows(happened(n)) for n in expected)
    assert not any(both.knows(happened(n)) for n in range(2001) if n not in set(expected))


def test_when_a_gap_is_one() -> None:
    """Only after a first poll, with something on offer of which nothing is known, and not for age alone."""
    now, old = at("2026-02-01 00:00"), at("2026-01-31 00:00")
    offered = [happened(n, "2026-01-31 12:00") for n in range(50)]
    known = Cursor().after([happened(999)])
    assert Cursor().gap(offered, now) is None
    assert Cursor(known, old, old).gap([], now) is None
    assert Cursor(known, old, old).gap([*offered, happened(999)], now) is None
    assert Cursor(known, old, old).gap(offered, now) == (old, at("2026-01-31 12:00"))
    expired = at("2025-12-31 00:00")
    assert Cursor(known, expired, old).gap(offered, now) is None
    assert Cursor(known, expired, old).gap(offered * 4, now) == (expired, at("2026-01-31 12:00"))
    assert Cursor(b"", None, old).gap(offered * 4, now) == (old, at("2026-01-31 12:00"))
