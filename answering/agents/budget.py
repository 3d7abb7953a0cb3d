"""What one answer may cost: calls of the LLM, tokens, calls of tools, and time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from resources.llm import NOTHING_ASKED, Usage


class BudgetSpent(Exception):
    """The answer has had its share."""


@dataclass
class Allowance:
    """What whoever asks may have of the LLM.

    spent: nothing any more; refused: it would have been asked otherwise; usage: what was had of it so far, also for an
    answer that nobody waited for.
    """

    spent: bool = False
    refused: bool = False
    usage: Usage = NOTHING_ASKED

    @property
    def used(self) -> int:
        """Tokens, read and written."""
        return self.usage.tokens_in + self.usage.tokens_out


@dataclass
class Budget:
    """seconds: of all calls of the LLM together, from now on; steps: of the LLM; tokens: read and written by it.

    allowance: of whoever asks, which is told what is used.
    """

    seconds: float
    tokens: int
    steps: int = 8
    tool_calls: int = 16
    usage: Usage = NOTHING_ASKED
    allowance: Allowance = field(default_factory=Allowance)
    _begun: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def left(self) -> float:
        """Seconds that are left, 0 at least."""
        return max(0.0, self.seconds - (time.monotonic() - self._begun))

    def step(self) -> float:
        """Take one call of the LLM; returns the seconds that it may take.

        Raises:
            BudgetSpent: there is none left.
        """
        with self._lock:
            spent = self.usage.tokens_in + self.usage.tokens_out
            if self.steps <= 0 or self.left <= 0 or spent >= self.tokens:
                raise BudgetSpent(f"{self.steps} steps, {self.left:.1f} s and {self.tokens - spent} tokens are left")
            self.steps -= 1
            return self.left

    def spend(self, usage: Usage) -> None:
        """Count what a call used."""
        with self._lock:
            self.usage += usage
            self.allowance.usage += usage

    def tool(self) -> bool:
        """Take one call of a tool; False: there is none left."""
        with self._lock:
            self.tool_calls -= 1
            return self.tool_calls >= 0
