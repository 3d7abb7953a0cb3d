"""The measures of how projects work: how soon they answer, merge and release, what bypasses review, the trend.

One definition each, over any repositories and any window of days (UTC), after CHAOSS
(https://chaoss.community/kb-metrics-and-metrics-models/) where it has one.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Literal

from answering.insights.basis import IN_WINDOW, NOTHING, PEOPLE, SHOWN, TOTAL, Basis, Insight, Link, opened
from answering.retrieval import Scope
from resources.postgres import Database


@dataclass(frozen=True)
class Waits:
    """Seconds. number: of what was waited for; median; p90: the time within which nine of ten were served."""

    number: int
    median: float
    p90: float


@dataclass(frozen=True)
class ResponseTimes:
    """None: nothing was answered in the window."""

    pull_requests: Waits | None
    issues: Waits | None


def response_times(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[ResponseTimes]:
    """Time to first response (CHAOSS): from opening to the first comment or review by somebody else who is no bot, of
    what got it inside the window. What has had no response yet is not in it."""
    with opened(tools, scope, as_of) as basis:
        figures = ResponseTimes(*_waits(basis, "pull_request_answer", "issue_answer"))
        if figures.pull_requests is None and figures.issues is None:
            why = NOTHING if basis.since is None else "nothing got its first response in this window"
            return basis.result("response_times", None, why)
        return basis.result("response_times", figures, evidence=basis.pages("issues?q=sort%3Acomments-desc"))


def merge_times(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[Waits]:
    """From opening to merge, of pull requests merged inside the window (CHAOSS: Change Requests Duration)."""
    with opened(tools, scope, as_of) as basis:
        (figures,) = _waits(basis, "merge")
        why = NOTHING if basis.since is None else "no pull request whose opening is known was merged in this window"
        return basis.result("merge_times", figures, why, _merged(basis))


@dataclass(frozen=True)
class MergeRatio:
    """ratio: merged of those that ended, 0 to 1."""

    merged: int
    closed_unmerged: int
    ratio: float


def merge_ratio(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[MergeRatio]:
    """Of the pull requests that ended inside the window, the share that was merged (CHAOSS: Change Request Acceptance
    Ratio). Formula: merged / (merged + closed without a merge)."""
    with opened(tools, scope, as_of) as basis:
        merged, closed = basis.rows(
            "SELECT coalesce(sum(pull_requests_merged), 0)::bigint, coalesce(sum(pull_requests_closed), 0)::bigint"
            f" FROM repository_days WHERE {IN_WINDOW}"
        )[0]
        ended = merged + closed
        why = NOTHING if basis.since is None else "no pull request ended in this window"
        figures = MergeRatio(merged, closed, merged / ended) if ended else None
        return basis.result("merge_ratio", figures, why, _merged(basis))


@dataclass(frozen=True)
class UnreviewedPushes:
    """pushes: to main or master, by anybody; unreviewed: by people; share: their part. people: who, most first."""

    pushes: int
    unreviewed: int
    share: float
    people: tuple[tuple[str, int], ...]


def unreviewed_pushes(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[UnreviewedPushes]:
    """Pushes to main or master beside which (within a minute) no pull request was merged into that branch: they
    bypassed review. The original's unmerged pushes. Only events tell of pushes; bots' are left out."""
    with opened(tools, scope, as_of) as basis:
        query = f"SELECT coalesce(sum(main_pushes), 0)::bigint FROM repository_days WHERE {IN_WINDOW}"
        ((pushes,),) = basis.rows(query)
        if not pushes:
            why = NOTHING if basis.since is None else "no event told of a push to main or master in this window"
            return basis.result("unreviewed_pushes", None, why)
        rows = basis.rows(
            "SELECT repo_id, person, count(*), max(pushed_at) FILTER (WHERE head <> '') FROM unreviewed_pushes"
            f" WHERE {IN_WINDOW} AND NOT is_bot GROUP BY 1, 2"
        )
        counts: Counter[str] = Counter()
        newest_of: dict[int, datetime] = {}
        for repo_id, person, count, newest in rows:
            counts[person] += count
            if newest is not None:
                newest_of[repo_id] = max(newest, newest_of.get(repo_id, newest))
        shown = basis.rows(  # the newest pushes are in the repositories of the newest pushes
            "SELECT r.name, p.head FROM unreviewed_pushes p JOIN repositories r USING (repo_id)"
            " WHERE repo_id = ANY (%(newest)s) AND day >= %(since)s AND day < %(until)s AND NOT is_bot AND head <> ''"
            " ORDER BY pushed_at DESC, repo_id LIMIT %(shown)s",
            newest=sorted(newest_of, key=lambda one: newest_of[one], reverse=True)[:SHOWN], shown=SHOWN,
        )  # fmt: skip
        links = tuple(basis.link(f"{name} {head[:12]}", name, f"commit/{head}") for name, head in shown)
        total = counts.total()
        people = tuple(sorted(counts.items(), key=lambda one: (-one[1], one[0])))
        figures = UnreviewedPushes(pushes, total, total / pushes, people)
        return basis.result("unreviewed_pushes", figures, evidence=links or basis.pages("commits"))


@dataclass(frozen=True)
class Cadence:
    """number: releases in the window, prereleases apart; days_between: the median of the days from one to the next,
    None where fewer than two in a repository; newest: its tag, and days_since, from it to the window's end."""

    number: int
    prereleases: int
    days_between: float | None
    newest: str
    days_since: int


def release_cadence(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[Cadence]:
    """How often releases are published (CHAOSS: Release Frequency). Intervals are those within one repository."""
    with opened(tools, scope, as_of) as basis:
        rows = basis.rows(
            "SELECT i.repo_id, i.repo, i.ref, i.state = 'prerelease', i.created_at, i.url_path FROM items i"
            " WHERE i.kind = 'release' AND i.repo_id = ANY (%(repo_ids)s)"
            " AND i.created_at >= %(since)s::timestamp AT TIME ZONE 'UTC'"
            " AND i.created_at < %(until)s::timestamp AT TIME ZONE 'UTC' ORDER BY i.repo_id, i.created_at"
        )
        stable = [row for row in rows if not row[3]]
        if not rows or basis.until is None:
            why = NOTHING if basis.since is None else "no release was published in this window"
            return basis.result("release_cadence", None, why)
        gaps = [(b[4] - a[4]) / timedelta(days=1) for a, b in pairwise(stable) if a[0] == b[0]]
        newest = max(stable or rows, key=lambda row: row[4])
        figures = Cadence(len(stable), len(rows) - len(stable), statistics.median(gaps) if gaps else None, newest[2],
                          (basis.until - timedelta(days=1) - newest[4].date()).days)  # fmt: skip
        latest = sorted(rows, key=lambda row: row[4], reverse=True)[:SHOWN]
        return basis.result("release_cadence", figures, evidence=tuple(
            basis.link(f"{row[1]} {row[2]}", row[1], row[5]) for row in latest
        ))  # fmt: skip


@dataclass(frozen=True)
class Period:
    """A day, week or month of a window, by its first day. people: who did anything in it."""

    first_day: date
    contributions: int
    people: int


@dataclass(frozen=True)
class Trend:
    """periods: of one length (day, week, month), in order, also those in which nothing happened. change: contributions
    over those of the window of the same length before, less 1; None where that was not counted whole, or was 0."""

    step: Literal["day", "week", "month"]
    contributions: int
    before: int | None
    change: float | None
    periods: tuple[Period, ...]


def activity_trend(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[Trend]:
    """Contributions by people over time, and against the window before (CHAOSS: Activity Dates and Times). Without
    `since`: the newest 90 days, or the newer half where fewer were counted."""
    with opened(tools, scope, as_of, recent=True) as basis:
        if basis.since is None or basis.until is None:
            return basis.result("activity_trend", None, NOTHING)
        days = (basis.until - basis.since).days
        step: Literal["day", "week", "month"] = "day" if days <= 31 else "week" if days <= 366 else "month"
        rows = basis.rows(
            "SELECT p.first::date, coalesce(c.done, 0)::bigint, coalesce(c.people, 0) FROM generate_series("
            f"date_trunc('{step}', %(since)s::timestamp), %(until)s::timestamp - INTERVAL '1 day', '1 {step}')"
            f" AS p (first) LEFT JOIN (SELECT date_trunc('{step}', day::timestamp) AS first, sum({TOTAL}) AS done,"
            f" count(DISTINCT person) AS people FROM contributor_days WHERE {PEOPLE} GROUP BY 1) c USING (first)"
            " ORDER BY 1"
        )
        periods = tuple(Period(*row) for row in rows)
        total, before = sum(one.contributions for one in periods), None
        if basis.whole_before:
            before = int(basis.rows(
                f"SELECT coalesce(sum({TOTAL}), 0) FROM contributor_days WHERE repo_id = ANY (%(repo_ids)s)"
                " AND day >= %(before)s AND day < %(since)s AND NOT is_bot AND person <> ''"
            )[0][0])  # fmt: skip
        change = total / before - 1 if before else None
        return basis.result(
            "activity_trend", Trend(step, total, before, change, periods), evidence=basis.pages("pulse")
        )


def _waits(basis: Basis, *what: str) -> list[Waits | None]:
    """Median and 90th percentile of the seconds of each sort of wait, interpolated between ranks."""
    rows = basis.rows(
        "SELECT what, count(*), percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) FROM waits"
        f" WHERE {IN_WINDOW} AND what = ANY (%(what)s) GROUP BY 1",
        what=list(what),
    )
    found = {one: Waits(number, *percentiles) for one, number, percentiles in rows}
    return [found.get(one) for one in what]


def _merged(basis: Basis) -> tuple[Link, ...]:
    return basis.pages("pulls?q=is%3Apr+is%3Amerged")
