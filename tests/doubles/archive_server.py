"""An archive of hour files over real HTTP on loopback, which can misbehave on request."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal


@dataclass(frozen=True)
class Reply:
    """One reply to come. cut: the body ends in the middle; hang_up: the connection closes without a word."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    failure: Literal["cut", "hang_up"] | None = None


class ArchiveServer:
    """Serves `files` by name. Replies queued for a name are used up first, one a request; then it behaves."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.queued: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def misbehave(self, name: str, *replies: Reply) -> None:
        """Answer the next requests for `name` with `replies`."""
        self.queued[name].extend(replies)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.lstrip("/")
        self.requests.append((name, dict(handler.headers.items())))
        queue = self.queued[name]
        reply = queue.popleft() if queue else Reply(200 if name in self.files else 404)
        handler.close_connection = True
        if reply.failure == "hang_up":
            return
        body = self.files.get(name, b"") if reply.status == 200 else b"no"
        handler.send_response(reply.status)
        for header, value in reply.headers.items():
            handler.send_header(header, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2] if reply.failure == "cut" else body)


@contextmanager
def archive_server() -> Iterator[ArchiveServer]:
    """A running server; it stops at the end."""
    archive = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            archive._answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing: the tests look at `requests`."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        archive.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield archive
        finally:
            server.shutdown()
            thread.join()
