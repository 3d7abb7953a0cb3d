"""The index artifact of a month, audit and measured recall included, against the bare CREATE INDEX."""

from __future__ import annotations

import hashlib
import statistics
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
from benchmarks.vectors import DIMENSIONS, Corpus, Derived, load_corpus
from resources.postgres import Database
from starsearch_assets import audits
from starsearch_assets.embeddings.spaces import Space, ensure_space
from starsearch_assets.index.build import Effort, build_month

TARGET = 1.25
MONTH = date(2025, 9, 1)
EFFORT = Effort(workers=2, memory_mb=512)


@dataclass(frozen=True)
class _Vectors:
    """Stands where an embedder would: only its name and dimensions are asked for."""

    model: str = "bench"
    dimensions: int = DIMENSIONS

    def encode(self, texts: object) -> npt.NDArray[np.float32]:
        raise NotImplementedError


def run(rows: int = 50_000, repetitions: int = 3) -> Report:
    """Seconds of build_month over those of CREATE INDEX on a copy of the same rows."""
    report = Report(f"index: artifact of {rows:,} halfvec(384), recall included, against bare CREATE INDEX")
    with temporary_database() as (database, _):
        corpus = load_corpus(report)
        space = store_rows(database, corpus, corpus.derive(rows, seed=7))
        parts: list[dict[str, float]] = []
        recalls: list[float] = []

        def ours() -> float:
            drop_artifacts(database)
            with timed() as timer:
                result = build_month(database, KIND, MONTH, _Vectors().model, 0.0, effort=EFFORT)
            assert (result.built, result.rows, result.warning) == (True, rows, None), result
            assert result.recall is not None
            recalls.append(result.recall.best)
            parts.append(result.seconds)
            return timer.seconds

        ours()
        table = database.fetch_value("SELECT table_name FROM index_artifacts")
        options = database.fetch_value(
            "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = %s::regclass", [f"artifacts.{table}"]
        )
        database.execute(f"CREATE TABLE floor_rows (LIKE artifacts.{table} INCLUDING STORAGE) WITH ({options})")
        database.execute(f"INSERT INTO floor_rows SELECT * FROM artifacts.{table}")
        database.execute("ANALYZE floor_rows")
        with timed() as again:
            same = build_month(database, KIND, MONTH, _Vectors().model, 0.0, effort=EFFORT)
        assert not same.built, same

        def floor() -> float:
            seconds = bare_index(database, "floor_rows", space)
            database.execute("DROP INDEX floor_hnsw")
            return seconds

        pairs = paired(ours, floor, repetitions)
    report.row("", "ours", "floor", "ratio")
    report.row(
        "rows indexed",
        f"{rows / pairs.ours_median:,.0f} rows/s",
        f"{rows / pairs.floor_median:,.0f} rows/s",
        f"{pairs.slowdown:.2f}",
    )
    for part in parts[-1]:
        seconds = statistics.median(one[part] for one in parts[1:])
        report.row(f"  {part}", f"{seconds:.2f} s", "", f"{seconds / pairs.floor_median:.2f}")
    report.note(f"the same rows again, nothing built: {again.seconds:.2f} s")
    report.note(f"recall@10 of the artifact at the best ef_search tried: {min(recalls):.3f} at least")
    report.verdict("seconds over CREATE INDEX's", pairs.slowdown, "<=", TARGET)
    return report


def bare_index(database: Database, table: str, space: Space) -> float:
    """Seconds of CREATE INDEX as `floor_hnsw`, with the space's settings, and workers and memory as the build has."""
    with database.transaction() as connection:
        connection.execute(f"SET LOCAL max_parallel_maintenance_workers = {EFFORT.workers}")
        connection.execute(f"SET LOCAL maintenance_work_mem = '{EFFORT.memory_mb}MB'")
        with timed() as timer:
            connection.execute(
                f"CREATE INDEX floor_hnsw ON {table} USING hnsw (embedding halfvec_cosine_ops)"
                f" WITH (m = {space.m}, ef_construction = {space.ef_construction})"
            )
    return timer.seconds


def store_rows(database: Database, corpus: Corpus, rows: Derived) -> Space:
    """Items, their activity and audited days, and their vectors, as the assets leave them."""
    days = [MONTH + timedelta(days=number) for number in range(28)]
    texts = [_text(corpus.texts[one], corpus.texts[other], number) for number, (one, other) in
             enumerate(zip(rows.first, rows.second, strict=True))]  # fmt: skip
    store_pull_requests(database, texts, days)
    with database.transaction() as connection:
        register_vector(connection)
        space = ensure_space(connection, KIND, _Vectors())
        connection.execute(
            "CREATE TEMPORARY TABLE loaded (ref text, text_hash bytea, document text, embedding halfvec) ON COMMIT DROP"
        )
        with connection.cursor().copy("COPY loaded FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "bytea", "text", "halfvec"])
            for number, ((title, body), vector) in enumerate(zip(texts, rows.vectors, strict=True), 1):
                text = f"{title}\n{body}"
                copy.write_row((str(number), hashlib.sha256(text.encode()).digest(), text, HalfVector(vector)))
        connection.execute(
            pgsql.SQL(
                "INSERT INTO {} (repo_id, ref, text_hash, document, document_source, lexemes, embedding)"
                " SELECT {}, ref, text_hash, document, 'source', document_lexemes(document, NULL), embedding"
                " FROM loaded"
            ).format(space.table, pgsql.Literal(REPO_ID))
        )
        for day in days:
            audits.record(connection, audits.Audit(KIND.embeddings, f"{day}", "bench", True, {}, space.gate), None)
    with database.transaction() as connection:
        connection.execute(pgsql.SQL("ANALYZE {}").format(space.table))
    return space


def _text(one: str, other: str, number: int) -> tuple[str, str]:
    """The title of one text, and 25 to 80 words of both bodies."""
    title, _, body = one.partition("\n")
    return title, " ".join([*other.partition("\n")[2].split(), *body.split()][: 25 + number % 56])


def drop_artifacts(database: Database) -> None:
    """So that the next build makes the artifact anew."""
    for (table,) in database.fetch_all("DELETE FROM index_artifacts RETURNING table_name"):
        database.execute(f"DROP TABLE artifacts.{table}")
