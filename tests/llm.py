"""What the tests of summaries and of the LLM client ask the double about."""

from __future__ import annotations

import json
from typing import Any

from tests.doubles.llm_server import LLMServer, Request


def is_asked(request: Request) -> bool:
    """Whether it is a prompt with instructions: the probe's, and the trivial ones, have none."""
    return any(message["role"] == "system" for message in request.body.get("messages", ()))


def asked(server: LLMServer) -> list[Request]:
    """The chats that had instructions, in the order in which they came."""
    return [request for request in server.chats if is_asked(request)]


def summary_json(summary: str = "It fixes a leak.", **told: Any) -> str:
    """What a model that keeps to the schema of summaries replies."""
    return json.dumps(
        {"summary": summary, "change_type": "bug fix", "technologies": [], "components": [], "user_visible": True}
        | told
    )
