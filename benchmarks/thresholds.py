"""Real questions with and without an answer: what each relevance threshold keeps, and what it answers wrongly.

With an answer are a collection's own queries, without one those of the other collections: other projects' issues.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

from answering.retrieval import WORD_RULE, WordRule, search
from answering.retrieval import Query as SearchQuery
from benchmarks.judgements import Collection, Query, collections
from benchmarks.relevance import collection_database, published, query_vectors
from benchmarks.report import Report
from resources.embedder import create_embedder
from resources.settings import Settings
from starsearch_assets.relevance.calibrate import LADDER, Near, Point, Sample, best, near, point
from starsearch_assets.relevance.measures import K

MOST = 200
"""Queries that one collection lends to another, at most."""

RULES = (None, *(WordRule(coverage, margin) for coverage, margin in product((0.6, 0.7, 0.8, 0.9), (0.1, 0.2, 0.3))))


def run(keep: Path | None = None, only: Sequence[str] = (), documents: str = "summaries") -> Report:
    """Shares by threshold for every collection, by rule for words at the default threshold, and the best threshold.

    keep, only, documents: as in `benchmarks.relevance`.
    """
    report = Report(f"thresholds: issues' titles with and without an answer, {documents} as documents")
    every = list(collections())
    samples = {
        one.name: _sample(one, [other for other in every if other is not one], keep, documents)
        for one in every
        if not only or one.name in only
    }
    if len(every) < 2 or not samples:
        report.note("skipped: it takes two collections of real judgements beside the checkout")
        return report
    for name, sample in samples.items():
        report.note(
            f"{name}: {len(sample.answered):,} queries with an answer among the first ten, {sample.lost:,} with one"
            f" that is not, {len(sample.unanswered):,} of other collections"
        )
    now = Settings.model_fields["relevance_threshold"].default
    _ladder(samples)
    _rules(samples, now)
    every_one = list(samples.values())
    most = best(_mean(every_one, threshold, WORD_RULE) for threshold in LADDER)
    chosen = _mean(every_one, now, WORD_RULE)
    report.verdict(f"J of {most.threshold:g}, the best, less that of the default {now:g}", most.j - chosen.j, "<=", 0.1)
    first, second = ([sample.halves()[half] for sample in every_one] for half in (0, 1))
    for mine, other in ((first, second), (second, first)):
        half = best(_mean(mine, threshold, WORD_RULE) for threshold in LADDER)
        there = _mean(other, half.threshold, WORD_RULE)
        report.note(f"one half recommends {half.threshold:g}; on the other it gives {_shown(there)}, J {there.j:.3f}")
    return report


def _sample(collection: Collection, others: Sequence[Collection], keep: Path | None, documents: str) -> Sample:
    with collection_database(collection, keep, documents) as (settings, database, tools):
        embedder = create_embedder(settings)
        release = published(database, tools, collection.documents, embedder, settings, documents)

        def first_ten(queries: Sequence[Query], vectors: npt.NDArray[np.float32]) -> list[list[tuple[str, Near]]]:
            return [
                [
                    (f"{hit.kind}:{hit.place}", near(hit))
                    for hit in search(tools, release, SearchQuery(query.text, vector), k=K)
                ]
                for query, vector in zip(queries, vectors, strict=True)
            ]

        own = first_ten(collection.queries, query_vectors(settings.home, collection.queries, embedder))
        foreign = [query for other in others for query in _some(other.queries)]
        unanswered = first_ten(foreign, embedder.encode([query.text for query in foreign]))
    answered = []
    for query, hits in zip(collection.queries, own, strict=True):
        answered += [place for name, place in hits if query.relevant.get(name, 0) > 0][:1]
    return Sample(
        tuple(answered),
        tuple(tuple(place for _, place in hits) for hits in unanswered),
        len(collection.queries) - len(answered),
    )


def _some(queries: Sequence[Query]) -> Sequence[Query]:
    """Evenly from all over the list."""
    return queries[:: -(-len(queries) // MOST)]


def _mean(samples: Sequence[Sample], threshold: float, rule: WordRule | None) -> Point:
    """Each collection counts the same, however many queries it has."""
    points = [point(sample, threshold, rule) for sample in samples]
    return Point(threshold, statistics.fmean(one.kept for one in points), statistics.fmean(one.wrong for one in points))


def _ladder(samples: Mapping[str, Sample]) -> None:
    print(f"\n| Threshold | {' | '.join(f'{name}: kept / wrong' for name in samples)} | mean | J |")
    print(f"|---:|{'---|' * len(samples)}---|---:|")
    for threshold in LADDER:
        cells = [point(sample, threshold) for sample in samples.values()]
        mean = _mean(list(samples.values()), threshold, WORD_RULE)
        shown = " | ".join(_shown(one) for one in (*cells, mean))
        print(f"| {threshold:.2f} | {shown} | {mean.j:.3f} |")
    print(flush=True)


def _rules(samples: Mapping[str, Sample], threshold: float) -> None:
    """Rules for words at one threshold, on each half of the queries: one to choose by, and one to look at."""
    halves = [sample.halves() for sample in samples.values()]
    print(f"| Coverage | margin | first half at {threshold:g}: kept / wrong | J | second half: kept / wrong | J |")
    print("|---:|---:|---|---:|---|---:|")
    for rule in RULES:
        figures = "- | -" if rule is None else f"{rule.coverage:g} | {rule.margin:g}"
        first, second = (_mean([pair[half] for pair in halves], threshold, rule) for half in (0, 1))
        print(f"| {figures} | {_shown(first)} | {first.j:.3f} | {_shown(second)} | {second.j:.3f} |")
    print(flush=True)


def _shown(point: Point) -> str:
    return f"{point.kept:.3f} / {point.wrong:.3f}"
