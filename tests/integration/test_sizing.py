"""The bytes that `starsearch size` counts with, against real tables of a few thousand rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.hours import HOUR, source, write_hour
from benchmarks.index import MONTH, store_rows
from benchmarks.vectors import DIMENSIONS, Corpus, _generated, _with_neighbours
from resources.postgres import Database
from starsearch_assets.events.load import load_hour
from starsearch_assets.index.build import build_month
from starsearch_assets.sizing import artifact_row_bytes, event_row_bytes, hnsw_row_bytes, vector_row_bytes
from tests.integration.hours import REAL_HOURS, fetched

ROWS = 5_000


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Generated texts with vectors in clusters."""
    return _with_neighbours(*_generated(1_500))


def measured_and_expected(database: Database) -> tuple[float, float]:
    """Bytes of an event on disk, indexes included, and what the formula says for its payload and names."""
    rows, payload, kind, name, login = database.fetch_all(
        "SELECT count(*), avg(pg_column_size(payload))::float8, avg(length(type))::float8,"
        " avg(length(repo_name))::float8, avg(length(coalesce(actor_login, '')))::float8 FROM events"
    )[0]
    stored = database.fetch_value(
        "SELECT sum(pg_total_relation_size(inhrelid))::float8 FROM pg_inherits WHERE inhparent = 'events'::regclass"
    )
    return stored / rows, event_row_bytes(payload, kind, name, login)


def test_an_event_takes_the_bytes_of_the_formula(database: Database, tmp_path: Path) -> None:
    """Slim events of today's shapes: within 5 %."""
    write_hour(tmp_path, 20_000)
    with source(tmp_path).fetch(HOUR) as file:
        load_hour(database, file)
    stored, expected = measured_and_expected(database)
    assert expected == pytest.approx(stored, rel=0.05)


def test_a_fat_event_takes_them_too(database: Database, real_data: Path) -> None:
    """Three real hours of 2015, of which some payloads lie in TOAST: within 10 %."""
    for hour in REAL_HOURS:
        fetched(database, real_data / "gharchive" / "2015", hour)
    stored, expected = measured_and_expected(database)
    assert expected == pytest.approx(stored, rel=0.1)


def test_vectors_take_the_bytes_of_the_formulas(database: Database, corpus: Corpus) -> None:
    """A space's rows and an artifact's with all indexes within 10 %, HNSW alone within 5 %."""
    space = store_rows(database, corpus, corpus.derive(ROWS, seed=1))
    built = build_month(database, space.kind, MONTH, space.model, 0.0)
    table = space.table.as_string()
    document = database.fetch_value(f"SELECT avg(octet_length(document))::float8 FROM {table}")
    stored = database.fetch_value("SELECT pg_total_relation_size(%s::regclass)", [table])
    assert vector_row_bytes(DIMENSIONS, document) == pytest.approx(stored / ROWS, rel=0.1)
    assert artifact_row_bytes(DIMENSIONS, document) == pytest.approx(built.bytes / ROWS, rel=0.1)
    hnsw = database.fetch_value(
        "SELECT pg_relation_size(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'hnsw' AND i.indrelid = %s::regclass",
        [f"artifacts.{built.table}"],
    )
    assert hnsw_row_bytes(DIMENSIONS, space.m) == pytest.approx(hnsw / ROWS, rel=0.05)


@pytest.mark.parametrize(("dimensions", "m"), [(32, 8), (256, 32), (768, 16), (1536, 16)])
def test_hnsw_takes_the_bytes_of_the_formula_at_other_dimensions(database: Database, dimensions: int, m: int) -> None:
    """Other models and other m: within 10 %."""
    with database.transaction() as connection:
        connection.execute(f"CREATE TABLE points (embedding halfvec({dimensions}))")
        connection.execute(
            "INSERT INTO points SELECT (SELECT array_agg(random() - 0.5) FROM generate_series(1, %s)"
            " WHERE n > 0)::halfvec FROM generate_series(1, 1500) AS rows(n)",
            [dimensions],
        )
        connection.execute(f"CREATE INDEX ON points USING hnsw (embedding halfvec_cosine_ops) WITH (m = {m})")
    stored = database.fetch_value("SELECT pg_indexes_size('points')")
    assert hnsw_row_bytes(dimensions, m) == pytest.approx(stored / 1500, rel=0.1)
