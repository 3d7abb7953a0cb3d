"""An LLM behind any OpenAI-compatible server: vLLM, Ollama, a hosted API.

Importing this module does not import openai.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import stamina

from resources.errors import ConfigurationError, LLMError, LLMReplyInvalid, LLMUnavailable
from resources.postgres import redacted
from resources.retries import retry_openai
from resources.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

_ATTEMPTS = 4
_RETRY_SECONDS = 180.0
_REFUSED = frozenset((400, 413, 422))
"""Statuses that say that this one prompt is not wanted: the next one may be."""


@dataclass(frozen=True)
class Usage:
    """What was asked of a server. requests: sent, `retries` of them again after it failed; seconds: in flight.

    tokens_in, tokens_out: as the server counted them, 0 where it does not.
    """

    requests: int = 0
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.requests + other.requests,
            self.retries + other.retries,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.seconds + other.seconds,
        )


NOTHING_ASKED = Usage()


@dataclass(frozen=True)
class Completion:
    """One reply. finish_reason: "stop", or "length" where it was cut at max_tokens."""

    text: str
    model: str
    usage: Usage
    finish_reason: str = "stop"


class LLM:
    """One model of one server. The stable system prompt comes first, so that a prefix cache hits."""

    def __init__(
        self, base_url: str, model: str, api_key: str | None = None, *, concurrency: int = 16, timeout: float = 60.0
    ) -> None:
        self.model = model
        self._base_url, self._api_key = base_url, api_key
        self._concurrency, self._timeout = concurrency, timeout
        self._where = f"The LLM server at {redacted(base_url)}"

    def complete(self, system: str, user: str, *, max_tokens: int = 512) -> Completion:
        """One reply to one prompt.

        Raises:
            LLMUnavailable: the server cannot be reached, lacks the model, or keeps failing.
            LLMReplyInvalid: it replied with nothing.
        """
        import openai

        try:
            for attempt in stamina.retry_context(on=retry_openai, attempts=_ATTEMPTS, timeout=_RETRY_SECONDS):
                with attempt:
                    reply = self._client.chat.completions.create(**self._request(system, user, max_tokens))
            return self._completion(reply)
        except (openai.OpenAIError, ValueError) as error:
            raise self._explained(error) from self._showable(error)

    def complete_many(
        self,
        system: str,
        users: Sequence[str],
        *,
        max_tokens: int = 512,
        on_done: Callable[[int, Completion | LLMError], None],
    ) -> None:
        """Replies to many prompts, at most `concurrency` in flight, handed to `on_done` as they come.

        An unusable reply is handed over as LLMReplyInvalid. When the server is gone the rest is
        cancelled.

        Raises:
            LLMUnavailable: the server is down.
        """
        asyncio.run(self._complete_many(system, users, max_tokens, on_done))

    def probe(self) -> list[str]:
        """The models that the server has; empty where it does not say.

        Raises:
            LLMUnavailable: the server cannot be reached, or refuses the key.
        """
        import openai

        try:
            return sorted(str(model.id) for model in self._client.with_options(timeout=10.0).models.list().data)
        except openai.InternalServerError:
            return []  # some servers answer chats but cannot list their models
        except (openai.OpenAIError, ValueError) as error:
            raise self._explained(error) from self._showable(error)
        except (AttributeError, TypeError) as error:
            raise LLMUnavailable(
                f"{self._where} answers, but not as an OpenAI-compatible server: check LLM_BASE_URL (usually it ends"
                " in /v1)."
            ) from error

    def close(self) -> None:
        """Close the pooled connections."""
        if "_client" in self.__dict__:
            self._client.close()

    async def _complete_many(
        self,
        system: str,
        users: Sequence[str],
        max_tokens: int,
        on_done: Callable[[int, Completion | LLMError], None],
    ) -> None:
        waiting = iter(enumerate(users))

        async with self._new_async_client() as client:

            async def work() -> None:
                for number, user in waiting:
                    try:
                        outcome: Completion | LLMError = await self._ask(client, system, user, max_tokens)
                    except LLMReplyInvalid as error:
                        outcome = error
                    on_done(number, outcome)

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._concurrency, len(users))):
                        group.create_task(work())
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _ask(self, client: AsyncOpenAI, system: str, user: str, max_tokens: int) -> Completion:
        import openai

        try:
            async for attempt in stamina.retry_context(on=retry_openai, attempts=_ATTEMPTS, timeout=_RETRY_SECONDS):
                with attempt:
                    reply = await client.chat.completions.create(**self._request(system, user, max_tokens))
            return self._completion(reply)
        except (openai.OpenAIError, ValueError) as error:
            raise self._explained(error) from self._showable(error)

    def _request(self, system: str, user: str, max_tokens: int) -> dict[str, Any]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return {"model": self.model, "messages": messages, "max_tokens": max_tokens, "temperature": 0.0}

    def _completion(self, reply: Any) -> Completion:
        from openai.types.chat import ChatCompletion

        if not isinstance(reply, ChatCompletion):
            raise LLMReplyInvalid(
                f"{self._where} replied with something that is no chat completion: check LLM_BASE_URL (usually it ends"
                " in /v1)."
            )
        try:
            text = (reply.choices[0].message.content or "").strip() if reply.choices else ""
        except (AttributeError, TypeError) as error:  # openai's models take whatever JSON has come
            raise LLMReplyInvalid(f"{self._where} replied with choices that have no message.") from error
        if not text:
            raise LLMReplyInvalid(f"The model {self.model} replied with no text.")
        told = reply.usage
        tokens = (told.prompt_tokens or 0, told.completion_tokens or 0) if told else (0, 0)
        return Completion(text, self.model, Usage(1, 0, *tokens), reply.choices[0].finish_reason or "stop")

    def _explained(self, error: Exception) -> LLMError:
        import openai

        reason = self._reason(error)
        if isinstance(error, openai.NotFoundError):
            return LLMUnavailable(
                f"{self._where} has no model {self.model!r}, or no chat completions (404): `starsearch doctor` lists"
                " the models that it has; set SUMMARY_MODEL or ANSWER_MODEL to one of them, and check that"
                " LLM_BASE_URL ends as the server wants it, usually in /v1."
            )
        if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
            return LLMUnavailable(f"{self._where} refused the key ({error.status_code}): check LLM_API_KEY.")
        if isinstance(error, openai.APIStatusError) and error.status_code in _REFUSED:
            return LLMReplyInvalid(f"{self._where} refused the request ({error.status_code}): {reason}")
        if isinstance(error, (openai.APIResponseValidationError, ValueError)):
            return LLMReplyInvalid(f"{self._where} replied with something that is no chat completion: {reason}")
        return LLMUnavailable(
            f"{self._where} did not answer: {error.__class__.__name__}: {reason}. Start it or check LLM_BASE_URL;"
            " unset LLM_BASE_URL to use extractive mode."
        )

    def _reason(self, error: Exception) -> str:
        """What went wrong in the server's or the network's words, without the key."""
        text = " ".join(part for part in (str(error), str(error.__cause__ or "")) if part)
        return (text.replace(self._api_key, "***") if self._api_key else text)[:300]

    def _showable(self, error: Exception) -> Exception | None:
        """The error as a cause that tracebacks show; None where it repeats the key."""
        return None if self._api_key and self._api_key in f"{error}{error.__cause__}" else error

    @cached_property
    def _client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(base_url=self._base_url, api_key=self._api_key or "none", timeout=self._timeout, max_retries=0)

    def _new_async_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            base_url=self._base_url, api_key=self._api_key or "none", timeout=self._timeout, max_retries=0
        )


def create_summary_llm(settings: Settings) -> LLM | None:
    """The LLM that writes summaries, or None in extractive mode."""
    return _create(settings, settings.summary_model, "SUMMARY_MODEL")


def create_answer_llm(settings: Settings) -> LLM | None:
    """The LLM that writes answers, or None in extractive mode."""
    return _create(settings, settings.answer_model, "ANSWER_MODEL")


def _create(settings: Settings, model: str | None, name: str) -> LLM | None:
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
        settings.llm_base_url, model, key.get_secret_value() if key else None, concurrency=settings.llm_concurrency
    )
