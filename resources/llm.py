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
from resources.retries import retry_openai
from resources.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

_ATTEMPTS = 4
_RETRY_SECONDS = 180.0


@dataclass(frozen=True)
class Completion:
    """One reply. tokens_in, tokens_out: as the server counted them, 0 where it does not."""

    text: str
    model: str
    tokens_in: int
    tokens_out: int


class LLM:
    """One model of one server. The stable system prompt comes first, so that a prefix cache hits."""

    def __init__(
        self, base_url: str, model: str, api_key: str | None = None, *, concurrency: int = 16, timeout: float = 60.0
    ) -> None:
        self.model = model
        self._base_url, self._api_key = base_url, api_key
        self._concurrency, self._timeout = concurrency, timeout

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
            raise self._explained(error) from error

    async def acomplete(self, system: str, user: str, *, max_tokens: int = 512) -> Completion:
        """`complete`, for callers with an event loop."""
        async with self._new_async_client() as client:
            return await self._ask(client, system, user, max_tokens)

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
            return sorted(model.id for model in self._client.with_options(timeout=10.0).models.list().data)
        except openai.InternalServerError:
            return []  # some servers answer chats but cannot list their models
        except (openai.OpenAIError, ValueError) as error:
            raise self._explained(error) from error

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
            raise self._explained(error) from error

    def _request(self, system: str, user: str, max_tokens: int) -> dict[str, Any]:
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        return {"model": self.model, "messages": messages, "max_tokens": max_tokens, "temperature": 0.0}

    def _completion(self, reply: Any) -> Completion:
        choices = getattr(reply, "choices", None)
        text = (choices[0].message.content or "").strip() if choices and choices[0].message else ""
        if not text:
            raise LLMReplyInvalid(f"The model {self.model} replied with no text.")
        usage = reply.usage
        return Completion(
            text, self.model, usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0
        )

    def _explained(self, error: Exception) -> LLMError:
        import openai

        where = f"The LLM server at {self._base_url}"
        if isinstance(error, openai.NotFoundError):
            return LLMUnavailable(
                f"{where} has no model {self.model!r} (404): `starsearch doctor` lists the models that it has; set"
                " SUMMARY_MODEL or ANSWER_MODEL to one of them."
            )
        if isinstance(error, (openai.AuthenticationError, openai.PermissionDeniedError)):
            return LLMUnavailable(f"{where} refused the key ({error.status_code}): check LLM_API_KEY.")
        if isinstance(error, openai.BadRequestError):
            return LLMReplyInvalid(f"{where} refused the request (400): {str(error)[:300]}")
        if isinstance(error, (openai.APIResponseValidationError, ValueError)):
            return LLMReplyInvalid(f"{where} replied with something that is no chat completion: {str(error)[:200]}")
        return LLMUnavailable(
            f"{where} did not answer: {error.__class__.__name__}: {str(error)[:200]}. Start it or check LLM_BASE_URL;"
            " unset LLM_BASE_URL to use extractive mode."
        )

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
