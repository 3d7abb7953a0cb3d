"""recall@10 of an HNSW index against exact search over the same rows."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql as pgsql

from resources.postgres import Connection

K = 10
LADDER = (10, 20, 40, 80, 160)
"""Values of hnsw.ef_search that are tried, smallest first."""

_TIE = 1e-4  # half-precision distances nearer than this are one distance


@dataclass(frozen=True)
class Recall:
    """recall@10 by ef_search, measured with `queries` of the rows' own vectors."""

    by_ef_search: dict[int, float]
    queries: int


def measure(connection: Connection, table: pgsql.Identifier, rows: int, queries: int = 100) -> Recall:
    """Measure on an evenly spread sample of the artifact's own rows, through the index and without it."""
    connection.execute("DROP TABLE IF EXISTS pg_temp.probe")
    connection.execute(
        pgsql.SQL(
            "CREATE TEMPORARY TABLE probe ON COMMIT DROP AS SELECT row_number() OVER () AS query, embedding"
            " FROM (SELECT embedding, row_number() OVER (ORDER BY repo_id, ref) AS n FROM {}) numbered"
            " WHERE n %% greatest(%s / %s, 1) = 0 LIMIT %s"
        ).format(table),
        [rows, queries, queries],
    )
    exact = _distances(connection, table, ef_search=None)
    count = len(exact)
    by_ef: dict[int, float] = {}
    for ef_search in LADDER:
        found = _distances(connection, table, ef_search=ef_search)
        hits = sum(
            min(sum(distance <= limits[-1] + _TIE for distance in found.get(query, [])), len(limits))
            for query, limits in exact.items()
        )
        by_ef[ef_search] = round(hits / max(sum(map(len, exact.values())), 1), 4)
    return Recall(by_ef, count)


def _distances(connection: Connection, table: pgsql.Identifier, ef_search: int | None) -> dict[int, list[float]]:
    """Distances of the nearest K rows of every probe, nearest first."""
    connection.execute(
        "SELECT set_config('hnsw.ef_search', %s, true), set_config('enable_seqscan', %s, true),"
        " set_config('enable_indexscan', %s, true)",
        [str(ef_search or 40), "off" if ef_search else "on", "on" if ef_search else "off"],
    )
    rows = connection.execute(
        pgsql.SQL(
            "SELECT p.query, array_agg(near.distance ORDER BY near.distance) FROM probe p CROSS JOIN LATERAL"
            " (SELECT v.embedding <=> p.embedding AS distance FROM {} v ORDER BY v.embedding <=> p.embedding"
            " LIMIT %s) near GROUP BY p.query"
        ).format(table),
        [K],
    ).fetchall()
    connection.execute("SELECT set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'on', true)")
    return {query: list(distances) for query, distances in rows}
