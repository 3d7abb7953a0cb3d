"""What the doubles serve HTTP with: uvicorn, which tells the application which connections are open."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol


class _Connections(Protocol):
    def opened(self, peer: Any, transport: Any) -> None: ...

    def closed(self, peer: Any) -> None: ...


class _Application(Protocol):
    connections: _Connections

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


def http_server(application: _Application, **options: Any) -> uvicorn.Server:
    """A server of the application that says nothing by itself. options: uvicorn's."""

    class Observed(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._peer = transport.get_extra_info("peername")
            application.connections.opened(self._peer, transport)

        def connection_lost(self, exc: Exception | None) -> None:
            application.connections.closed(self._peer)
            super().connection_lost(exc)

    quiet = {"log_config": None, "access_log": False, "proxy_headers": False, "server_header": False}
    return uvicorn.Server(
        uvicorn.Config(
            application,
            http=Observed,
            lifespan="off",
            interface="asgi3",
            timeout_graceful_shutdown=1,
            **{**quiet, **options},
        )
    )
