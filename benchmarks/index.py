"""The index artifact of a month, audit and measured recall included, against the bare CREATE INDEX."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql as pgsql

from benchmarks.content import KIND, REPO_ID, store_pull_requests
from benchmarks.report import Report, paired, timed
from benchmarks.server import temporary_database
from resources.postgres import Database
from starsearch_assets import audits
from starsearch_assets.embeddings.spaces import ensure_space
from starsearch_assets.index.build import build_month

TARGET = 1.25
MONTH = date(2025, 9, 1)
M, EF_CONSTRUCTION = 16, 64


@dataclass(frozen=True)
class _Vectors:
    """Stands where an embedder would: only its name and dimensions are asked for."""

    model: str = "bench"
    dimensions: int = 384

    def encode(self, texts: object) -> npt.NDArray[np.float32]:
        raise NotImplementedError


def run(rows: int = 50_000, repetitions: int = 3) -> Report:
    """Seconds of build_month over those of CREATE INDEX on a copy of the same rows."""
    report = Report(f"index: artifact of {rows:,} halfvec(384), recall included, against bare CREATE INDEX")
    with temporary_database() as (database, _):
        _store(database, rows)
        recalls: list[float] = []
        building: list[float] = []

        def ours() -> float:
            _drop_artifacts(database)
            with timed() as timer:
                result = build_month(database, KIND, MONTH, _Vectors().model, recall_floor=0.0)
            assert (result.built, result.rows) == (True, rows), result
            assert result.recall is not None
            recalls.append(max(result.recall.by_ef_search.values()))
            building.append(result.build_seconds / timer.seconds)
            return timer.seconds

        ours()
        table = database.fetch_value("SELECT table_name FROM index_artifacts")
        database.execute(f"CREATE TABLE floor_rows AS SELECT * FROM artifacts.{table}")
        database.execute("ANALYZE floor_rows")

        def floor() -> float:
            with timed() as timer:
                database.execute(
                    "CREATE INDEX floor_hnsw ON floor_rows USING hnsw (embedding halfvec_cosine_ops)"
                    f" WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
                )
            database.execute("DROP INDEX floor_hnsw")
            return timer.seconds

        pairs = paired(ours, floor, repetitions)
    report.row("", "ours", "floor", "ratio")
    report.row(
        "rows indexed",
        f"{rows / pairs.ours_median:,.0f} rows/s",
        f"{rows / pairs.floor_median:,.0f} rows/s",
        f"{pairs.slowdown:.2f}",
    )
    report.note(f"of its time, rows and indexes took {np.median(building):.0%}; the rest is recall and the audit")
    report.note(f"recall@10 of the artifact at the largest ef_search tried: {max(recalls):.3f}")
    report.verdict("seconds over CREATE INDEX's", pairs.slowdown, "<=", TARGET)
    return report


def _store(database: Database, rows: int) -> None:
    """Items, their activity and audited days, and clustered unit vectors, as the assets leave them."""
    days = [MONTH + timedelta(days=number) for number in range(28)]
    store_pull_requests(database, [(f"title {number}", "body") for number in range(1, rows + 1)], days)
    vectors = _clustered(rows)
    with database.transaction() as connection:
        register_vector(connection)
        space = ensure_space(connection, KIND, _Vectors())
        statement = pgsql.SQL(
            "COPY {} (repo_id, ref, text_hash, document, document_source, lexemes, embedding)"
            " FROM STDIN (FORMAT BINARY)"
        ).format(space.table)
        with connection.cursor().copy(statement) as copy:
            copy.set_types(["int8", "text", "bytea", "text", "text", "halfvec"])
            for number, vector in enumerate(vectors, 1):
                text = f"title {number}\nbody"
                digest = hashlib.sha256(text.encode()).digest()
                copy.write_row((REPO_ID, str(number), digest, text, "source", HalfVector(vector)))
        for day in days:
            audits.record(connection, audits.Audit(KIND.embeddings, f"{day}", "bench", True, {}), None)
    with database.transaction() as connection:
        connection.execute(pgsql.SQL("ANALYZE {}").format(space.table))


def _clustered(rows: int) -> npt.NDArray[np.float16]:
    """Unit vectors about 500 centres, as texts about the same things are."""
    chance = np.random.default_rng(3)
    centres = chance.standard_normal((500, 384), dtype=np.float32)
    vectors = centres[chance.integers(0, 500, rows)] + 0.7 * chance.standard_normal((rows, 384), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float16)


def _drop_artifacts(database: Database) -> None:
    for (table,) in database.fetch_all("DELETE FROM index_artifacts RETURNING table_name"):
        database.execute(f"DROP TABLE artifacts.{table}")
