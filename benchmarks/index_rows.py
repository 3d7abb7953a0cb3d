"""Rows for indexes: texts of 30 to 90 words, and unit vectors with neighbourhoods as real texts have them.

Where real GitHub data lies beside the checkout, its titles are embedded with the bundled model, and every row lies
between two near neighbours of them; elsewhere texts are generated and vectors scatter about centres.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.report import REAL_DATA
from resources.embedder import SentenceTransformerEmbedder

DIMENSIONS = 384
_NEIGHBOURS = 10
_EMBEDDED = 2000  # real texts, chosen by chance; and only their titles: embedding would take longer than the rest
_WORDS = (30, 90)
_RETRIEVAL = REAL_DATA / "retrieval"
_TABLES = ("aidev/Copilot.prs", "aidev/Copilot.issues")
_LINES = ("bitcoin_gui/bitcoin-core-gui.issues", "bitcoin_gui/bitcoin-core-gui.pulls", "hf_datasets/datasets-issues")


@dataclass(frozen=True)
class Rows:
    """texts: (title, body) a row; vectors: shape (rows, 384), unit length; real: whether real texts are behind them."""

    texts: Sequence[tuple[str, str]]
    vectors: npt.NDArray[np.float16]
    real: bool


def make_rows(count: int, seed: int = 7) -> Rows:
    """`count` rows, the same ones for the same seed."""
    chance = np.random.default_rng(seed)
    real = _RETRIEVAL.is_dir()
    base = _real_texts() if real else _generated_texts(chance)
    base = [base[place] for place in sorted(chance.choice(len(base), min(_EMBEDDED, len(base)), replace=False))]
    vectors = _embedded(base) if real else _clustered(len(base), chance)
    first = chance.integers(0, len(base), count)
    second = _near(vectors)[first, chance.integers(0, _NEIGHBOURS, count)]
    share = chance.random((count, 1), dtype=np.float32)
    mixed = (1 - share) * vectors[first] + share * vectors[second]
    mixed += 0.02 * chance.standard_normal(mixed.shape, dtype=np.float32)
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    texts = [_text(base[a], base[b], words) for a, b, words in
             zip(first, second, chance.integers(_WORDS[0], _WORDS[1] + 1, count), strict=True)]  # fmt: skip
    return Rows(texts, mixed.astype(np.float16), real)


def _text(one: tuple[str, str], other: tuple[str, str], words: int) -> tuple[str, str]:
    """The title of one, and so many words of both bodies in turn."""
    mine, theirs = one[1].split(), other[1].split()
    half = words // 2
    return one[0], " ".join((mine[:half] + theirs[: words - min(half, len(mine))])[:words])


def _real_texts() -> list[tuple[str, str]]:
    csv.field_size_limit(sys.maxsize)
    texts = []
    for name in _TABLES:
        with gzip.open(_RETRIEVAL / f"{name}.csv.gz", "rt", newline="") as file:
            texts += [(row["title"], row["body"]) for row in csv.DictReader(file)]
    for name in _LINES:
        with gzip.open(_RETRIEVAL / f"{name}.jsonl.gz", "rt") as file:
            texts += [(item.get("title"), item.get("body")) for item in map(json.loads, file)]
    clean = [((title or "").replace("\0", ""), (body or "").replace("\0", "")[:1000]) for title, body in texts]
    return list(dict.fromkeys(clean))


def _embedded(texts: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
    return SentenceTransformerEmbedder().encode([title for title, _ in texts])


def _near(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """The nearest other vectors of each."""
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -1)
    return np.argpartition(-similar, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]


def _generated_texts(chance: np.random.Generator, count: int = 4000) -> list[tuple[str, str]]:
    words = np.array([f"{stem}{ending}" for stem in _STEMS for ending in _ENDINGS])
    frequency = 1 / np.arange(1, len(words) + 1)  # Zipf's law
    drawn = chance.choice(words, (count, _WORDS[1] + 8), p=frequency / frequency.sum())
    return [(" ".join(row[:8]), " ".join(row[8:])) for row in drawn]


def _clustered(count: int, chance: np.random.Generator) -> npt.NDArray[np.float32]:
    centres = chance.standard_normal((200, DIMENSIONS), dtype=np.float32)
    vectors = centres[chance.integers(0, len(centres), count)]
    vectors = vectors + 0.7 * chance.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


_STEMS = tuple(a + b for a in ("ba", "co", "di", "fu", "ge", "ko", "li", "mo", "ne", "po", "ra", "su", "ti", "vu")
               for b in ("bler", "cket", "dron", "fler", "gram", "lent", "mber", "nder", "rtex", "sket"))  # fmt: skip
_ENDINGS = ("", "s", "al", "ic", "or", "ity", "ise", "less", "ful", "wise")
