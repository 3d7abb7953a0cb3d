"""A double of GitHub's API over real HTTP on loopback, REST and GraphQL, that can be told to misbehave.

with github_double() as double:
    double.state.add(Repository(id=1, owner="octo", name="app"))
    double.misbehave("/graphql", replies.bad_gateway(), replies.secondary_rate_limit(1))
    GitHub(double.url, token=double.token).repository("octo/app")
    assert double.stats.requests["/graphql"] == 3
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.doubles.github.app import Application, Request
from tests.doubles.github.feeds import Feeds
from tests.doubles.github.limits import Limits, RateLimiter
from tests.doubles.github.replies import Reply
from tests.doubles.github.resolvers import Poison
from tests.doubles.github.state import State
from tests.doubles.github.stats import Stats
from tests.doubles.served import http_server

REMEMBERED_REQUESTS = 10_000


@dataclass
class GitHubDouble:
    """What a test sees of the double; everything may be changed while it runs.

    latency: seconds before each reply. hold_until: replies wait until so many requests have come in all (or for ten
    seconds), so that they are in flight together. max_items_a_query: a query that may ask for more issues and pull
    requests is answered as `too_many_items` says: 502, or nothing for hang_seconds. poison: by (full name, number),
    items that answer with 502 always, or (GraphQL) with an error in their place beside the rest of the data.
    follow_transfers: GraphQL gives a transferred item as it is at its new place; otherwise NOT_FOUND. clock: of
    budgets and limits, in seconds since 1970; a test moves it to let an hour pass.
    """

    token: str = "double-token"
    login: str = "double"
    token_sees_private: bool = False
    follow_transfers: bool = False
    latency: float = 0.0
    hold_until: int = 0
    max_items_a_query: int | None = None
    too_many_items: Literal["502", "hang"] = "502"
    hang_seconds: float = 30.0
    poison: Poison = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    clock: Callable[[], float] = time.time
    state: State = field(default_factory=State)
    url: str = field(default="", init=False)
    requests: deque[Request] = field(default_factory=lambda: deque(maxlen=REMEMBERED_REQUESTS), init=False)
    crashes: list[Exception] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.stats = Stats()
        self.feeds = Feeds(self.state)
        self.limiter = RateLimiter(self.limits, lambda: self.clock())
        self.stats.limit_violations = self.limiter.violations
        self._queued: dict[str, deque[Reply]] = {}

    def misbehave(self, path_prefix: str, *replies: Reply) -> None:
        """Answer the next requests whose path begins so with `replies`, one a request; then behave."""
        self._queued.setdefault(path_prefix, deque()).extend(replies)

    def next_misbehaviour(self, path: str) -> Reply | None:
        """The reply that is queued for a path."""
        queues = (queue for prefix, queue in list(self._queued.items()) if queue and path.startswith(prefix))
        queue = next(queues, None)
        return queue.popleft() if queue else None

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[None]:
        """Listen on loopback in a thread of its own; raise at the end what went wrong inside the double."""
        started, loops = threading.Event(), []
        with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
            # asyncio sets this only for sockets that name their protocol; without it a reply waits 40 ms for an ACK.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            application = Application(self)
            server = http_server(application)

            async def serve() -> None:
                loops.append(asyncio.get_running_loop())
                started.set()
                await server.serve(sockets=[listener])

            thread = threading.Thread(target=asyncio.run, args=(serve(),), name="github-double", daemon=True)
            thread.start()
            started.wait()
            try:
                yield
            finally:
                server.should_exit = True
                loops[0].call_soon_threadsafe(application.closing.set)
                thread.join()
        if self.crashes:
            raise ExceptionGroup("the double of GitHub failed", self.crashes)


@contextmanager
def github_double(port: int = 0, **settings: Any) -> Iterator[GitHubDouble]:
    """A running double, with the settings that GitHubDouble has; it stops at the end."""
    double = GitHubDouble(**settings)
    with double.serving(port):
        yield double
