"""40,000 feeds polled with one token: the plan, and a simulation of days that uses the real schedule.

The simulation has events that arrive by chance (Poisson, each feed at its own constant rate) and a clock that jumps
from poll to poll; requests take no time, and the plan is made every 20 minutes instead of every one. Everything else
is the code of `starsearch poll`: rates are estimated from what polls bring, intervals follow, the paces hold requests
back. Rates are lognormal with sigma 3, scaled to a total: few repositories have most of the events, and of 60,000 an
hour over a fifth of the repositories have less than one a month.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.report import Report, paired, timed
from resources.github_events import HORIZON, POLL_INTERVAL
from starsearch_assets.polling import plan as planning
from starsearch_assets.polling.plan import DAY, HOUR, HOURLY_REQUESTS, Floats
from starsearch_assets.polling.rates import first_rate
from starsearch_assets.polling.schedule import REPLAN_SECONDS, Feed, Schedule

FEEDS, RESERVE = 40_000, 0.1
WITHIN, BEYOND = 60_000, 600_000
"""Events an hour in all feeds: what 4,500 requests can carry, and what they cannot."""
LATER = 1.25
"""Simulated mean lag over the planned one: rates have to be estimated, and a feed that is due may have to wait."""
SORTING = 40.0

_SIGMA, _BUSIEST = 3.0, 15_000 / HOUR
_SETTLING, _MEASURED = 12 * HOUR, 24 * HOUR
_SAMPLED = 20  # lags of one poll
_CLASSES = {"busy": 10 / HOUR, "active": 1 / DAY, "quiet": planning.SMALL, "silent": 0.0}
"""By events: at least 10 an hour, 1 a day, 1 in 30 days, or less."""


def run(repetitions: int = 5) -> Report:
    """Plans of both loads, their simulation, and how long planning takes."""
    report = Report(
        f"polling: {FEEDS:,} feeds, {HOURLY_REQUESTS:,} requests an hour of which {RESERVE:.0%} are reserved"
    )
    for name, total in (("within", WITHIN), ("beyond", BEYOND)):
        _load(report, name, total)
    _planning(report, repetitions)
    return report


def rates(total: float) -> Floats:
    """Events a second of each feed; `total` an hour in all."""
    drawn = np.random.default_rng(0).lognormal(0, _SIGMA, FEEDS)
    for _ in range(20):  # capping the busiest takes from the total
        drawn = np.minimum(drawn * (total / HOUR / drawn.sum()), _BUSIEST)
    return drawn


@dataclass
class Seen:
    """What a simulation saw after it had settled. lags: (class, seconds, how many events it stands for)."""

    first_pass: float = 0.0
    charged: Counter[int] = field(default_factory=Counter)
    requests: Counter[int] = field(default_factory=Counter)
    lags: list[tuple[int, float, float]] = field(default_factory=list)
    events: int = 0
    missed: int = 0


def _load(report: Report, name: str, total: int) -> None:
    truth = rates(total)
    floors = np.full(FEEDS, POLL_INTERVAL)
    allowed = planning.budget(HOURLY_REQUESTS, RESERVE)
    plan = planning.plan(truth, floors, allowed)
    intervals = plan.intervals(truth, floors)
    with timed() as timer:
        seen = simulate(truth)
    report.row(f"{name}: {total:,} events an hour", "planned", "simulated", "of an hour")
    charged, requests = max(seen.charged.values()), max(seen.requests.values())
    for what, expected, most, limit in (
        ("charged", plan.charged, charged, allowed.charged),
        ("all", plan.requests, requests, allowed.requests),
    ):
        report.row(
            f"{what} requests an hour (simulated: the fullest)", f"{expected:,.0f}", f"{most:,}", f"{limit:,.0f}"
        )
    report.row("feeds may overflow; 24 hours stretched by", str(plan.crowded), f"{plan.stretch:.2f}")
    report.row("events missed because a feed overflowed", "", f"{seen.missed / max(seen.events, 1):.2%}")
    report.row("hours until every feed was polled once", "", f"{seen.first_pass / HOUR:.1f}")
    report.row("lag in minutes: mean / p95 / max", "planned", "simulated", "feeds")
    places = _classes(truth)
    order = np.random.default_rng(1)
    table = np.array(seen.lags)
    for number, label in enumerate(_CLASSES):
        here = places == number
        if not here.any() or not (table[:, 0] == number).any():
            continue
        # Events that are seen: of a feed that overflows, the newest 300 of each poll.
        share = np.minimum(truth, HORIZON / intervals)[here]
        drawn = order.choice(np.flatnonzero(here), 100_000, p=share / share.sum())
        latest = np.minimum(intervals, HORIZON / truth)[drawn]
        planned = _summary(latest * order.random(len(drawn)), np.ones(len(drawn)), intervals[here].max())
        ours = table[table[:, 0] == number]
        simulated = _summary(ours[:, 1], ours[:, 2], ours[:, 1].max())
        report.row(f"  {label}", _minutes(planned), _minutes(simulated), f"{here.sum():,}")
        report.verdict(f"{name}, {label}: mean lag over the planned one", simulated[0] / planned[0], "<=", LATER)
    report.verdict(f"{name}: charged requests in the fullest hour", charged, "<=", allowed.charged)
    report.verdict(f"{name}: all requests in the fullest hour", requests, "<=", allowed.requests)
    report.note(f"simulated in {timer.seconds:.0f} s")


def simulate(truth: Floats) -> Seen:
    """Polls from the first one on; measured is a day, half a day after every feed was polled."""
    order, chance = np.random.default_rng(2), random.Random(2)
    schedule = Schedule(HOURLY_REQUESTS, RESERVE)
    places = _classes(truth).tolist()
    true_rates = truth.tolist()
    feeds = [Feed(str(number)) for number in range(FEEDS)]
    schedule.add(feeds)
    seen = Seen()
    now, replan_at, unseen, until = 1.0, 0.0, FEEDS, float("inf")
    while now < until:
        if now >= replan_at:
            schedule.replan()
            replan_at = now + 20 * REPLAN_SECONDS
        feed = schedule.take(now)
        if feed is None:
            now += max(min(schedule.wait(now), replan_at - now), 1e-6)
            continue
        number = int(feed.name)
        rate, before = true_rates[number], feed.polled_at
        elapsed = 30 * DAY if before is None else now - before
        mean = rate * elapsed
        arrived = int(order.poisson(mean)) if mean > 1e-4 or chance.random() < mean else 0
        events = min(arrived, HORIZON)
        pages = min(events // 100 + 1, 3)
        charged = pages if events or before is None else 0
        first = None
        if before is None or arrived >= HORIZON:
            span = elapsed * events / max(arrived, 1)
            first = first_rate((_at(now - span * chance.random() ** (1 / events)) for _ in range(events)), _at(now))
        feed.answered(events, now, rate=first)
        feed.etag = "x"
        if before is None:
            unseen -= 1
            if not unseen:
                seen.first_pass, until = now, now + _SETTLING + _MEASURED
        elif now >= until - _MEASURED:
            seen.events += arrived
            seen.missed += arrived - events
            for _ in range(min(events, _SAMPLED)):
                lag = chance.random() * elapsed * events / arrived
                seen.lags.append((places[number], lag, events / min(events, _SAMPLED)))
        hour = int(now // HOUR)
        seen.charged[hour] += charged
        seen.requests[hour] += pages
        schedule.settle(feed, pages, charged, now)
        schedule.put(feed)
    return seen


def _classes(truth: Floats) -> np.ndarray:
    return np.select([truth >= least for least in _CLASSES.values()], list(range(len(_CLASSES))))


def _summary(lags: Floats, weights: Floats, longest: float) -> tuple[float, float, float]:
    by_lag = np.argsort(lags)
    share = np.cumsum(weights[by_lag]) / weights.sum()
    return float(np.average(lags, weights=weights)), float(lags[by_lag][np.searchsorted(share, 0.95)]), float(longest)


def _minutes(summary: tuple[float, float, float]) -> str:
    return "/".join(f"{seconds / 60:.0f}" if seconds >= 600 else f"{seconds / 60:.1f}" for seconds in summary)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def _planning(report: Report, repetitions: int) -> None:
    truth = rates(WITHIN).tolist()
    schedule = Schedule(HOURLY_REQUESTS, RESERVE)
    schedule.add(Feed(str(n), rate=rate, polled_at=float(n % 977), etag="x") for n, rate in enumerate(truth))
    feeds = list(schedule.feeds.values())

    def ours() -> float:
        with timed() as timer:
            schedule.replan()
        return timer.seconds

    def floor() -> float:
        with timed() as timer:
            sorted(feeds, key=lambda feed: feed.next_at)
        return timer.seconds

    pairs = paired(ours, floor, repetitions)
    report.row("planning", "ours", "sorting", "ratio")
    report.row(
        f"plan and queue of {FEEDS:,} feeds",
        f"{pairs.ours_median * 1000:.0f} ms",
        f"{pairs.floor_median * 1000:.0f} ms",
        f"{pairs.slowdown:.1f}",
    )
    report.verdict("seconds of planning over those of sorting the feeds", pairs.slowdown, "<=", SORTING)
    report.verdict("share of a core that planning takes", pairs.ours_median / REPLAN_SECONDS, "<=", 0.01)
