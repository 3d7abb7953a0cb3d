"""The double as an ASGI application: limits and misbehaviour first, then the honest answer."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import orjson

from tests.doubles.github import replies
from tests.doubles.github.analysis import Demand
from tests.doubles.github.execution import Documents, run
from tests.doubles.github.limits import Budget
from tests.doubles.github.replies import Reply
from tests.doubles.github.resolvers import Call
from tests.doubles.github.rest import RestCaller, poisoned_item, rest_reply

if TYPE_CHECKING:
    from tests.doubles.github.server import GitHubDouble

LONGEST_HOLD = 10.0
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """One request as the double has read it; header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return orjson.loads(self.body)


class HangUp(Exception):
    """The connection is to be closed without a reply."""


class Connections:
    """The open connections by client: ASGI has no word for hanging up."""

    def __init__(self) -> None:
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def opened(self, client: tuple[str, int], transport: asyncio.Transport) -> None:
        """A client has connected."""
        self._transports[client] = transport

    def closed(self, client: tuple[str, int]) -> None:
        """A client's connection is gone."""
        self._transports.pop(client, None)

    async def close(self, client: tuple[str, int], unsent: Literal["send", "drop"]) -> None:
        """Close a client's connection and wait until it is."""
        transport = self._transports.get(client)
        if transport is not None:
            transport.abort() if unsent == "drop" else transport.close()
        while client in self._transports:
            await asyncio.sleep(0.001)


class Application:
    """Answers requests for one double."""

    def __init__(self, double: GitHubDouble) -> None:
        self.double = double
        self.closing = asyncio.Event()
        self.connections = Connections()
        self._documents = Documents()
        self._executor = ThreadPoolExecutor(1, "github-double-queries")
        self._numbers = itertools.count(1)
        self._previous: dict[str, tuple[int, dict[str, str], bytes]] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        double = self.double
        request = await _read(scope, receive)
        if request.path == "/_double/stats":
            await _send(send, 200, {"Content-Type": "application/json"}, orjson.dumps(double.stats.as_json()))
            return
        double.requests.append(request)
        double.stats.begin(request.path)
        try:
            status, headers, body, length = await self._answer(request, receive)
            double.stats.statuses[status] += 1
        except HangUp:
            await self.connections.close(scope["client"], unsent="drop")
            return
        except Exception as error:
            double.crashes.append(error)
            raise
        finally:
            double.stats.end()
        await _send(send, status, headers, body, length)
        if length != len(body):
            await self.connections.close(scope["client"], unsent="send")

    async def _answer(self, request: Request, receive: Receive) -> tuple[int, dict[str, str], bytes, int]:
        """Status, headers, body, and the length that is announced."""
        double = self.double
        resource = "graphql" if request.path == "/graphql" else "core"
        budget = self._budget(request)
        wait = double.limiter.secondary(resource, double.stats.in_flight)
        if wait is not None:
            return self._render(replies.secondary_rate_limit(wait), budget)
        if double.latency:
            await asyncio.sleep(double.latency)
        held_at = time.monotonic()
        while double.stats.total_requests < double.hold_until and time.monotonic() - held_at < LONGEST_HOLD:
            await asyncio.sleep(0.001)
        reply = double.next_misbehaviour(request.path)
        if reply is None:
            reply = self._unauthorized(request)
        if reply is None or reply.failure is not None:
            return await self._failing(reply, request, budget, receive)
        return self._render(reply, budget)

    async def _failing(
        self, reply: Reply | None, request: Request, budget: Budget, receive: Receive
    ) -> tuple[int, dict[str, str], bytes, int]:
        """The honest answer, and what `reply` does to it."""
        failure = reply.failure if reply else None
        if failure == "hang_up":
            raise HangUp
        if failure == "repeat_page" and (previous := self._previous.get(request.path)):
            return (*previous, len(previous[2]))
        if reply is not None and failure == "hang":
            await self._wait(reply.seconds, receive)
        if request.path == "/graphql":
            # In a thread: what comes meanwhile is in flight, and counts, while queries are executed one by one.
            honest = await asyncio.get_running_loop().run_in_executor(self._executor, self._graphql, request, budget)
        else:
            honest = self._rest(request, budget)
        if honest.failure == "hang":
            await self._wait(honest.seconds, receive)
            honest = replies.query_timed_out()
        if reply is not None and failure == "graphql_errors":
            data = honest.body.get("data") if reply.keep_data else None
            honest = Reply(body={"data": data, "errors": reply.body})
        status, headers, body, length = self._render(honest, budget, request)
        if status == 200:
            self._previous[request.path] = status, headers, body
        if failure == "invalid_json":
            body = body[: len(body) // 2]
            length = len(body)
        return status, headers, body[: length // 2] if failure == "cut" else body, length

    async def _wait(self, seconds: float, receive: Receive) -> None:
        """For some time; no longer than the client and the double are there."""
        watched = [asyncio.create_task(receive()), asyncio.create_task(self.closing.wait())]
        done, pending = await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if done:
            raise HangUp

    def _budget(self, request: Request) -> Budget:
        limiter = self.double.limiter
        if request.path == "/graphql":
            return limiter.graphql
        return limiter.core if request.headers.get("authorization") else limiter.anonymous

    def _unauthorized(self, request: Request) -> Reply | None:
        authorization = request.headers.get("authorization")
        if authorization is None:
            needed = request.path == "/graphql"
            message = "This endpoint requires you to be authenticated."
            return replies.error(401, message, "https://docs.github.com/graphql") if needed else None
        scheme, _, token = authorization.partition(" ")
        known = scheme.lower() in ("token", "bearer") and token == self.double.token
        return None if known else replies.bad_credentials()

    def _exhausted(self, budget: Budget) -> Reply:
        self.double.limiter.violations["hourly_points"] += 1
        budget.used = budget.limit()
        if budget.resource == "graphql" and self.double.limits.exhausted == 200:
            error = {"type": "RATE_LIMITED", "message": "API rate limit exceeded for user ID 1."}
            return Reply(body={"errors": [error]})
        return replies.primary_rate_limit(budget.reset)

    def _rest(self, request: Request, budget: Budget) -> Reply:
        double = self.double
        if request.path == "/rate_limit":
            core = budget.as_json()
            return Reply(body={"resources": {"core": core, "graphql": double.limiter.graphql.as_json()}, "rate": core})
        if not budget.take(1):
            return self._exhausted(budget)
        if double.poison and poisoned_item(double.state, request.path) in double.poison:
            return replies.bad_gateway()
        sees_private = double.token_sees_private and "authorization" in request.headers
        feed = double.feeds.reply(request.path, request.query, double.url)
        reply, items = (
            (feed, 0)
            if feed is not None
            else rest_reply(double.state, request.path, request.query, RestCaller(double.url, sees_private))
        )
        double.stats.items_served += items
        if reply.status != 200:
            return reply
        if "ETag" not in reply.headers:
            etag = f'W/"{hashlib.sha256(orjson.dumps(reply.body)).hexdigest()}"'
            reply = replace(reply, headers={**reply.headers, "ETag": etag})
        if request.headers.get("if-none-match") != reply.headers["ETag"]:
            return reply
        budget.used -= 1
        kept = {name: reply.headers[name] for name in ("ETag", "X-Poll-Interval") if name in reply.headers}
        return replace(replies.not_modified(), headers=kept)

    def _graphql(self, request: Request, budget: Budget) -> Reply:
        double = self.double
        if budget.remaining == 0:
            return self._exhausted(budget)
        try:
            body = request.json
        except orjson.JSONDecodeError:
            return replies.error(400, "Problems parsing JSON")
        if not isinstance(body, dict) or not isinstance(body.get("query"), str):
            return Reply(body={"errors": [{"message": "A query attribute must be specified and must be a string."}]})
        operation = body.get("operationName")
        prepared = self._documents.prepare(body["query"])
        if prepared.analysis is None:
            return Reply(body={"errors": prepared.errors})
        variables = prepared.variables(body.get("variables") or {}, operation)
        if isinstance(variables, list):
            return Reply(body={"errors": variables})
        demand = prepared.analysis.demand(variables, operation)
        if refused := self._refused(demand, budget):
            return refused
        double.stats.points_used += demand.cost
        call = Call(
            double.state,
            budget,
            demand,
            double.login,
            double.token_sees_private,
            double.follow_transfers,
            double.poison,
        )
        result = run(prepared, body.get("variables") or {}, operation, call)
        if call.bad_gateway:
            return replies.query_timed_out()
        double.stats.items_served += call.items_served
        return Reply(body=result)

    def _refused(self, demand: Demand, budget: Budget) -> Reply | None:
        """What a valid query gets that asks for too much; the points are taken where it does not."""
        double = self.double
        allowed = double.limits.max_nodes
        if demand.nodes > allowed:
            message = f"This query requests up to {demand.nodes:,} possible nodes which exceeds the maximum limit of "
            error = {"type": "MAX_NODE_LIMIT_EXCEEDED", "message": f"{message}{allowed:,}."}
            return Reply(body={"errors": [error]})
        if not budget.take(demand.cost):
            return self._exhausted(budget)
        if double.max_items_a_query is None or demand.items <= double.max_items_a_query:
            return None
        return replies.hang(double.hang_seconds) if double.too_many_items == "hang" else replies.bad_gateway()

    def _render(
        self, reply: Reply, budget: Budget, request: Request | None = None
    ) -> tuple[int, dict[str, str], bytes, int]:
        number = next(self._numbers)
        request_id = f"{number >> 16 & 0xFFFF:04X}:{number & 0xFFFF:04X}:D0B1E:D0B1E:{int(self.double.clock()):08X}"
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Request-Id": request_id,
            **budget.headers(),
            **reply.headers,
        }
        if reply.body is None:
            body = b""
        elif isinstance(reply.body, bytes):
            body = reply.body
        else:
            body = orjson.dumps(reply.body).replace(b"{request_id}", request_id.encode())
        return reply.status, headers, body, len(body)


async def _read(scope: Message, receive: Receive) -> Request:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = dict(parse_qsl(scope["query_string"].decode()))
    return Request(scope["method"], scope["path"], query, headers, body)


async def _send(send: Send, status: int, headers: dict[str, str], body: bytes, length: int | None = None) -> None:
    if status != 304:
        headers = {**headers, "Content-Length": str(len(body) if length is None else length)}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    # A body that is shorter than announced is left open here: the caller closes the connection.
    await send({"type": "http.response.body", "body": body, "more_body": length is not None and length != len(body)})
