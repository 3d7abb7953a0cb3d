"""Exact neighbours from one streamed read, against PostgreSQL's own exact search."""

from __future__ import annotations

import numpy as np
import pytest
from pgvector import HalfVector
from psycopg import sql as pgsql

from resources.postgres import Database
from starsearch_assets.index.exact import nearest_distances, vectors_of
from starsearch_assets.index.recall import found_share, shares_found

DIMENSIONS = 24
ROWS = pgsql.SQL("SELECT embedding FROM some_rows WHERE part = {} ORDER BY n")


def fill(database: Database, parts: tuple[int, ...], seed: int = 5) -> np.ndarray:
    """Rows of several parts, some of them equal; their vectors in half precision."""
    vectors = np.random.default_rng(seed).standard_normal((sum(parts), DIMENSIONS)).astype(np.float16)
    vectors[1::7] = vectors[:1]
    database.execute(f"CREATE TABLE some_rows (part int, n int, embedding halfvec({DIMENSIONS}))")
    part_of = np.repeat(np.arange(len(parts)), parts)
    with database.transaction() as connection:
        connection.cursor().executemany(
            "INSERT INTO some_rows VALUES (%s, %s, %s::halfvec)",
            [(int(part), n, HalfVector(vector).to_text()) for n, (part, vector) in
             enumerate(zip(part_of, vectors, strict=True))],
        )  # fmt: skip
    return vectors


@pytest.mark.parametrize("chunk", [1, 7, 64, 4096])
def test_the_same_distances_as_sql(database: Database, chunk: int) -> None:
    """Over several tables, whatever the size of the chunks, ties included."""
    fill(database, (50, 1, 90))
    probes = np.random.default_rng(9).standard_normal((8, DIMENSIONS)).astype(np.float32)
    with database.transaction() as connection:
        found = nearest_distances(connection, [ROWS.format(part) for part in range(3)], probes, 10, chunk=chunk)
        for probe, distances in zip(probes, found, strict=True):
            rows = connection.execute(
                "SELECT embedding <=> %s::halfvec FROM some_rows ORDER BY 1 LIMIT 10",
                [HalfVector(probe.astype(np.float16)).to_text()],
            ).fetchall()
            assert np.allclose(distances, [row[0] for row in rows], atol=2e-3)


def test_fewer_rows_than_places(database: Database) -> None:
    """Places without a row are infinitely far; without rows all are."""
    fill(database, (3,))
    with database.transaction() as connection:
        found = nearest_distances(connection, [ROWS.format(0)], np.eye(2, DIMENSIONS, dtype=np.float32), 5)
        none = nearest_distances(connection, [ROWS.format(7)], np.eye(2, DIMENSIONS, dtype=np.float32), 5)
    assert np.isfinite(found).sum(axis=1).tolist() == [3, 3]
    assert np.isinf(none).all()


def test_vectors_are_read_as_they_are_stored(database: Database) -> None:
    """Half precision, bit by bit, in the order of the query."""
    vectors = fill(database, (20,))
    with database.transaction() as connection:
        read = vectors_of(connection, ROWS.format(0), DIMENSIONS)
    assert (read == vectors.astype(np.float32)).all()


def test_other_columns_are_refused(database: Database) -> None:
    """Another number of dimensions than the probes have is said, not guessed at."""
    fill(database, (20,))
    with database.transaction() as connection, pytest.raises(ValueError, match="vectors of 23 dimensions"):
        vectors_of(connection, ROWS.format(0), DIMENSIONS - 1)


def test_shares_of_what_was_found() -> None:
    """Equal distances are as good as one another; what is missing counts as not found; no places are all filled."""
    inf = np.inf
    exact = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, inf], [inf, inf, inf]], dtype=np.float32)
    found = np.array([[0.1, 0.3, 0.5], [0.1, inf, inf], [inf, inf, inf]], dtype=np.float32)
    assert shares_found(found, exact, 1e-5).tolist() == pytest.approx([2 / 3, 1 / 2, 1.0])
    assert found_share(exact, exact, 1e-5) == 1.0
