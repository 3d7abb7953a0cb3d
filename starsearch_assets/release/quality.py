"""recall@10 of a whole release, through the real search function, and the choice of ef_search."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import sql as pgsql

from answering.releases import Artifact, Release
from answering.retrieval import Query, Scope, search
from resources.postgres import Connection, Database
from starsearch_assets.index.exact import Distances, nearest_distances, vectors_of
from starsearch_assets.index.recall import shares_found

K = 10
QUERIES = 400
LADDER = (10, 14, 20, 28, 40, 56, 80, 160, 320)
_TIE = 1e-4  # scores are rounded to four places


@dataclass(frozen=True)
class SpaceRecall:
    """recall@10 of one space at the smallest ef_search that reaches the floor (the largest, if none does).

    lower_bound: of the 95 % confidence interval of the mean over `queries`.
    """

    kind: str
    ef_search: int
    recall: float
    lower_bound: float
    queries: int

    def reaches(self, floor: float) -> bool:
        """Whether even the lower bound does."""
        return self.lower_bound >= floor

    def as_json(self) -> dict[str, int | float]:
        """Without the kind, under which `search_releases.recall` holds it."""
        return {
            "recall@10": self.recall,
            "lower_bound": self.lower_bound,
            "queries": self.queries,
            "ef_search": self.ef_search,
        }

    @classmethod
    def from_json(cls, kind: str, stored: Mapping[str, Any]) -> SpaceRecall:
        """What `as_json` gave."""
        return cls(kind, stored["ef_search"], stored["recall@10"], stored["lower_bound"], stored["queries"])

    def row(self) -> dict[str, str | int | float]:
        """A row of a table for people."""
        return {"kind": self.kind, **self.as_json()}


def measure_release(tools: Database, release: Release, floor: float) -> tuple[SpaceRecall, ...]:
    """Choose ef_search once a space, over all of its months, superseded items left out as in search.

    The queries are vectors of the release's own rows; the row itself does not count among its neighbours.
    """
    results = []
    for kind in dict.fromkeys(artifact.kind for artifact in release.artifacts):
        artifacts = release.of_kind(kind)
        with tools.transaction() as connection:
            probes = _probes(connection, release, artifacts)
            every_row = [_vectors(release, artifact) for artifact in artifacts]
            exact = nearest_distances(connection, every_row, probes, K + 1)[:, 1:]
        for ef_search in LADDER:
            shares = shares_found(_found(tools, release, kind, probes, ef_search), exact, _TIE)
            result = _summary(kind, ef_search, shares)
            if result.reaches(floor):
                break
        results.append(result)
    return tuple(results)


def _found(tools: Database, release: Release, kind: str, probes: npt.NDArray[np.float32], ef_search: int) -> Distances:
    """Distances of what search finds near each probe, the row itself left out; shape (queries, K)."""
    found = np.full((len(probes), K), np.inf, dtype=np.float32)
    scope = Scope(kinds=(kind,))
    for place, probe in enumerate(probes):
        # One more of both, as the row takes a place of its own: with K + 1 alone the smallest rung would walk twice.
        hits = search(tools, release, Query("", probe), scope=scope, k=K + 1, mode="vector", ef_search=ef_search + 1)
        distances = sorted(1.0 - hit.score for hit in hits)
        others = distances[1:] if distances and distances[0] <= _TIE else distances
        found[place, : len(others[:K])] = others[:K]
    return found


def _probes(connection: Connection, release: Release, artifacts: Sequence[Artifact]) -> npt.NDArray[np.float32]:
    """Vectors of the artifacts' own rows, from every month in proportion to its rows."""
    total = sum(artifact.row_count for artifact in artifacts)
    return np.concatenate(
        [
            vectors_of(
                connection,
                pgsql.SQL(
                    "SELECT embedding FROM (SELECT a.embedding, row_number() OVER (ORDER BY a.repo_id, a.ref) AS n"
                    " FROM {table} a WHERE {counts}) numbered WHERE (n - 1) % {step} = 0 ORDER BY n LIMIT {share}"
                ).format(
                    table=pgsql.Identifier("artifacts", artifact.table),
                    counts=artifact.counts(release.release_id),
                    step=pgsql.Literal(max(1, artifact.row_count // share)),
                    share=pgsql.Literal(share),
                ),
                release.dimensions,
            )
            for artifact in artifacts
            for share in (max(1, round(QUERIES * artifact.row_count / total)),)
        ]
    )


def _vectors(release: Release, artifact: Artifact) -> pgsql.Composed:
    return pgsql.SQL("SELECT a.embedding FROM {} a WHERE {}").format(
        pgsql.Identifier("artifacts", artifact.table), artifact.counts(release.release_id)
    )


def _summary(kind: str, ef_search: int, shares: npt.NDArray[np.float64]) -> SpaceRecall:
    mean = float(shares.mean()) if len(shares) else 1.0
    spread = float(shares.std(ddof=1)) if len(shares) > 1 else 0.0
    lower = mean - 1.96 * spread / math.sqrt(max(len(shares), 1))
    return SpaceRecall(kind, ef_search, round(mean, 4), round(lower, 4), len(shares))
