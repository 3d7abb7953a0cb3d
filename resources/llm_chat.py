"""Chats for whoever waits for an answer: functions that a model may call, and text as it is written."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import stamina

from resources.errors import LLMError, LLMReplyInvalid, LLMUnavailable
from resources.llm_errors import Explainer
from resources.llm_session import Usage
from resources.retries import retry_openai

if TYPE_CHECKING:
    from openai import OpenAI

ATTEMPTS = 3
RETRY_SECONDS = 20.0
"""Somebody waits: a server that is away for longer is answered for by rule."""

_READY: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "ready",
        "description": "Say that you are ready.",
        "parameters": {"type": "object", "properties": {}},
    },
}


@dataclass(frozen=True)
class FunctionCall:
    """A function that the model wants to be called. arguments: as it wrote them, JSON or not."""

    call_id: str
    name: str
    arguments: str

    def as_message(self) -> dict[str, Any]:
        """As part of the assistant's message that is sent back; arguments that are no JSON object as an empty one."""
        arguments = self.arguments if _is_object(self.arguments) else "{}"
        return {"id": self.call_id, "type": "function", "function": {"name": self.name, "arguments": arguments}}


@dataclass(frozen=True)
class Turn:
    """One reply of the model: text, functions that it calls, or both."""

    text: str
    calls: tuple[FunctionCall, ...]
    usage: Usage


class Chat:
    """One model of one server, asked turn by turn. Errors are told as `LLMError`; none shows the key.

    lane: places for requests in flight.
    """

    def __init__(self, client: OpenAI, model: str, explainer: Explainer, lane: threading.BoundedSemaphore) -> None:
        self._client, self._model, self._explainer, self._lane = client, model, explainer, lane

    def turn(
        self, messages: Sequence[Mapping[str, Any]], functions: Sequence[Mapping[str, Any]], *, max_tokens: int,
        timeout: float,
    ) -> Turn:  # fmt: skip
        """One turn in which the model may call `functions`. timeout: seconds of each try.

        Raises:
            LLMUnavailable: the server is away, or lacks the model.
            LLMReplyInvalid: it refuses the request (functions, perhaps), or its reply is none.
        """
        import openai

        options: dict[str, Any] = {"tools": list(functions), "tool_choice": "auto"} if functions else {}
        tries = 0
        try:
            for attempt in stamina.retry_context(on=_again, attempts=ATTEMPTS, timeout=RETRY_SECONDS):
                with attempt, self._place(timeout):
                    tries += 1
                    reply = self._client.chat.completions.create(
                        model=self._model, messages=list(messages), max_tokens=max_tokens, temperature=0.0,  # type: ignore[arg-type]
                        timeout=timeout, **options,
                    )  # fmt: skip
            return _read(reply, self._explainer, tries)
        except LLMError:
            raise
        except (openai.OpenAIError, ValueError, TypeError, AttributeError) as error:
            raise self._explainer.explained(error) from self._explainer.showable(error)

    def calls_functions(self, *, timeout: float) -> bool:
        """Whether server and model call functions: found by asking for one.

        Raises:
            LLMUnavailable: the server is away, or lacks the model.
        """
        messages = [{"role": "user", "content": "Call the function `ready` now."}]
        try:
            return bool(self.turn(messages, [_READY], max_tokens=64, timeout=timeout).calls)
        except LLMReplyInvalid:
            return False

    def stream(
        self, system: str, user: str, *, max_tokens: int, timeout: float,
        counted: Callable[[Usage], None] = lambda _: None,
    ) -> Generator[str]:  # fmt: skip
        """The reply, piece by piece as it comes. Closing the iterator hangs up. Tried again until the first piece.

        counted: is told what it took, where the server says so: at the end of a reply that was not given up.

        Raises:
            LLMError: the server is away, refuses, or breaks off in the middle.
        """
        import openai

        messages: Any = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        ended, tries, until = False, 0, time.monotonic() + timeout
        try:
            with self._place(timeout):
                for attempt in stamina.retry_context(on=_again, attempts=ATTEMPTS, timeout=RETRY_SECONDS):
                    with attempt:
                        tries += 1
                        stream = self._begin(messages, max_tokens, timeout)
                with stream:
                    for chunk in stream:
                        if time.monotonic() > until:
                            raise LLMUnavailable(f"{self._explainer.where} still wrote after {timeout:.0f} s.")
                        if told := chunk.usage:
                            counted(Usage(tries, tries - 1, told.prompt_tokens, told.completion_tokens))
                        if not chunk.choices:
                            continue
                        ended = ended or chunk.choices[0].finish_reason is not None
                        if piece := chunk.choices[0].delta.content:
                            yield piece
            if not ended:
                raise LLMReplyInvalid(f"{self._explainer.where} broke off in the middle of its reply.")
        except LLMError:
            raise
        except (openai.OpenAIError, ValueError, TypeError, AttributeError, OSError) as error:
            raise self._explainer.explained(error) from self._explainer.showable(error)

    def _begin(self, messages: Any, max_tokens: int, timeout: float) -> Any:
        """A stream that tells its tokens in the end; one that does not, from servers that refuse to be asked for it."""
        import openai

        given: dict[str, Any] = {
            "model": self._model, "messages": messages, "max_tokens": max_tokens, "temperature": 0.0, "stream": True,
            "timeout": timeout,
        }  # fmt: skip
        try:
            return self._client.chat.completions.create(**given, stream_options={"include_usage": True})
        except (openai.BadRequestError, openai.UnprocessableEntityError):
            return self._client.chat.completions.create(**given)

    @contextmanager
    def _place(self, timeout: float) -> Iterator[None]:
        """One of the places for requests in flight."""
        if not self._lane.acquire(timeout=timeout):
            raise LLMUnavailable(
                f"{self._explainer.where} is busy with other answers for {timeout:.0f} s: raise ANSWER_CONCURRENCY, if"
                " it can do more at once."
            )
        try:
            yield
        finally:
            self._lane.release()


def _again(error: Exception) -> bool | timedelta:
    """As `retry_openai`, but not where Retry-After asks for longer than anybody waits for."""
    asked = retry_openai(error)
    return False if isinstance(asked, timedelta) and asked.total_seconds() > RETRY_SECONDS else asked


def _read(reply: Any, explainer: Explainer, tries: int) -> Turn:
    from openai.types.chat import ChatCompletion

    if not isinstance(reply, ChatCompletion) or not reply.choices:
        raise LLMReplyInvalid(f"{explainer.where} replied with no chat completion: check LLM_BASE_URL.")
    message, told = reply.choices[0].message, reply.usage
    called = tuple(
        FunctionCall(one.id or f"call-{place}", one.function.name or "", one.function.arguments or "")
        for place, one in enumerate(message.tool_calls or ())
        if one.type == "function"
    )
    tokens = (told.prompt_tokens or 0, told.completion_tokens or 0) if told else (0, 0)
    return Turn((message.content or "").strip(), called, Usage(tries, tries - 1, *tokens))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
