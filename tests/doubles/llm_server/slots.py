"""The slots in which requests run, and the queue before them."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.doubles.llm_server.connections import Connection


@dataclass(frozen=True)
class Mark:
    """A moment: monotonic seconds, and slot seconds that were spent busy until then."""

    at: float
    busy: float


class Slots:
    """`count` slots; who finds none free waits in order of arrival, or of (priority, arrival) with by_priority.

    As in vLLM, a lower priority goes first. A slot that is left goes to the next in the same moment.
    """

    def __init__(self, count: int, *, by_priority: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = count
        self._clock = clock
        self.by_priority = by_priority
        self.running = 0
        self.waiting = 0
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._mark = Mark(clock(), 0.0)
        self._first_full: Mark | None = None
        self._last_full: Mark | None = None

    async def enter(self, connection: Connection, priority: int) -> None:
        """Take a slot, after those who came before.

        Raises:
            Gone: the client left the queue.
        """
        if self.running < self.count and not self.waiting:
            self.mark()
            self.running += 1
            self.mark()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (priority if self.by_priority else 0, next(self._numbers), turn))
        self.waiting += 1
        try:
            await connection.until(turn)
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # it had been given a slot in the same moment
            else:
                self.waiting -= 1
            raise

    def leave(self) -> None:
        """Free a slot: for the first in the queue who is still there."""
        self.mark()
        self.running -= 1
        self._fill()

    def resize(self, count: int) -> None:
        """Have another number of slots from now on."""
        self.mark()
        self.count = count
        self._first_full = self._last_full = None
        self._fill()

    def mark(self) -> Mark:
        """This moment: the share of busy slots between two marks is their busy seconds / (slots x their seconds)."""
        now = self._clock()
        self._mark = Mark(now, self._mark.busy + self.running * (now - self._mark.at))
        if self.running >= self.count:
            self._first_full = self._first_full or self._mark
            self._last_full = self._mark
        return self._mark

    def busy_share(self) -> float | None:
        """Busy slot seconds / (slots x span), from the first moment at which all slots were busy to the last one.

        The last one comes just after the queue was last not empty, or, where the client never lets a queue form, when
        it last had a request for each slot. None before all slots were busy.
        """
        self.mark()
        first, last = self._first_full, self._last_full
        if first is None or last is None or last.at <= first.at:
            return None
        return (last.busy - first.busy) / (self.count * (last.at - first.at))

    def _fill(self) -> None:
        while self._queue and self.running < self.count:
            *_, turn = heapq.heappop(self._queue)
            if not turn.done():
                self.running += 1
                self.waiting -= 1
                turn.set_result(None)
        if self.running >= self.count:
            self.mark()
