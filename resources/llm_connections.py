"""Connections to an LLM server that do not grow old: pods that came later behind a Service get their share."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OLDEST_SECONDS = 60.0
"""No request is begun on a connection that is older."""


class _Client:
    """A client, and how many requests it is at."""

    def __init__(self, client: AsyncOpenAI, born: float) -> None:
        self.client, self.born, self.requests = client, born, 0


class Connections:
    """Clients of one server for one event loop, each with a pool of its own.

    A client takes requests for `oldest` seconds, then another one does; it is closed with the last request it is at.
    """

    def __init__(self, new: Callable[[], AsyncOpenAI], oldest: float = OLDEST_SECONDS) -> None:
        self._new, self._oldest = new, oldest
        self._clients: list[_Client] = []

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncOpenAI]:
        """A client to send one request with."""
        now = time.monotonic()
        if not self._clients or now - self._clients[-1].born >= self._oldest:
            self._clients.append(_Client(self._new(), now))
        used = self._clients[-1]
        used.requests += 1
        try:
            await self._close_retired()
            yield used.client
        finally:
            used.requests -= 1
            await self._close_retired()

    async def _close_retired(self) -> None:
        retired = [one for one in self._clients[:-1] if one.requests == 0]
        if retired:
            self._clients = [one for one in self._clients if one not in retired]
            for one in retired:
                await one.client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        clients, self._clients = self._clients, []
        for one in clients:
            await one.client.close()
