"""recall@10 of a whole release, through the real search function, and the choice of ef_search."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from psycopg import sql as pgsql

from answering.releases import Artifact, Release
from answering.retrieval import Hit, Query, Scope, search
from resources.postgres import Database

K = 10
QUERIES = 400
LADDER = (20, 40, 80, 160, 320)
_TIE = 2e-4  # scores are rounded to four places


@dataclass(frozen=True)
class SpaceRecall:
    """recall@10 of one space at the smallest ef_search that reaches the floor (the largest, if none does).

    lower_bound: of the 95 % confidence interval of the mean over `queries`.
    """

    space_id: int
    ef_search: int
    recall: float
    lower_bound: float
    queries: int


def measure_release(tools: Database, release: Release, floor: float) -> tuple[SpaceRecall, ...]:
    """Choose ef_search once a space, over all of its months, superseded items left out as in search."""
    results = []
    for kind in dict.fromkeys(artifact.kind for artifact in release.artifacts):
        artifacts = release.of_kind(kind)
        probes = _probes(tools, artifacts)
        scope = Scope(kinds=(kind,))
        exact = [
            search(tools, release, Query("", probe), scope=scope, k=K, mode="vector", exact=True) for probe in probes
        ]
        for ef_search in LADDER:
            shares = [
                _recall(
                    search(tools, release, Query("", probe), scope=scope, k=K, mode="vector", ef_search=ef_search),
                    reference,
                )
                for probe, reference in zip(probes, exact, strict=True)
            ]
            result = _summary(artifacts[0].space_id, ef_search, shares)
            if result.lower_bound >= floor:
                break
        results.append(result)
    return tuple(results)


def _probes(tools: Database, artifacts: Sequence[Artifact]) -> list[npt.NDArray[np.float32]]:
    """Vectors of the artifacts' own rows, from every month in proportion to its rows."""
    total = sum(artifact.row_count for artifact in artifacts)
    probes = []
    for artifact in artifacts:
        share = max(1, round(QUERIES * artifact.row_count / total))
        rows = tools.fetch_all(
            pgsql.SQL(
                "SELECT embedding::text FROM (SELECT embedding, row_number() OVER (ORDER BY repo_id, ref) AS n FROM {})"
                " numbered WHERE n %% %s = 0 LIMIT %s"
            )
            .format(pgsql.Identifier("artifacts", artifact.table))
            .as_string(),
            [max(1, artifact.row_count // share), share],
        )
        probes += [np.fromstring(row[0].strip("[]"), dtype=np.float32, sep=",") for row in rows]
    return probes


def _recall(found: Sequence[Hit], reference: Sequence[Hit]) -> float:
    """Share of the reference's places that were filled with items as near."""
    if not reference:
        return 1.0
    limit = reference[-1].score - _TIE
    return min(sum(hit.score >= limit for hit in found), len(reference)) / len(reference)


def _summary(space_id: int, ef_search: int, shares: Sequence[float]) -> SpaceRecall:
    mean = statistics.fmean(shares)
    spread = statistics.stdev(shares) if len(shares) > 1 else 0.0
    lower = mean - 1.96 * spread / math.sqrt(len(shares))
    return SpaceRecall(space_id, ef_search, round(mean, 4), round(lower, 4), len(shares))
