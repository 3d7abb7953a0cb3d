"""The measures of projects: one definition each, over any repositories and any window.

Days are UTC. Bots are never people; what nobody known did counts for nobody. Definitions follow CHAOSS
(https://chaoss.community/kb-metrics-and-metrics-models/) where it has one, and name where they come from.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

from answering.insights.basis import Basis, Insight, Link, opened
from answering.retrieval import GITHUB, Scope
from resources.postgres import Database

Level = Literal["very high", "high", "moderate", "low"]
By = Literal["pull_requests", "commits"]
DONE = (
    "commits",
    "pull_requests_opened",
    "pull_requests_merged",
    "pull_requests_closed",
    "reviews",
    "review_comments",
    "issues_opened",
    "issues_closed",
    "comments",
    "releases",
)
"""What people do, each once: columns of contributor_days. Opening and its end are two contributions."""

CONFIDENCE_DAYS = 30
"""Days within which who starred or forked has to contribute."""

_TOTAL = " + ".join(DONE)
_COUNTED: dict[By, str] = {"pull_requests": "pull_requests_opened", "commits": "commits"}
_IN_WINDOW = "repo_id = ANY (%(repo_ids)s) AND day >= %(since)s AND day < %(until)s"
_PEOPLE = f"{_IN_WINDOW} AND NOT is_bot AND person <> ''"
_COHORTS = ("new", "returning", "staying", "gone")
_SHOWN = 5
_NOTHING = "no day of this window was counted: materialize contributor_days, or ask for another window"
_NO_COMMITS = (
    "no git history was read, and events do not tell whose commits a push holds: `starsearch repos add NAME --git`"
    " fetches it"
)


def smallest_majority(counts: Sequence[int]) -> int:
    """The least number of counts, taken largest first, that reach half of their sum.

    Raises:
        ValueError: no positive count, for which the factor is undefined.
    """
    total = sum(counts)
    if total <= 0 or min(counts) < 0:
        raise ValueError("the lottery factor is undefined without contributions")
    running = 0
    for number, count in enumerate(sorted(counts, reverse=True), 1):
        running += count
        if 2 * running >= total:
            return number
    raise AssertionError("unreachable: all counts together reach their sum")


def level(factor: int) -> Level:
    """The risk that a lottery factor stands for, with the original's edges: 1, 2, 3 to 4, 5 and more."""
    return "very high" if factor <= 1 else "high" if factor == 2 else "moderate" if factor <= 4 else "low"


@dataclass(frozen=True)
class Share:
    """What one person did. share: of all contributions by people, 0 to 1; shares sum to 1."""

    person: str
    contributions: int
    share: float


@dataclass(frozen=True)
class LotteryFactor:
    """factor: the smallest number of people; level: of the risk; total: contributions by people; most first."""

    factor: int
    level: Level
    total: int
    people: tuple[Share, ...]


def lottery_factor(
    tools: Database, scope: Scope, *, by: By = "pull_requests", as_of: date | None = None
) -> Insight[LotteryFactor]:
    """The smallest number of people who together made at least half of the contributions (CHAOSS: Contributor Absence
    Factor, before that Bus Factor): pull requests opened, or commits, authored and co-authored alike, without merges.

    Formula: least n with c1 + … + cn >= (c1 + … + cm) / 2, where c1 >= c2 >= … are the people's counts.
    """
    with opened(tools, scope, as_of) as basis:
        people = _shares(basis, _COUNTED[by])
        name = "lottery_factor" if by == "pull_requests" else "commit_lottery_factor"
        if not people:
            return basis.result(name, None, _no_contributions(basis, by))
        factor = smallest_majority([one.contributions for one in people])
        figures = LotteryFactor(factor, level(factor), sum(one.contributions for one in people), tuple(people))
        return basis.result(name, figures, evidence=_by_people(basis, people[: max(factor, _SHOWN)], by))


@dataclass(frozen=True)
class Contributors:
    """total: contributions of every sort by people; most first."""

    total: int
    people: tuple[Share, ...]


def contributor_share(
    tools: Database, scope: Scope, *, by: By | None = None, as_of: date | None = None
) -> Insight[Contributors]:
    """Each person's share of the contributions: of everything in `DONE`, or of one sort (CHAOSS: Contributors, Types of
    Contributions). Formula: ci / (c1 + … + cm)."""
    with opened(tools, scope, as_of) as basis:
        people = _shares(basis, _COUNTED[by] if by else _TOTAL)
        if not people:
            return basis.result("contributor_share", None, _no_contributions(basis, by))
        figures = Contributors(sum(one.contributions for one in people), tuple(people))
        return basis.result("contributor_share", figures, evidence=_by_people(basis, people[:_SHOWN], by))


@dataclass(frozen=True)
class Cohorts:
    """People of a window. active: who did anything in it, which are new (first ever seen in it), returning (seen
    before, but not in the window of the same length before it) and staying (in both). gone: in that one, not in this.
    new, returning and gone are None where that earlier window was not counted whole."""

    active: int
    new: tuple[str, ...] | None
    returning: tuple[str, ...] | None
    staying: tuple[str, ...] | None
    gone: tuple[str, ...] | None


def cohorts(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[Cohorts]:
    """New, staying, returning and gone contributors (CHAOSS: New Contributors, Inactive Contributors; the original's
    new, active and alumni). Without `since`: the newest 90 days, or the newer half where fewer were counted."""
    with opened(tools, scope, as_of, recent=True) as basis:
        if basis.since is None:
            return basis.result("cohorts", None, _NOTHING)
        rows = basis.rows(
            "WITH seen AS (SELECT person, bool_or(day >= %(since)s) AS is_now, bool_or(day < %(since)s) AS was_before"
            "  FROM contributor_days WHERE repo_id = ANY (%(repo_ids)s) AND day >= %(before)s AND day < %(until)s"
            "  AND NOT is_bot AND person <> '' GROUP BY 1), first AS (SELECT person, min(day) AS day"
            "  FROM first_contributions WHERE repo_id = ANY (%(repo_ids)s) GROUP BY 1)"
            " SELECT CASE WHEN NOT is_now THEN 'gone' WHEN was_before THEN 'staying'"
            "  WHEN first.day < %(since)s THEN 'returning' ELSE 'new' END, person"
            " FROM seen LEFT JOIN first USING (person) ORDER BY person"
        )
        people = {name: tuple(person for of, person in rows if of == name) for name in _COHORTS}
        active = len(rows) - len(people["gone"])
        figures = Cohorts(active, **people) if basis.whole_before else Cohorts(active, None, None, None, None)
        evidence = basis.pages("graphs/contributors")
        return basis.result("cohorts", figures, evidence=evidence)


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
        figures = ResponseTimes(*_waits(basis, "pull_request_answer_seconds", "issue_answer_seconds"))
        if figures.pull_requests is None and figures.issues is None:
            why = _NOTHING if basis.since is None else "nothing got its first response in this window"
            return basis.result("response_times", None, why)
        return basis.result("response_times", figures, evidence=basis.pages("issues?q=sort%3Acomments-desc"))


def merge_times(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[Waits]:
    """From opening to merge, of pull requests merged inside the window (CHAOSS: Change Requests Duration)."""
    with opened(tools, scope, as_of) as basis:
        (figures,) = _waits(basis, "merge_seconds")
        why = _NOTHING if basis.since is None else "no pull request whose opening is known was merged in this window"
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
            f" FROM repository_days WHERE {_IN_WINDOW}"
        )[0]
        ended = merged + closed
        why = _NOTHING if basis.since is None else "no pull request ended in this window"
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
        pushes = basis.rows(f"SELECT coalesce(sum(main_pushes), 0)::bigint FROM repository_days WHERE {_IN_WINDOW}")[0][
            0
        ]
        if not pushes:
            why = _NOTHING if basis.since is None else "no event told of a push to main or master in this window"
            return basis.result("unreviewed_pushes", None, why)
        people = basis.rows(
            f"SELECT person, count(*) FROM unreviewed_pushes WHERE {_IN_WINDOW} AND NOT is_bot GROUP BY 1"
            " ORDER BY 2 DESC, 1"
        )
        newest = basis.rows(
            "SELECT r.name, p.head FROM unreviewed_pushes p JOIN repositories r USING (repo_id)"
            f" WHERE {_IN_WINDOW} AND NOT is_bot AND head <> '' ORDER BY day DESC, pushed_at DESC LIMIT %(shown)s",
            shown=_SHOWN,
        )
        links = tuple(basis.link(f"{name} {head[:12]}", name, f"commit/{head}") for name, head in newest)
        total = sum(count for _, count in people)
        figures = UnreviewedPushes(pushes, total, total / pushes, tuple(people))
        return basis.result("unreviewed_pushes", figures, evidence=links or basis.pages("commits"))


@dataclass(frozen=True)
class Confidence:
    """interested: people who first starred or forked; contributed: those of them who then did anything within 30 days;
    confidence: their share, 0 to 1. undecided: whose 30 days are not over, and who have done nothing yet."""

    interested: int
    contributed: int
    confidence: float
    undecided: int


def contributor_confidence(tools: Database, scope: Scope, *, as_of: date | None = None) -> Insight[Confidence]:
    """How likely those who star or fork come back to contribute: of the people whose first star or fork of a repository
    lies in the window, the share who contributed to it on that day or in the 30 after it. The original's contributor
    confidence (https://news.opensauced.pizza/boosting-your-open-source-project-with-contributor-confidence), without
    its weights, which are not published."""
    with opened(tools, scope, as_of) as basis:
        if basis.since is None:
            return basis.result("contributor_confidence", None, _NOTHING)
        interested, contributed, undecided = basis.rows(
            "WITH interested AS (SELECT repo_id, person, min(day) AS day FROM first_interests"
            "  WHERE repo_id = ANY (%(repo_ids)s) GROUP BY 1, 2), chosen AS ("
            " SELECT i.*, EXISTS (SELECT FROM contributor_days d WHERE d.repo_id = i.repo_id AND d.person = i.person"
            "  AND d.day >= i.day AND d.day <= i.day + %(days)s AND d.day < %(end)s) AS came"
            " FROM interested i WHERE i.day >= %(since)s AND i.day < %(until)s)"
            " SELECT count(*), count(*) FILTER (WHERE came),"
            " count(*) FILTER (WHERE NOT came AND day + %(days)s >= %(end)s) FROM chosen",
            days=CONFIDENCE_DAYS, end=basis.end,
        )[0]  # fmt: skip
        figures = Confidence(interested, contributed, contributed / interested, undecided) if interested else None
        return basis.result(
            "contributor_confidence",
            figures,
            "nobody was seen to star or fork in this window",
            basis.pages("stargazers"),
        )


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
            why = _NOTHING if basis.since is None else "no release was published in this window"
            return basis.result("release_cadence", None, why)
        gaps = [days_between(a[4], b[4]) for a, b in pairwise(stable) if a[0] == b[0]]
        newest = max(stable or rows, key=lambda row: row[4])
        figures = Cadence(len(stable), len(rows) - len(stable), statistics.median(gaps) if gaps else None, newest[2],
                          (basis.until - timedelta(days=1) - newest[4].date()).days)  # fmt: skip
        latest = sorted(rows, key=lambda row: row[4], reverse=True)[:_SHOWN]
        return basis.result("release_cadence", figures, evidence=tuple(
            basis.link(f"{row[1]} {row[2]}", row[1], row[5]) for row in latest
        ))  # fmt: skip


def days_between(earlier: datetime, later: datetime) -> float:
    """Days, with fractions."""
    return (later - earlier) / timedelta(days=1)


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
            return basis.result("activity_trend", None, _NOTHING)
        days = (basis.until - basis.since).days
        step: Literal["day", "week", "month"] = "day" if days <= 31 else "week" if days <= 366 else "month"
        rows = basis.rows(
            "SELECT p.first::date, coalesce(c.done, 0)::bigint, coalesce(c.people, 0) FROM generate_series("
            f"date_trunc('{step}', %(since)s::timestamp), %(until)s::timestamp - INTERVAL '1 day', '1 {step}')"
            f" AS p (first) LEFT JOIN (SELECT date_trunc('{step}', day::timestamp) AS first, sum({_TOTAL}) AS done,"
            f" count(DISTINCT person) AS people FROM contributor_days WHERE {_PEOPLE} GROUP BY 1) c USING (first)"
            " ORDER BY 1"
        )
        periods = tuple(Period(*row) for row in rows)
        total, before = sum(one.contributions for one in periods), None
        if basis.whole_before:
            before = int(basis.rows(
                f"SELECT coalesce(sum({_TOTAL}), 0) FROM contributor_days WHERE repo_id = ANY (%(repo_ids)s)"
                " AND day >= %(before)s AND day < %(since)s AND NOT is_bot AND person <> ''"
            )[0][0])  # fmt: skip
        change = total / before - 1 if before else None
        return basis.result(
            "activity_trend", Trend(step, total, before, change, periods), evidence=basis.pages("pulse")
        )


def _shares(basis: Basis, counted: str) -> list[Share]:
    """Everybody with a contribution, most first; ties by name."""
    rows: list[tuple[Any, ...]] = basis.rows(
        f"SELECT person, sum({counted})::bigint FROM contributor_days WHERE {_PEOPLE}"
        f" GROUP BY 1 HAVING sum({counted}) > 0 ORDER BY 2 DESC, 1"
    )
    total = sum(row[1] for row in rows)
    return [Share(person, count, count / total) for person, count in rows]


def _no_contributions(basis: Basis, by: By | None) -> str:
    if basis.since is None:
        return _NOTHING
    if by == "commits":
        return _NO_COMMITS if not basis.coverage().with_commits else "no commit by a person was read in this window"
    return f"no {'pull request' if by else 'contribution'} by a person was read in this window"


def _waits(basis: Basis, *columns: str) -> list[Waits | None]:
    """Median and 90th percentile of the seconds of each column, interpolated between ranks."""
    listed = ", ".join(f"({place}, {column})" for place, column in enumerate(columns))
    rows = basis.rows(
        "SELECT place, count(*), percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) FROM repository_days"
        f" CROSS JOIN LATERAL (VALUES {listed}) AS waited (place, listed) CROSS JOIN unnest(listed) AS seconds"
        f" WHERE {_IN_WINDOW} GROUP BY 1"
    )
    found = {place: Waits(number, *percentiles) for place, number, percentiles in rows}
    return [found.get(place) for place in range(len(columns))]


def _merged(basis: Basis) -> tuple[Link, ...]:
    return basis.pages("pulls?q=is%3Apr+is%3Amerged")


def _by_people(basis: Basis, people: Sequence[Share], by: By | None) -> tuple[Link, ...]:
    """Where each person's work can be seen: in the one repository that was asked about, or on their own page."""
    links = []
    for one in people:
        login = one.person.removeprefix("@")
        if not one.person.startswith("@"):
            continue
        if len(basis.pages_of) != 1:
            links.append(Link(one.person, f"{GITHUB}/{login}"))
        else:
            path = f"commits?author={login}" if by == "commits" else f"pulls?q=is%3Apr+author%3A{login}"
            links.append(basis.link(one.person, next(iter(basis.pages_of)), path))
    return tuple(links) or basis.pages("graphs/contributors")
