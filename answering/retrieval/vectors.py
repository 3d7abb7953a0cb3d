"""The nearest items by vector: HNSW scans of every month, merged, or exact scans where filters leave few rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


_FEW = 4


class Candidate(NamedTuple):
    """An item that one half of the search found, and its activity."""

    key: Key
    activity_day: date


Found = list[tuple[float, Candidate]]
"""Candidates with their cosine distances."""


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
) -> Found:
    """The `count` nearest items inside the scope, with their cosine distances, nearest first.

    vector: as `parameter` gives it. rows: of each artifact how many are inside the scope, where it filters.
    """
    looking = _Looking(connection, conditions, vector, count, rows, ef_search)
    if exact:
        return sorted(looking.scan(artifacts))[:count]
    # Most months have few of the nearest: a few of each tell which have more. Unfiltered, `ef` of them cost nothing.
    few = min(count, max(_FEW, math.ceil(2 * count / max(len(artifacts), 1)), 0 if rows else ef_search))
    found, walked = looking.look(artifacts, few)
    if few < count and (fruitful := _fruitful(found, walked, count)):
        more, _ = looking.look(fruitful, count)
        found = _without(found, fruitful) + more
    return sorted(found)[:count]


@dataclass(frozen=True)
class _Looking:
    """For the `count` items that are nearest to a vector, inside one scope."""

    connection: Connection
    conditions: Conditions
    vector: str
    count: int
    rows: Mapping[int, float]
    ef_search: int

    def look(self, artifacts: Sequence[Artifact], few: int) -> tuple[Found, list[Artifact]]:
        """Of each artifact the nearest, and those artifacts of which only `few` were looked for, through their graph.

        Of one whose walk ends before enough passed the filters, what it missed is looked up.
        """
        walked = [one for one in artifacts if not scans_exactly(one, self.rows.get(one.artifact_id), few)]
        if walked:
            ef = str(min(self.ef_search, MAX_EF_SEARCH))
            self.connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", [ef])
        found = self._nearest_of(walked, few, DISTANCE)
        enough = Counter(one.key.artifact_id for _, one in found)
        ended = [one for one in walked if enough[one.artifact_id] >= min(few, one.row_count)]
        scanned = [one for one in artifacts if one not in ended]
        return _without(found, scanned) + self.scan(scanned), ended

    def scan(self, artifacts: Sequence[Artifact]) -> Found:
        """The `count` nearest of each artifact, whatever its graph says."""
        return self._nearest_of(artifacts, self.count, f"{DISTANCE} + 0")

    def _nearest_of(self, artifacts: Sequence[Artifact], count: int, order: str) -> Found:
        """Up to `count` rows of each artifact. order: an index is ordered by the distance, none by a sum with it."""
        if not artifacts:
            return []
        query = self.conditions.union(
            artifacts,
            f"(SELECT {{id}}, repo_id, ref, activity_day, {DISTANCE} FROM {{table}} a WHERE {{where}}"
            f" ORDER BY {order} LIMIT {count})",
        )
        rows = self.connection.execute(query, self.conditions.parameters | {"vector": self.vector})
        return [(float(row[4]), Candidate(Key(*row[:3]), row[3])) for row in rows]


def _fruitful(found: Found, artifacts: Sequence[Artifact], count: int) -> list[Artifact]:
    """Those of the artifacts whose farthest item found is among the `count` nearest: their next one may be, too."""
    farthest: dict[int, float] = {}
    for distance, one in found:
        farthest[one.key.artifact_id] = max(distance, farthest.get(one.key.artifact_id, 0.0))
    last = sorted(distance for distance, _ in found)[count - 1] if len(found) >= count else math.inf
    return [one for one in artifacts if farthest.get(one.artifact_id, math.inf) <= last]


def _without(found: Found, artifacts: Sequence[Artifact]) -> Found:
    left_out = {artifact.artifact_id for artifact in artifacts}
    return [one for one in found if one[1].key.artifact_id not in left_out]
