"""A server with SearXNG's JSON API over real HTTP on loopback, able to misbehave.

with SearchServer() as server:
    server.misbehave("429", times=1, retry_after=0.1)
    WebSearch(server.url).search("a query", 3)
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

Misbehaviour = Literal[
    "302", "401", "403", "404", "429", "500", "502", "503", "hang", "drop", "half a body", "slow", "invalid JSON",
    "a web page", "no list", "endless",
]  # fmt: skip


@dataclass
class _Plan:
    what: Misbehaviour
    times: int | None
    retry_after: float | str | None


@dataclass
class SearchServer:
    """Serves while it is entered as a context. results: what it finds; api_key: another is refused with 401."""

    results: list[Any] = field(default_factory=list)
    api_key: str | None = None
    requests: list[tuple[str, dict[str, list[str]], str | None]] = field(default_factory=list, init=False)
    """Path, parameters and Authorization of each request."""

    def __post_init__(self) -> None:
        self._plans: deque[_Plan] = deque()
        self.ended = threading.Event()

    def misbehave(
        self, what: Misbehaviour, *, times: int | None = None, retry_after: float | str | None = None
    ) -> None:
        """Answer the next `times` requests (None: all) in this way."""
        self._plans.append(_Plan(what, times, retry_after))

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def asked(self) -> list[str]:
        """The queries."""
        return [parameters["q"][0] for _, parameters, _ in self.requests]

    def __enter__(self) -> Self:
        class Handler(_Handler):
            double = self

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()

    def plan(self) -> _Plan | None:
        """The misbehaviour for this request, counted."""
        while self._plans and self._plans[0].times == 0:
            self._plans.popleft()
        if not self._plans:
            return None
        plan = self._plans[0]
        if plan.times is not None:
            plan.times -= 1
        return plan


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: SearchServer

    def do_GET(self) -> None:
        path, parameters = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        authorization = self.headers.get("authorization")
        self.double.requests.append((path, parameters, authorization))
        key = self.double.api_key
        content = json.dumps({"query": "", "number_of_results": 0, "results": self.double.results}).encode()
        plan = self.double.plan()
        if plan is not None:
            self._misbehave(plan, content)
        elif path != "/search":
            self._send(404, b"Not Found")
        elif key is not None and authorization != f"Bearer {key}":
            self._send(401, f"no: {authorization}".encode())  # careless servers repeat what they refuse
        elif parameters.get("format") != ["json"]:
            self._send(200, b"<html>results</html>", {"content-type": "text/html"})
        else:
            self._send(200, content)

    def _misbehave(self, plan: _Plan, content: bytes) -> None:
        if plan.what in ("hang", "drop"):
            self.double.ended.wait(30 if plan.what == "hang" else 0)
            self.close_connection = True
        elif plan.what.isdigit():
            headers = {} if plan.retry_after is None else {"retry-after": str(plan.retry_after)}
            headers |= {"location": f"{self.double.url}/elsewhere"} if plan.what == "302" else {}
            self._send(int(plan.what), f"no ({plan.what}) for {self.headers.get('authorization')}".encode(), headers)
        elif plan.what in ("half a body", "slow", "endless"):
            self._send_part_by_part(plan.what, content)
        else:
            wrong = {"invalid JSON": b'{"results": [', "a web page": b"<html>Welcome!</html>", "no list": b'{"a": 1}'}
            self._send(200, wrong[plan.what])

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_part_by_part(self, what: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(2**40 if what == "endless" else len(content)))
        self.end_headers()
        self.close_connection = True
        try:
            if what == "half a body":
                self.wfile.write(content[: len(content) // 2])
            elif what == "slow":
                for n in range(len(content)):
                    self.wfile.write(content[n : n + 1])
                    self.double.ended.wait(0.05)
            else:
                while not self.double.ended.is_set():
                    self.wfile.write(b" " * 65536)
        except OSError:  # the client has gone
            pass

    def log_message(self, *args: Any) -> None:
        """Nothing."""
