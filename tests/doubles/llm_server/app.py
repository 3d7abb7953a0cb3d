"""The server as an ASGI application: routes, and what is counted."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from tests.doubles.llm_server import errors, steering, wire
from tests.doubles.llm_server.connections import Connection, Gone
from tests.doubles.llm_server.embeddings import embeddings
from tests.doubles.llm_server.engine import Engine
from tests.doubles.llm_server.metrics import metrics
from tests.doubles.llm_server.misbehaviour import Plan
from tests.doubles.llm_server.models import model_list
from tests.doubles.llm_server.request import CHAT, EMBEDDINGS, MODELS, TOKENIZE, Request
from tests.doubles.llm_server.stats import Observation
from tests.doubles.llm_server.tokens import prompt_tokens
from tests.doubles.llm_server.wire import Answer, Message, Receive, Send

if TYPE_CHECKING:
    from tests.doubles.llm_server.server import LLMServer

LONGEST_HOLD = 1.0


class Application:
    """Answers requests for one server, in its loop."""

    def __init__(self, server: LLMServer) -> None:
        self.server = server
        self.connections = server.connections
        self.stopping = False
        self._engine = Engine(server)
        self._held: list[asyncio.Future[Any]] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        path, body = scope["path"], await wire.read(receive)
        if path.startswith("/_double/"):
            await wire.send(send, steering.answer(self.server, scope["method"], path, body))
            return
        connection = self.connections.open.get(scope["client"])
        if connection is None:  # gone before it was read
            return
        connection.requests += 1
        request = Request(path, _parsed(body), _authorization(scope))
        self.server.remembered(request)
        seen = self.server.seen.begin(request)
        try:
            await self._serve(request, connection, seen, send)
        except Gone:
            self.server.seen.end(seen, "stopped" if self.stopping else "abandoned")
        except Exception as error:
            self.server.crashes.append(error)
            self.server.seen.end(seen, "crashed")
            raise

    async def _serve(self, request: Request, connection: Connection, seen: Observation, send: Send) -> None:
        if request.path == CHAT:
            await self._hold(connection)
        plan = self.server.plans.take(request)
        what = plan.what if plan else ""
        if plan is not None and what == "hang":
            await connection.sleep(plan.seconds)
        if plan is not None and what == "drop":
            self.server.seen.end(seen, "dropped")
            await connection.reset()
            return
        streams = request.path == CHAT and bool(request.body.get("stream"))
        try:
            answer = _planned(plan, request) or await self._answer(request, what, connection, seen, send)
        except errors.Refused as refused:
            answer, streams = wire.as_json(refused.status, refused.body), False
        if what == "invalid JSON":
            answer = replace(answer, content=answer.content[: len(answer.content) // 2])
        self.server.seen.end(seen, answer.outcome)
        if streams and answer.kind == wire.EVENTS:
            if what in ("half a body", "drop half"):
                await connection.reset()
            else:
                await send({"type": "http.response.body", "body": answer.content})
            return
        await wire.send(send, answer, plan, connection)

    async def _answer(
        self, request: Request, what: str, connection: Connection, seen: Observation, send: Send
    ) -> Answer:
        """The answer; of a stream its last event, the others having been sent."""
        server = self.server
        path, model = request.path, request.body.get("model")
        if server.api_keys and path.startswith("/v1/") and request.client not in server.api_keys:
            raise errors.unauthorized()
        if path == MODELS:
            return wire.as_json(200, model_list(server.models, server.max_model_len))
        if path == "/health":
            return Answer(200, b"", outcome="200")
        if path == "/metrics":
            text = metrics(server.models[0] if server.models else "", server.seen, server.queue)
            return Answer(200, text.encode(), "text/plain; version=1.0.0; charset=utf-8", outcome="200")
        if path == TOKENIZE:
            tokens = prompt_tokens(request, server.tokenizer)
            counted = {"count": tokens, "max_model_len": server.max_model_len}
            return wire.as_json(200, {**counted, "tokens": list(range(tokens)), "token_strs": None})
        if path not in (CHAT, EMBEDDINGS):
            return wire.as_json(404, {"detail": "Not Found"})
        if model not in server.models:
            raise errors.unknown_model(model, server.models)
        if path == EMBEDDINGS:
            return wire.as_json(200, embeddings(request, server.dimensions, server.embedding_limits, what))
        if not request.body.get("stream"):
            reply = await self._engine.run(request, what, connection, seen, None)
            return wire.as_json(200, reply.completion(what), reply.finish_reason)
        begun = False

        async def emit(event: bytes) -> None:
            nonlocal begun
            if not begun:
                await wire.head(send, Answer(200, b"", wire.EVENTS), None)
                begun = True
            await send({"type": "http.response.body", "body": event, "more_body": True})

        reply = await self._engine.run(request, what, connection, seen, emit)
        return Answer(200, b"data: [DONE]\n\n", wire.EVENTS, outcome=reply.finish_reason)

    async def _hold(self, connection: Connection) -> None:
        """Wait until as many chats as the test asked for are here, for a second at most."""
        if self.server.held_together < 2:
            return
        together = asyncio.get_running_loop().create_future()
        self._held.append(together)
        timer = asyncio.get_running_loop().call_later(LONGEST_HOLD, self._release)
        if len(self._held) >= self.server.held_together:
            self._release()
        try:
            await connection.until(together)
        finally:
            timer.cancel()

    def _release(self) -> None:
        for together in self._held:
            if not together.done():
                together.set_result(None)
        self._held.clear()


def _planned(plan: Plan | None, request: Request) -> Answer | None:
    """The answer that a plan has instead of an honest one."""
    if plan is None:
        return None
    if plan.what.isdigit():
        headers = {} if plan.retry_after is None else {"retry-after": str(plan.retry_after)}
        # Careless servers echo what they refused: so does this one.
        error = {"message": f"no ({plan.what}) for {request.authorization}", "type": "error", "code": int(plan.what)}
        return wire.as_json(int(plan.what), {"error": error}, **headers)
    if plan.what == "not JSON":
        return Answer(200, b"<html>Welcome!</html>", "text/html", outcome="200")
    if plan.what == "context length":
        raise errors.prompt_too_long(4096, 4097)
    if plan.what == "model not found":
        raise errors.unknown_model(request.body.get("model"), ("another-model",))
    return None


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _authorization(scope: Message) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"), None)
