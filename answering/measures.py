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
    """Smallest number of people who together opened at least half of a repository's pull requests.

    people: (login, pull requests) of all non-bot authors, most first. level: of the risk.
    """

    repo: str
    factor: int
    level: Level
    total: int
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
    """The lottery factor of a repository up to the release's as-of day; None without pull requests."""
    rows = tools.fetch_all(
        "SELECT author_login, count(*), min(created_at)::date, max(created_at)::date FROM items"
        " WHERE kind = 'pull_request' AND repo_id = %s AND NOT coalesce(author_is_bot, false)"
        " AND author_login IS NOT NULL AND created_at < coalesce(%s::date, 'infinity') + INTERVAL '1 day'"
        " GROUP BY author_login ORDER BY count(*) DESC, author_login",
        [repo_id, as_of],
    )
    if not rows:
        return None
    people = tuple((login, count) for login, count, _, _ in rows)
    factor = smallest_majority([count for _, count in people])
    return LotteryFactor(
        repo,
        factor,
        level(factor),
        sum(count for _, count in people),
        people,
        min(row[2] for row in rows),
        max(row[3] for row in rows),
    )
