"""How well documents answer a query, one pair at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from resources.settings import Settings


class Reranker(Protocol):
    """Anything that scores documents by how well they answer a query."""

    @property
    def model(self) -> str:
        """Its name."""
        ...

    def scores(self, query: str, documents: Sequence[str]) -> npt.NDArray[np.float32]:
        """A score for every document, higher is better.

        Raises:
            RerankerError: it cannot be reached, or gave something else.
        """
        ...


def create_reranker(settings: Settings) -> Reranker | None:  # noqa: ARG001 - until there is one
    """The reranker that the settings name."""
    return None
