"""What the server has seen: each request's times and end, and the counts over all."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any

from tests.doubles.llm_server.connections import Connections
from tests.doubles.llm_server.request import CHAT, Request
from tests.doubles.llm_server.slots import Slots


@dataclass
class Observation:
    """One request. Times are monotonic seconds: received, a slot taken, first and last token made; None: not so far.

    outcome: "stop" or "length" (a chat's finish_reason), the status of anything else, "abandoned" where the client
    left before its answer was made, "stopped" where the server did.
    """

    path: str
    client: str
    priority: int
    received: float
    started: float | None = None
    first_token: float | None = None
    finished: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    outcome: str = ""


@dataclass
class Stats:
    """Counts since the server began, or since it was last told to forget."""

    observations: list[Observation] = field(default_factory=list)
    paths: Counter[str] = field(default_factory=Counter)
    clients: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    max_in_flight: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def begin(self, request: Request) -> Observation:
        """A request has been read."""
        priority = request.body.get("priority") or 0
        seen = Observation(request.path, request.client, priority, time.monotonic())
        self.observations.append(seen)
        self.paths[request.path] += 1
        self.clients[request.client] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        return seen

    def end(self, seen: Observation, outcome: str) -> None:
        """Its answer is made, or no longer wanted; what comes after that changes nothing."""
        if seen.outcome:
            return
        seen.finished, seen.outcome = time.monotonic(), outcome
        self.outcomes[outcome] += 1
        self.in_flight -= 1
        if outcome in ("stop", "length"):
            self.prompt_tokens += seen.prompt_tokens
            self.completion_tokens += seen.completion_tokens

    def forget(self) -> None:
        """Begin anew; requests that are in flight stay so."""
        in_flight = self.in_flight
        self.__init__()  # type: ignore[misc]
        self.in_flight = self.max_in_flight = in_flight

    def as_json(self, slots: Slots, connections: Connections) -> dict[str, Any]:
        """Everything but the single observations; seconds, and shares from 0 to 1."""
        mark = slots.mark()
        chats = [seen for seen in self.observations if seen.path == CHAT and seen.started is not None]
        each = connections.requests()
        return {
            "requests": self.paths.total(),
            "paths": dict(self.paths),
            "clients": dict(self.clients),
            "outcomes": dict(self.outcomes),
            "abandoned": self.outcomes["abandoned"],
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "slots": slots.count,
            "running": slots.running,
            "waiting": slots.waiting,
            "now": mark.at,
            "busy_seconds": mark.busy,
            "busy_share": slots.busy_share(),
            "connections": len(each),
            "open_connections": len(connections.open),
            "requests_a_connection": {"mean": sum(each) / len(each), "max": max(each)} if each else None,
            "queued_seconds": _spread([seen.started - seen.received for seen in chats if seen.started is not None]),
            "running_seconds": _spread(
                [
                    seen.finished - seen.started
                    for seen in chats
                    if seen.started is not None and seen.finished is not None
                ]
            ),
        }


def _spread(values: list[float]) -> dict[str, float] | None:
    if len(values) < 2:
        return None
    cuts = quantiles(values, n=20)
    return {"mean": sum(values) / len(values), "p50": cuts[9], "p95": cuts[18], "max": max(values)}
