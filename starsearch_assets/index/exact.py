"""Exact nearest neighbours of many vectors at once: rows are streamed past all of them in one COPY.

A scan a query in SQL reads every row once for each; this reads each once, and memory stays at two chunks of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from psycopg import sql as pgsql

from resources.postgres import Connection

CHUNK = 4096
"""Rows that are compared at once."""

_HEADER, _TRAILER = 19, 2  # bytes around the rows (PostgreSQL's manual, COPY, "Binary Format")

Distances = npt.NDArray[np.float32]


def nearest_distances(
    connection: Connection,
    selects: Sequence[pgsql.Composable],
    probes: npt.NDArray[np.float32],
    k: int,
    chunk: int = CHUNK,
) -> Distances:
    """Cosine distances from each probe to its `k` nearest rows, as pgvector's `<=>` has them, nearest first.

    selects: queries of one column, a halfvec of as many dimensions as the probes have; their rows count together.
    probes: shape (queries, dimensions). The result has shape (queries, k), with infinity where there are fewer rows.
    """
    best = np.full((len(probes), k), np.inf, dtype=np.float32)
    if not len(probes):
        return best
    unit = probes / np.linalg.norm(probes, axis=1, keepdims=True)
    with ThreadPoolExecutor(1) as pool:  # a chunk is compared while the next one is read
        comparing = pool.submit(lambda: None)
        for select in selects:
            for rows in _chunks(connection, select, probes.shape[1], chunk):
                comparing.result()
                comparing = pool.submit(_take_nearer, best, unit, rows)
        comparing.result()
    return best


def vectors_of(connection: Connection, select: pgsql.Composable, dimensions: int) -> npt.NDArray[np.float32]:
    """All rows of a query of one halfvec column; shape (rows, dimensions)."""
    chunks = list(_chunks(connection, select, dimensions, CHUNK))
    return np.concatenate(chunks) if chunks else np.empty((0, dimensions), dtype=np.float32)


def _take_nearer(best: Distances, unit: npt.NDArray[np.float32], rows: npt.NDArray[np.float32]) -> None:
    """Merge a chunk's distances into those of the nearest so far."""
    distances = 1.0 - (unit @ rows.T) / np.linalg.norm(rows, axis=1)
    k = best.shape[1]
    better = np.flatnonzero(distances.min(axis=1) < best[:, -1])
    if not len(better):
        return
    distances = distances[better]
    if distances.shape[1] > k:
        distances = np.partition(distances, k - 1, axis=1)[:, :k]
    best[better] = np.sort(np.concatenate((best[better], distances), axis=1), axis=1)[:, :k]


def _chunks(
    connection: Connection, select: pgsql.Composable, dimensions: int, chunk: int
) -> Iterator[npt.NDArray[np.float32]]:
    """The rows' vectors as float32, at most `chunk` at once."""
    record = np.dtype(
        [
            ("fields", ">i2"),
            ("bytes", ">i4"),
            ("dimensions", ">i2"),
            ("unused", ">i2"),
            ("vector", ">u2", (dimensions,)),
        ]
    )
    size = chunk * record.itemsize
    buffer = bytearray()
    with connection.cursor().copy(pgsql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(select)) as copy:
        for data in copy:
            buffer += data
            if len(buffer) >= _HEADER + size + _TRAILER:
                yield _decode(buffer, record, chunk)
                del buffer[_HEADER : _HEADER + size]
    rows = -(-(len(buffer) - _HEADER - _TRAILER) // record.itemsize)
    if rows:
        buffer += bytes(record.itemsize)  # so that a row of fewer dimensions is read, and refused
        yield _decode(buffer, record, rows)


def _decode(buffer: bytearray, record: np.dtype[np.void], rows: int) -> npt.NDArray[np.float32]:
    """The first rows, from PostgreSQL's big-endian half precision."""
    read = np.frombuffer(buffer, record, rows, _HEADER)
    expected = record["vector"].shape[0]
    if (read["fields"] != 1).any() or (read["dimensions"] != expected).any():
        raise ValueError(
            f"Expected one column of vectors of {expected} dimensions from the database, and got {read['fields'][0]}"
            f" columns, the first vector of {read['dimensions'][0]} dimensions: is it a halfvec that is never null?"
        )
    halves: npt.NDArray[np.uint16] = read["vector"].astype(np.uint16)
    return halves.view(np.float16).astype(np.float32)
