"""An LLM behind any OpenAI-compatible server: vLLM, Ollama, a hosted API.

Importing this module does not import openai.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from resources.errors import ConfigurationError
from resources.interrupts import run_interruptible
from resources.llm_chat import Chat
from resources.llm_connections import Connections
from resources.llm_errors import Explainer
from resources.llm_fleet import Fleet
from resources.llm_outage import Outage
from resources.llm_probe import KEPT, probe, tokens_read
from resources.llm_session import (
    NOTHING_ASKED,
    Capabilities,
    Completion,
    Message,
    Session,
    Usage,
)
from resources.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = [
    "LLM",
    "NOTHING_ASKED",
    "Capabilities",
    "Completion",
    "Examination",
    "Message",
    "Session",
    "Usage",
    "create_answer_llm",
    "create_summary_llm",
]  # fmt: skip

CONNECT_SECONDS = 5.0

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True)
class Examination:
    """What `examine` found. cuts_at: tokens that the server read of a longer prompt, where it cut it silently."""

    capabilities: Capabilities
    cuts_at: int | None


class LLM:
    """One model of one server. The stable system prompt comes first, so that a prefix cache hits.

    concurrency: requests in flight. timeout: seconds of one, the server's queue included. outage_seconds: for which
    the server may be away before a run gives up.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        *,
        concurrency: int = 64,
        timeout: float = 120.0,
        outage_seconds: float = 300.0,
    ) -> None:
        self.model = model
        self._base_url, self._api_key = base_url, api_key
        self._concurrency, self._timeout, self._outage_seconds = concurrency, timeout, outage_seconds
        self._explainer = Explainer(base_url, model, api_key)
        self._lane = threading.BoundedSemaphore(concurrency)
        self._capabilities: Capabilities | None = None

    def run(
        self,
        jobs: Iterable[J],
        work: Callable[[Session, J], Awaitable[R]],
        store: Callable[[Sequence[tuple[J, R]]], None],
        *,
        limit: Callable[[], int] | None = None,
    ) -> None:
        """Do many jobs, each by `work`, which asks the session; results go to `store` in batches as they come.

        Jobs are taken one by one as places become free; without any, nothing is sent. At most `concurrency`, and at
        most limit() of them, which is asked again and again, are at work. `store` is called in a worker thread, one
        batch at a time. However it ends, what came is stored and nothing is left in flight.

        Raises:
            LLMUnavailable: the server is away for too long, refuses the key, or lacks the model.
            Exception: whatever `work` or `store` raised.
        """
        waiting = iter(jobs)
        try:
            first = next(waiting)
        except StopIteration:
            return

        async def everything() -> None:
            async with Connections(self._open) as connections:
                session = self._session(connections)
                session.capabilities = await self._known_capabilities(session, connections)
                fleet = Fleet[J, R](
                    lambda job: work(session, job),
                    store,
                    lambda: self._concurrency if limit is None else min(self._concurrency, limit()),
                )
                await fleet.run(chain([first], waiting))

        run_interruptible(everything)

    def capabilities(self) -> Capabilities:
        """What the server can do, asked once.

        Raises:
            LLMUnavailable: it is away, or lacks the model.
        """

        async def ask() -> Capabilities:
            async with Connections(self._open) as connections:
                return await self._known_capabilities(self._session(connections, 0.0), connections)

        return run_interruptible(ask)

    def examine(self, tokens: int) -> Examination:
        """What the server can do, and whether it reads a prompt of so many tokens whole.

        Raises:
            LLMError: it is away, lacks the model, or cannot be used.
        """

        async def ask() -> Examination:
            async with Connections(self._open) as connections:
                session = self._session(connections, 0.0)
                capabilities = await self._known_capabilities(session, connections)
                read = await tokens_read(session, tokens)
                return Examination(capabilities, read if read is not None and read < KEPT * tokens else None)

        return run_interruptible(ask)

    def chat(self) -> Chat:
        """For answers: turns with functions, and streams."""
        return Chat(self._client, self.model, self._explainer, self._lane)

    def close(self) -> None:
        """Close the pooled connections."""
        if "_client" in self.__dict__:
            self._client.close()

    async def _known_capabilities(self, session: Session, connections: Connections) -> Capabilities:
        if self._capabilities is None:
            self._capabilities = await probe(session, connections, self.model, self._explainer)
        return self._capabilities

    def _session(self, connections: Connections, outage_seconds: float | None = None) -> Session:
        seconds = self._outage_seconds if outage_seconds is None else outage_seconds
        outage = Outage(self._explainer.where, seconds)
        return Session(connections, self.model, self._explainer, outage, self._timeout)

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(base_url=self._base_url, api_key=self._api_key or "none", timeout=self._timeouts(), max_retries=0)

    def _open(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            base_url=self._base_url, api_key=self._api_key or "none", timeout=self._timeouts(), max_retries=0
        )

    def _timeouts(self) -> Any:
        from openai import Timeout

        return Timeout(self._timeout, connect=min(CONNECT_SECONDS, self._timeout))


def create_summary_llm(settings: Settings) -> LLM | None:
    """The LLM that writes summaries, or None in extractive mode."""
    return _create(settings, settings.summary_model, "SUMMARY_MODEL", settings.llm_concurrency)


def create_answer_llm(settings: Settings) -> LLM | None:
    """The LLM that writes answers, or None in extractive mode."""
    return _create(settings, settings.answer_model, "ANSWER_MODEL", settings.answer_concurrency)


def _create(settings: Settings, model: str | None, name: str, concurrency: int) -> LLM | None:
    if settings.llm_base_url is None:
        if model is not None:
            raise ConfigurationError(f"{name} is {model!r} but LLM_BASE_URL is not set: set it, or unset {name}.")
        return None
    if model is None:
        if settings.summary_model is None and settings.answer_model is None:
            raise ConfigurationError("LLM_BASE_URL is set: set SUMMARY_MODEL, ANSWER_MODEL or both as well.")
        return None
    key = settings.llm_api_key
    return LLM(
        settings.llm_base_url,
        model,
        key.get_secret_value() if key else None,
        concurrency=concurrency,
        timeout=settings.llm_timeout,
        outage_seconds=settings.llm_outage_minutes * 60,
    )
