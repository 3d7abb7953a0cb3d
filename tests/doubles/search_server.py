"""A server with SearXNG's JSON API over real HTTP on loopback, able to misbehave.

with SearchServer() as server:
    server.misbehave("429", times=1, retry_after=0.1)
    WebSearch(server.url).search("a query", 3)
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import parse_qs, urlsplit

from tests.doubles.misbehaving import MisbehavingHandler, MisbehavingServer, Plan

Misbehaviour = Literal[
    "302", "401", "403", "404", "429", "500", "502", "503", "hang", "drop", "half a body", "slow", "invalid JSON",
    "a web page", "no list", "endless",
]  # fmt: skip


@dataclass
class SearchServer(MisbehavingServer):
    """Serves while it is entered as a context. results: what it finds; api_key: another is refused with 401."""

    results: list[Any] = field(default_factory=list)
    api_key: str | None = None
    requests: list[tuple[str, dict[str, list[str]], str | None]] = field(default_factory=list, init=False)
    """Path, parameters and Authorization of each request."""

    @property
    def asked(self) -> list[str]:
        """The queries."""
        return [parameters["q"][0] for _, parameters, _ in self.requests]


class _Handler(MisbehavingHandler):
    double: SearchServer

    def answer(self) -> None:
        """One request."""
        path, parameters = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        authorization = self.headers.get("authorization")
        self.double.requests.append((path, parameters, authorization))
        key = self.double.api_key
        content = json.dumps({"query": "", "number_of_results": 0, "results": self.double.results}).encode()
        plan = self.double.plan()
        if plan is not None:
            self._misbehave(plan, content)
        elif path != "/search":
            self.send(404, b"Not Found")
        elif key is not None and authorization != f"Bearer {key}":
            self.send(401, f"no: {authorization}".encode())  # careless servers repeat what they refuse
        elif parameters.get("format") != ["json"]:
            self.send(200, b"<html>results</html>", {"content-type": "text/html"})
        else:
            self.send(200, content)

    def _misbehave(self, plan: Plan, content: bytes) -> None:
        if plan.what in ("hang", "drop"):
            self.double.ended.wait(30 if plan.what == "hang" else 0)
            self.close_connection = True
        elif plan.what.isdigit():
            headers = {} if plan.retry_after is None else {"retry-after": str(plan.retry_after)}
            headers |= {"location": f"{self.double.url}/elsewhere"} if plan.what == "302" else {}
            self.send(int(plan.what), f"no ({plan.what}) for {self.headers.get('authorization')}".encode(), headers)
        elif plan.what in ("half a body", "slow", "endless"):
            self._send_part_by_part(plan.what, content)
        else:
            wrong = {"invalid JSON": b'{"results": [', "a web page": b"<html>Welcome!</html>", "no list": b'{"a": 1}'}
            self.send(200, wrong[plan.what])

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


SearchServer.handler, SearchServer.misbehaviours = _Handler, get_args(Misbehaviour)
