"""The measures of people: who carries a project, who does how much, who came and went, and who comes back.

One definition each, over any repositories and any window of days (UTC), after CHAOSS
(https://chaoss.community/kb-metrics-and-metrics-models/) where it has one. Bots are never people; what nobody known
did counts for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from answering.insights.basis import NOTHING, PEOPLE, SHOWN, TOTAL, Basis, Insight, Link, opened
from answering.retrieval import GITHUB, Scope
from resources.postgres import Database

Level = Literal["very high", "high", "moderate", "low"]
By = Literal["pull_requests", "commits"]
CONFIDENCE_DAYS = 30
"""Days within which who starred or forked has to contribute."""

_COUNTED: dict[By, str] = {"pull_requests": "pull_requests_opened", "commits": "commits"}
_COHORTS = ("new", "returning", "staying", "gone")


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
        return basis.result(name, figures, evidence=_by_people(basis, people[: max(factor, SHOWN)], by))


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
        people = _shares(basis, _COUNTED[by] if by else TOTAL)
        if not people:
            return basis.result("contributor_share", None, _no_contributions(basis, by))
        figures = Contributors(sum(one.contributions for one in people), tuple(people))
        return basis.result("contributor_share", figures, evidence=_by_people(basis, people[:SHOWN], by))


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
            return basis.result("cohorts", None, NOTHING)
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
            return basis.result("contributor_confidence", None, NOTHING)
        interested, contributed, undecided = basis.rows(
            # In one pass and without a join: names are merged as they are read, so nobody can estimate a join.
            "WITH told AS (SELECT repo_id, person, day AS interest, NULL::date AS work FROM first_interests"
            "  WHERE repo_id = ANY (%(repo_ids)s) UNION ALL SELECT repo_id, person, NULL, day FROM contributor_days"
            "  WHERE repo_id = ANY (%(repo_ids)s) AND day >= %(since)s AND day < %(end)s), interested AS ("
            " SELECT min(interest) AS day, array_agg(work) FILTER (WHERE work IS NOT NULL) AS works"
            "  FROM told GROUP BY repo_id, person HAVING min(interest) >= %(since)s AND min(interest) < %(until)s),"
            " chosen AS (SELECT day, EXISTS (SELECT FROM unnest(works) AS worked"
            "  WHERE worked >= day AND worked <= day + %(days)s) AS came FROM interested)"
            " SELECT count(*), count(*) FILTER (WHERE came),"
            " count(*) FILTER (WHERE NOT came AND day + %(days)s >= %(end)s) FROM chosen",
            days=CONFIDENCE_DAYS, end=basis.end,
        )[0]  # fmt: skip
        figures = Confidence(interested, contributed, contributed / interested, undecided) if interested else None
        why = "nobody was seen to star or fork in this window"
        return basis.result("contributor_confidence", figures, why, basis.pages("stargazers"))


def _shares(basis: Basis, counted: str) -> list[Share]:
    """Everybody with a contribution, most first; ties by name."""
    rows: list[tuple[Any, ...]] = basis.rows(
        f"SELECT person, sum({counted})::bigint FROM contributor_days WHERE {PEOPLE}"
        f" GROUP BY 1 HAVING sum({counted}) > 0 ORDER BY 2 DESC, 1"
    )
    total = sum(row[1] for row in rows)
    return [Share(person, count, count / total) for person, count in rows]


def _no_contributions(basis: Basis, by: By | None) -> str:
    if basis.since is None:
        return NOTHING
    if by == "commits":
        if basis.coverage().with_commits:
            return "no commit by a person was read in this window"
        name = next(iter(basis.pages_of)) if len(basis.pages_of) == 1 else "NAME"
        return (
            "no git history was read, and events do not tell whose commits a push holds:"
            f" `starsearch repos add {name} --git` fetches it"
        )
    return f"no {'pull request' if by else 'contribution'} by a person was read in this window"


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
