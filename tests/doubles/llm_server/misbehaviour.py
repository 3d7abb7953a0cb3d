"""What the server can be told to do wrong, and when it does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from tests.doubles.llm_server.request import Request

Misbehaviour = Literal[
    # The answer is an error, with Retry-After where one is given.
    "400", "401", "403", "404", "413", "422", "429", "500", "502", "503", "504", "context length", "model not found",
    # No answer, or not all of it: nothing for `seconds`; closed before a byte; reset after half of the body; closed
    # after half of the body; all of the body, over `seconds`.
    "hang", "drop", "drop half", "half a body", "slow",
    # The body is wrong: cut JSON of the right length; a web page; a chat without choices.
    "invalid JSON", "not JSON", "empty choices",
    # What the model says is wrong.
    "markup only", "half a JSON", "fenced JSON", "prose around JSON", "wrong schema", "length", "repeats prompt",
    "invented link",
    # Embeddings.
    "wrong dimensions", "NaN", "not normalized", "zero vector", "fewer vectors", "wrong indexes",
]  # fmt: skip


@dataclass
class Plan:
    """Misbehave as `what` for the next `times` requests (None: all) that fit `when`."""

    what: Misbehaviour
    times: int | None
    retry_after: float | str | None
    seconds: float
    when: Callable[[Request], bool]


class Plans:
    """Plans that follow one another; a test's thread makes them, the server's follows them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: list[Plan] = []

    def add(self, plan: Plan) -> None:
        """Add one at the end.

        Raises:
            ValueError: nothing is known by this name.
        """
        if plan.what not in get_args(Misbehaviour):
            raise ValueError(f"The double cannot misbehave as {plan.what!r}: {get_args(Misbehaviour)}")
        with self._lock:
            self._plans.append(plan)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._plans.clear()

    def take(self, request: Request) -> Plan | None:
        """The plan for this request, counted as followed."""
        if not self._plans:
            return None
        with self._lock:
            plan = next((one for one in self._plans if one.times != 0 and one.when(request)), None)
            if plan is not None and plan.times is not None:
                plan.times -= 1
            return plan
