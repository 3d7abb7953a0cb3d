"""Requests of one run: retries that share a clock, lanes, connections that do not grow old."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import stamina

from resources.errors import LLMError, LLMReplyInvalid, LLMRequestFailed
from resources.llm_connections import Connections
from resources.llm_errors import Explainer
from resources.llm_outage import Outage
from resources.retries import retry_openai

Message = Mapping[str, str]

ALONE = 4
"""A request that failed so often is told from a server that is away by a trivial one."""

BATCH_PRIORITY = 10
"""vLLM runs lower numbers first; answers are sent without one, which is 0."""


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


@dataclass(frozen=True)
class Capabilities:
    """What a server can do. models: empty where it does not list any; context: tokens of prompt and reply."""

    models: tuple[str, ...] = ()
    context: int | None = None
    guided_json: bool = False
    priority: bool = False


class Session:
    """Asks one model of one server. Made by LLM.run; many requests may be in flight at a time."""

    def __init__(
        self, connections: Connections, model: str, explainer: Explainer, outage: Outage, timeout: float
    ) -> None:
        self.capabilities = Capabilities()
        self._connections, self._model, self._explainer = connections, model, explainer
        self._outage, self._timeout = outage, timeout

    async def ask(
        self, messages: Sequence[Message], *, max_tokens: int, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """One reply. schema: of the JSON that is wanted; where the server can, it keeps the model to it.

        Errors carry what was spent on them, as `usage`.

        Raises:
            LLMUnavailable: the server is away, refuses the key or lacks the model: nothing else can be asked either.
            LLMContextExceeded: prompt and reply do not fit into the model's context.
            LLMReplyInvalid: it refuses this request, or replied with nothing.
            LLMRequestFailed: it answers others, but keeps failing at this one.
        """
        options: dict[str, Any] = {"messages": list(messages), "max_tokens": max_tokens, "temperature": 0.0}
        if schema is not None and self.capabilities.guided_json:
            options["response_format"] = guided(schema)
        if self.capabilities.priority:
            options["priority"] = BATCH_PRIORITY
        return await self.send(options)

    async def send(self, options: Mapping[str, Any]) -> Completion:
        """Send a chat of these options until it is answered; raises as `ask` does."""
        import openai

        tries, seconds, error_of_ours = 0, 0.0, None
        try:
            async for attempt in stamina.retry_context(
                on=_again, attempts=None, timeout=None, wait_initial=0.2, wait_max=10.0, wait_jitter=0.5
            ):
                with attempt:
                    await self._outage.admit()
                    tries += 1
                    began = time.monotonic()
                    try:
                        reply = await self._try(options, tries)
                    finally:
                        seconds += time.monotonic() - began
            return read_completion(reply, self._model, self._explainer, Usage(tries, tries - 1, seconds=seconds))
        except LLMError as error:
            error_of_ours, cause = error, error.__cause__
        except (openai.OpenAIError, ValueError, TimeoutError) as error:
            error_of_ours, cause = self._explainer.explained(error), self._explainer.showable(error)
        if not error_of_ours.usage:
            error_of_ours.usage = Usage(tries, max(0, tries - 1), seconds=seconds)
        raise error_of_ours from cause

    async def _try(self, options: Mapping[str, Any], tries: int) -> Any:
        """One request. Its failure is told to the outage, which may end the run."""
        try:
            async with asyncio.timeout(self._timeout):
                reply = await self._post(options)
        except asyncio.CancelledError:
            self._outage.left()
            raise
        except Exception as error:
            again = _again(error)
            if again is False:
                self._outage.succeeded()  # it answers, though not as we like it
                raise
            status = getattr(error, "status_code", None)
            self._outage.failed(self._explainer.reason(error), answered=status == 429)
            if tries >= ALONE and status != 429 and await self._answers_others():
                raise LLMRequestFailed(
                    f"{self._explainer.where} answers, but failed {tries} times at this request:"
                    f" {self._explainer.reason(error)}"
                ) from self._explainer.showable(error)
            raise
        self._outage.succeeded()
        return reply

    async def _post(self, options: Mapping[str, Any]) -> Any:
        """One chat. The client's typed method looks at every part of the messages first, for a third of its time."""
        from openai.types.chat import ChatCompletion

        async with self._connections.client() as client:
            return await client.post(
                "/chat/completions", cast_to=ChatCompletion, body={"model": self._model, **options}
            )

    async def _answers_others(self) -> bool:
        """Whether the server answers a trivial request now."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._post({"messages": [{"role": "user", "content": "Say: ok"}], "max_tokens": 1})
        except Exception:  # noqa: BLE001 - whatever it is: the outage's clock goes on, and ends the run in time
            return False
        self._outage.succeeded()
        return True


def _again(error: Exception) -> bool | timedelta:
    """Whether to try again: for stamina, and for the outage."""
    return True if isinstance(error, TimeoutError) else retry_openai(error)


def read_completion(reply: Any, model: str, explainer: Explainer, usage: Usage) -> Completion:
    """The text of a reply, with the server's counts added to `usage`.

    Raises:
        LLMReplyInvalid: it is none, or has no text.
    """
    from openai.types.chat import ChatCompletion

    if not isinstance(reply, ChatCompletion):
        raise LLMReplyInvalid(
            f"{explainer.where} replied with something that is no chat completion: check LLM_BASE_URL (usually it ends"
            " in /v1)."
        ).spent(usage)
    told = reply.usage
    if told is not None:
        usage = replace(usage, tokens_in=told.prompt_tokens or 0, tokens_out=told.completion_tokens or 0)
    try:
        text = (reply.choices[0].message.content or "").strip() if reply.choices else ""
    except (AttributeError, TypeError) as error:  # openai's models take whatever JSON has come
        raise LLMReplyInvalid(f"{explainer.where} replied with choices that have no message.").spent(usage) from error
    if not text:
        raise LLMReplyInvalid(f"The model {model} replied with no text.").spent(usage)
    return Completion(text, model, usage, reply.choices[0].finish_reason or "stop")


def guided(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The response_format that asks for JSON of this schema."""
    return {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema, "strict": True}}
