"""What another process may see and change, under /_double/.

GET stats, observations; POST misbehave {what, times, retry_after, seconds, containing}, behave, forget, settings.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from tests.doubles.llm_server.latency import Latency
from tests.doubles.llm_server.wire import Answer, as_json

if TYPE_CHECKING:
    from tests.doubles.llm_server.server import LLMServer

SETTINGS = frozenset(("models", "slots", "latency", "max_model_len", "guided_json", "truncates", "priority_scheduling"))


def answer(server: LLMServer, method: str, path: str, body: bytes) -> Answer:
    """Do what is asked; 400 with the reason where that cannot be."""
    what = path.removeprefix("/_double/")
    if method == "GET" and what == "stats":
        return as_json(200, server.seen.as_json(server.queue, server.connections))
    if method == "GET" and what == "observations":
        return as_json(200, [asdict(seen) for seen in server.seen.observations])
    try:
        _do(server, what, orjson.loads(body or b"{}"))
    except (ValueError, TypeError, KeyError) as error:
        return as_json(400, {"error": f"{type(error).__name__}: {error}"})
    return as_json(200, {})


def _do(server: LLMServer, what: str, given: dict[str, Any]) -> None:
    if what == "misbehave":
        containing = str(given.pop("containing", ""))
        server.misbehave(**given, when=lambda request: containing in request.user)
    elif what == "behave":
        server.behave()
    elif what == "forget":
        server.seen.forget()
        server.queue.resize(server.queue.count)
    elif what == "settings" and given.keys() <= SETTINGS:
        change(server, given)
    else:
        raise ValueError(f"{what} {sorted(given)}: known are misbehave, behave, forget, settings {sorted(SETTINGS)}")


def change(server: LLMServer, given: dict[str, Any]) -> None:
    """Settings by name, in the server's loop."""
    for name, value in given.items():
        if name == "slots":
            server.queue.resize(value)
        elif name == "latency":
            server.latency = Latency(**value)
        else:
            setattr(server, name, tuple(value) if name == "models" else value)
    server.queue.by_priority = server.priority_scheduling is True
