"""What an answer in the making tells, piece by piece. Whatever was told stays told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Left(Exception):
    """Whoever asked has gone: nothing more is done for this answer."""


@dataclass(frozen=True)
class Delta:
    """One piece. event: status, tool_call, tool_result, delta, citations, widget, error or done."""

    event: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Listener:
    """Who is told, and whether they are still there."""

    tell: Callable[[Delta], None] = lambda _: None
    left: threading.Event | None = None

    def status(self, stage: str, text: str) -> None:
        """What is being done."""
        self(Delta("status", {"stage": stage, "text": text}))

    def __call__(self, delta: Delta) -> None:
        """Tell one piece.

        Raises:
            Left: nobody listens any more.
        """
        self.check()
        self.tell(delta)

    def check(self) -> None:
        """Raises `Left` where nobody listens any more."""
        if self.left is not None and self.left.is_set():
            raise Left


NOBODY = Listener()
