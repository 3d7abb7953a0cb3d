"""The lottery factor by commits: its edges, and who counts."""

from __future__ import annotations

from datetime import date

import pytest

from answering.insights.contributors import lottery_factor
from answering.retrieval import Scope
from resources.postgres import Database
from tests.integration.git_commits import JANE, RAVI, commit, process, track

EDGES = [
    pytest.param([("a", 5), ("b", 3), ("c", 2)], 1, "very high", id="exactly half is enough"),
    pytest.param([("a", 4), ("b", 3), ("c", 3)], 2, "high", id="just under half is not"),
    pytest.param([("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)], 3, "moderate", id="ties"),
    pytest.param([(name, 1) for name in "abcdefghij"], 5, "low", id="many"),
]


@pytest.mark.parametrize(("people", "factor", "level"), EDGES)
def test_edges_of_the_lottery_factor_by_commits(
    database: Database, tools: Database, people: list[tuple[str, int]], factor: int, level: str
) -> None:
    """The same definition as for pull requests."""
    track(database)
    number = 0
    for name, count in people:
        for _ in range(count):
            number += 1
            commit(database, number, "x", (name.upper(), f"{name}@users.noreply.github.com"))
    process(database)
    measure = lottery_factor(tools, Scope(repos=("acme/rocket",)), by="commits").figures
    assert measure is not None
    assert (measure.factor, measure.level, measure.total) == (factor, level, number)


def test_who_counts_in_the_lottery_factor_by_commits(database: Database, tools: Database) -> None:
    """Logins in any case are one person, names are told apart; co-authors count, a person once a commit; bots, merges,
    what is gone and what is later than the release do not."""
    track(database)
    day, later = date(2025, 10, 6), date(2025, 10, 8)
    shouting = ("JANE", "JANE-DOE@users.noreply.github.com")
    robot = ("dependabot[bot]", "1+dependabot[bot]@users.noreply.github.com")
    commit(database, 1, "a", JANE, day=day, co_authors=(RAVI, shouting))
    commit(database, 2, "b", shouting, day=day)
    commit(database, 3, "c", ("Ravi K", "other@home.example"), day=day)
    commit(database, 4, "d", robot, day=day, co_authors=(("Mo", "mo@x.example"),))
    commit(database, 5, "e", robot, day=day)
    commit(database, 6, "Merge", JANE, day=day, parents=2)
    commit(database, 7, "gone", JANE, day=day)
    commit(database, 8, "f", ("Later", "later@x.example"), day=later)
    commit(database, 9, "g", ("nobody@x.example", "nobody@x.example"), day=day)
    database.execute("UPDATE git_commits SET unreachable_since = now() WHERE message = 'gone'")
    process(database)
    insight = lottery_factor(tools, Scope(repos=("acme/rocket",)), by="commits", as_of=day)
    measure = insight.figures
    assert measure is not None
    assert [(one.person, one.contributions) for one in measure.people] == [("@jane-doe", 2), ("Ravi K", 2), ("Mo", 1)]
    assert (measure.total, measure.factor) == (5, 2)
    assert (insight.coverage.since, insight.coverage.until) == (day, date(2025, 10, 7))
    everything = lottery_factor(tools, Scope(repos=("acme/rocket",)), by="commits")
    assert everything.figures is not None
    assert (everything.figures.total, everything.coverage.until) == (6, date(2025, 10, 9))
