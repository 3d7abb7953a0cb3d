"""When an LLM server is away: who tries whether it is back, who waits, and when all give up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from resources.errors import LLMUnavailable

FAILURES_IN_A_ROW = 3
"""So many failures without a success between them, and the server counts as away."""

LONGEST_PAUSE = 10.0
_FIRST_PAUSE = 0.5


class Outage:
    """One clock for all requests of a run.

    While the server is away a single request, the scout, tries at growing intervals, and all others wait for its
    success: a server that comes back is not met by everybody at once. It runs from the first failure after the
    newest success; the first failure at which it has reached `give_up_after` seconds ends the run. A request calls
    `admit`, and then one of the others, from one and the same task.
    """

    def __init__(self, where: str, give_up_after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._where, self._give_up_after, self._clock = where, give_up_after, clock
        self._since: float | None = None
        self._in_a_row = 0
        self._pauses = 0
        self._scout: asyncio.Task[Any] | None = None
        self._over = asyncio.Event()
        self._over.set()

    @property
    def away(self) -> bool:
        """Whether only a scout may ask."""
        return self._in_a_row >= FAILURES_IN_A_ROW

    async def admit(self) -> None:
        """Return when the caller may send its request: at once, unless the server is away."""
        while self.away:
            if self._scout is None:
                self._scout = asyncio.current_task()
                try:
                    await asyncio.sleep(min(LONGEST_PAUSE, _FIRST_PAUSE * 2**self._pauses))
                except BaseException:
                    self.left()
                    raise
                self._pauses += 1
                return
            await self._over.wait()
            if self.away:
                self._over.clear()

    def succeeded(self) -> None:
        """A request was answered: the server is there."""
        self._since, self._in_a_row, self._pauses, self._scout = None, 0, 0, None
        self._over.set()

    def failed(self, reason: str, *, answered: bool = False) -> None:
        """A request failed through the server's fault. answered: it said that it is busy (429), so it is there.

        Raises:
            LLMUnavailable: that has been so for too long.
        """
        now = self._clock()
        self._since = now if self._since is None else self._since
        self.left()
        self._in_a_row += not answered
        if now - self._since >= self._give_up_after:
            raise LLMUnavailable(
                f"{self._where} answered nothing for {(now - self._since) / 60:.1f} minutes (LLM_OUTAGE_MINUTES), at"
                f" last: {reason}. What is done is kept. Start it or check LLM_BASE_URL; unset LLM_BASE_URL to use"
                " extractive mode."
            )

    def left(self) -> None:
        """A request is over without an answer; if it was the scout, another may be."""
        if self._scout is asyncio.current_task():
            self._scout = None
            self._over.set()
