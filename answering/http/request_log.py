"""One line a request, as JSON: what was asked for, by whom, how it ended. Never a body, a key, a cookie, a question."""

from __future__ import annotations

import logging
import re
import secrets
import time
import uuid
from typing import Any

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from answering.http.problems import UNFORESEEN, rendered

logger = logging.getLogger(__name__)

_HARMLESS = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class RequestLog:
    """ASGI middleware around all others: gives requests their ids (X-Request-ID, X-Trace-ID), and logs their end.

    An id that the client sent is taken over where it is harmless; the trace is that of `traceparent` (W3C Trace
    Context), where there is one. What nobody caught ends here, as a 500.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, begun = Headers(scope=scope), time.monotonic()
        told, traced = headers.get("x-request-id", ""), _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
        state = scope.setdefault("state", {})
        state["request_id"] = told if _HARMLESS.fullmatch(told) else uuid.uuid4().hex
        state["trace_id"] = traced[1] if traced else secrets.token_hex(16)
        status, sent = 0, 0

        async def sending(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Request-ID"], out["X-Trace-ID"] = state["request_id"], state["trace_id"]
                out.setdefault("X-Content-Type-Options", "nosniff")
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            logger.exception("a request failed", extra={"request_id": state["request_id"]})
            if status:  # the client has to notice that it is not whole
                raise
            await rendered(scope, 500, UNFORESEEN)(scope, receive, sending)
        finally:
            milliseconds = round((time.monotonic() - begun) * 1000, 1)
            logger.info(orjson.dumps(_line(scope, status, milliseconds, sent)).decode())


def _line(scope: Scope, status: int, milliseconds: float, sent: int) -> dict[str, Any]:
    """route: as it was declared; of none, nothing: a path can be a secret. status: 0: the client left before any."""
    state, route = scope["state"], scope.get("route")
    caller = state.get("caller")
    return {
        "method": scope["method"],
        "route": getattr(route, "path", None),
        "status": status,
        "ms": milliseconds,
        "bytes": sent,
        "caller": caller.label if caller is not None else None,
        "request_id": state["request_id"],
        "trace_id": state["trace_id"],
    }
