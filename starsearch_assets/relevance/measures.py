"""recall@10, reciprocal rank and nDCG@10 of ranked lists against judgements, by ir_measures."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

K = 10
MEASURES = {"recall": "recall@10", "mrr": "MRR", "ndcg": "nDCG@10"}
"""Fields of `Scores`, and what people call them."""


@dataclass(frozen=True)
class Scores:
    """How good one list is, or the mean of several: each from 0 to 1.

    recall: share of the relevant items among the first ten; mrr: one over the rank of the first of them, 0 where none
    is among the ten; ndcg: discounted gain of the judged grades over that of the best order (Järvelin and Kekäläinen,
    2002).
    """

    recall: float
    mrr: float
    ndcg: float

    def row(self) -> dict[str, str | int | float]:
        """Columns of a table for people."""
        return {name: round(getattr(self, field), 4) for field, name in MEASURES.items()}


def score(relevant: Mapping[str, Mapping[str, int]], found: Mapping[str, Sequence[str]]) -> dict[str, Scores]:
    """Scores by query. relevant: grades by document, at least one of them above 0; found: documents, best first."""
    import ir_measures
    from ir_measures import RR, R, nDCG

    names = {R @ K: "recall", RR @ K: "mrr", nDCG @ K: "ndcg"}
    run = {query: {document: -float(rank) for rank, document in enumerate(found[query])} for query in relevant}
    values: dict[str, dict[str, float]] = {query: {} for query in relevant}
    for metric in ir_measures.iter_calc(list(names), relevant, run):
        values[metric.query_id][names[metric.measure]] = float(metric.value)
    return {query: Scores(**one) for query, one in values.items()}


def mean(scores: Iterable[Scores]) -> Scores:
    """The mean of each measure; of nothing, zeros."""
    some = list(scores)
    if not some:
        return Scores(0.0, 0.0, 0.0)
    return Scores(
        statistics.fmean(one.recall for one in some),
        statistics.fmean(one.mrr for one in some),
        statistics.fmean(one.ndcg for one in some),
    )
