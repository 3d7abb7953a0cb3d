"""The clients' connections: counted, watched for their end, and cut when the server is to misbehave."""

from __future__ import annotations

import asyncio
from typing import Any


class Gone(Exception):
    """The connection has ended while its request was in work."""


class Connection:
    """One connection, with one request at a time in work."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.requests = 0
        self._lost = False
        self._waited_for: asyncio.Future[Any] | None = None

    async def until(self, future: asyncio.Future[Any]) -> None:
        """Wait for `future`.

        Raises:
            Gone: the client is, whether before or meanwhile.
        """
        if self._lost:
            future.cancel()
            raise Gone
        self._waited_for = future
        try:
            await future
        finally:
            self._waited_for = None

    async def sleep(self, seconds: float) -> None:
        """Wait as `until` does, for a time."""
        loop = asyncio.get_running_loop()
        slept = loop.create_future()
        timer = loop.call_later(seconds, _finish, slept)
        try:
            await self.until(slept)
        finally:
            timer.cancel()

    def lost(self) -> None:
        """The transport has closed."""
        self._lost = True
        if self._waited_for is not None and not self._waited_for.done():
            self._waited_for.set_exception(Gone())

    async def reset(self) -> None:
        """Cut it, once what was written is on its way."""
        while not self._lost and self.transport.get_write_buffer_size():
            await asyncio.sleep(0.001)
        self.transport.abort()
        await self._end()

    async def close(self) -> None:
        """End it in good order, behind what was written."""
        self.transport.close()
        await self._end()

    async def _end(self) -> None:
        while not self._lost:
            await asyncio.sleep(0.001)


class Connections:
    """All connections since the server began: the open ones, and the requests of each."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, int], Connection] = {}
        self._closed_with: list[int] = []

    def opened(self, client: tuple[str, int], transport: asyncio.Transport) -> None:
        """A client has connected."""
        self.open[client] = Connection(transport)

    def closed(self, client: tuple[str, int]) -> None:
        """A client's connection is gone."""
        if (connection := self.open.pop(client, None)) is not None:
            self._closed_with.append(connection.requests)
            connection.lost()

    def requests(self) -> list[int]:
        """Requests of each connection that had any, in the order in which they closed; open ones last."""
        counts = self._closed_with + [connection.requests for connection in list(self.open.values())]
        return [count for count in counts if count]

    def reset_all(self) -> None:
        """Cut all."""
        for connection in list(self.open.values()):
            connection.transport.abort()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
