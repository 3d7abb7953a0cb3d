"""The nearest items by vector: HNSW scans of every month, merged, or exact scans where filters leave few rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from answering.releases import Artifact
from answering.retrieval.hits import Key
from answering.retrieval.planner import scans_exactly
from answering.retrieval.scope import Conditions
from resources.postgres import Connection

DISTANCE = "(a.embedding <=> %(vector)s::halfvec)"
MAX_EF_SEARCH = 1000  # pgvector's own limit
LONGEST_WALK = 5000
"""Steps through a graph before it is given up for an exact scan: filters can be rarer near the query than overall."""


class Candidate(NamedTuple):
    """An item that one half of the search found, and its activity."""

    key: Key
    activity_day: date


def parameter(vector: npt.NDArray[np.float32]) -> str:
    """The vector as `DISTANCE` takes it, in half precision."""
    numbers = vector.astype(np.float16).tolist()
    return f"[{','.join(['%.5g'] * len(numbers))}]" % tuple(numbers)  # five digits tell all halves apart


def nearest(
    connection: Connection,
    artifacts: Sequence[Artifact],
    conditions: Conditions,
    vector: str,
    count: int,
    *,
    rows: Mapping[int, float],
    ef_search: int,
    exact: bool = False,
) -> list[tuple[float, Candidate]]:
    """The `count` nearest items inside the scope, with their cosine distances, nearest first.

    vector: as `parameter` gives it. rows: of each artifact how many are inside the scope, where it filters.
    """
    steps = max(ef_search, count)
    whole = [one for one in artifacts if exact or scans_exactly(one, rows.get(one.artifact_id), steps)]
    walked = [one for one in artifacts if one not in whole]
    if walked:
        ef = str(min(ef_search, MAX_EF_SEARCH))
        connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", [ef])
    found = _scan(connection, walked, conditions, vector, count, DISTANCE)
    enough = Counter(one.key.artifact_id for _, one in found)
    starved = [one for one in walked if enough[one.artifact_id] < min(count, one.row_count)]
    if starved:  # the walk ended before enough passed the filters: what it missed is looked up
        missed = {artifact.artifact_id for artifact in starved}
        found = [one for one in found if one[1].key.artifact_id not in missed]
    found += _scan(connection, [*whole, *starved], conditions, vector, count, f"{DISTANCE} + 0")
    return sorted(found)[:count]


def _scan(
    connection: Connection,
    artifacts: Sequence[Artifact],
    conditions: Conditions,
    vector: str,
    count: int,
    order: str,
) -> list[tuple[float, Candidate]]:
    """Up to `count` rows of each artifact. order: an index is ordered by the distance, none by a sum with it."""
    if not artifacts:
        return []
    query = conditions.union(
        artifacts,
        f"(SELECT {{id}}, repo_id, ref, activity_day, {DISTANCE} FROM {{table}} a WHERE {{where}}"
        f" ORDER BY {order} LIMIT {count})",
    )
    rows = connection.execute(query, conditions.parameters | {"vector": vector})
    return [(float(row[4]), Candidate(Key(*row[:3]), row[3])) for row in rows]
