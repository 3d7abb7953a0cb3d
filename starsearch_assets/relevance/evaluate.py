"""Judged queries through the real search function: what is found, and how good that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from answering.errors import ScopeError
from answering.releases import Release
from answering.retrieval import Hit, Mode, Query, Ranking, Scope, named_items, repository_id, search
from resources.embedder import Embedder
from resources.errors import EmbedderError, RerankerError
from resources.kinds import BY_NAME
from resources.postgres import Database
from resources.reranker import Reranker
from starsearch_assets.progress import announce
from starsearch_assets.relevance.measures import K, Scores, mean, score
from starsearch_assets.relevance.names import ItemName
from starsearch_assets.relevance.sets import JudgedQuery, QuerySet

Item = tuple[str, int, str]
"""Kind, repository's id, ref: an item's identity, whatever the release and the repository's name."""

Searching = Literal["vector", "text", "hybrid", "reranked"]
"""How is searched: as `search` knows it, or hybrid and then reranked."""

MODES: tuple[Searching, ...] = get_args(Searching)


@dataclass(frozen=True)
class Outcome:
    """One query that has an answer in the release. relevant: grades of the judged items that the release holds."""

    query: JudgedQuery
    relevant: Mapping[Item, int]
    hits: tuple[Hit, ...]
    scores: Scores

    @property
    def missed(self) -> list[Item]:
        """Items that answer the query and are not among the hits."""
        found = {hit.item for hit in self.hits}
        return [item for item, grade in self.relevant.items() if grade > 0 and item not in found]


@dataclass(frozen=True)
class Evaluation:
    """One set, one release, one mode. not_applicable: queries without a relevant item in the release."""

    release_id: int
    query_set: QuerySet
    mode: Searching
    model: str
    outcomes: tuple[Outcome, ...]
    not_applicable: tuple[JudgedQuery, ...]

    @property
    def scores(self) -> Scores:
        """Means over the queries that have an answer in the release."""
        return mean(one.scores for one in self.outcomes)


class Evaluator:
    """Searches one release with the queries of one set; vectors are made once for all modes.

    embedder_of: the embedder of a model; called with the model that the release was built with.
    """

    def __init__(
        self,
        tools: Database,
        release: Release,
        query_set: QuerySet,
        embedder_of: Callable[[str], Embedder],
        ranking: Ranking | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._tools, self._release, self._set = tools, release, query_set
        self._embedder_of, self._ranking, self._reranker = embedder_of, ranking, reranker
        self._grades = grades_in(tools, release, query_set)
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}

    def evaluate(self, mode: Searching) -> Evaluation:
        """Search with every query that has an answer in the release.

        Raises:
            EmbedderError: the release's model is not there, or is another one by now.
            RerankerError: hits cannot be reranked.
        """
        judged = [
            (query, self._grades[query.query_id])
            for query in self._set.queries
            if any(grade > 0 for grade in self._grades[query.query_id].values())
        ]
        found: dict[str, list[Hit]] = {}
        for number, (query, _) in enumerate(judged, 1):
            found[query.query_id] = self.search(query, mode)
            announce(f"{self._set.name}, {mode}", number, len(judged), "queries")
        scores = score(
            {query.query_id: {_key(item): grade for item, grade in grades.items()} for query, grades in judged},
            {query_id: [_key(hit.item) for hit in hits] for query_id, hits in found.items()},
        )
        answered = {query.query_id for query, _ in judged}
        return Evaluation(
            self._release.release_id,
            self._set,
            mode,
            self._release.model,
            tuple(
                Outcome(query, grades, tuple(found[query.query_id]), scores[query.query_id]) for query, grades in judged
            ),
            tuple(query for query in self._set.queries if query.query_id not in answered),
        )

    def search(self, query: JudgedQuery, mode: Searching, k: int = K) -> list[Hit]:
        """The first `k` hits of one of the set's queries; raises as `evaluate` does."""
        reranker = None
        if mode == "reranked":
            if self._reranker is None:
                raise RerankerError("No reranker is configured: set RERANKER_MODEL or RERANKER_BASE_URL.")
            reranker = _Remembering(self._reranker)
        how: Mode = "hybrid" if mode == "reranked" else mode
        hits = search(
            self._tools,
            self._release,
            Query(query.text, None if mode == "text" else self._vector(query)),
            k=k,
            mode=how,
            ranking=self._ranking,
            reranker=reranker,
        )
        if reranker is not None and reranker.failure is not None:  # search itself answers all the same
            raise reranker.failure
        return hits

    def _vector(self, query: JudgedQuery) -> npt.NDArray[np.float32]:
        if not self._vectors:
            embedder = self._embedder_of(self._release.model)
            if embedder.dimensions != self._release.dimensions:
                raise EmbedderError(
                    f"Release {self._release.release_id} was built with vectors of {self._release.dimensions}"
                    f" dimensions by {self._release.model}, which now gives {embedder.dimensions}: it is not the same"
                    " model, so that queries cannot be measured with it."
                )
            rows = embedder.encode([one.text for one in self._set.queries])
            self._vectors = {one.query_id: row for one, row in zip(self._set.queries, rows, strict=True)}
        return self._vectors[query.query_id]


class _Remembering:
    """A reranker that keeps its failure: `search` answers without it, but such an answer is no measurement."""

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker
        self.failure: RerankerError | None = None

    @property
    def model(self) -> str:
        return self._reranker.model

    def scores(self, query: str, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        try:
            return self._reranker.scores(query, documents)
        except RerankerError as error:
            self.failure = error
            raise


def grades_in(tools: Database, release: Release, query_set: QuerySet) -> dict[str, dict[Item, int]]:
    """Grades of the judged items that the release holds, by query; repositories are found by earlier names, too."""
    names = {name for query in query_set.queries for name in query.grades}
    repositories: dict[str, int] = {}
    for repo in {name.repo for name in names}:
        with suppress(ScopeError):  # not tracked: its items are not in the release
            repositories[repo] = repository_id(tools, repo)[0]
    there: set[Item] = set()
    for kind in BY_NAME:
        keys = [(repositories[one.repo], one.ref) for one in names if one.kind == kind and one.repo in repositories]
        there |= {hit.item for hit in named_items(tools, release, kind, keys, Scope(kinds=(kind,)), k=len(keys))}

    def identity(name: ItemName) -> Item:
        return name.kind, repositories.get(name.repo, -1), name.ref

    return {
        query.query_id: {identity(name): grade for name, grade in query.grades.items() if identity(name) in there}
        for query in query_set.queries
    }


def _key(item: Item) -> str:
    kind, repo_id, ref = item
    return f"{kind}/{repo_id}/{ref}"
