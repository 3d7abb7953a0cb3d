"""Judged queries whose answer was not among the first ten: where it stood instead, and what was found in its place."""

from __future__ import annotations

from dataclasses import dataclass

from answering.releases import Release
from answering.retrieval import Hit, Scope, named_items
from resources.postgres import Database
from starsearch_assets.relevance.evaluate import Evaluator, Item, Searching
from starsearch_assets.relevance.sets import JudgedQuery

DEPTH = 100
"""How far down is looked for what was missed."""


@dataclass(frozen=True)
class Place:
    """A rank, from 1, and what it was given for: similarity by vectors, coverage by words."""

    rank: int
    score: float


@dataclass(frozen=True)
class Missed:
    """An item that answers, and its place by vectors and by words; None beyond `DEPTH`."""

    hit: Hit
    grade: int
    by_vector: Place | None
    by_words: Place | None


@dataclass(frozen=True)
class Miss:
    """A query of which something was missed. recall: share found; found: the first ten, each with its grade, 0 where it
    does not answer or was not judged.
    """

    query: JudgedQuery
    recall: float
    missed: tuple[Missed, ...]
    found: tuple[tuple[Hit, int], ...]


def misses(tools: Database, release: Release, evaluator: Evaluator, mode: Searching) -> list[Miss]:
    """Those of the evaluator's set in `release`, the least found first; raises as `Evaluator.evaluate` does."""
    outcomes = [one for one in evaluator.evaluate(mode).outcomes if one.missed]
    items = _items(tools, release, {item for one in outcomes for item in one.missed})
    found = []
    for one in outcomes:
        by_vector = {
            hit.item: Place(rank, hit.score) for rank, hit in enumerate(evaluator.search(one.query, "vector", DEPTH), 1)
        }
        by_words = {
            hit.item: Place(rank, hit.coverage)
            for rank, hit in enumerate(evaluator.search(one.query, "text", DEPTH), 1)
        }
        missed = [
            Missed(items[item], one.relevant[item], by_vector.get(item), by_words.get(item)) for item in one.missed
        ]
        graded = tuple((hit, one.relevant.get(hit.item, 0)) for hit in one.hits)
        found.append(Miss(one.query, one.scores.recall, tuple(missed), graded))
    return sorted(found, key=lambda miss: miss.recall)


def _items(tools: Database, release: Release, wanted: set[Item]) -> dict[Item, Hit]:
    hits: dict[Item, Hit] = {}
    for kind in {item[0] for item in wanted}:
        keys = [item[1:] for item in wanted if item[0] == kind]
        hits |= {hit.item: hit for hit in named_items(tools, release, kind, keys, Scope(kinds=(kind,)), k=len(keys))}
    return hits
