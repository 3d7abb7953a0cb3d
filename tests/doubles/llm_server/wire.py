"""Answers on the wire: sent as they should be, or cut, delayed and dropped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.llm_server.connections import Connection
from tests.doubles.llm_server.misbehaviour import Plan

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
PIECES = 20
EVENTS = "text/event-stream; charset=utf-8"


@dataclass(frozen=True)
class Answer:
    """What goes out; outcome: what is counted, the status where there is nothing better to tell."""

    status: int
    content: bytes
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    outcome: str = ""


def as_json(status: int, value: Any, outcome: str = "", **headers: str) -> Answer:
    """JSON as Python writes it: NaN and lone surrogates, which some servers send, come through."""
    return Answer(status, json.dumps(value).encode(), headers=headers, outcome=outcome or str(status))


async def read(receive: Receive) -> bytes:
    """A request's body; what there is of it, where the client leaves."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def send(to: Send, answer: Answer, plan: Plan | None = None, connection: Connection | None = None) -> None:
    """Send an answer, as far as the plan lets it come."""
    what, content = plan.what if plan else "", answer.content
    if connection is not None and what == "drop":
        await connection.reset()
        return
    await head(to, answer, len(content))
    if plan is not None and what == "slow":
        size = len(content) // PIECES + 1
        for start in range(0, len(content), size):
            await to({"type": "http.response.body", "body": content[start : start + size], "more_body": True})
            await asyncio.sleep(plan.seconds / PIECES)
        content = b""
    if connection is not None and what in ("half a body", "drop half"):
        await to({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        await (connection.close() if what == "half a body" else connection.reset())
        return
    await to({"type": "http.response.body", "body": content})


async def head(to: Send, answer: Answer, length: int | None) -> None:
    """Status and headers; without a length the body comes in chunks."""
    headers = {"content-type": answer.kind, **answer.headers}
    if length is not None:
        headers["content-length"] = str(length)
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await to({"type": "http.response.start", "status": answer.status, "headers": encoded})
