"""Answers to /v1/embeddings."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from tests.doubles.llm_server.request import Request


def embedding(text: str, dimensions: int) -> list[float]:
    """A vector of unit length that only the text decides."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return [float(value) for value in vector / np.linalg.norm(vector)]


def embeddings(request: Request, dimensions: int, what: str) -> dict[str, Any]:
    """In reverse order, told by `index`: the protocol allows it."""
    texts = request.body["input"]
    vectors = [embedding(text, dimensions + (what == "wrong dimensions")) for text in texts]
    if what == "NaN":
        vectors[-1][0] = float("nan")
    if what == "zero vector":
        vectors[-1] = [0.0] * dimensions
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    if what == "fewer vectors":
        data.pop()
    if what == "wrong indexes":
        data = [{**one, "index": 7} for one in data]
    return {
        "object": "list",
        "data": data[::-1],
        "model": request.body["model"],
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
