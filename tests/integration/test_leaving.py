"""Clients that leave before their whole answer is made: nobody works on, and their place is free for the next."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import Latency, LLMServer
from tests.integration.faces import QUESTION, answerable, answering, ask, browser
from tests.integration.test_metrics import told
from tests.llm_double import soon

CHAT = {"model": "starsearch", "messages": [{"role": "user", "content": QUESTION}]}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": QUESTION}}}  # fmt: skip


@pytest.fixture
def writer() -> Iterator[LLMServer]:
    """It goes on writing for longer than anybody waits here."""
    with LLMServer(models=("first", "writer"), dimensions=16) as server:
        server.latency = Latency(token_rate=20.0)
        server.reply = lambda _: "Work on telescope mirrors is under way [1]. " * 100
        yield server


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/ask", {"question": QUESTION}), ("/v1/chat/completions", CHAT), ("/mcp", CALL)]
)
def test_the_llm_is_hung_up_on_and_the_place_is_free(
    settings: Settings, database: Database, tools: Database, writer: LLMServer, path: str, body: dict[str, Any]
) -> None:
    """The one place there is. No answer is kept, and what the LLM read is counted all the same."""
    settings = answerable(settings, database, tools, writer)
    chosen = {"llm_base_url": writer.url, "answer_model": "writer", "answers_at_once": 1}
    with answering(settings.model_copy(update=chosen)) as url:
        headers = {"Accept": "application/json, text/event-stream" if path == "/mcp" else "application/json"}
        asked = httpx.Request("POST", f"{url}{path}", json=body, headers=headers)
        lines = [f"POST {path} HTTP/1.1".encode(), *(b"%b: %b" % header for header in asked.headers.raw)]
        with socket.create_connection((asked.url.host, asked.url.port or 80)) as connection:
            connection.sendall(b"\r\n".join([*lines, b"", asked.content]))
            assert soon(lambda: any(one.body.get("stream") for one in writer.chats)), "the composer writes"
            assert httpx.post(f"{url}/v1/ask", json={"question": QUESTION}).status_code == 503
        assert soon(lambda: writer.seen.outcomes["abandoned"])
        assert soon(lambda: told(url)["starsearch_answers_in_progress",] == 0)
        assert database.fetch_value("SELECT count(*) FROM service.answers") == 0
        assert soon(lambda: told(url).get(("starsearch_answers_total", "none", "left")) == 1)
        assert told(url)["starsearch_llm_tokens_total", "in"] > 0
        writer.latency = Latency()
        writer.reply = lambda _: "Work on telescope mirrors is under way [1]."
        with browser(url) as client:
            assert ask(client)["mode"] == "llm"
