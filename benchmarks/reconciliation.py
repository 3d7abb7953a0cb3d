"""A day of many tracked repositories: its plan within the rate limit, and what a smaller day really takes."""

from __future__ import annotations

import asyncio
from datetime import date

from benchmarks.double import double
from benchmarks.report import Report, timed
from benchmarks.server import temporary_database
from resources.github import GitHub
from resources.github_items import REPOSITORIES_A_QUERY
from starsearch_assets.content.tracking import Resolved, add, resolve
from starsearch_assets.reconciliation.plan import HOURLY_POINTS, Plan, plan_day
from starsearch_assets.reconciliation.process import reconcile_day

RESERVE = 0.1
_RECONCILED, _RESOLVED = 1000, 4000
_ITEMS, _BUSY_ITEMS = 6, 20  # on the day: all on the first page of each list; one page more of pull requests
_DAY = date(2025, 1, 1)


def measure(report: Report, repositories: int) -> None:
    """The plan for so many, then a plan and what the double counted for it, then names resolved to ids."""
    report.row("a day's reconciliation", "queries", "points", "of an hour")
    plan = _planned(report, f"plan for {repositories:,} repositories", plan_day(repositories, RESERVE))
    report.note(f"at least {plan.minutes_at_least:.1f} minutes, because queries a minute are limited, too")
    report.verdict("points of the plan over those of an hour without its reserve", plan.hours, "<=", 1)
    options = {"repositories": _RESOLVED, "items": _ITEMS, "busy_items": _BUSY_ITEMS, "hourly_points": HOURLY_POINTS}
    with temporary_database() as (database, _), double(**options) as github:
        settings = github.settings(github_reserve=RESERVE)
        names = [f"octo/repository-{number}" for number in range(1, _RESOLVED + 1)]
        with timed() as timer:
            resolved = asyncio.run(resolve(GitHub(settings), names))
        resolving = github.stats()
        assert len(resolved.by_name) == len(names), f"{len(resolved.by_name):,} names resolved"
        some = names[:_RECONCILED]
        add(database, some, Resolved({name: resolved.by_name[name] for name in some}))
        planned = _planned(report, f"plan for {_RECONCILED:,} repositories", plan_day(_RECONCILED, RESERVE))
        with timed() as day:
            result = reconcile_day(database, _DAY, lambda: GitHub(settings), RESERVE)
        assert result is not None
        assert (result.repositories, result.failed) == (_RECONCILED, 0), result
        counted = github.stats()
        queries, points = counted.queries - resolving.queries, counted.points - resolving.points
        report.row(f"the same, asked ({result.items:,} items)", f"{queries:,}", f"{points:,}", f"{day.seconds:.1f} s")
    report.verdict(f"points used for {_RECONCILED:,} repositories, of the plan's", points, "<=", planned.points)
    report.row(f"{_RESOLVED:,} names resolved to ids", f"{resolving.queries:,}", "", f"{timer.seconds:.1f} s")
    most = _RESOLVED / REPOSITORIES_A_QUERY
    report.verdict(f"queries to resolve {_RESOLVED:,} names", resolving.queries, "<=", most)
    report.verdict("limits exceeded, as the double counts", counted.limit_violations, "<=", 0)


def _planned(report: Report, label: str, plan: Plan) -> Plan:
    report.row(label, f"{plan.queries:,}", f"{plan.points:,}", f"{plan.hours:.0%}")
    return plan
