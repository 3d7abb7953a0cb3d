"""What the double of the LLM server does wrong when it is told to, as the real `openai` client sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.doubles.llm_server import LLMServer
from tests.llm_double import FORMAT, ask, client, soon


@pytest.fixture
def server() -> Iterator[LLMServer]:
    with LLMServer() as server:
        yield server


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("context length", openai.BadRequestError),
        ("model not found", openai.NotFoundError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("drop", openai.APIConnectionError),
        ("drop half", openai.APIConnectionError),
        ("half a body", openai.APIConnectionError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_each_failure_is_the_clients_error_of_its_kind(
    server: LLMServer, what: Any, error: type[Exception], stream: bool
) -> None:
    """Once, as planned; the request after it is answered."""
    server.misbehave(what, times=1, retry_after=1)
    with pytest.raises(error):
        ask(server, stream=stream)
    assert ask(server).choices
    assert not server.crashes


def test_retry_after_is_sent(server: LLMServer) -> None:
    """As given, seconds or a date."""
    server.misbehave("429", times=1, retry_after="Fri, 02 Jan 2026 00:00:20 GMT")
    with pytest.raises(openai.RateLimitError) as caught:
        ask(server)
    assert caught.value.response.headers["retry-after"] == "Fri, 02 Jan 2026 00:00:20 GMT"


def test_a_client_that_gives_up_a_hanging_server_is_counted(server: LLMServer) -> None:
    """No answer within the client's patience: abandoned. What trickles comes whole in the end."""
    server.misbehave("hang", times=1)
    with pytest.raises(openai.APITimeoutError):
        client(server).with_options(timeout=0.05).models.list()
    assert soon(lambda: server.stats()["abandoned"] == 1)
    server.misbehave("slow", times=1, seconds=0.2)
    assert ask(server).choices[0].message.content.startswith("Summary ")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("half a JSON", r'^\{"summary": "(?!.*\}$)'),
        ("fenced JSON", r"^```json\n\{.*\}\n```$"),
        ("prose around JSON", r"^Sure, here is .*```json\n\{.*\}\n```\n\nLet me know"),
        ("wrong schema", r'^\{"answer": '),
        ("repeats prompt", r'^\{"summary": "BEGIN TEXT\\nTitle: '),
        ("invented link", r'^\{"summary": "See https://invented\.example/'),
        ("markup only", r"^<!-- nothing to see -->$"),
    ],
)
def test_a_model_may_say_what_was_not_asked_for(server: LLMServer, what: Any, expected: str) -> None:
    """Each is a whole answer of the server, with a text of another kind."""
    server.misbehave(what)
    reply = ask(server, response_format=FORMAT)
    assert re.search(expected, reply.choices[0].message.content, re.DOTALL)
    assert reply.choices[0].finish_reason == "stop"


def test_a_reply_may_be_cut_and_say_so(server: LLMServer) -> None:
    """The JSON ends in the middle, with finish_reason length."""
    server.misbehave("length")
    reply = ask(server, response_format=FORMAT)
    assert reply.choices[0].finish_reason == "length"
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.choices[0].message.content)
