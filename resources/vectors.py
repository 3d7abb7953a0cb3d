"""What every embedder's vectors are: finite, of unit length, one a text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from resources.errors import EmbedderError

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions), rows of unit length."""

_NORM_TOLERANCE = 0.02


def checked(vectors: Vectors, texts: int, dimensions: int, model: str, *, scale: bool = False) -> Vectors:
    """The same vectors, of exactly unit length.

    scale: normalize what the model left unnormalized or rounded; a zero vector cannot be.

    Raises:
        EmbedderError: wrong shape, NaN or infinity, or a vector without direction.
    """
    expected: tuple[Any, ...] = (texts, dimensions)
    if vectors.shape != expected:
        raise EmbedderError(
            f"The model {model} should give vectors of shape {expected} and gave {vectors.shape}: its dimensions"
            " changed, or texts were dropped. Nothing of it is used."
        )
    if not np.isfinite(vectors).all():
        raise EmbedderError(f"The model {model} gave a vector with NaN or infinity. Nothing of this batch is used.")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (norms < 1e-6).any() or (not scale and (abs(norms - 1) > _NORM_TOLERANCE).any()):
        raise EmbedderError(f"The model {model} gave a vector that is not of unit length. Nothing of it is used.")
    return np.asarray(vectors / norms, dtype=np.float32)
