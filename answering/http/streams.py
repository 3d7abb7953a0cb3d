"""Answers as server-sent events: made in a thread of their own, told as they come, given up when the client leaves."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import psycopg
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import StreamingResponse

from answering.agents.budget import Allowance
from answering.ask import Answerer
from answering.deltas import Delta, Left, Listener
from answering.errors import AnsweringError
from answering.retrieval import Scope
from resources.errors import ResourceError

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
MEDIA_TYPE = "text/event-stream"
CLIENT_LEFT = 499
"""Logged and counted as the status of a request whose client left before its answer was made, as by nginx."""
_HEARTBEAT = b": still at work\n\n"
TOO_SLOW = (
    "The database did not answer in time: the service's log says why. Ask again, or for fewer repositories or days."
)
UNFORESEEN = "The answer could not be made: the service's log says why. Ask again."


Ask = Callable[[Listener], object]
"""Answers a question whose listener it is given; what it tells in the end is `done`, the answer's JSON."""


@dataclass(frozen=True)
class Asked:
    """A question that may be asked. allowance: knows what was had of the LLM, once it was answered."""

    answer: Ask
    allowance: Allowance

    def __call__(self, listener: Listener) -> object:
        """Answer it."""
        return self.answer(listener)


class Prepare(Protocol):
    """Takes a question for whoever sent the request, None for whoever runs the process."""

    def __call__(self, request: Request | None, text: str, scope: Scope, history: Sequence[str] = (), /) -> Asked:
        """The question. history: what was asked before it, oldest first.

        Raises where it may not be asked, or there is nothing to answer from.
        """


def answered_by(answerer: Callable[[], Answerer]) -> Prepare:
    """Questions of anybody. answerer: may wait, and raises `NoActiveRelease` where there is none."""

    def prepare(_: Request | None, text: str, scope: Scope, history: Sequence[str] = ()) -> Asked:
        asked, allowance = answerer(), Allowance()
        asked.release()  # without one a stream would begin only to fail
        return Asked(lambda listener: asked.ask(text, scope, listener, history=history, allowance=allowance), allowance)

    return prepare


def as_event(delta: Delta) -> Iterable[bytes]:
    """A delta as an event of its own name."""
    yield b"event: %b\ndata: %b\n\n" % (delta.event.encode(), orjson.dumps(delta.data, default=str))


def stream(
    ask: Ask,
    heartbeat: float = HEARTBEAT_SECONDS,
    encode: Callable[[Delta], Iterable[bytes]] = as_event,
) -> StreamingResponse:
    """The deltas of `ask` as server-sent events, as `encode` writes each; the last one is `done` or `error`."""
    return StreamingResponse(
        _events(ask, heartbeat, encode),
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def whole(request: Request, ask: Ask) -> dict[str, Any] | None:
    """What `done` tells, for a client that waits for all of it; None: it left, and the work was given up.

    Raises whatever `ask` raises.
    """
    told, left = list[Delta](), threading.Event()
    watching = asyncio.create_task(_watch(request, left))
    try:
        await run_sync(ask, Listener(told.append, left), limiter=CapacityLimiter(1))
    except Left:
        logger.info("the client left, its answer was given up")
        return None
    finally:
        watching.cancel()
    return told[-1].data


async def _watch(request: Request, left: threading.Event) -> None:
    """Say when the client leaves. Its request has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    left.set()


async def _events(ask: Ask, heartbeat: float, encode: Callable[[Delta], Iterable[bytes]]) -> AsyncIterator[bytes]:
    async with aclosing(deltas(ask, heartbeat)) as told:
        async for delta in told:
            for event in (_HEARTBEAT,) if delta is None else encode(delta):
                yield event


async def deltas(ask: Ask, heartbeat: float = HEARTBEAT_SECONDS) -> AsyncGenerator[Delta | None]:
    """What `ask` tells in a thread of its own, as it comes, None for `heartbeat` seconds of silence; the last one is
    `done` or `error`. Whoever stops listening ends the work."""
    loop, told, left = asyncio.get_running_loop(), asyncio.Queue[Delta](), threading.Event()

    def tell(delta: Delta) -> None:
        loop.call_soon_threadsafe(told.put_nowait, delta)

    def work() -> None:
        try:
            ask(Listener(tell, left))
        except Left:
            logger.info("the client left, its answer was given up")
        except (AnsweringError, ResourceError) as error:
            _tell_anyway(tell, Delta("error", {"message": str(error)}))
        except psycopg.OperationalError:
            logger.exception("the database did not answer")
            _tell_anyway(tell, Delta("error", {"message": TOO_SLOW}))
        except Exception:
            logger.exception("an answer failed")
            _tell_anyway(tell, Delta("error", {"message": UNFORESEEN}))

    threading.Thread(target=work, name="answer", daemon=True).start()
    try:
        while True:
            try:
                async with asyncio.timeout(heartbeat):
                    delta = await told.get()
            except TimeoutError:
                yield None
                continue
            yield delta
            if delta.event in ("done", "error"):
                return
    finally:
        left.set()


def _tell_anyway(tell: Callable[[Delta], None], delta: Delta) -> None:
    """Tell, unless the service is being shut down."""
    try:
        tell(delta)
    except RuntimeError:
        logger.info("the service ended under an answer")
