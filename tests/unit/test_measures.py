"""Figures, against their definitions."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answering.change_types import change_type
from answering.insights.contributors import level, smallest_majority


def brute_force(counts: list[int]) -> int:
    """The size of the smallest group of people who together have at least half."""
    for size in range(1, len(counts) + 1):
        if any(2 * sum(group) >= sum(counts) for group in combinations(counts, size)):
            return size
    raise AssertionError


@given(st.lists(st.integers(0, 12), min_size=1, max_size=9).filter(any))
@settings(max_examples=400, deadline=None)
def test_the_smallest_majority_is_the_smallest_of_all_groups(counts: list[int]) -> None:
    """No smaller group reaches half; the order of the people does not matter."""
    assert smallest_majority(counts) == brute_force(counts) == smallest_majority(sorted(counts))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([7], 1, id="one person"),
        pytest.param([5, 3, 2], 1, id="exactly half is enough"),
        pytest.param([4, 3, 3], 2, id="just under half is not"),
        pytest.param([1, 1, 1, 1], 2, id="ties, even"),
        pytest.param([1, 1, 1, 1, 1], 3, id="ties, odd"),
        pytest.param([0, 0, 3], 1, id="people with nothing"),
        pytest.param([1000, 202, 90, 33, 332, 343, 42, 433], 2, id="https://chaoss.community/metric-bus-factor/"),
    ],
)
def test_edges_of_the_lottery_factor(counts: list[int], expected: int) -> None:
    """At least half: the half itself counts."""
    assert smallest_majority(counts) == expected


@pytest.mark.parametrize("counts", [[], [0], [0, 0], [3, -1]])
def test_without_contributions_there_is_no_factor(counts: list[int]) -> None:
    """An unknown or empty repository has no lottery factor, rather than a wrong one."""
    with pytest.raises(ValueError, match="undefined"):
        smallest_majority(counts)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1, "very high"), (2, "high"), (3, "moderate"), (4, "moderate"), (5, "low"), (50, "low")],
)
def test_levels_have_the_originals_edges(factor: int, expected: str) -> None:
    """1 very high, 2 high, 3 and 4 moderate, 5 and more low."""
    assert level(factor) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("feat(router)!: add lazy routes", "feature"),
        ("fix: document title is lost", "bug fix"),
        ("Feat: new page", "feature"),
        ("docs: fix typo", "documentation"),
        ("perf(core): add cache", "performance"),
        ("chore(deps): bump vite", "maintenance"),
        ('Revert "Add lazy routes"', "revert"),
        ("Fix crash in the parser", "bug fix"),
        ("Add a guide to hooks", "documentation"),
        ("Bump vite from 5 to 6", "maintenance"),
        ("Support Windows paths", "feature"),
        ("WIP", "other"),
        ("", "other"),
        ("note: something else", "other"),
    ],
)
def test_change_types_by_prefix_then_by_words(title: str, expected: str) -> None:
    """A Conventional Commits prefix decides, whatever the words say; then the words; otherwise other."""
    assert change_type(title) == expected
