"""The nearest items by vector: HNSW scans of every month, merged, or exact scans where filters leave few rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pgvector import HalfVector
from psycopg import sql as pgsql

from answering.releases import Artifact
from answering.retrieval.hits import Key
from answering.retrieval.planner import scans_exactly
from answering.retrieval.scope import Conditions
from resources.postgres import Connection

DISTANCE = "(a.embedding <=> %(vector)s::halfvec)"
MAX_EF_SEARCH = 1000  # pgvector's own limit
_LONGEST_WALK = 5000
"""Steps through a graph before it is given up for an exact scan: filters can be rarer near the query than overall."""


class Candidate(NamedTuple):
    """An item that one half of the search found, and its activity."""

    key: Key
    activity_day: date


def parameter(vector: npt.NDArray[np.float32]) -> str:
    """The vector as `DISTANCE` takes it, in half precision."""
    return HalfVector(vector.astype(np.float16)).to_text()


def nearest(
    connection: Connection,
    artifacts: Sequence[Artifact],
    conditions: Conditions,
    vector: npt.NDArray[np.float32],
    count: int,
    *,
    ef_search: int,
    exact: bool = False,
) -> list[tuple[float, Candidate]]:
    """The `count` nearest items of one kind inside the scope, with their cosine distances, nearest first."""
    artifacts = conditions.artifacts(artifacts)
    if not artifacts:
        return []
    exactly = (
        [True] * len(artifacts) if exact else scans_exactly(connection, artifacts, conditions, max(ef_search, count))
    )
    _set(connection, ef_search)
    found = _scan(connection, artifacts, exactly, conditions, vector, count)
    starved = [
        artifact
        for artifact, exact_scan in zip(artifacts, exactly, strict=True)
        if not exact_scan
        and sum(one.key.artifact_id == artifact.artifact_id for _, one in found) < min(count, artifact.row_count)
    ]
    if starved:  # the walk ended before enough passed the filters: what it missed is looked up
        missed = {artifact.artifact_id for artifact in starved}
        found = [one for one in found if one[1].key.artifact_id not in missed]
        found += _scan(connection, starved, [True] * len(starved), conditions, vector, count)
    return sorted(found)[:count]


def _scan(
    connection: Connection,
    artifacts: Sequence[Artifact],
    exactly: Sequence[bool],
    conditions: Conditions,
    vector: npt.NDArray[np.float32],
    count: int,
) -> list[tuple[float, Candidate]]:
    """Up to `count` rows of each artifact."""
    branches = pgsql.SQL(" UNION ALL ").join(
        pgsql.SQL(
            "(SELECT {id}, repo_id, ref, activity_day, {distance} AS distance FROM {table} a WHERE {where}"
            " ORDER BY {order} LIMIT {count})"
        ).format(
            id=pgsql.Literal(artifact.artifact_id),
            distance=pgsql.SQL(DISTANCE),
            table=pgsql.Identifier("artifacts", artifact.table),
            where=conditions.where(artifact),
            order=pgsql.SQL(f"{DISTANCE} + 0" if exact else DISTANCE),  # no index is ordered by a sum
            count=pgsql.Literal(count),
        )
        for artifact, exact in zip(artifacts, exactly, strict=True)
    )
    rows = connection.execute(branches, conditions.parameters | {"vector": parameter(vector)})
    return [(float(row[4]), Candidate(Key(*row[:3]), row[3])) for row in rows]


def _set(connection: Connection, ef_search: int) -> None:
    connection.execute(
        "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),"
        " set_config('hnsw.max_scan_tuples', %s, true)",
        [str(min(ef_search, MAX_EF_SEARCH)), str(_LONGEST_WALK)],
    )
