"""How the tests of the LLM server's double ask it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import openai

from tests.doubles.llm_server import LLMServer

ITEM = (
    "BEGIN TEXT\nTitle: Fix the FastAPI parser\nThe parser in src/reader.py dropped the last line of PostgreSQL dumps."
    "\nEND TEXT"
)
SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string", "maxLength": 400},
        "change_type": {"enum": ["feature", "fix", "docs"]},
        "technologies": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
        "components": {"type": "array", "items": {"type": "string"}},
        "user_visible": {"type": "boolean"},
        "effort": {"$ref": "#/$defs/effort"},
    },
    "required": ["summary", "change_type", "technologies", "components", "user_visible", "effort"],
    "additionalProperties": False,
    "$defs": {"effort": {"type": "integer", "minimum": 1, "maximum": 3}},
}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "summary", "schema": SCHEMA, "strict": True}}


def client(server: LLMServer, key: str = "none") -> openai.OpenAI:
    return openai.OpenAI(base_url=server.url, api_key=key, max_retries=0, timeout=10)


def ask(server: LLMServer, user: str = ITEM, key: str = "none", **given: Any) -> Any:
    """One chat, as the openai client reads it; a stream to its end."""
    messages: Any = [{"role": "system", "content": "Summarize."}, {"role": "user", "content": user}]
    with client(server, key) as asked:
        reply: Any = asked.chat.completions.create(model="test-model", messages=messages, **given)
        return list(reply) if given.get("stream") else reply


async def post(asked: httpx.AsyncClient, server: LLMServer, user: str, **given: Any) -> httpx.Response:
    body = {"model": "test-model", "messages": [{"role": "user", "content": user}], **given}
    return await asked.post(f"{server.url}/chat/completions", json=body, timeout=20)


def soon(condition: Callable[[], object]) -> bool:
    """Whether it comes true within ten seconds."""
    ends = time.monotonic() + 10
    while not condition() and time.monotonic() < ends:
        time.sleep(0.005)
    return bool(condition())
