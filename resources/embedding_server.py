"""An OpenAI-compatible /v1/embeddings: vLLM, Text Embeddings Inference, a hosted API.

Importing this module does not import openai.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import stamina

from resources.errors import EmbedderError
from resources.long_texts import CUTS, says_too_long, says_too_many
from resources.postgres import redacted
from resources.retries import retry_openai
from resources.vectors import Vectors, checked

if TYPE_CHECKING:
    from openai import APIStatusError, OpenAI

logger = logging.getLogger(__name__)

_REQUEST_TEXTS = 64


class _TooMuch(Exception):
    """The server takes no request with so much in it. long: it says that of a text, else of their number."""

    def __init__(self, error: EmbedderError, *, long: bool) -> None:
        super().__init__(str(error))
        self.error, self.long = error, long


@dataclass
class _Cuts:
    """What was cut in one call: texts, and the fewest characters that one of them was left with."""

    texts: int = 0
    shortest: int = 0

    def count(self, characters: int) -> None:
        self.texts += 1
        self.shortest = min(self.shortest or characters, characters)


class OpenAIEmbedder:
    """Vectors from a server. Its dimensions are learned from a first request, whose vector has to be sound.

    A text beyond the model's window counts by its beginning. Where the server cuts such texts itself, that is all;
    where it refuses them (vLLM with 400, Text Embeddings Inference with 413), the text is halved until it is taken, a
    few times at most, on exactly that kind of refusal, and the log says how many were. Any other refusal is an error.
    Vectors that are not of unit length are scaled to it.
    """

    def __init__(self, base_url: str, model: str, api_key: str | None = None, *, timeout: float = 60.0) -> None:
        self._base_url, self._model, self._api_key, self._timeout = base_url, model, api_key, timeout
        self._where = f"The embeddings server at {redacted(base_url)}"
        self._most = _REQUEST_TEXTS

    @property
    def model(self) -> str:
        """The server's name for the model."""
        return self._model

    @cached_property
    def dimensions(self) -> int:
        """Length of the vector of a probe text.

        Raises:
            EmbedderError: there is none, or it is not finite, or has no direction.
        """
        try:
            probe = self._request(["probe"])
        except _TooMuch as refusal:
            raise refusal.error from None
        try:
            return int(checked(probe, 1, max(probe.shape[1], 1), self._model, scale=True).shape[1])
        except EmbedderError as error:
            raise EmbedderError(
                f"{self._where} gave an unusable vector for a first text: {error} Check that EMBEDDING_MODEL is a model"
                " of embeddings, and the number format that it is served in."
            ) from error

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of `texts`, in requests of at most 64, or fewer where the server takes fewer; the longest first.

        Raises:
            EmbedderError: the server does not answer, or with something that is no unit vector a text.
        """
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda number: -len(texts[number]))
        cuts = _Cuts()
        start = 0
        while start < len(order):
            batch = order[start : start + self._most]
            found = self._vectors([texts[number] or " " for number in batch], cuts)
            vectors[batch] = checked(found, len(batch), self.dimensions, self._model, scale=True)
            start += len(batch)
        if cuts.texts:
            logger.warning(
                "%s of %s texts were longer than the window of %s: they count by their beginnings, the shortest of %s"
                " characters", cuts.texts, len(texts), self._model, cuts.shortest,
                extra={"model": self._model, "cut": cuts.texts, "texts": len(texts)},
            )  # fmt: skip
        return vectors

    def _vectors(self, texts: list[str], cuts: _Cuts) -> Vectors:
        """Vectors of texts that may be too many or too long for one request."""
        try:
            return self._request(texts)
        except _TooMuch as refusal:
            half = len(texts) // 2
            if half:
                if not refusal.long:
                    self._most = min(self._most, half)
                return np.concatenate([self._vectors(texts[:half], cuts), self._vectors(texts[half:], cuts)])
            if not refusal.long:
                raise refusal.error from None
        return self._vector_of_beginning(texts[0], cuts)

    def _vector_of_beginning(self, text: str, cuts: _Cuts) -> Vectors:
        for _ in range(CUTS):
            text = text[: max(len(text) // 2, 1)]
            try:
                vectors = self._request([text])
            except _TooMuch as refusal:
                error = refusal.error
            else:
                cuts.count(len(text))
                return vectors
        raise EmbedderError(f"{error} Even the first {len(text)} characters of a text were refused as too long.")

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
            failed = EmbedderError(
                f"{self._where} gave no vectors for model {self._model!r}: {reason[:300]}. Check EMBEDDING_BASE_URL"
                " (usually it ends in /v1), EMBEDDING_MODEL, EMBEDDING_API_KEY and the server."
            )
            if isinstance(error, openai.APIStatusError) and (kind := _too_much(error)):
                raise _TooMuch(failed, long=kind == "long") from None
            raise failed from (None if shown else error)
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


def _too_much(error: APIStatusError) -> str:
    """What a refusal says that there is too much of: "long", "many" or ""."""
    text = f"{error}"
    if says_too_long(error.status_code, text):
        return "long"
    return "many" if says_too_many(error.status_code, text) else ""
