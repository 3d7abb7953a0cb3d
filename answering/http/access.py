"""Who may use which route. A route that is named nowhere here needs every scope there is."""

from __future__ import annotations

import asyncio
import logging

import psycopg
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from answering.http.callers import ANONYMOUS, Caller, Callers, unauthorized
from answering.http.meter import Meter
from answering.http.metrics import PATH as METRICS_PATH
from answering.http.problems import Refused, rendered
from answering.http.webhooks import PATH as WEBHOOKS
from answering.keys import METRICS, SCOPES
from resources.errors import ResourceError

logger = logging.getLogger(__name__)

OPEN = frozenset(
    (
        "/",
        "/page.css",
        "/api.js",
        "/answer.js",
        "/widgets.js",
        "/threads.js",
        "/favicon.ico",
        "/healthz",
        "/readyz",
        "/docs",
        "/redoc",
        "/openapi.json",
        WEBHOOKS,
    )
)
"""Paths that anybody may ask for, and that are not counted; webhooks are signed."""
_OPEN_BELOW = ("/s/", "/js/", "/docs/")
_ANYBODY = ("/v1/session", "/v1/shared")
_ANY_SCOPE = ("/v1/answers",)
_SCOPES = {
    "/v1/ask": "ask",
    "/v1/suggestions": "ask",
    "/v1/chat/completions": "ask",
    "/v1/models": "ask",
    "/v1/search": "search",
    "/v1/repos": "search",
    "/v1/threads": "threads",
    "/v1/messages": "threads",
    "/mcp": "mcp",
    METRICS_PATH: METRICS,
}
AWAY = "The database that keeps keys and limits does not answer, so nobody is let in: try again in a few seconds."


class Access:
    """ASGI middleware: finds out who asks, counts the request, and lets it through or refuses it."""

    def __init__(self, app: ASGIApp, callers: Callers, meter: Meter) -> None:
        self._app, self._callers, self._meter = app, callers, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or self._is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            scope["state"]["caller"] = await asyncio.to_thread(self._admitted, HTTPConnection(scope))
        except Refused as refused:
            await rendered(scope, refused.status, str(refused), refused.headers)(scope, receive, send)
        except (psycopg.Error, ResourceError) as error:
            logger.exception("nobody can be let in", exc_info=error)
            await rendered(scope, 503, AWAY)(scope, receive, send)
        else:
            await self._app(scope, receive, _unstored(send))

    def _is_open(self, path: str) -> bool:
        """Figures are for anybody on this machine, also while the database is away."""
        return is_open(path) or (path == METRICS_PATH and self._callers.local)

    def _admitted(self, connection: HTTPConnection) -> Caller:
        """Who asks.

        Raises:
            Refused: 401, 403 or 429.
        """
        try:
            caller = self._callers.of(connection)
        except Refused:
            self._meter.request(self._callers.anonymous())  # guesses are counted, too
            raise
        connection.state.caller = caller  # also of a request that is refused
        self._meter.request(caller)
        path = connection.scope["path"]
        closed = path == METRICS_PATH or not (self._callers.anonymous_allowed or _is_below(path, _ANYBODY))
        if caller.identity == ANONYMOUS and closed:
            raise unauthorized(
                "This service answers nobody without a key: send one as `Authorization: Bearer ss_…` (`starsearch keys"
                " create` makes it), or exchange it for a cookie with POST /v1/session."
            )
        for needed in needed_scopes(path):
            caller.require(needed)
        return caller


def caller_of(request: Request) -> Caller:
    """Who sends a request that was let through."""
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller


def is_open(path: str) -> bool:
    """Whether a path is for anybody, without being counted."""
    return path in OPEN or path.startswith(_OPEN_BELOW)


def needed_scopes(path: str) -> tuple[str, ...]:
    """What a key has to be good for to ask for a path; all of it where nobody said."""
    if _is_below(path, _ANYBODY + _ANY_SCOPE):
        return ()
    return next(((scope,) for route, scope in _SCOPES.items() if _is_below(path, (route,))), SCOPES)


def _is_below(path: str, routes: tuple[str, ...]) -> bool:
    return any(path == route or path.startswith(f"{route}/") for route in routes)


def _unstored(send: Send) -> Send:
    """What is told to one caller is kept by no cache."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
