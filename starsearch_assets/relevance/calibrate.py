"""Where to draw the line between an answer and none: what each threshold keeps, and what it lets through wrongly.

An answered query keeps its answer if the best-ranked relevant hit among the first ten counts as one; a query without an
answer is wrongly answered if any of its first ten hits does. The recommended threshold has the greatest difference of
the two shares (Youden's J, Cancer 3, 1950); among equals the one that answers wrongly less often, then the lower one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from answering.retrieval import WORD_RULE, Hit, WordRule, counts_as_answer
from starsearch_assets.relevance.evaluate import Evaluator, Searching
from starsearch_assets.relevance.sets import QuerySet

LADDER = tuple(round(0.20 + 0.02 * step, 2) for step in range(24))
"""Thresholds that are compared."""

Near = tuple[float, float]
"""Score and coverage of a hit."""


@dataclass(frozen=True)
class Sample:
    """What queries found. answered: of each query with an answer the best-ranked relevant hit; unanswered: of each
    query without one its first ten hits; lost: queries with an answer that is not among the first ten.
    """

    answered: tuple[Near, ...] = ()
    unanswered: tuple[tuple[Near, ...], ...] = ()
    lost: int = 0

    def __add__(self, other: Sample) -> Sample:
        return Sample(self.answered + other.answered, self.unanswered + other.unanswered, self.lost + other.lost)

    def halves(self) -> tuple[Sample, Sample]:
        """Every other query of both sorts, and the rest: to choose by one half, and to look at the other."""
        return (
            Sample(self.answered[::2], self.unanswered[::2]),
            Sample(self.answered[1::2], self.unanswered[1::2]),
        )


@dataclass(frozen=True)
class Point:
    """A threshold, the share of answers that it keeps, and the share of queries without one that it answers."""

    threshold: float
    kept: float
    wrong: float

    @property
    def j(self) -> float:
        """Youden's J: 1 keeps all and answers nothing wrongly, 0 is as good as chance."""
        return self.kept - self.wrong


def sample(evaluator: Evaluator, query_set: QuerySet, mode: Searching) -> Sample:
    """What a set's queries find in the evaluator's release. Queries whose answer is not in the release do not count.

    Raises:
        EmbedderError, RerankerError: as `Evaluator.evaluate` does.
    """
    answered = []
    outcomes = evaluator.evaluate(mode).outcomes
    for one in outcomes:
        answered += [near(hit) for hit in one.hits if one.relevant.get(hit.item, 0) > 0][:1]
    unanswered = [
        tuple(near(hit) for hit in evaluator.search(query, mode))
        for query in query_set.queries
        if not any(grade > 0 for grade in query.grades.values())
    ]
    return Sample(tuple(answered), tuple(unanswered), len(outcomes) - len(answered))


def near(hit: Hit) -> Near:
    """Score and coverage."""
    return hit.score, hit.coverage


def point(sample: Sample, threshold: float, rule: WordRule | None = WORD_RULE) -> Point:
    """What the threshold does to a sample that has queries of both sorts. rule: None: similarity alone decides."""
    kept = [counts_as_answer(*one, threshold, rule) for one in sample.answered]
    wrong = [any(counts_as_answer(*one, threshold, rule) for one in hits) for hits in sample.unanswered]
    return Point(threshold, sum(kept) / len(kept), sum(wrong) / len(wrong))


def ladder(
    sample: Sample, rule: WordRule | None = WORD_RULE, thresholds: Sequence[float] = LADDER
) -> tuple[Point, ...]:
    """One point a threshold."""
    return tuple(point(sample, threshold, rule) for threshold in thresholds)


def best(points: Iterable[Point]) -> Point:
    """The recommended one; the rule stands above."""
    return max(points, key=lambda one: (round(one.j, 9), -one.wrong, -one.threshold))


def held_out(sample: Sample, rule: WordRule | None = WORD_RULE) -> tuple[Point, Point]:
    """The recommendation of each half, as it does on the other."""
    first, second = sample.halves()
    return (
        point(second, best(ladder(first, rule)).threshold, rule),
        point(first, best(ladder(second, rule)).threshold, rule),
    )
