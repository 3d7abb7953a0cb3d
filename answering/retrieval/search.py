"""The search function: by vectors and by words, fused by reciprocal rank; then, where there is one, reranked.

Reciprocal rank fusion: Cormack, Clarke, Büttcher, SIGIR 2009 (doi:10.1145/1571941.1572114).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from answering.releases import Artifact, Release
from answering.retrieval import vectors, words
from answering.retrieval.hits import Hit, Key, fetch
from answering.retrieval.planner import estimated_rows
from answering.retrieval.scope import Scope, compile_scope
from answering.retrieval.vectors import LONGEST_WALK, Candidate
from answering.retrieval.words import Match, Words
from resources.errors import RerankerError
from resources.postgres import Connection, Database
from resources.reranker import Reranker
from resources.settings import Settings

logger = logging.getLogger(__name__)

Mode = Literal["hybrid", "vector", "text"]
MODES: tuple[Mode, ...] = get_args(Mode)
DEFAULT_EF_SEARCH = 100
_POOL = 30
"""Candidates that each half brings, at least."""

_SETTINGS = (
    "SELECT set_config('max_parallel_workers_per_gather', '0', true),"  # starting one takes longer than a search
    " set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    f" set_config('hnsw.max_scan_tuples', '{LONGEST_WALK}', true)"
)


@dataclass(frozen=True)
class Query:
    """What is looked for: words, and their vector of shape (dimensions,), unit length."""

    text: str
    vector: npt.NDArray[np.float32] | None = None

    @cached_property
    def halfvec(self) -> str | None:
        """The vector as SQL takes it."""
        return None if self.vector is None else vectors.parameter(self.vector)


@dataclass(frozen=True)
class Ranking:
    """Weights of the fused ranking; docs/settings.md says what each does."""

    vector_weight: float = 1.0
    text_weight: float = 1.0
    rank_constant: float = 10.0
    recency_weight: float = 0.1
    recency_days: float = 180.0
    reranked: int = 30

    @classmethod
    def of(cls, settings: Settings) -> Ranking:
        """The weights that the settings name."""
        return cls(
            settings.search_vector_weight, settings.search_text_weight, settings.search_rank_constant,
            settings.search_recency_weight, settings.search_recency_days, settings.reranker_items,
        )  # fmt: skip


def search(
    tools: Database,
    release: Release,
    query: Query,
    *,
    scope: Scope | None = None,
    k: int = 10,
    mode: Mode = "hybrid",
    ranking: Ranking | None = None,
    reranker: Reranker | None = None,
    ef_search: int | None = None,
    exact: bool = False,
) -> list[Hit]:
    """The `k` items that fit the query best, best first.

    mode: by vectors, by words, or by both. A hybrid query without a vector, or without a word that tells something, is
    answered by the other half. exact: scan every row instead of the HNSW indexes (the reference for recall).

    Raises:
        ScopeError: the scope names a repository or kind that is not there.
    """
    (hits,) = search_each(
        tools, release, [query], scope=scope, k=k, mode=mode, ranking=ranking, reranker=reranker, ef_search=ef_search,
        exact=exact,
    )  # fmt: skip
    return hits


def search_each(
    tools: Database,
    release: Release,
    queries: Sequence[Query],
    *,
    scope: Scope | None = None,
    k: int = 10,
    mode: Mode = "hybrid",
    ranking: Ranking | None = None,
    reranker: Reranker | None = None,
    ef_search: int | None = None,
    exact: bool = False,
) -> list[list[Hit]]:
    """`search` of several queries over one scope, which is read once."""
    scope, ranking = scope or Scope(), ranking or Ranking()
    wanted = max(k, ranking.reranked) if reranker is not None else k
    count = k if mode == "vector" and reranker is None else max(_POOL, wanted)
    with tools.transaction() as connection:
        searching = _Searching(connection, release, scope, ranking, mode)
        found = [searching.hits(query, wanted, count, ef_search, exact=exact) for query in queries]
    if reranker is not None:
        found = [_reranked(reranker, query.text, hits) for query, hits in zip(queries, found, strict=True)]
    return [hits[:k] for hits in found]


class _Searching:
    """One scope of one release, in one transaction."""

    def __init__(self, connection: Connection, release: Release, scope: Scope, ranking: Ranking, mode: Mode) -> None:
        connection.execute(_SETTINGS)
        self._connection, self._release, self._ranking, self._mode = connection, release, ranking, mode
        self._conditions = compile_scope(connection, scope, release.release_id)
        reachable = self._conditions.artifacts(release.artifacts)
        self._artifacts = [artifact for artifact in reachable if artifact.kind in scope.kinds]
        counted = self._artifacts if mode == "vector" else reachable  # of a word counts how common it is in all
        self._rows = estimated_rows(connection, counted, self._conditions)

    def hits(self, query: Query, wanted: int, count: int, ef_search: int | None, *, exact: bool) -> list[Hit]:
        """The `wanted` best. count: how many each half brings."""
        by_vector: list[tuple[float, Candidate]] = []
        by_words: list[Match] = []
        found_words: Words | None = None
        if self._mode != "text" and query.halfvec is not None:
            for ef, artifacts in self._by_ef(ef_search).items():
                by_vector += vectors.nearest(
                    self._connection, artifacts, self._conditions, query.halfvec, count, rows=self._rows, ef_search=ef,
                    exact=exact,
                )  # fmt: skip
            by_vector = sorted(by_vector)[:count]
        if self._mode != "vector":
            found_words = words.read_words(self._connection, self._release, query.text, self._share())
        if found_words is not None:
            by_words = words.matching(self._connection, self._artifacts, self._conditions, found_words, count)
        candidates = [one for _, one in by_vector]
        scores = fuse(candidates, by_words, self._ranking, self._release.as_of, self._mode)
        best = sorted(scores, key=lambda key: (-scores[key], key))[:wanted]
        return self._fetched(query, found_words, best, scores)

    def _by_ef(self, ef_search: int | None) -> dict[int, list[Artifact]]:
        """The artifacts by how far their graphs are searched, which each space has of its own."""
        found: dict[int, list[Artifact]] = defaultdict(list)
        for artifact in self._artifacts:
            found[ef_search or self._release.ef_search.get(artifact.space_id, DEFAULT_EF_SEARCH)].append(artifact)
        return found

    def _share(self) -> float:
        """The share of the release's items that the filters leave, by estimate."""
        if not self._rows:
            return 1.0
        return sum(self._rows.values()) / max(sum(artifact.row_count for artifact in self._release.artifacts), 1)

    def _fetched(
        self, query: Query, found_words: Words | None, keys: Sequence[Key], scores: Mapping[Key, float]
    ) -> list[Hit]:
        parameters: dict[str, Any] = {} if query.halfvec is None else {"vector": query.halfvec}
        if found_words is not None:
            parameters |= found_words.parameters()
        hits = fetch(
            self._connection,
            {artifact.artifact_id: artifact for artifact in self._artifacts},
            keys,
            parameters,
            distance="1" if query.halfvec is None else vectors.DISTANCE,
            coverage="0" if found_words is None else found_words.coverage,
        )
        return [replace(hits[key], rank_score=round(scores[key], 6)) for key in keys if key in hits]


def fuse(
    by_vector: Sequence[Candidate],
    by_words: Sequence[Match],
    ranking: Ranking,
    as_of: date | None,
    mode: Mode = "hybrid",
) -> dict[Key, float]:
    """Score of every candidate: reciprocal ranks in the two lists, best first, and in hybrid mode its recency.

    Beside vectors a place in the list by words counts by how much its words tell of the query: where nothing has more
    than one common word of a question, the best of that list is still a poor answer.
    """
    scores: dict[Key, float] = {}
    for rank, one in enumerate(by_vector, 1):
        scores[one.key] = ranking.vector_weight / (ranking.rank_constant + rank)
    for rank, match in enumerate(by_words, 1):
        weight = ranking.text_weight * (match.coverage if by_vector else 1.0)
        key = match.candidate.key
        scores[key] = scores.get(key, 0.0) + weight / (ranking.rank_constant + rank)
    if mode == "hybrid" and as_of is not None:
        for one in {*by_vector, *(match.candidate for match in by_words)}:
            age = max((as_of - one.activity_day).days, 0)
            recent = 0.5 ** (age / ranking.recency_days)
            scores[one.key] += ranking.recency_weight * recent / (ranking.rank_constant + 1)
    return scores


def _reranked(reranker: Reranker, text: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits in the reranker's order; as they were where it fails."""
    if not hits:
        return []
    try:
        scores: Iterable[float] = reranker.scores(text, [hit.document for hit in hits]).tolist()
    except RerankerError as error:
        logger.warning("the reranker failed, hits keep their fused order: %s", error)
        return list(hits)
    scored = [replace(hit, rank_score=float(score)) for hit, score in zip(hits, scores, strict=True)]
    return sorted(scored, key=lambda hit: -hit.rank_score)
