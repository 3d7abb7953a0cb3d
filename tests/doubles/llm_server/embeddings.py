"""Answers to /v1/embeddings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tests.doubles.llm_server import errors
from tests.doubles.llm_server.request import Request


@dataclass(frozen=True)
class EmbeddingLimits:
    """What the server takes. window: words of a text; most: texts of a request; None: all.

    says: in whose words it refuses. cuts: longer texts are cut to the window (TEI's --auto-truncate).
    """

    window: int | None = None
    most: int | None = None
    says: Literal["vLLM", "TEI"] = "vLLM"
    cuts: bool = False


def embedding(text: str, dimensions: int) -> list[float]:
    """A vector of unit length that only the text decides."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return [float(value) for value in vector / np.linalg.norm(vector)]


def embeddings(request: Request, dimensions: int, limits: EmbeddingLimits, what: str) -> dict[str, Any]:
    """In reverse order, told by `index`: the protocol allows it.

    Raises:
        Refused: more or longer texts than the server takes.
    """
    texts = _within(request.body["input"], limits)
    vectors = [embedding(text, dimensions + (what == "wrong dimensions")) for text in texts]
    if what == "NaN":
        vectors[-1][0] = float("nan")
    if what == "not normalized":
        vectors = [[7 * value for value in vector] for vector in vectors]
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


def _within(texts: list[str], limits: EmbeddingLimits) -> list[str]:
    """The texts as the server reads them."""
    if limits.most is not None and len(texts) > limits.most:
        raise errors.too_many_texts(limits.most, len(texts))
    if limits.window is None:
        return texts
    if limits.cuts:
        return [" ".join(text.split()[: limits.window]) if len(text.split()) > limits.window else text
                for text in texts]  # fmt: skip
    longest = max(len(text.split()) for text in texts)
    if longest > limits.window:
        raise errors.text_too_long(limits.window, longest, limits.says)
    return texts
