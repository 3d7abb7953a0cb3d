"""/mcp: the Model Context Protocol over streamable HTTP, stateless, answered in JSON.

Source: https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#streamable-http. Whoever may call is
decided before this route: Host and Origin are checked for the whole service.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from fastapi import APIRouter, FastAPI
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

PATH = "/mcp"
MAX_BYTES = 1024 * 1024
"""Of one request."""


class McpRoute:
    """The protocol as an ASGI application. Work for a client that has gone is cancelled."""

    def __init__(self, server: Callable[[], Server[Any]]) -> None:
        self._server = server
        self._manager: StreamableHTTPSessionManager | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accept requests; those in work at the end are cancelled."""
        manager = StreamableHTTPSessionManager(
            self._server(), json_response=True, stateless=True, max_request_body_size=MAX_BYTES,
            security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )  # fmt: skip
        async with manager.run():
            self._manager = manager
            try:
                yield
            finally:
                self._manager = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._manager is None:
            await Response("The service is starting or stopping.", 503, {"Retry-After": "1"})(scope, receive, send)
            return
        if scope["method"] != "POST":  # a stateless server has nothing to tell unasked, and no session to delete
            await Response("Send requests with POST.", 405, {"Allow": "POST"})(scope, receive, send)
            return
        gone = anyio.Event()
        async with anyio.create_task_group() as tasks:
            incoming = _Incoming(receive, gone)
            tasks.start_soon(incoming.watch, tasks.cancel_scope)
            await self._manager.handle_request(scope, incoming.receive, send)
            tasks.cancel_scope.cancel()


class _Incoming:
    """Hands a request's messages on, and notices in any case when the client goes."""

    def __init__(self, receive: Receive, gone: anyio.Event) -> None:
        self._receive, self._gone = receive, gone
        self._whole = anyio.Event()

    async def receive(self) -> Message:
        """The next message; behind the body, the client's leaving."""
        if self._whole.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._whole.set()
        return message

    async def watch(self, work: anyio.CancelScope) -> None:
        """Cancel the work when the client goes."""
        await self._whole.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        work.cancel()


def mcp_routes(server: Callable[[], Server[Any]]) -> APIRouter:
    """The route, to be included in the service. server: made anew each time that the service starts."""
    route = McpRoute(server)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with route.running():
            yield

    router = APIRouter(lifespan=lifespan)
    router.routes.append(Route(PATH, route, include_in_schema=False))
    return router
