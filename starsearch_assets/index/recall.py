"""recall@10 and latency of an HNSW index, by ef_search, against exact search over the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import sql as pgsql

from resources.postgres import Connection
from starsearch_assets.index.exact import Distances, nearest_distances, vectors_of

K = 10
LADDER = (10, 20, 40, 80, 160)
"""Values of hnsw.ef_search that are tried, smallest first, until everything is found."""
QUERIES = 100

_TIE = 1e-5  # distances nearer than this are one distance: what float32 sums in another order differ by


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one query in the server: its median and 95th percentile."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Recall:
    """By ef_search: recall@10, and how long a query took; measured with `queries` of the rows' own vectors.

    The row itself does not count among its neighbours.
    """

    by_ef_search: dict[int, float]
    queries: int
    latency: dict[int, Latency]

    @property
    def best(self) -> float:
        """At the ef_search that found most."""
        return max(self.by_ef_search.values())

    def as_json(self) -> dict[str, Any]:
        """As `index_artifacts.recall` holds it."""
        return {
            "queries": self.queries,
            "by_ef_search": self.by_ef_search,
            "latency_ms": {ef: {"p50": one.p50, "p95": one.p95} for ef, one in self.latency.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Recall:
        """What `as_json` gave; an artifact of an earlier format has no latency."""
        latency = {int(ef): Latency(one["p50"], one["p95"]) for ef, one in stored.get("latency_ms", {}).items()}
        return cls({int(ef): value for ef, value in stored["by_ef_search"].items()}, stored["queries"], latency)


def measure(
    connection: Connection, table: pgsql.Identifier, rows: int, dimensions: int, queries: int = QUERIES
) -> Recall:
    """Measure on a sample of the table's own rows, stratified by repository: as many of each as its share."""
    _settings(connection)
    connection.execute("DROP TABLE IF EXISTS pg_temp.probe")
    connection.execute(
        pgsql.SQL(
            "CREATE TEMPORARY TABLE probe ON COMMIT DROP AS SELECT n AS query, embedding FROM"
            " (SELECT repo_id, ref, row_number() OVER (ORDER BY repo_id, ref) AS n FROM {table}) numbered"
            " JOIN {table} USING (repo_id, ref)"
            " WHERE n IN (SELECT 1 + (2 * i + 1)::bigint * {rows} / (2 * {queries})"
            "             FROM generate_series(0, {queries} - 1) i)"
        ).format(table=table, rows=pgsql.Literal(rows), queries=pgsql.Literal(min(queries, rows)))
    )
    probes = vectors_of(connection, pgsql.SQL("SELECT embedding FROM probe ORDER BY query"), dimensions)
    every_row = pgsql.SQL("SELECT embedding FROM {}").format(table)
    limits = nearest_distances(connection, [every_row], probes, K + 1)[:, 1:]
    by_ef: dict[int, float] = {}
    latency: dict[int, Latency] = {}
    for ef_search in LADDER:
        found, milliseconds = _through_index(connection, table, ef_search)
        by_ef[ef_search] = round(found_share(found, limits, _TIE), 4)
        p50, p95 = np.percentile(milliseconds, (50, 95))
        latency[ef_search] = Latency(round(float(p50), 3), round(float(p95), 3))
        if by_ef[ef_search] == 1.0:
            break
    return Recall(by_ef, len(probes), latency)


def found_share(found: Distances, exact: Distances, tie: float) -> float:
    """Share of the exact places, over all queries, that were filled with rows as near; 1 where there are none.

    Both of shape (queries, k), infinity where there is no row; equal distances are as good as one another.
    """
    return float(shares_found(found, exact, tie).mean()) if len(exact) else 1.0


def shares_found(found: Distances, exact: Distances, tie: float) -> npt.NDArray[np.float64]:
    """The same for each query."""
    there = np.isfinite(exact)
    places = there.sum(axis=1)
    last = np.where(there, exact, -np.inf).max(axis=1, initial=-np.inf)
    near = (np.isfinite(found) & (found <= last[:, None] + tie)).sum(axis=1)
    return np.where(places > 0, np.minimum(near, places) / np.maximum(places, 1), 1.0)


def _settings(connection: Connection) -> None:
    """What makes the planner use the index, also where the table is small."""
    connection.execute(
        "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true),"
        " set_config('jit', 'off', true)"
    )


def _through_index(
    connection: Connection, table: pgsql.Identifier, ef_search: int
) -> tuple[Distances, npt.NDArray[np.float64]]:
    """Distances of the nearest K other rows of every probe, and milliseconds a query, by the server's clock."""
    # One more, as the row itself takes a place of its own.
    connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", [str(ef_search + 1)])
    rows = connection.execute(
        pgsql.SQL(
            "SELECT near.distances, extract(epoch FROM near.ended - started.at)::float8 * 1000 FROM probe p"
            " CROSS JOIN LATERAL (SELECT p.embedding, clock_timestamp() AS at OFFSET 0) started"
            " CROSS JOIN LATERAL (SELECT array_agg(distance) AS distances, clock_timestamp() AS ended FROM"
            "  (SELECT v.embedding <=> started.embedding AS distance FROM {} v"
            "   ORDER BY v.embedding <=> started.embedding LIMIT %s) nearest) near"
            " ORDER BY p.query"
        ).format(table),
        [K + 1],
    ).fetchall()
    found = np.full((len(rows), K), np.inf, dtype=np.float32)
    for place, (distances, _) in enumerate(rows):
        others = sorted(distances or ())
        others = others[1:] if others and others[0] <= _TIE else others  # the row itself
        found[place, : len(others[:K])] = others[:K]
    return found, np.array([milliseconds for _, milliseconds in rows])
