"""The search function: by vectors and by words, fused by reciprocal rank; then, where there is one, reranked.

Reciprocal rank fusion: Cormack, Clarke, Büttcher, SIGIR 2009 (doi:10.1145/1571941.1572114).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import chain
from typing import Any, Literal, TypedDict, TypeVar, Unpack, get_args

import numpy as np
import numpy.typing as npt

from answering.releases import Artifact, Release
from answering.retrieval import vectors, words
from answering.retrieval.hits import Hit, Key, fetch
from answering.retrieval.planner import MOST_RANKED, are_few, estimated_rows, scans_for_words
from answering.retrieval.scope import Scope, compile_scope
from answering.retrieval.vectors import LONGEST_WALK, Candidate
from answering.retrieval.words import Match, Words
from resources.errors import RerankerError
from resources.postgres import PLANNED_FOR_VALUES, PLANNED_ONCE, Connection, Cursor, Database
from resources.reranker import Reranker
from resources.settings import Settings
from resources.vectors import Vectors

logger = logging.getLogger(__name__)

T = TypeVar("T")

Mode = Literal["hybrid", "vector", "text"]
MODES: tuple[Mode, ...] = get_args(Mode)
DEFAULT_EF_SEARCH = 100
_POOL = 30
"""Candidates that each half brings, at least."""

_PATIENCE = 0.5
"""Seconds for which a connection is kept while a query is still encoded."""

_SETTINGS = (
    "SELECT set_config('max_parallel_workers_per_gather', '0', true),"  # starting one takes longer than a search
    " set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    f" set_config('hnsw.max_scan_tuples', '{LONGEST_WALK}', true),"
    " set_config('enable_sort', 'off', true)"  # what is walked and what is scanned is decided here: see `nearest`
)


class _StillEncoding(Exception):
    """A query's vectors take their time: no connection is kept for them."""


@dataclass(frozen=True)
class Query:
    """What is looked for. Vectors have the shape (dimensions,) and unit length.

    text: a question or a few words. vector: its own; without one, words alone find. topic: what the text is about,
    worded without what only makes a question of it. topic_vector: its own. The topic's words are looked for in place of
    the text's, and an item that is nearer to it than to the text has that as its score. encoding: gives the vectors,
    of the text and then of a topic that is another one, while they are still computed.
    """

    text: str
    vector: npt.NDArray[np.float32] | None = None
    topic: str | None = None
    topic_vector: npt.NDArray[np.float32] | None = None
    encoding: Future[Vectors] | None = None

    @property
    def words(self) -> str:
        """The text whose words are looked for."""
        return self.topic or self.text

    @property
    def has_vector(self) -> bool:
        """Whether it has a vector, or will have one."""
        return self.vector is not None or self.encoding is not None

    @cached_property
    def parameters(self) -> dict[str, str]:
        """The vectors as SQL takes them; raises `_StillEncoding` where they are not there soon."""
        found: Iterable[npt.NDArray[np.float32] | None] = (self.vector, self.topic_vector)
        if self.encoding is not None:
            if not wait_for([self.encoding], _PATIENCE).done:
                raise _StillEncoding
            found = self.encoding.result()
        named = zip(("vector", "topic_vector"), found, strict=False)  # of one wording there is no second vector
        return {name: vectors.parameter(vector) for name, vector in named if vector is not None}

    @property
    def distance(self) -> str:
        """SQL of a row `a`: how far it is from the nearer of the wordings."""
        distances = [vectors.DISTANCE.replace("%(vector)", f"%({name})") for name in self.parameters]
        return f"least({', '.join(distances)})" if distances else "1"


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


class Options(TypedDict, total=False):
    """How a search is made.

    k: how many items are wanted (10). mode: by vectors, by words, or by both. A hybrid query without a vector, or
    without a word that tells something, is answered by the other half. exact: scan every row instead of the HNSW
    indexes (the reference for recall). each_kind: the k best of each kind, so that many of one crowd out none of
    another.
    """

    scope: Scope | None
    k: int
    mode: Mode
    ranking: Ranking | None
    reranker: Reranker | None
    ef_search: int | None
    exact: bool
    each_kind: bool
    every_word: bool


def search(tools: Database, release: Release, query: Query, **options: Unpack[Options]) -> list[Hit]:
    """The items that fit the query best, best first.

    Raises:
        ScopeError: the scope names a repository or kind that is not there.
    """
    (hits,) = search_each(tools, release, [query], **options)
    return hits


def search_each(
    tools: Database, release: Release, queries: Sequence[Query], **options: Unpack[Options]
) -> list[list[Hit]]:
    """`search` of several queries over one scope, which is read once."""
    if not queries:
        return []
    scope, reranker, k = options.get("scope") or Scope(), options.get("reranker"), options.get("k", 10)
    found = _patiently(queries, lambda: _found(tools, release, queries, scope, options))
    if reranker is not None:
        found = [
            [_reranked(reranker, query.text, hits) for hits in every]
            for query, every in zip(queries, found, strict=True)
        ]
    return [_in_order([hits[:k] for hits in every]) for every in found]


def nearest_keys(
    tools: Database, release: Release, queries: Sequence[Query], scope: Scope, k: int
) -> list[list[tuple[Key, float]]]:
    """Of each query, all with a vector, the `k` nearest items of each kind inside `scope`, nearest first, with their
    cosine similarities. Only their keys are read: `read_hits` reads those of them that are wanted.

    Raises:
        ScopeError: the scope names a repository or kind that is not there.
    """

    def find() -> list[list[tuple[Key, float]]]:
        with tools.transaction() as connection, connection.pipeline():
            searching = _Searching(connection, release, queries, scope, {"mode": "vector", "k": k})
            return [searching.nearest_keys(number, scope.kinds) for number in range(len(queries))]

    return _patiently(queries, find)


def read_hits(tools: Database, release: Release, scores: Sequence[Mapping[Key, float]]) -> list[list[Hit]]:
    """Of each group of keys their hits, in their order. scores: the similarity of each key."""
    wanted = dict.fromkeys(chain.from_iterable(scores), 0.0)
    if not wanted:
        return [[] for _ in scores]
    with tools.transaction() as connection, connection.pipeline():
        connection.execute(PLANNED_ONCE)
        found = fetch(connection, {one.artifact_id: one for one in release.artifacts}, wanted, {})
    return [
        [replace(found[key], score=round(score, 4)) for key, score in some.items() if key in found] for some in scores
    ]


def _patiently(queries: Sequence[Query], search: Callable[[], T]) -> T:
    """What `search` finds; where the queries are not encoded soon, once they are."""
    try:
        return search()
    except _StillEncoding:
        wait_for([query.encoding for query in queries if query.encoding is not None])
        return search()


def _found(
    tools: Database, release: Release, queries: Sequence[Query], scope: Scope, options: Options
) -> list[list[list[Hit]]]:
    """Of each query the hits of each group of kinds."""
    kinds = [(kind,) for kind in scope.kinds] if options.get("each_kind") else [scope.kinds]
    with tools.transaction() as connection, connection.pipeline():  # nothing is waited for before it is needed
        searching = _Searching(connection, release, queries, scope, options)
        return [searching.hits(number, kinds) for number in range(len(queries))]


def _in_order(every: Sequence[list[Hit]]) -> list[Hit]:
    """The lists as one; each is in its order."""
    if len(every) == 1:
        return every[0]
    return sorted(chain.from_iterable(every), key=lambda hit: (-hit.rank_score, hit.item))


class _Searching:
    """One scope of one release, in one transaction."""

    def __init__(
        self, connection: Connection, release: Release, queries: Sequence[Query], scope: Scope, options: Options
    ) -> None:
        connection.execute(_SETTINGS)
        self._connection, self._release, self._queries = connection, release, queries
        self._planned = ""
        self._mode, self._ranking = options.get("mode", "hybrid"), options.get("ranking") or Ranking()
        self._ef_search, self._exact = options.get("ef_search"), options.get("exact", False)
        self._every_word = options.get("every_word", False)
        k, reranks = options.get("k", 10), options.get("reranker") is not None
        self._wanted = max(k, self._ranking.reranked) if reranks else k
        self._pool = k if self._mode == "vector" and not reranks else max(_POOL, self._wanted)
        self._lexemes = [words.ask_lexemes(connection, query.words) for query in queries if self._mode != "vector"]
        self._conditions = compile_scope(connection, scope, release.release_id)
        self._reachable = self._conditions.artifacts(release.artifacts)
        self._artifacts = [artifact for artifact in self._reachable if artifact.kind in scope.kinds]
        counted = self._artifacts if self._mode == "vector" else self._reachable  # how common a word is in all counts
        filters = bool(self._conditions.clauses) and not are_few(counted)
        self._rows = estimated_rows(connection, counted, self._conditions) if filters else {}

    def hits(self, number: int, kinds: Sequence[Sequence[str]]) -> list[list[Hit]]:
        """The best items of each group of kinds, for the query of that number."""
        query = self._queries[number]
        self._plan(PLANNED_FOR_VALUES if self._rows else PLANNED_ONCE)
        found_words: Words | None = None
        if self._mode != "vector":
            found_words = words.read_words(
                self._connection, self._release, self._lexemes[number], self._share(), every=self._every_word
            )
        groups = [[artifact for artifact in self._artifacts if artifact.kind in group] for group in kinds]
        asked = [self._ask_matches(found_words, artifacts) for artifacts in groups]
        scores = [self._scored(query, matches, artifacts) for matches, artifacts in zip(asked, groups, strict=True)]
        best = [sorted(one, key=lambda key: (-one[key], key))[: self._wanted] for one in scores]
        ranked = {key: one[key] for keys, one in zip(best, scores, strict=True) for key in keys}
        fetched = self._fetched(query, found_words, ranked)
        return [[fetched[key] for key in keys if key in fetched] for keys in best]

    def nearest_keys(self, number: int, kinds: Sequence[str]) -> list[tuple[Key, float]]:
        """The nearest of each kind, with their cosine similarities, for the query of that number."""
        self._plan(PLANNED_FOR_VALUES if self._rows else PLANNED_ONCE)
        groups = [[artifact for artifact in self._artifacts if artifact.kind == kind] for kind in kinds]
        found = sorted(chain.from_iterable(self._nearest(self._queries[number], one) for one in groups))
        return [(candidate.key, 1.0 - distance) for distance, candidate in found]

    def _plan(self, mode: str) -> None:
        """Whether statements are planned for their values, or once: the same ones come again and again."""
        if mode != self._planned:
            self._connection.execute(mode)
            self._planned = mode

    def _ask_matches(self, found_words: Words | None, artifacts: Sequence[Artifact]) -> Cursor | None:
        if found_words is None or not artifacts:
            return None
        newest = self._newest(artifacts, found_words.rows)
        scans = bool(self._rows) and scans_for_words(sum(self._rows.values()), self._total, found_words.rows)
        return words.ask_matches(
            self._connection, newest, self._conditions, found_words, self._pool, indexed=not scans
        )  # fmt: skip

    def _newest(self, artifacts: Sequence[Artifact], rows: float) -> list[Artifact]:
        """Those of the newest months that have MOST_RANKED of the `rows` with the words: of words that more items have,
        those long ago are not ranked."""
        inside = {one.artifact_id: self._rows.get(one.artifact_id, float(one.row_count)) for one in self._reachable}
        share = rows / max(sum(inside.values()), 1.0)
        taken: list[Artifact] = []
        for artifact in sorted(artifacts, key=lambda one: one.month, reverse=True):
            expected = share * sum(inside[one.artifact_id] for one in taken)
            if expected >= MOST_RANKED and artifact.month != taken[-1].month:
                break
            taken.append(artifact)
        return taken

    def _scored(self, query: Query, matches: Cursor | None, artifacts: Sequence[Artifact]) -> dict[Key, float]:
        """The candidates of both halves among the artifacts, each with its fused score."""
        by_vector = self._nearest(query, artifacts) if self._mode != "text" and query.has_vector else []
        by_words = [] if matches is None else words.read_matches(matches)
        return fuse([one for _, one in by_vector], by_words, self._ranking, self._release.as_of, self._mode)

    def _nearest(self, query: Query, artifacts: Sequence[Artifact]) -> vectors.Found:
        """The pool of candidates that are nearest to the query's vector, nearest first."""
        found: vectors.Found = []
        for ef, some in self._by_ef(artifacts).items():
            found += vectors.nearest(
                self._connection, some, self._conditions, query.parameters["vector"], self._pool, rows=self._rows,
                ef_search=ef, exact=self._exact,
            )  # fmt: skip
        return sorted(found)[: self._pool]

    def _by_ef(self, artifacts: Sequence[Artifact]) -> dict[int, list[Artifact]]:
        """The artifacts by how far their graphs are searched, which each space has of its own."""
        found: dict[int, list[Artifact]] = defaultdict(list)
        for artifact in artifacts:
            found[self._ef_search or self._release.ef_search.get(artifact.space_id, DEFAULT_EF_SEARCH)].append(artifact)
        return found

    def _share(self) -> float:
        """The share of the release's items that the filters leave, by estimate."""
        if not self._rows:
            return 1.0
        return sum(self._rows.values()) / max(self._total, 1)

    @cached_property
    def _total(self) -> int:
        return sum(artifact.row_count for artifact in self._release.artifacts)

    def _fetched(self, query: Query, found_words: Words | None, ranked: Mapping[Key, float]) -> dict[Key, Hit]:
        self._plan(PLANNED_ONCE)
        parameters: dict[str, Any] = dict(query.parameters)
        if found_words is not None:
            parameters |= found_words.parameters()
        return fetch(
            self._connection,
            {artifact.artifact_id: artifact for artifact in self._artifacts},
            ranked,
            parameters,
            distance=query.distance,
            coverage="0" if found_words is None else words.COVERAGE,
        )


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
