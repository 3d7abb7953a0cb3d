"""The server as a test sees it.

with LLMServer() as server:
    server.misbehave("429", times=2, retry_after=0.1)
    LLM(server.url, "test-model").capabilities()
    assert len(server.requests) == 3
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from tests.doubles.llm_server.app import Application
from tests.doubles.llm_server.connections import Connections
from tests.doubles.llm_server.embeddings import EmbeddingLimits
from tests.doubles.llm_server.latency import Latency
from tests.doubles.llm_server.misbehaviour import Misbehaviour, Plan, Plans
from tests.doubles.llm_server.replies import Calls, default_reply
from tests.doubles.llm_server.request import CHAT, EMBEDDINGS, Request
from tests.doubles.llm_server.slots import Mark, Slots
from tests.doubles.llm_server.stats import Observation, Stats
from tests.doubles.llm_server.tokens import Tokenizer
from tests.doubles.served import http_server


@dataclass
class LLMServer:
    """A simulated vLLM while it is entered as a context; all but port, slots and remember may change meanwhile.

    dimensions, embedding_limits: of its embeddings. reply: what a chat is answered with, `default_reply` unless
    given; it runs in the server's loop, so it must not block (it may be `async`). port: 0 for a free one, kept when
    started again. slots: requests that are generated at a time, the others wait. priority_scheduling: with False a
    priority is answered with 400, as older versions of vLLM do; with "ignored" it changes nothing, as vLLM 0.32
    does without --scheduling-policy priority. guided_json: False and "ignored" answer text although JSON was asked
    for, "refused" answers 400. tool_calling: with False functions are refused, as by vLLM without its flags.
    truncates: prompts beyond max_model_len are cut, as Ollama does. api_keys: others are answered with
    401; none: all are welcome. remember: how many requests, at least, are kept with their bodies.
    """

    models: tuple[str, ...] = ("test-model",)
    dimensions: int = 16
    embedding_limits: EmbeddingLimits = field(default_factory=EmbeddingLimits)
    reply: Callable[[Request], str | Calls | Awaitable[str | Calls]] = field(default_factory=lambda: default_reply)
    port: int = 0
    slots: int = 256
    latency: Latency = field(default_factory=Latency)
    priority_scheduling: bool | Literal["ignored"] = False
    guided_json: bool | Literal["ignored", "refused"] = True
    max_model_len: int = 32_768
    tool_calling: bool = True
    truncates: bool = False
    tokenizer: Tokenizer = "words"
    api_keys: tuple[str, ...] = ()
    remember: int = 100_000
    requests: list[Request] = field(default_factory=list, init=False)
    crashes: list[Exception] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.plans = Plans()
        self.seen = Stats()
        self.connections = Connections()
        self.queue = Slots(self.slots, by_priority=self.priority_scheduling is True)
        self.held_together = 0
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL, /v1 included."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def chats(self) -> list[Request]:
        """The chat requests so far."""
        return [request for request in self.requests if request.path == CHAT]

    @property
    def embedded(self) -> list[list[str]]:
        """The texts of each embeddings request so far."""
        return [list(request.body["input"]) for request in self.requests if request.path == EMBEDDINGS]

    @property
    def observations(self) -> list[Observation]:
        """When each request came, ran and ended, and how."""
        return self.seen.observations

    @property
    def max_in_flight(self) -> int:
        """The most requests that were in work at a time, waiting ones included."""
        return self.seen.max_in_flight

    def stats(self) -> dict[str, Any]:
        """Counts and shares so far, as GET /_double/stats tells them."""
        return self._in_loop(lambda: self.seen.as_json(self.queue, self.connections))

    def mark(self) -> Mark:
        """This moment, for busy_share."""
        return self._in_loop(self.queue.mark)

    def busy_share(self, since: Mark, until: Mark) -> float:
        """The share of slot seconds between two marks that were busy."""
        return (until.busy - since.busy) / (self.queue.count * (until.at - since.at))

    def misbehave(
        self,
        what: Misbehaviour,
        *,
        times: int | None = None,
        retry_after: float | str | None = None,
        seconds: float | None = None,
        when: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        """Answer the next `times` requests (None: all) that fit `when` in this way; plans follow one another.

        seconds: how long "hang" (30) and "slow" (2) take.
        """
        lasting = (30.0 if what == "hang" else 2.0) if seconds is None else seconds
        self.plans.add(Plan(what, times, retry_after, lasting, when))

    def behave(self) -> None:
        """Forget all misbehaviour."""
        self.plans.clear()

    def hold_until(self, parties: int) -> None:
        """Answer chats only when `parties` of them are in flight together (or after a second)."""
        self.held_together = parties

    def remembered(self, request: Request) -> None:
        """Keep a request; older ones go where there are twice as many as are to be kept."""
        self.requests.append(request)
        if len(self.requests) > 2 * self.remember:
            del self.requests[: self.remember]

    def start(self) -> None:
        """Listen, at the port of the last time, in a thread of its own."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=4096)  # with SO_REUSEADDR
        # asyncio sets this only for sockets that name their protocol; without it a reply waits 40 ms for an ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = listener.getsockname()[1]
        self._application = Application(self)
        self._http = http_server(self._application, date_header=False, backlog=4096, timeout_keep_alive=75)
        started = threading.Event()

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            started.set()
            with listener:
                await self._http.serve(sockets=[listener])

        def run() -> None:
            with asyncio.Runner(loop_factory=self._http.config.get_loop_factory()) as runner:
                runner.run(serve())

        self._thread = threading.Thread(target=run, name="llm-double", daemon=True)
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        """Cut all connections and listen no longer; what was seen stays."""
        if self._thread is None:
            return
        self._application.stopping = True
        self._http.should_exit = True
        self._loop.call_soon_threadsafe(self.connections.reset_all)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        if self.crashes and error is None:
            raise ExceptionGroup("the double of the LLM server failed", self.crashes)

    def _in_loop(self, call: Callable[[], Any]) -> Any:
        if self._thread is None or self._thread is threading.current_thread():
            return call()
        result: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(lambda: result.set_result(call()))
        return result.result(10)
