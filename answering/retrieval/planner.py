"""Per artifact: through the HNSW index, or exactly over the rows that the filters leave.

A filter that leaves few rows makes the index the wrong way: it would walk most of the graph to find ten that pass. How
many it leaves is what PostgreSQL's own statistics of the immutable artifact say, asked for by EXPLAIN.
"""

from __future__ import annotations

from collections.abc import Sequence

from answering.releases import Artifact
from answering.retrieval.scope import Conditions
from resources.postgres import Connection

STEP_ROWS = 7.0
"""A step through the graph costs as much as the exact distances of so many rows: 10 to 18 microseconds measured, and
2.4 to 3 where the rows lie apart, as those of one author do; 1.1 where they lie together, as those of a repository."""

_POSTINGS = 9.0
"""A row that is read and looked through for words costs as much as so many entries of the words' index."""

MOST_RANKED = 2000
"""Rows that are ranked by their words, by estimate: ranking one takes about 10 microseconds."""

SMALL = 500
"""Rows that are always scanned exactly: it costs less than entering the graph."""


def are_few(artifacts: Sequence[Artifact]) -> bool:
    """Whether all rows are scanned and ranked anyway, so that nothing depends on how many of them a filter leaves."""
    rows = [artifact.row_count for artifact in artifacts]
    return max(rows, default=0) <= SMALL and sum(rows) <= MOST_RANKED


def scans_exactly(artifact: Artifact, rows: float | None, count: int) -> bool:
    """Whether an artifact's rows inside the scope are scanned exactly.

    rows: how many those are, by estimate; None: all of them. count: of them so many are wanted.
    """
    if rows is None:
        return artifact.row_count <= SMALL
    return _is_cheaper(rows, artifact.row_count, count)


def estimated_rows(connection: Connection, artifacts: Sequence[Artifact], conditions: Conditions) -> dict[int, float]:
    """How many rows of each artifact, by its id, are inside the scope, as the planner estimates it; of a scope without
    filters nothing."""
    if not artifacts or not conditions.clauses:
        return {}
    query = conditions.union(artifacts, "(SELECT 1 FROM {table} a WHERE {where} OFFSET 0)", "EXPLAIN (FORMAT JSON) {}")
    row = connection.execute(query, conditions.parameters).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    plans = plan["Plans"] if len(artifacts) > 1 else [plan]
    assert len(plans) == len(artifacts), plan
    return {artifact.artifact_id: float(one["Plan Rows"]) for artifact, one in zip(artifacts, plans, strict=True)}


def _is_cheaper(rows: float, total: int, count: int) -> bool:
    """Whether `rows` exact distances cost less than the steps that find `count` hits among the rows that pass."""
    share = max(rows, 1.0) / max(total, 1)
    return rows <= max(SMALL, STEP_ROWS * count / share)


def scans_for_words(inside: float, total: float, matching: float) -> bool:
    """Whether the rows inside a scope are looked through for words, in place of the words' index: that is read for all
    rows that have one of the words, and common words are in many.

    inside: rows in the scope; matching: those of them that have one of the words; total: all rows. By estimate.
    """
    return inside * _POSTINGS < matching * total / max(inside, 1.0)
