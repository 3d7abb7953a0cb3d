"""Whether a release finds what the active one found: the same queries, both measured now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starsearch_assets.relevance.evaluate import Evaluation
from starsearch_assets.relevance.measures import MEASURES, Scores, mean

_ROUNDING = 1e-9
_NAMED = 5


@dataclass(frozen=True)
class Comparison:
    """Means over the queries that have an answer in both releases. worse: ids of those that lost in any measure."""

    query_set: str
    queries: int
    before: Scores
    after: Scores
    worse: tuple[str, ...]

    def losses(self, margin: float) -> list[str]:
        """What fell by more than the margin, in words."""
        found = []
        for field, name in MEASURES.items():
            before, after = getattr(self.before, field), getattr(self.after, field)
            if before - after > margin + _ROUNDING:
                found.append(f"{name} {before:.3f} -> {after:.3f}")
        return found

    def row(self) -> dict[str, str | int | float]:
        """A row of a table for people."""
        before = {f"{name} before": value for name, value in self.before.row().items()}
        counts: dict[str, str | int | float] = {
            "query set": self.query_set,
            "queries": self.queries,
            "worse": len(self.worse),
        }
        return {**counts, **before, **self.after.row()}


@dataclass(frozen=True)
class Verdict:
    """Whether relevance is kept, and the figures that say so."""

    passed: bool
    reason: str
    comparisons: tuple[Comparison, ...] = ()


def compare(before: Evaluation, after: Evaluation) -> Comparison:
    """The two evaluations of one set, over the queries that are in both."""
    theirs = {one.query.query_id: one.scores for one in before.outcomes}
    mine = {one.query.query_id: one.scores for one in after.outcomes}
    both = [query_id for query_id in mine if query_id in theirs]
    worse = [query_id for query_id in both if _is_worse(theirs[query_id], mine[query_id])]
    return Comparison(
        after.query_set.name,
        len(both),
        mean(theirs[query_id] for query_id in both),
        mean(mine[query_id] for query_id in both),
        tuple(worse),
    )


def judge(comparisons: Sequence[Comparison], active: int, margin: float) -> Verdict:
    """Refuse what loses more than `margin` in any measure of any set against release `active`."""
    compared = [one for one in comparisons if one.queries]
    lost = [(one, losses) for one in compared if (losses := one.losses(margin))]
    if lost:
        reason = "; ".join(
            f"relevance of {one.query_set} against release {active}: hybrid's {', '.join(losses)}, over {one.queries}"
            f" queries, {len(one.worse)} of them worse ({_some(one.worse)}); it may lose {margin:g}"
            for one, losses in lost
        )
        return Verdict(False, reason, tuple(compared))
    if not compared:
        return Verdict(True, f"no judged query has an answer both here and in release {active}")
    kept = ", ".join(f"{one.query_set} ({one.queries} queries)" for one in compared)
    return Verdict(True, f"relevance is kept against release {active}: {kept}", tuple(compared))


def _is_worse(before: Scores, after: Scores) -> bool:
    return any(getattr(before, field) - getattr(after, field) > _ROUNDING for field in MEASURES)


def _some(query_ids: Sequence[str]) -> str:
    more = f" and {len(query_ids) - _NAMED} more" if len(query_ids) > _NAMED else ""
    return ", ".join(query_ids[:_NAMED]) + more
