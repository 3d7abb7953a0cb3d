"""An OpenAI-compatible server over real HTTP on loopback: deterministic, observed, and able to misbehave.

with LLMServer() as server:
    server.misbehave("429", times=2, retry_after=0.1)
    LLM(server.url, "test-model").complete("system", "user")
    assert len(server.requests) == 3
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self, get_args

import numpy as np

Misbehaviour = Literal[
    "400", "401", "404", "422", "429", "500", "502", "503",
    "hang", "half a body", "invalid JSON", "not JSON", "empty choices", "markup only",
    "wrong dimensions", "NaN", "zero vector", "fewer vectors", "wrong indexes",
]  # fmt: skip
CHAT, EMBEDDINGS, MODELS = "/v1/chat/completions", "/v1/embeddings", "/v1/models"


@dataclass(frozen=True)
class Request:
    """One request as the server has read it; body is empty for GET."""

    path: str
    body: dict[str, Any]
    authorization: str | None

    @property
    def user(self) -> str:
        """The user's message of a chat."""
        return next((str(one["content"]) for one in self.body.get("messages", []) if one["role"] == "user"), "")


@dataclass
class _Plan:
    what: str
    times: int | None
    retry_after: float | str | None
    when: Callable[[Request], bool]


@dataclass
class LLMServer:
    """Serves /v1/models, /v1/chat/completions and /v1/embeddings while it is entered as a context.

    dimensions: of its embeddings. reply: what a chat is answered with, `default_reply` unless given.
    """

    models: tuple[str, ...] = ("test-model",)
    dimensions: int = 16
    reply: Callable[[Request], str] = field(default_factory=lambda: default_reply)
    requests: list[Request] = field(default_factory=list, init=False)
    max_in_flight: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self._plans: list[_Plan] = []
        self._released = threading.Event()
        self._together: threading.Barrier | None = None
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """The base URL, /v1 included."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def chats(self) -> list[Request]:
        """The chat requests so far."""
        return [request for request in self.requests if request.path == CHAT]

    @property
    def embedded(self) -> list[list[str]]:
        """The texts of each embeddings request so far."""
        return [list(request.body["input"]) for request in self.requests if request.path == EMBEDDINGS]

    def misbehave(
        self,
        what: Misbehaviour,
        *,
        times: int | None = None,
        retry_after: float | str | None = None,
        when: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        """Answer the next `times` requests (None: all) that fit `when` in this way; plans follow one another."""
        if what not in get_args(Misbehaviour):
            raise ValueError(f"The double cannot misbehave as {what!r}: {get_args(Misbehaviour)}")
        with self._lock:
            self._plans.append(_Plan(what, times, retry_after, when))

    def behave(self) -> None:
        """Forget all misbehaviour."""
        with self._lock:
            self._plans.clear()

    def hold_until(self, parties: int) -> None:
        """Answer chats only when `parties` of them are in flight together (or after a second)."""
        self._together = threading.Barrier(parties, timeout=1.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def _counted(self, request: Request) -> Iterator[_Plan | None]:
        with self._lock:
            self.requests.append(request)
            self._in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self._in_flight)
            plan = next((one for one in self._plans if one.times != 0 and one.when(request)), None)
            if plan is not None and plan.times is not None:
                plan.times -= 1
        try:
            if self._together is not None and request.path == CHAT:
                try:
                    self._together.wait()
                except threading.BrokenBarrierError:
                    self._together.reset()
            yield plan
        finally:
            with self._lock:
                self._in_flight -= 1


def default_reply(request: Request) -> str:
    """Evidence sentences with their citations for an answering prompt, otherwise a summary of the user's text."""
    if evidence := re.search(r"<evidence>\n(.*)\n</evidence>", request.user, re.DOTALL):
        facts = [line.removeprefix("- ") for line in evidence.group(1).splitlines()]
        return " ".join(fact for fact in facts if re.search(r"\[\d+\]", fact))
    title = re.search(r"^Title: (.*)$", request.user, re.MULTILINE)
    digest = hashlib.sha256(request.user.encode()).hexdigest()[:8]
    return f"Summary {digest} of {title.group(1) if title else request.user[:60]}."


def embedding(text: str, dimensions: int) -> list[float]:
    """A vector of unit length that only the text decides."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    return [float(value) for value in vector / np.linalg.norm(vector)]


def _handler(server: LLMServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            request = Request(self.path, body, self.headers.get("authorization"))
            with server._counted(request) as plan:
                status, headers, content, length = _response(server, request, plan)
            try:
                self.send_response(status)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(length))
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):  # the client gave up waiting
                self.close_connection = True
            if length != len(content):
                self.close_connection = True

    return Handler


def _response(server: LLMServer, request: Request, plan: _Plan | None) -> tuple[int, dict[str, str], bytes, int]:
    """Status, headers, content, and the length that is announced."""
    what = plan.what if plan else ""
    if what == "hang":
        server._released.wait(30)
    if what.isdigit():
        headers = {} if plan is None or plan.retry_after is None else {"retry-after": str(plan.retry_after)}
        # Careless servers echo what they refused: so does this one.
        content = _json({"error": {"message": f"no ({what}) for {request.authorization}", "type": "error"}})
        return int(what), headers, content, len(content)
    if what == "not JSON":
        content = b"<html>Welcome!</html>"
        return 200, {"content-type": "text/html"}, content, len(content)
    model = request.body.get("model")
    if request.path == MODELS:
        content = _json({"object": "list", "data": [{"id": name, "object": "model"} for name in server.models]})
    elif request.path not in (CHAT, EMBEDDINGS) or model not in server.models:
        content = _json({"error": {"message": f"The model {model!r} does not exist.", "code": "model_not_found"}})
        return 404, {}, content, len(content)
    elif request.path == CHAT:
        content = _json(_chat(server, request, what))
    else:
        content = _json(_embeddings(server, request, what))
    if what == "invalid JSON":
        content = content[: len(content) // 2]
    length = len(content)
    return 200, {}, content[: length // 2] if what == "half a body" else content, length


def _chat(server: LLMServer, request: Request, what: str) -> dict[str, Any]:
    text = "<!-- nothing to see -->" if what == "markup only" else server.reply(request)
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": len(request.user.split()), "completion_tokens": len(text.split())}
    return {
        "id": "chat", "object": "chat.completion", "created": 0, "model": request.body["model"],
        "choices": [] if what == "empty choices" else [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {**usage, "total_tokens": sum(usage.values())},
    }  # fmt: skip


def _embeddings(server: LLMServer, request: Request, what: str) -> dict[str, Any]:
    """In reverse order, told by `index`: the protocol allows it."""
    texts = request.body["input"]
    vectors = [embedding(text, server.dimensions + (what == "wrong dimensions")) for text in texts]
    if what == "NaN":
        vectors[-1][0] = float("nan")
    if what == "zero vector":
        vectors[-1] = [0.0] * server.dimensions
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    if what == "fewer vectors":
        data.pop()
    if what == "wrong indexes":
        data = [{**one, "index": 7} for one in data]
    return {
        "object": "list",
        "data": data[::-1],
        "model": request.body["model"],
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
