"""Generates replies: checks the request, waits for a slot, spends the time of a model, writes the text."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.doubles.llm_server import errors
from tests.doubles.llm_server.chat import Reply
from tests.doubles.llm_server.connections import Connection
from tests.doubles.llm_server.replies import Calls
from tests.doubles.llm_server.request import Request
from tests.doubles.llm_server.stats import Observation
from tests.doubles.llm_server.tokens import count, cut, prompt_tokens
from tests.doubles.llm_server.wrong_replies import wrong_reply

if TYPE_CHECKING:
    from tests.doubles.llm_server.server import LLMServer

Emit = Callable[[bytes], Awaitable[None]]


class Engine:
    """The model of one server."""

    def __init__(self, server: LLMServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)

    async def run(
        self, request: Request, what: str, connection: Connection, seen: Observation, emit: Emit | None
    ) -> Reply:
        """The reply, once its time is over; with `emit`, its events but the last are handed over as time goes on.

        Raises:
            Refused: the request cannot be served.
            Gone: the client left; its slot is free again.
        """
        server = self._server
        request, seen.prompt_tokens = self._checked(request)
        await server.queue.enter(connection, seen.priority)
        seen.started = time.monotonic()
        try:
            reply, tokens = await self._reply(request, what, seen)
            await _spend(connection, server.latency.prefill(seen.prompt_tokens))
            seen.first_token = time.monotonic()
            seconds = server.latency.generation(tokens)
            if emit is None:
                await _spend(connection, seconds)
            else:
                events = list(reply.events(usage=_wants_usage(request)))[:-1]
                for event in events[: len(events) // 2] if what in ("half a body", "drop half") else events:
                    await emit(event)
                    await _spend(connection, seconds / len(events))
            seen.completion_tokens = reply.completion_tokens
            return reply
        finally:
            server.queue.leave()

    def _checked(self, request: Request) -> tuple[Request, int]:
        """The request as the model gets it, and the tokens of its prompt."""
        server = self._server
        limit = server.max_model_len
        tokens = prompt_tokens(request, server.tokenizer)
        if (priority := request.body.get("priority") or 0) and server.priority_scheduling is False:
            raise errors.no_priorities(priority)
        if (wanted := request.max_tokens) is not None and wanted > limit and not server.truncates:
            raise errors.too_many_wanted(limit, wanted)
        if tokens > limit:
            if not server.truncates:
                raise errors.prompt_too_long(limit, tokens)
            kept = max(1, limit - (tokens - count(request.user, server.tokenizer)))
            messages = [{"role": role, "content": text} for role, text in request.messages if role != "user"]
            messages.append({"role": "user", "content": cut(request.user, kept, server.tokenizer)})
            request, tokens = replace(request, body={**request.body, "messages": messages}), limit
        if request.body.get("tools") and request.body.get("tool_choice", "auto") == "auto" and not server.tool_calling:
            raise errors.no_tool_calling()
        if request.schema is not None and server.guided_json is not True:
            if server.guided_json == "refused":
                raise errors.no_guided_json()
            free = {
                key: value
                for key, value in request.body.items()
                if key not in ("response_format", "structured_outputs")
            }
            request = replace(request, body=free)
        return request, tokens

    async def _reply(self, request: Request, what: str, seen: Observation) -> tuple[Reply, int]:
        """The reply, and for how many tokens it takes time."""
        server = self._server
        said: Any = server.reply(request)
        spoken: str | Calls = await said if inspect.isawaitable(said) else said
        called = spoken.calls if isinstance(spoken, Calls) else ()
        text = wrong_reply(what, request, spoken.text if isinstance(spoken, Calls) else spoken)
        room = max(1, server.max_model_len - seen.prompt_tokens)
        most = min(request.max_tokens or room, room)
        counted = count("".join([text, *(part for call in called for part in call)]), server.tokenizer)
        finish_reason = "length" if what == "length" else "tool_calls" if called else "stop"
        if counted > most and not called:
            text, counted, finish_reason = cut(text, most, server.tokenizer), most, "length"
        tokens = server.latency.length(request.user, counted, most)
        told = tokens if server.latency.output_tokens else counted
        model = str(request.body["model"])
        return Reply(next(self._numbers), model, text, seen.prompt_tokens, told, finish_reason, called), tokens


async def _spend(connection: Connection, seconds: float) -> None:
    if seconds > 0:
        await connection.sleep(seconds)


def _wants_usage(request: Request) -> bool:
    return bool((request.body.get("stream_options") or {}).get("include_usage"))
