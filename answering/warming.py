"""Before a release is served: its indexes are read into memory, so that the first questions do not wait for a disk."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg
from psycopg import sql as pgsql

from answering.releases import Artifact, Release
from answering.retrieval.vectors import MAX_EF_SEARCH
from resources.postgres import Connection, Database

logger = logging.getLogger(__name__)

PROBES = 20
"""Rows of an artifact whose neighbours are looked for, spread over all of it."""


def warm_artifacts(tools: Database, release: Release, already: Sequence[Artifact] = ()) -> None:
    """Read the artifacts of `release` that are not among those `already` served: by pg_prewarm where that extension
    is installed, and by real searches of nearest neighbours elsewhere.

    One that cannot be read in time is logged and left: a cold index is slower, not wrong.
    """
    known = {artifact.artifact_id for artifact in already}
    for artifact in release.artifacts:
        if artifact.artifact_id in known:
            continue
        try:
            with tools.transaction() as connection:
                if not _prewarm(connection, artifact):
                    _search(connection, artifact)
        except psycopg.errors.QueryCanceled as error:
            logger.warning("an index was not warmed in time", extra={"artifact": artifact.table, "reason": str(error)})


def _prewarm(connection: Connection, artifact: Artifact) -> bool:
    """Whether the extension is there, and has read the artifact with all its indexes."""
    if connection.execute("SELECT FROM pg_extension WHERE extname = 'pg_prewarm'").fetchone() is None:
        return False
    table = pgsql.Identifier("artifacts", artifact.table).as_string(connection)
    connection.execute(
        "SELECT pg_prewarm(%(table)s::regclass), (SELECT sum(pg_prewarm(indexrelid::regclass)) FROM pg_index"
        " WHERE indrelid = %(table)s::regclass)",
        {"table": table},
    )
    return True


def _search(connection: Connection, artifact: Artifact) -> None:
    """Read the rows, nearly all of the graph and the words' index by searching: of 83,000 rows 99.8 % and 99.6 %."""
    table = pgsql.Identifier("artifacts", artifact.table)
    connection.execute("SET LOCAL enable_seqscan TO off")  # the index is to be read, however small the artifact is
    probes = connection.execute(
        pgsql.SQL(
            "SELECT embedding::text FROM (SELECT embedding, row_number() OVER (ORDER BY repo_id, ref) AS n FROM {})"
            " numbered WHERE n %% %s = 0 LIMIT %s"
        ).format(table),
        [max(1, artifact.row_count // PROBES), PROBES],
    ).fetchall()
    connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", [f"{MAX_EF_SEARCH}"])  # as wide as it goes
    for (probe,) in probes:
        connection.execute(
            pgsql.SQL("SELECT ref FROM {} ORDER BY embedding <=> %s::halfvec LIMIT 10").format(table), [probe]
        )
    without_a_word = pgsql.SQL("SELECT count(*) FROM {} WHERE lexemes @@ {}::tsquery")  # reads every entry
    connection.execute(without_a_word.format(table, "!none"))
