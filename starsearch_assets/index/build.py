"""Index artifacts: one immutable table a (space, month, version) with its HNSW index.

Built whole, audited, and never written again. The same rows give the same fingerprint and no new version.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import date

from psycopg import sql as pgsql
from psycopg.types.json import Jsonb

from resources.kinds import Kind
from resources.postgres import Connection, Database, sql
from starsearch_assets import audits
from starsearch_assets.embeddings.spaces import Space, find_space
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.index.recall import Recall, measure

ARTIFACT_FORMAT = 2
"""Part of the fingerprint: raise it when the artifact's columns or indexes change."""


@dataclass(frozen=True)
class IndexResult:
    """The artifact that stands for the month now; `built` is False when its rows were already indexed."""

    artifact_id: int | None
    table: str | None
    rows: int
    built: bool
    build_seconds: float
    recall: Recall | None
    passed: bool


def build_month(
    database: Database,
    kind: Kind,
    month: date,
    model: str,
    recall_floor: float,
    run_id: str | None = None,
) -> IndexResult:
    """Build the artifact of `month` (its first day) for `model`'s space if its rows changed, and audit it."""
    with database.transaction() as connection:
        hold_off_forgetting(connection)
        dirty = connection.execute(
            "SELECT version FROM dirty_months WHERE kind = %s AND month = %s", [kind.name, month]
        ).fetchone()
        space = find_space(connection, kind, model)
        artifact_id, built = (None, False) if space is None else _build(connection, space, month, run_id)
    with database.transaction() as connection:
        result = _audit(connection, kind, month, artifact_id, built, recall_floor, run_id)
        if dirty is not None:
            connection.execute(
                "DELETE FROM dirty_months WHERE kind = %s AND month = %s AND version = %s",
                [kind.name, month, dirty[0]],
            )
    return result


def _build(connection: Connection, space: Space, month: date, run_id: str | None) -> tuple[int | None, bool]:
    """Id of the artifact with the month's rows, and whether it had to be built."""
    source = pgsql.SQL(sql(__package__, "source")).format(
        kind=pgsql.Literal(space.kind.name),
        month=pgsql.Literal(month),
        embeddings=pgsql.Literal(space.kind.embeddings),
        gate=pgsql.Literal(space.gate),
        vectors=space.table,
    )
    started = time.monotonic()
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{space.slug}/{month}"])
    # One snapshot of the source: the fingerprint is of exactly the rows that are indexed.
    connection.execute(pgsql.SQL("CREATE TEMPORARY TABLE source ON COMMIT DROP AS {}").format(source))
    rows, fingerprint = _fingerprint(connection, space)
    if rows == 0:
        return None, False
    known = connection.execute(
        "SELECT artifact_id, fingerprint, version FROM index_artifacts WHERE space_id = %s AND month = %s"
        " ORDER BY version DESC LIMIT 1",
        [space.space_id, month],
    ).fetchone()
    if known is not None and known[1] == fingerprint:
        return int(known[0]), False
    version = 1 if known is None else int(known[2]) + 1
    name = f"{space.kind.name}_{space.slug}_{month:%Y_%m}_v{version}"
    table = pgsql.Identifier("artifacts", name)
    for statement in (
        "CREATE TABLE {table} AS SELECT * FROM source ORDER BY activity_day, repo_id, ref",
        "ALTER TABLE {table} ADD PRIMARY KEY (repo_id, ref)",
        "CREATE INDEX ON {table} (lower(author_login))",
        "CREATE INDEX ON {table} USING gin (lexemes)",
        "CREATE INDEX ON {table} USING hnsw (embedding halfvec_cosine_ops)"
        " WITH (m = {m}, ef_construction = {ef_construction})",
    ):
        connection.execute(
            pgsql.SQL(statement).format(
                table=table, m=pgsql.Literal(space.m), ef_construction=pgsql.Literal(space.ef_construction)
            )
        )
    connection.execute(pgsql.SQL("ANALYZE {}").format(table))
    row = connection.execute(
        "INSERT INTO index_artifacts (space_id, month, version, table_name, fingerprint, row_count, bytes,"
        " build_seconds, run_id) VALUES (%s, %s, %s, %s, %s, %s, pg_total_relation_size(%s::regclass), %s, %s)"
        " RETURNING artifact_id",
        [
            space.space_id, month, version, name, fingerprint, rows, f"artifacts.{name}",
            time.monotonic() - started, run_id,
        ],
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0]), True


def _fingerprint(connection: Connection, space: Space) -> tuple[int, str]:
    """Number and digest of the source's rows, vectors by the hash of their text."""
    row = connection.execute(
        "SELECT count(*), string_agg(sha256(convert_to(concat_ws('|', repo_id, ref, title, author_login,"
        " author_is_bot, state, labels::text, technologies::text, created_at, activity_day,"
        " document_source, encode(text_hash, 'hex'), encode(content_hash, 'hex'), summary_model, prompt_version),"
        " 'UTF8')), ''::bytea ORDER BY repo_id, ref) FROM source"
    ).fetchone()
    assert row is not None
    header = f"{ARTIFACT_FORMAT}/{space.model}/{space.dimensions}/{space.m}/{space.ef_construction}"
    return int(row[0]), hashlib.sha256(header.encode() + (row[1] or b"")).hexdigest()


def _audit(
    connection: Connection,
    kind: Kind,
    month: date,
    artifact_id: int | None,
    built: bool,
    recall_floor: float,
    run_id: str | None,
) -> IndexResult:
    if artifact_id is None:
        verdict = audits.Audit(kind.index, f"{month}", "empty", True, {"rows": 0})
        audits.record(connection, verdict, run_id)
        return IndexResult(None, None, 0, False, 0.0, None, True)
    row = connection.execute(
        "SELECT table_name, row_count, build_seconds, recall, passed, fingerprint FROM index_artifacts"
        " WHERE artifact_id = %s",
        [artifact_id],
    ).fetchone()
    assert row is not None
    table, rows, seconds, stored, passed, fingerprint = row
    if passed is None:
        recall = measure(connection, pgsql.Identifier("artifacts", table), rows)
        passed = max(recall.by_ef_search.values()) >= recall_floor
        connection.execute(
            "UPDATE index_artifacts SET recall = %s, passed = %s WHERE artifact_id = %s",
            [Jsonb({"queries": recall.queries, "by_ef_search": recall.by_ef_search}), passed, artifact_id],
        )
    else:
        by_ef = {int(ef): value for ef, value in stored["by_ef_search"].items()}
        recall = Recall(by_ef, stored["queries"])
    details = {"rows": rows, "queries": recall.queries, "recall@10": max(recall.by_ef_search.values())}
    audits.record(connection, audits.Audit(kind.index, f"{month}", fingerprint, passed, details), run_id)
    return IndexResult(artifact_id, table, rows, built, seconds, recall, passed)
