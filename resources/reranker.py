"""How well documents answer a query, one pair at a time: a cross-encoder in this process, or a server with /rerank.

Importing this module does not load torch: the model loads at its first use.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from resources import torch_runtime
from resources.errors import RerankerError
from resources.reranker_server import Scores, ServerReranker
from resources.settings import Settings

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

__all__ = ["CrossEncoderReranker", "Reranker", "Scores", "ServerReranker", "create_reranker"]

logger = logging.getLogger(__name__)

_BATCH = 16
"""Pairs of a batch."""

_LONGEST = 512
"""Word pieces of a pair at most, where the model does not say how many it reads."""


class Reranker(Protocol):
    """Anything that scores documents by how well they answer a query."""

    @property
    def model(self) -> str:
        """Name of the model, for people and measurements."""
        ...

    def scores(self, query: str, documents: Sequence[str]) -> Scores:
        """A score of each document, in their order; higher is better. Scores of two models are not comparable.

        Raises:
            RerankerError: the model is missing or does not answer, or gave anything but one finite score a document.
        """
        ...


class CrossEncoderReranker:
    """A cross-encoder of sentence-transformers in this process, from a folder; it never reaches for the network.

    A pair longer than the model's window is cut by the tokenizer, at the end of the longer text of the two. Scores
    are the model's logits. Queries are scored one after another: each of them has all of torch's threads.
    """

    def __init__(self, folder: str, dtype: str = "auto") -> None:
        self._folder, self._dtype = Path(folder).expanduser(), dtype
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """The last part of the folder's name."""
        return self._folder.name

    def scores(self, query: str, documents: Sequence[str]) -> Scores:
        """Scores of the documents, in batches of pairs of like length."""
        if not documents:
            return np.empty(0, dtype=np.float32)
        import torch

        with self._lock:
            try:
                found = self._loaded.predict(
                    [(query or " ", document or " ") for document in documents],
                    batch_size=_BATCH,
                    show_progress_bar=False,
                    activation_fn=torch.nn.Identity(),  # a sigmoid would make the best of them equal
                )
            except (RuntimeError, ValueError, IndexError) as error:
                raise RerankerError(
                    f"The cross-encoder in {self._folder} (RERANKER_MODEL) failed: {type(error).__name__}:"
                    f" {str(error)[:200]}."
                ) from error
        scores = np.asarray(found, dtype=np.float32)
        if scores.shape != (len(documents),) or not np.isfinite(scores).all():
            raise RerankerError(
                f"The cross-encoder in {self._folder} (RERANKER_MODEL) should give {len(documents)} finite scores and"
                f" gave an array of shape {scores.shape}, some of it NaN or infinity. Nothing of it is used."
            )
        return scores

    @cached_property
    def _loaded(self) -> CrossEncoder:
        torch_runtime.prepare(
            f"The reranker {str(self._folder)!r}", RerankerError, "set RERANKER_BASE_URL to a server with /rerank"
        )
        if not self._folder.is_dir():
            raise RerankerError(
                f"RERANKER_MODEL {str(self._folder)!r} is no folder with a cross-encoder of sentence-transformers;"
                " models are not downloaded. Unset it to search without a reranker."
            )
        from sentence_transformers import CrossEncoder

        dtype = torch_runtime.chosen_dtype(self._dtype)
        logger.info("loading the reranker", extra={"model": self.model, "dtype": str(dtype)})
        try:
            loaded: CrossEncoder = CrossEncoder(
                str(self._folder), device="cpu", model_kwargs={"dtype": dtype}, local_files_only=True
            )
        except Exception as error:  # each file of a foreign folder has a library that fails in its own way
            raise RerankerError(
                f"The folder {self._folder} (RERANKER_MODEL) has no cross-encoder that can be loaded:"
                f" {type(error).__name__}: {str(error)[:200]}."
            ) from error
        if loaded.num_labels != 1:
            raise RerankerError(
                f"The model in {self._folder} (RERANKER_MODEL) gives {loaded.num_labels} numbers a pair: it classifies"
                " pairs, and is no reranker. Set RERANKER_MODEL to a cross-encoder with one label."
            )
        config = loaded.model.config if loaded.model is not None else None
        window = getattr(config, "max_position_embeddings", None) or _LONGEST
        loaded.max_seq_length = min(loaded.max_seq_length or _LONGEST, window)
        return loaded


def create_reranker(settings: Settings) -> Reranker | None:
    """The reranker that the settings name, or None; nothing is loaded or asked yet."""
    if settings.reranker_base_url is not None:
        key = settings.reranker_api_key
        return ServerReranker(
            settings.reranker_base_url, settings.reranker_model, key.get_secret_value() if key else None
        )
    return None if settings.reranker_model is None else CrossEncoderReranker(settings.reranker_model)
