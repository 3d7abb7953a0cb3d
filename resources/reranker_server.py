"""A server that scores documents by a query, in the two dialects that there are.

Text Embeddings Inference: POST /rerank {"query", "texts", "truncate"} -> [{"index", "score"}].
Cohere, Jina, vLLM, llama.cpp, Infinity: POST /v1/rerank or /rerank {"model", "query", "documents"} ->
{"results": [{"index", "relevance_score"}]}.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import stamina

from resources.bounded import read_within
from resources.errors import RerankerError
from resources.long_texts import CUTS, says_too_long
from resources.postgres import redacted
from resources.retries import retry_httpx

Scores = npt.NDArray[np.float32]
"""Shape (documents,), finite; higher is better."""

CONNECT_SECONDS = 2.0
LONGEST_WAIT = timedelta(seconds=2)
"""What Retry-After may ask for: somebody waits for an answer."""

_LARGEST_REPLY = 16 * 1024 * 1024
_ATTEMPTS = 3
_TEXTS_A_REQUEST = 32
"""Text Embeddings Inference refuses more, unless --max-client-batch-size says otherwise."""


@dataclass(frozen=True)
class _Endpoint:
    """Where and how to ask. texts_alone: the dialect of Text Embeddings Inference."""

    url: str
    texts_alone: bool

    @property
    def most(self) -> int:
        return _TEXTS_A_REQUEST if self.texts_alone else 1000


class _Refused(Exception):
    """The server will not take this request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status, self.text = status, text


class _Unreadable(Exception):
    """A reply that is no list of scores."""


class ServerReranker:
    """A model behind /rerank. Which dialect the server speaks is found out with its first two documents.

    model: may be None where the server has only one. timeout: seconds of one request, retries aside. rest: seconds for
    which a server that was away, or too slow, is not asked again: a search should not wait for it each time.
    A pair beyond the model's window is cut by the server where it does that (`truncate`), and where it refuses such a
    pair, the beginnings of the texts are sent, half as long each time.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 10.0,
        rest: float = 15.0,
    ) -> None:
        self._where = f"The reranker at {redacted(base_url)}"
        self._base_url, self._model, self._timeout, self._rest = base_url, model, timeout, rest
        self._api_key = (api_key or "").strip()
        self._found: _Endpoint | None = None
        self._away: tuple[float, str] | None = None

    @property
    def model(self) -> str:
        """The server's name for the model, or the server where it has only one."""
        return self._model or redacted(self._base_url)

    def scores(self, query: str, documents: Sequence[str]) -> Scores:
        """Scores of the documents, in as few requests as the server takes."""
        scores = np.empty(len(documents), dtype=np.float32)
        if not documents:
            return scores
        self._refuse_while_away()
        endpoint = self._endpoint()
        for start in range(0, len(documents), endpoint.most):
            some = documents[start : start + endpoint.most]
            scores[start : start + len(some)] = self._ask(endpoint, query, some)
        return scores

    def close(self) -> None:
        """Close the pooled connections."""
        if "_client" in self.__dict__:
            self._client.close()

    def _ask(self, endpoint: _Endpoint, query: str, documents: Sequence[str]) -> Scores:
        longest = max(len(query), *map(len, documents))
        for _ in range(CUTS + 1):
            try:
                reply = self._post(endpoint, query[:longest], [document[:longest] for document in documents])
                return _read(reply, len(documents))
            except _Refused as error:
                if not says_too_long(error.status, error.text):
                    self._found = None  # another server may listen there now
                    raise self._failed(f"refused the request: {error}") from None
                longest = max(longest // 2, 1)
            except _Unreadable as error:
                raise self._failed(f"{error}. Nothing of it is used") from None
        raise self._failed(f"refuses even the first {longest} characters of the texts as too long") from None

    def _endpoint(self) -> _Endpoint:
        """The way to ask that works: each is tried with two short texts. A server that is away teaches nothing."""
        if self._found is not None:
            return self._found
        said: list[str] = []
        for candidate in _candidates(self._base_url):
            try:
                _read(self._post(candidate, "probe", ["first", "second"]), 2)
            except (_Refused, _Unreadable) as error:
                said.append(f"POST {redacted(candidate.url)} with {'texts' if candidate.texts_alone else 'documents'}:"
                            f" {error}")  # fmt: skip
            else:
                self._found = candidate
                return candidate
        raise self._failed(
            "speaks neither the dialect of Text Embeddings Inference nor that of Cohere, Jina and vLLM"
            f" ({'; '.join(said)}). Check RERANKER_BASE_URL, and RERANKER_MODEL where it has to name the model"
        )

    def _post(self, endpoint: _Endpoint, query: str, documents: Sequence[str]) -> Any:
        texts = [_sendable(document) for document in documents]
        body: dict[str, Any] = {"query": _sendable(query)}
        if endpoint.texts_alone:
            body |= {"texts": texts, "truncate": True}
        else:
            body |= {"documents": texts, **({"model": self._model} if self._model else {})}
        try:
            for attempt in stamina.retry_context(
                on=partial(retry_httpx, longest=LONGEST_WAIT), attempts=_ATTEMPTS, timeout=self._timeout,
                wait_initial=0.1, wait_max=1.0,
            ):  # fmt: skip
                with attempt:
                    reply = self._send(endpoint.url, body)
        except httpx.HTTPStatusError as error:
            status, text = error.response.status_code, self._shown(error.response.text)
            if status in (401, 403):
                raise self._failed(f"refused the key ({status}): check RERANKER_API_KEY") from None
            unknown = status == 500 and self._found is None  # what some say to the other dialect
            if status < 429 or unknown or says_too_long(status, text):
                raise _Refused(status, text) from None
            raise self._gone(f"is busy or failing ({status} {text})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._gone(f"did not answer: {type(error).__name__}: {self._shown(str(error))}") from None
        try:
            return json.loads(reply)
        except ValueError:
            raise _Unreadable(f"replied with {reply[:40]!r} and so on, which is no JSON") from None

    def _send(self, url: str, body: dict[str, Any]) -> bytes:
        """The reply's body, within `timeout` as a whole: a reply that trickles is none."""
        deadline = time.monotonic() + self._timeout
        with self._client.stream("POST", url, json=body) as response:
            content = read_within(response, deadline, self._timeout, _LARGEST_REPLY)
        if response.is_success:
            return content
        whole = httpx.Response(
            response.status_code, content=content, request=response.request,
            headers={"retry-after": response.headers.get("retry-after", "")},
        )  # fmt: skip
        raise httpx.HTTPStatusError("refused", request=response.request, response=whole)

    @cached_property
    def _client(self) -> httpx.Client:
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise RerankerError("RERANKER_API_KEY has characters that no HTTP header may have: copy it again.")
        return httpx.Client(
            timeout=httpx.Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout)),
            headers={"authorization": f"Bearer {self._api_key}"} if self._api_key else {},
        )

    def _refuse_while_away(self) -> None:
        if self._away is not None:
            until, why = self._away
            if (left := until - time.monotonic()) > 0:
                raise RerankerError(f"{why} It is asked again in {math.ceil(left)} s.")
            self._away = None

    def _gone(self, what: str) -> RerankerError:
        error = self._failed(f"{what}. Start it or check RERANKER_BASE_URL; unset it to search without a reranker")
        self._away = (time.monotonic() + self._rest, str(error))
        return error

    def _failed(self, what: str) -> RerankerError:
        return RerankerError(f"{self._where} {what}.")

    def _shown(self, text: str) -> str:
        """A server's words in one line, without the key, which careless servers repeat."""
        line = " ".join(text.split())
        return (line.replace(self._api_key, "***") if self._api_key else line)[:200]


def _candidates(base_url: str) -> Iterator[_Endpoint]:
    """Where a server may listen whose URL somebody wrote down: with /v1 or without, with /rerank or without."""
    base = base_url.rstrip("/")
    if base.endswith("/rerank"):
        urls = [base]
    else:
        root, _, last = base.rpartition("/")
        versioned = last.startswith("v") and last[1:].isdigit()
        urls = [f"{base}/rerank", f"{root}/rerank" if versioned else f"{base}/v1/rerank"]
    for url in urls:
        yield _Endpoint(url, texts_alone=False)
        yield _Endpoint(url, texts_alone=True)


def _read(reply: Any, documents: int) -> Scores:
    """The scores by their indexes, whatever order they came in.

    Raises:
        _Unreadable: not exactly one finite score for each document.
    """
    rows = reply.get("results") if isinstance(reply, dict) else reply
    if not isinstance(rows, list):
        raise _Unreadable("replied with JSON that has no list of results")
    scores = np.full(documents, np.nan, dtype=np.float32)
    indexes: list[Any] = []
    for row in rows:
        index = row.get("index") if isinstance(row, dict) else None
        score = row.get("relevance_score", row.get("score")) if isinstance(row, dict) else None
        if type(index) is not int or type(score) not in (int, float):
            raise _Unreadable(f"gave a result without an index or a score: {str(row)[:80]}")
        indexes.append(index)
        if 0 <= index < documents:
            with np.errstate(over="ignore"):
                scores[index] = score
    if sorted(indexes) != list(range(documents)):
        raise _Unreadable(
            f"was asked for the scores of {documents} documents and gave {len(indexes)}, numbered"
            f" {sorted(indexes)[:5]} and so on"
        )
    if not np.isfinite(scores).all():
        raise _Unreadable("gave a score that is NaN or infinity")
    return scores


def _sendable(text: str) -> str:
    """A text that is UTF-8 and not empty, as servers want it."""
    return text.encode(errors="replace").decode() or " "
