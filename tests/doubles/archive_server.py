"""An archive of hour files over real HTTP on loopback: ranges and ETags (RFC 9110), and misbehaviour on request."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

_RANGE = re.compile(r"bytes=(\d+)-")


@dataclass(frozen=True)
class Reply:
    """One reply to come; what is not said is answered as a good server would.

    status: this one, whatever is asked. headers: beside, or in place of, the right ones. cut: the body ends in the
    middle, or after `cut_at` bytes of it; hang_up: the connection closes without a word. ignore: request headers
    that the server does not understand. at_most: bytes of a range that are sent, as RFC 9110 allows. becomes: what
    the file is afterwards.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    failure: Literal["cut", "hang_up"] | None = None
    cut_at: int | None = None
    ignore: tuple[str, ...] = ()
    at_most: int | None = None
    becomes: bytes | None = None


@dataclass(frozen=True)
class Answer:
    """A right answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class ArchiveServer:
    """Serves `files` by name. Replies queued for a name are used up first, one a request; then it behaves.

    etags, ranges: whether it sends ETags and understands ranges at all; pause: seconds before each block of a body.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.queued: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.url = ""
        self.etags = self.ranges = True
        self.pause = 0.0

    def misbehave(self, name: str, *replies: Reply) -> None:
        """Answer the next requests for `name` with `replies`."""
        self.queued[name].extend(replies)

    def asked(self, name: str) -> list[dict[str, str]]:
        """The headers of every request for `name`."""
        return [headers for asked, headers in self.requests if asked == name]

    def right_answer(self, name: str, asked: Mapping[str, str], at_most: int | None = None) -> Answer:
        """What RFC 9110 says to these request headers."""
        if name not in self.files:
            return Answer(404, body=b"no")
        content = self.files[name]
        etag = f'"{hashlib.md5(content).hexdigest()}"' if self.etags else None
        headers = {"Accept-Ranges": "bytes" if self.ranges else "none"} | ({"ETag": etag} if etag else {})
        if etag and asked.get("If-None-Match") == etag:
            return Answer(304, headers)
        wanted = _RANGE.fullmatch(asked.get("Range", "")) if self.ranges else None
        if wanted is None or asked.get("If-Range", etag) != etag:
            return Answer(200, headers, content)
        start = int(wanted[1])
        if start >= len(content):
            return Answer(416, headers | {"Content-Range": f"bytes */{len(content)}"}, b"no")
        end = len(content) if at_most is None else min(start + at_most, len(content))
        return Answer(206, headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}, content[start:end])

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        name = handler.path.lstrip("/")
        asked = dict(handler.headers.items())
        self.requests.append((name, asked))
        queue = self.queued[name]
        reply = queue.popleft() if queue else Reply()
        handler.close_connection = True
        if reply.failure == "hang_up":
            return
        understood = {key: value for key, value in asked.items() if key not in reply.ignore}
        right = self.right_answer(name, understood, reply.at_most)
        if reply.status is not None:
            right = Answer(reply.status, body=b"no")
        if reply.becomes is not None:
            self.files[name] = reply.becomes
        length = {} if right.status == 304 else {"Content-Length": str(len(right.body))}
        handler.send_response(right.status)
        for header, value in (right.headers | length | reply.headers).items():
            handler.send_header(header, value)
        handler.end_headers()
        body = right.body if handler.command == "GET" else b""
        if reply.failure == "cut":
            body = body[: len(body) // 2 if reply.cut_at is None else reply.cut_at]
        for start in range(0, len(body), 64 * 1024):
            time.sleep(self.pause)
            handler.wfile.write(body[start : start + 64 * 1024])


@contextmanager
def archive_server() -> Iterator[ArchiveServer]:
    """A running server; it stops at the end."""
    archive = ArchiveServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                archive.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client is gone: some tests kill it

        do_HEAD = do_GET  # noqa: N815 - the base class looks for this name

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
