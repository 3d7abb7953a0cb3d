"""What is refused before anybody asks who sends it: names that are not ours, other sites, large bodies, too many."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from answering.http.callers import is_loopback
from answering.http.metrics import PATH as METRICS
from answering.http.metrics import Metrics
from answering.http.problems import Refused, rendered
from answering.http.webhooks import PATH as WEBHOOKS

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_ANY_HOST = frozenset(("/healthz", "/readyz", WEBHOOKS))
"""Probes come by address; deliveries are signed, and no page can make a browser sign one."""
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  (told from addresses that are names)
_ANSWERING = ("/v1/ask", "/v1/search", "/v1/repos", "/v1/chat/completions", "/mcp")


class SameSite:
    """ASGI middleware against DNS rebinding and requests forged by other sites.

    host: to which the service is bound. names: under which it is reached besides. origins: of pages that may ask.
    """

    def __init__(self, app: ASGIApp, host: str, names: Iterable[str], origins: Iterable[str]) -> None:
        own = () if host.strip("[]") in _WILDCARDS else (host,)
        self._app = app
        self._names = {_bare(name) for name in ("localhost", "127.0.0.1", "::1", *own, *names)}
        # Prometheus comes by the pod's address; where a key is needed no rebinding page has one.
        self._any_host = _ANY_HOST if is_loopback(host) else _ANY_HOST | {METRICS}
        self._origins = {origin.rstrip("/").lower() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except Refused as refused:
                await rendered(scope, refused.status, str(refused))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if scope["path"] in self._any_host:
            return
        if len(headers.getlist("host")) != 1 or _name(host) not in self._names:
            raise Refused(
                421, f"The service is not known as {host[:200]!r}: its operator adds names under which it is reached to"
                " ALLOWED_HOSTS.",
            )  # fmt: skip
        if scope["method"] in _SAFE:
            return
        origin = headers.get("origin")
        if origin is not None and origin.lower() in self._origins:
            return
        if not (origin is None or _is_same(origin, host)) or headers.get("sec-fetch-site") == "cross-site":
            raise Refused(
                403, f"A page of {(origin or 'another site')[:200]} may change nothing here: the operator adds"
                " the origins of pages that may to ALLOWED_ORIGINS.",
            )  # fmt: skip


class BodyLimit:
    """ASGI middleware: a body of more than `limit` bytes is refused before it is read, or as soon as it is too long."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or scope["path"] == WEBHOOKS:
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        detail = f"The body is larger than {self._limit:,} bytes (REQUEST_MAX_BYTES)."
        if told.isascii() and told.isdigit() and int(told[:20]) > self._limit:
            await rendered(scope, 413, detail, {"Connection": "close"})(scope, receive, send)
            return
        read = 0

        async def receiving() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit:
                raise HTTPException(413, detail, {"Connection": "close"})
            return message

        await self._app(scope, receiving, send)


class Load:
    """ASGI middleware: at most `limit` answers and searches are in the making; nobody waits in an endless queue."""

    def __init__(self, app: ASGIApp, limit: int, metrics: Metrics) -> None:
        self._app, self._limit, self._running, self._metrics = app, limit, 0, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not scope["path"].startswith(_ANSWERING):
            await self._app(scope, receive, send)
            return
        if self._running >= self._limit:
            self._metrics.refused.inc()
            detail = (
                f"{self._limit:,} answers are being made, no more are at the same time: try again in a few seconds."
            )
            await rendered(scope, 503, detail)(scope, receive, send)
            return
        self._running += 1
        try:
            with self._metrics.in_progress.track_inprogress():
                await self._app(scope, receive, send)
        finally:
            self._running -= 1


def _bare(name: str) -> str:
    """A host's name as it is compared."""
    return name.strip("[]").rstrip(".").lower()


def _name(host: str) -> str | None:
    """The name in a Host header, without its port; None: it is no Host."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if parts.netloc != host or "@" in host or parts.hostname is None:
        return None
    return _bare(parts.hostname)


def _is_same(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from `host`, as it is told in a request; a proxy may have ended its TLS."""
    try:
        page = urlsplit(origin)
        own, usual = urlsplit(f"{page.scheme}://{host}"), {"http": 80, "https": 443}.get(page.scheme)
        same = (page.hostname, page.port or usual) == (own.hostname, own.port or usual)
    except ValueError:
        return False
    return same and page.hostname is not None
