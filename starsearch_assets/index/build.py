"""Index artifacts: one immutable table a (space, month, version) with its HNSW index.

Built whole in one transaction, audited, and never written again. The same rows give the same fingerprint and no new
version. Other modules of the stage measure (recall), judge (verdicts) and show (metadata).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date

import psycopg
from psycopg import sql as pgsql
from psycopg.types.json import Jsonb

from resources.kinds import Kind
from resources.postgres import Connection, Database, sql
from starsearch_assets.embeddings.spaces import Space, spaces_of
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.index import verdicts
from starsearch_assets.index.recall import Recall, measure

ARTIFACT_FORMAT = 5
"""Part of the fingerprint: raise it when the artifact's columns or indexes change."""

_OTHER_INDEXES = (
    "ALTER TABLE {} ADD PRIMARY KEY (repo_id, ref)",
    "CREATE INDEX ON {} (lower(author_login))",
    "CREATE INDEX ON {} (activity_day)",
    "CREATE INDEX ON {} USING gin (lexemes)",
    "CREATE INDEX ON {} USING gin (labels, technologies)",
)
_OUTGREW = re.compile(r"hnsw graph no longer fits into maintenance_work_mem after (\d+) tuples")


@dataclass(frozen=True)
class Effort:
    """What PostgreSQL may use for one index: parallel workers beside the one that leads, and megabytes of memory."""

    workers: int = 2
    memory_mb: int = 512


@dataclass(frozen=True)
class IndexResult:
    """The artifact that stands for the month of a space now; `built` is False when its rows were already indexed.

    passed: whether a release may take it. seconds: of what was done, by part. warning: what made the build slow.
    """

    space: Space
    artifact_id: int | None
    table: str | None
    rows: int
    built: bool
    build_seconds: float
    bytes: int
    recall: Recall | None
    passed: bool
    seconds: dict[str, float] = field(default_factory=dict)
    warning: str | None = None


def build_month(
    database: Database,
    kind: Kind,
    month: date,
    model: str,
    recall_floor: float,
    run_id: str | None = None,
    effort: Effort = Effort(),
) -> IndexResult:
    """`build_spaces` for the space of one model, which has to be there."""
    (result,) = build_spaces(database, kind, month, recall_floor, run_id, effort, models=(model,))
    return result


def build_spaces(
    database: Database,
    kind: Kind,
    month: date,
    recall_floor: float,
    run_id: str | None = None,
    effort: Effort = Effort(),
    models: Sequence[str] | None = None,
) -> tuple[IndexResult, ...]:
    """Build and audit the artifact of `month` (its first day) in every space of `kind` where its rows changed.

    models: only their spaces; the month then stays marked as changed for the others.
    """
    with database.transaction() as connection:
        dirty = connection.execute(
            "SELECT version FROM dirty_months WHERE kind = %s AND month = %s", [kind.name, month]
        ).fetchone()
        every = spaces_of(connection, kind)
    _analyze_new(database, kind)
    spaces = [space for space in every if models is None or space.model in models]
    results = tuple(_build_and_measure(database, space, month, run_id, effort) for space in spaces)
    with database.transaction() as connection:
        verdicts.record(connection, kind, month, [_judged(result) for result in results], recall_floor, run_id)
        if dirty is not None and len(spaces) == len(every):
            connection.execute(
                "DELETE FROM dirty_months WHERE kind = %s AND month = %s AND version = %s",
                [kind.name, month, dirty[0]],
            )
    return results


def _analyze_new(database: Database, kind: Kind) -> None:
    """Without statistics PostgreSQL takes a table for nearly empty, and joins each row of a month with all of it."""
    with database.transaction() as connection:
        table = pgsql.Identifier("starsearch", kind.table)
        row = connection.execute(
            "SELECT reltuples < 0 FROM pg_class WHERE oid = %s::regclass", [table.as_string()]
        ).fetchone()
        if row is not None and row[0]:
            connection.execute(pgsql.SQL("ANALYZE {}").format(table))


def _judged(result: IndexResult) -> verdicts.Judged:
    return verdicts.Judged(result.space.model, result.artifact_id, result.rows, result.recall)


def _build_and_measure(
    database: Database, space: Space, month: date, run_id: str | None, effort: Effort
) -> IndexResult:
    seconds: dict[str, float] = {}
    with database.transaction() as connection:
        hold_off_forgetting(connection)
        with _outgrown(connection) as fitted:
            artifact_id, built = _build(connection, space, month, run_id, effort, seconds)
    if artifact_id is None:
        return IndexResult(space, None, None, 0, False, 0.0, 0, None, True)
    with database.transaction() as connection:
        table, rows, build_seconds, size, stored = _read(connection, artifact_id)
        if stored is None:
            with _timed(seconds, "recall"):
                recall = measure(connection, pgsql.Identifier("artifacts", table), rows, space.dimensions)
            connection.execute(
                "UPDATE index_artifacts SET recall = %s, passed = %s WHERE artifact_id = %s",
                [Jsonb(recall.as_json()), verdicts.is_sound(recall), artifact_id],
            )
        else:
            recall = Recall.from_json(stored)
    warning = _too_small(effort, rows, fitted[0]) if fitted else None
    return IndexResult(
        space, artifact_id, table, rows, built, build_seconds, size, recall, verdicts.is_sound(recall), seconds, warning
    )


def _read(connection: Connection, artifact_id: int) -> tuple[str, int, float, int, dict[str, object] | None]:
    row = connection.execute(
        "SELECT table_name, row_count, build_seconds, bytes, recall FROM index_artifacts WHERE artifact_id = %s",
        [artifact_id],
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2], row[3], row[4]


def _build(
    connection: Connection, space: Space, month: date, run_id: str | None, effort: Effort, seconds: dict[str, float]
) -> tuple[int | None, bool]:
    """Id of the artifact with the month's rows, and whether it had to be built."""
    source = pgsql.SQL(sql(__package__, "source")).format(
        kind=pgsql.Literal(space.kind.name),
        month=pgsql.Literal(month),
        embeddings=pgsql.Literal(space.kind.embeddings),
        gate=pgsql.Literal(space.gate),
        vectors=space.table,
    )
    started = time.monotonic()
    # Who waits here for another build of the month sees what that one has made.
    lock = f"{space.kind.name}/{space.slug}/{month}"
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [lock])
    _use(connection, effort)
    newest = connection.execute(
        "SELECT artifact_id, fingerprint, version FROM index_artifacts WHERE space_id = %s AND month = %s"
        " ORDER BY version DESC LIMIT 1",
        [space.space_id, month],
    ).fetchone()
    artifact_id, known, version = newest or (None, None, 0)
    name = f"{space.kind.name}_{space.slug}_{month:%Y_%m}_v{version + 1}"
    table = pgsql.Identifier("artifacts", name)
    with _timed(seconds, "rows"):
        rows, fingerprint = _fill(connection, space, table, source, known)
    if rows == 0 or fingerprint == known:
        connection.rollback()  # leaves no table
        return artifact_id if rows else None, False
    with _timed(seconds, "hnsw"):
        connection.execute(
            pgsql.SQL(
                "CREATE INDEX ON {} USING hnsw (embedding halfvec_cosine_ops) WITH (m = {}, ef_construction = {})"
            ).format(table, pgsql.Literal(space.m), pgsql.Literal(space.ef_construction))
        )
    with _timed(seconds, "other indexes"):
        for statement in _OTHER_INDEXES:
            connection.execute(pgsql.SQL(statement).format(table))
    with _timed(seconds, "analyze"):
        connection.execute(pgsql.SQL("ANALYZE {}").format(table))
    row = connection.execute(
        "INSERT INTO index_artifacts (space_id, month, version, table_name, fingerprint, row_count, bytes,"
        " build_seconds, run_id) VALUES (%s, %s, %s, %s, %s, %s, pg_total_relation_size(%s::regclass), %s, %s)"
        " RETURNING artifact_id",
        [
            space.space_id, month, version + 1, name, fingerprint, rows, f"artifacts.{name}",
            time.monotonic() - started, run_id,
        ],
    ).fetchone()  # fmt: skip
    assert row is not None
    return int(row[0]), True


def _use(connection: Connection, effort: Effort) -> None:
    """Workers and memory until the transaction ends; a build whose client is gone ends soon, not when it is done."""
    connection.execute(
        "SELECT set_config('max_parallel_maintenance_workers', %s, true), set_config('maintenance_work_mem', %s, true),"
        " set_config('work_mem', %s, true), set_config('client_connection_check_interval', '1s', true),"
        " set_config('jit', 'off', true)",
        [str(effort.workers), f"{effort.memory_mb}MB", f"{effort.memory_mb * 512}kB"],
    )


def _fill(
    connection: Connection, space: Space, table: pgsql.Identifier, source: pgsql.Composed, known: str | None
) -> tuple[int, str]:
    """Number and fingerprint of the month's rows; `table` is made, and filled unless `known` is their fingerprint."""
    header = f"{ARTIFACT_FORMAT}/{space.model}/{space.dimensions}/{space.m}/{space.ef_construction}"
    connection.execute(pgsql.SQL(sql(__package__, "artifact")).format(table=table, source=source))
    fill = pgsql.SQL(sql(__package__, "fill")).format(
        table=table, source=source, header=pgsql.Literal(header), known=pgsql.Literal(known)
    )
    row = connection.execute(fill).fetchone()
    assert row is not None
    return int(row[0]), str(row[1])


@contextmanager
def _outgrown(connection: Connection) -> Iterator[list[int]]:
    """After how many rows a graph outgrew its memory, as pgvector's notice says; empty if none did."""
    fitted: list[int] = []

    def read(diagnostic: psycopg.errors.Diagnostic) -> None:
        if found := _OUTGREW.search(diagnostic.message_primary or ""):
            fitted.append(int(found[1]))

    connection.add_notice_handler(read)
    try:
        yield fitted
    finally:
        connection.remove_notice_handler(read)


def _too_small(effort: Effort, rows: int, fitted: int) -> str:
    needed = math.ceil(1.1 * effort.memory_mb * rows / max(fitted, 1))
    return (
        f"The index outgrew its {effort.memory_mb} MB of memory after {fitted:,} of {rows:,} rows and was built slowly:"
        f" set INDEX_MEMORY_MB to {needed} or more."
    )


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[part] = seconds.get(part, 0.0) + time.monotonic() - started
