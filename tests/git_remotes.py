"""Git repositories made object by object, so that they can hold what no client would write; and servers of them."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START = 1_700_000_000  # 2023-11-14 22:13:20 UTC
DAY = 86_400
_ENVIRONMENT = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Run git there and return what it prints, without the last newline."""
    result = subprocess.run(
        ["git", *arguments], cwd=folder, input=given, capture_output=True, check=True, env=_ENVIRONMENT
    )
    return result.stdout.rstrip(b"\n")


@dataclass
class Remote:
    """A bare repository. Files of a commit are those of its first parent and `files`; None deletes one."""

    path: Path
    filters: bool = True
    _files: dict[str, dict[bytes, bytes]] = field(default_factory=dict)
    _number: int = 0

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True)
        git(self.path, "init", "--quiet", "--bare", "--initial-branch=main", ".")
        if self.filters:
            git(self.path, "config", "uploadpack.allowFilter", "true")

    @property
    def url(self) -> str:
        """Its file:// URL."""
        return f"file://{self.path}"

    def commit(
        self,
        branch: str | None = "main",
        message: bytes = b"",
        files: Mapping[bytes, bytes | None] | None = None,
        *,
        parents: Sequence[str] | None = None,
        when: int | str | None = None,
        author: bytes = b"Ada <ada@example.com>",
        headers: bytes = b"",
    ) -> str:
        """Add a commit, by default to the tip of `branch`, and move that there; None: no branch moves."""
        self._number += 1
        if parents is None:
            tip = None if branch is None else self.tips().get(branch)
            parents = [] if tip is None else [tip]
        whole = dict(self._files[parents[0]]) if parents else {}
        for path, content in (files if files is not None else {b"file %d" % self._number: b"x"}).items():
            if content is None:
                del whole[path]
            else:
                whole[path] = content
        stamp = str(START + self._number * 60 if when is None else when).encode()
        raw = b"tree %s\n" % self._tree(whole)
        raw += b"".join(b"parent %s\n" % parent.encode() for parent in parents)
        raw += b"author %s %s +0000\ncommitter %s %s +0000\n%s\n" % (author, stamp, author, stamp, headers)
        sha = self._object("commit", raw + (message or b"Commit %d\n" % self._number)).decode()
        self._files[sha] = whole
        if branch is not None:
            self.point(branch, sha)
        return sha

    def point(self, branch: str, sha: str | None) -> None:
        """Move a branch there, whatever it was; None deletes it."""
        arguments = ["-d", f"refs/heads/{branch}"] if sha is None else [f"refs/heads/{branch}", sha]
        git(self.path, "update-ref", *arguments)

    def tips(self) -> dict[str, str]:
        """The commit of each branch, by short name."""
        lines = git(self.path, "for-each-ref", "--format=%(objectname) %(refname:short)", "refs/heads/").decode()
        return {ref: sha for sha, _, ref in (line.partition(" ") for line in lines.splitlines())}

    def _tree(self, files: Mapping[bytes, bytes], depth: int = 0) -> bytes:
        entries = []
        folders: dict[bytes, dict[bytes, bytes]] = {}
        for path, content in files.items():
            name, slash, rest = path.partition(b"/")
            if slash:
                folders.setdefault(name, {})[rest] = content
            else:
                entries.append((name, b"100644 " + name, self._object("blob", content)))
        for name, inner in folders.items():
            entries.append((name + b"/", b"40000 " + name, self._tree(inner, depth + 1)))
        raw = b"".join(label + b"\0" + bytes.fromhex(sha.decode()) for _, label, sha in sorted(entries))
        return self._object("tree", raw)

    def _object(self, kind: str, raw: bytes) -> bytes:
        return git(self.path, "hash-object", "-w", "--literally", "-t", kind, "--stdin", given=raw)


def _needs(program: str) -> None:
    """Skip the test where git came without one of its servers, which some systems package apart."""
    if not (Path(git(Path.cwd(), "--exec-path").decode()) / program).exists():
        pytest.skip(f"{program} is not installed: it is in your system's package of git's servers")


@contextmanager
def git_daemon(base: Path) -> Iterator[str]:
    """`git daemon` over the repositories in `base`; its base URL."""
    _needs("git-daemon")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["git", "daemon", "--export-all", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}",
         f"--base-path={base}", str(base)],
        stderr=subprocess.DEVNULL, env=_ENVIRONMENT, start_new_session=True,
    )  # fmt: skip
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.02)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@dataclass
class GitServer:
    """A running HTTP server of repositories.

    mode: serve, unauthorized (401), hang (an answer never comes), redirect (to `target`), missing (404), broken (503).
    Requests are kept with their Authorization.
    """

    url: str
    mode: str = "serve"
    target: str = ""
    requests: list[str] = field(default_factory=list)


@contextmanager
def git_http_server(base: Path) -> Iterator[GitServer]:
    """`git http-backend` over the repositories in `base`, on loopback."""
    _needs("git-http-backend")
    gone = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            server.requests.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
            if server.mode == "hang":
                gone.wait(120)
                return
            statuses = {"unauthorized": 401, "redirect": 302, "missing": 404, "broken": 503}
            if server.mode in statuses:
                self.send_response(statuses[server.mode])
                if server.mode == "unauthorized":
                    self.send_header("WWW-Authenticate", 'Basic realm="private"')
                if server.mode == "redirect":
                    self.send_header("Location", server.target + self.path)
                self.end_headers()
                return
            self._serve()

        do_POST = do_GET  # noqa: N815 - http.server's names

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            environment = _ENVIRONMENT | {
                "GIT_PROJECT_ROOT": str(base), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }  # fmt: skip
            out = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment).stdout
            head, _, content = out.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200").split()[0]))
            for name, value in fields.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    server = GitServer(f"http://127.0.0.1:{running.server_address[1]}")
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        gone.set()
        running.shutdown()
        running.server_close()


def remove_clone(folder: Path) -> None:
    """As if somebody had cleaned up."""
    shutil.rmtree(folder)
