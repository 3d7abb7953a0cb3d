"""Many jobs through a bounded number of places, results stored as they come, nothing left behind at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

STORED_TOGETHER = 64
STORED_AFTER = 0.2
"""A result waits for others this many seconds at most."""

_BACKLOG = 8 * STORED_TOGETHER
_LOOK = 0.1  # seconds after which a limit that has grown is noticed, where nothing else happens

J = TypeVar("J")
R = TypeVar("R")
Store = Callable[[Sequence[tuple[J, R]]], None]


class Fleet(Generic[J, R]):
    """Keeps `allowed()` jobs at work: the next one begins in the moment in which one ends.

    Jobs are taken one by one as places become free. Results go to `store` in a worker thread, one batch at a time;
    a store that is slower than the work slows the work down.
    """

    def __init__(self, work: Callable[[J], Awaitable[R]], store: Store[J, R], allowed: Callable[[], int]) -> None:
        self._work, self._store, self._allowed = work, store, allowed
        self._results: list[tuple[J, R]] = []
        self._oldest = 0.0
        self._storing: asyncio.Future[None] | None = None
        self._stored_now = 0
        self._running: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None
        self._happened = asyncio.Event()

    async def run(self, jobs: Iterable[J]) -> None:
        """Do all jobs.

        However it ends, by itself, by an error or cancelled, no job is left running and all results are stored.

        Raises:
            Exception: what a job or `store` raised first.
        """
        left = iter(jobs)
        try:
            await self._pump(left)
        finally:
            await self._finish()

    async def _pump(self, left: Iterator[J]) -> None:
        more = True
        while more or self._running:
            while more and self._has_room():
                try:
                    job = next(left)
                except StopIteration:
                    more = False
                else:
                    task = asyncio.ensure_future(self._do(job))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
            self._store_some()
            if self._failed is not None:
                raise self._failed
            if more or self._running:
                await self._something()

    def _has_room(self) -> bool:
        unstored = len(self._results) + self._stored_now
        return len(self._running) < max(1, self._allowed()) and unstored < _BACKLOG and self._failed is None

    async def _do(self, job: J) -> None:
        try:
            result = await self._work(job)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised by run, once all others are cancelled
            self._failed = self._failed or error
        else:
            if not self._results:
                self._oldest = asyncio.get_running_loop().time()
            self._results.append((job, result))
        finally:
            self._happened.set()

    async def _something(self) -> None:
        """Wait until a job is done, a batch is stored, or the time for a look has come."""
        handle = asyncio.get_running_loop().call_later(_LOOK, self._happened.set)
        try:
            await self._happened.wait()
        finally:
            handle.cancel()
        self._happened.clear()

    def _store_some(self) -> None:
        loop = asyncio.get_running_loop()
        due = len(self._results) >= STORED_TOGETHER or (self._results and loop.time() - self._oldest >= STORED_AFTER)
        if self._storing is None and due:
            batch, self._results = self._results, []
            self._stored_now = len(batch)
            self._storing = loop.run_in_executor(None, self._store, batch)
            self._storing.add_done_callback(self._was_stored)

    def _was_stored(self, future: asyncio.Future[None]) -> None:
        self._storing, self._stored_now = None, 0
        if not future.cancelled() and (error := future.exception()) is not None:
            self._failed = self._failed or error
        self._happened.set()

    async def _finish(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        storing = self._storing
        if storing is not None:
            await asyncio.wait([storing])
        if storing is not None and storing.exception() is not None:
            return  # the same would happen to the rest
        while self._results:
            batch, self._results = self._results[:STORED_TOGETHER], self._results[STORED_TOGETHER:]
            self._store(batch)
