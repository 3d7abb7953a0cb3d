"""Figures about repositories and people, on the tools role. One definition each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from resources.postgres import Database

Level = Literal["very high", "high", "moderate", "low"]


@dataclass(frozen=True)
class LotteryFactor:
    """Smallest number of people who together made at least half of what was counted of a repository.

    people: (@login, or name where no login is known; contributions) of everybody but bots, most first; total: the sum
    of their contributions; items: the pull requests or commits that these were made to. level: of the risk.
    """

    repo: str
    factor: int
    level: Level
    total: int
    items: int
    people: tuple[tuple[str, int], ...]
    since: date
    until: date


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


def lottery_factor(tools: Database, repo_id: int, repo: str, as_of: date | None) -> LotteryFactor | None:
    """By opened pull requests, up to the release's as-of day; None without one by a person."""
    rows = tools.fetch_all(
        "SELECT author_login, count(*), min(created_at)::date, max(created_at)::date FROM items"
        " WHERE kind = 'pull_request' AND repo_id = %s AND NOT coalesce(author_is_bot, false)"
        " AND author_login IS NOT NULL AND created_at < coalesce(%s::date, 'infinity') + INTERVAL '1 day'"
        " GROUP BY author_login ORDER BY count(*) DESC, author_login",
        [repo_id, as_of],
    )
    people = [(f"@{login}", count, since, until) for login, count, since, until in rows]
    return _factor(repo, people, sum(row[1] for row in people))


def commit_lottery_factor(tools: Database, repo_id: int, repo: str, as_of: date | None) -> LotteryFactor | None:
    """By commits, authored and co-authored alike, up to the release's as-of day; None without one by a person.

    Merge commits are left out: they repeat others. A person is a login, in any case, or a name without one.
    """
    counted = (
        " FROM published.commit_contributors WHERE repo_id = %s AND NOT is_bot AND NOT is_merge AND person IS NOT NULL"
        " AND day <= coalesce(%s::date, 'infinity')"
    )
    rows = tools.fetch_all(
        "SELECT coalesce('@' || min(login), person), count(DISTINCT sha), min(day), max(day)"
        f"{counted} GROUP BY person ORDER BY 2 DESC, person",
        [repo_id, as_of],
    )
    return _factor(repo, rows, tools.fetch_value(f"SELECT count(DISTINCT sha){counted}", [repo_id, as_of]))


def _factor(repo: str, people: Sequence[tuple[str, int, date, date]], items: int) -> LotteryFactor | None:
    """The factor of (person, contributions, first day, last day), most contributions first."""
    if not people:
        return None
    counts = [count for _, count, _, _ in people]
    factor = smallest_majority(counts)
    return LotteryFactor(
        repo,
        factor,
        level(factor),
        sum(counts),
        items,
        tuple((person, count) for person, count, _, _ in people),
        min(row[2] for row in people),
        max(row[3] for row in people),
    )
