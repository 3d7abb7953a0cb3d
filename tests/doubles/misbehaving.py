"""What small doubles have in common: an HTTP server in a thread, and the plans by which it misbehaves."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass
class Plan:
    """Misbehave as `what` for the next `times` requests (None: all). seconds: how long, where it takes time."""

    what: str
    times: int | None
    retry_after: float | str | None
    seconds: float


class MisbehavingServer:
    """Serves while it is entered as a context. handler: answers requests; its `double` is this server.

    misbehaviours: the names of those that it knows.
    """

    handler: type[MisbehavingHandler]
    misbehaviours: tuple[str, ...]

    def __post_init__(self) -> None:
        self._plans: deque[Plan] = deque()
        self.ended = threading.Event()

    def misbehave(
        self, what: str, *, times: int | None = None, retry_after: float | str | None = None, seconds: float = 30.0
    ) -> None:
        """Answer the next `times` requests (None: all) in this way.

        Raises:
            ValueError: nothing is known by this name.
        """
        if what not in self.misbehaviours:
            raise ValueError(f"The double cannot misbehave as {what!r}: {self.misbehaviours}")
        self._plans.append(Plan(what, times, retry_after, seconds))

    def behave(self) -> None:
        """Forget all misbehaviour."""
        self._plans.clear()

    def plan(self) -> Plan | None:
        """The misbehaviour for this request, counted."""
        while self._plans and self._plans[0].times == 0:
            self._plans.popleft()
        if not self._plans:
            return None
        plan = self._plans[0]
        if plan.times is not None:
            plan.times -= 1
        return plan

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (self.handler,), {"double": self}))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()


class MisbehavingHandler(BaseHTTPRequestHandler):
    """Answers GET and POST alike by `answer`, and says nothing by itself."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Answer one request."""
        raise NotImplementedError

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        """A whole answer, JSON unless the headers say otherwise."""
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
