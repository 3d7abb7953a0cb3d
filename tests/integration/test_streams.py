"""Answers as server-sent events over real HTTP: they always end, and whoever leaves is not worked for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from answering.answer import Answer
from answering.deltas import Listener
from answering.errors import NoActiveRelease
from answering.http import streams
from answering.http.app import create_app
from answering.retrieval import Scope
from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import Calls, Latency, LLMServer, calls
from tests.integration.agents import QUESTION, World, detail, facts, open_world
from tests.integration.serving import serving
from tests.llm_double import soon


@pytest.fixture
def world(
    database: Database, tools: Database, service: Database, llm_server: LLMServer, without_waiting: None
) -> Iterator[World]:
    with open_world(database, tools, service, llm_server) as world:
        world.plan(lambda _: calls_of_both())
        yield world


def calls_of_both() -> Calls:
    return calls(detail(1), detail(2))


@contextmanager
def served(ask: Callable[[Listener], Answer], heartbeat: float = 15.0) -> Iterator[str]:
    """The URL at which `ask` streams."""
    app = FastAPI()
    app.get("/ask")(lambda: streams.stream(ask, heartbeat))
    with serving(app) as url:
        yield f"{url}/ask"


def asking(world: World) -> Callable[[Listener], Answer]:
    return lambda listener: world.answerer.ask(QUESTION, Scope(), listener)


def events(text: str) -> list[tuple[str, Any]]:
    """Event and data of each, heartbeats left out."""
    blocks = [block.split("\n") for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(block[0].removeprefix("event: "), json.loads(block[1].removeprefix("data: "))) for block in blocks]


def test_an_answer_comes_in_typed_pieces(world: World) -> None:
    """status, tool_call, tool_result, delta, citations, done: the text's pieces are the answer."""
    with served(asking(world)) as url:
        reply = httpx.get(url, timeout=20)
    assert reply.headers["content-type"].startswith("text/event-stream")
    told = events(reply.text)
    assert [name for name, _ in told][-2:] == ["citations", "done"]
    assert {name for name, _ in told} == {"status", "tool_call", "tool_result", "delta", "citations", "done"}
    done = told[-1][1]
    assert "".join(data["text"] for name, data in told if name == "delta") == done["answer"]
    assert done["mode"] == "llm"


def test_silence_is_filled(world: World) -> None:
    """A comment comes while nothing else does, so that no proxy takes the stream for dead."""
    world.server.latency = Latency(fixed=0.3)
    with served(asking(world), heartbeat=0.05) as url:
        text = httpx.get(url, timeout=30).text
    assert text.count(": still at work") >= 3
    assert events(text)[-1][0] == "done"


def test_a_client_that_leaves_frees_the_llm(world: World, database: Database) -> None:
    """The request to the LLM is hung up on, and no answer is kept."""
    world.server.latency = Latency(token_rate=5.0)
    world.plan(lambda _: calls_of_both(), writer=lambda request: f"{facts(request)} " * 20)
    with served(asking(world)) as url:
        with httpx.stream("GET", url, timeout=30) as reply:
            for line in reply.iter_lines():
                if line == "event: delta":
                    break
        assert soon(lambda: world.server.seen.outcomes["abandoned"])
    assert database.fetch_value("SELECT count(*) FROM service.answers") == 0


def test_no_release_is_an_error_that_is_told(world: World) -> None:
    """In the stream, with what to do."""

    def refused(listener: Listener) -> Answer:
        raise NoActiveRelease("No release is active yet.")

    with served(refused) as url:
        assert events(httpx.get(url).text) == [("error", {"message": "No release is active yet."})]


def test_a_database_that_is_too_slow_is_a_503(settings: Settings) -> None:
    """As JSON, too: with a message, and without the inside."""
    app = create_app(settings)

    def slow() -> None:
        raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")

    app.get("/slow")(slow)
    reply = TestClient(app, "http://localhost").get("/slow")
    assert (reply.status_code, reply.json()["detail"]) == (503, streams.TOO_SLOW)
    assert reply.headers["content-type"] == "application/problem+json"
    assert int(reply.headers["retry-after"]) > 0


def test_a_database_that_goes_away_ends_the_stream(world: World, database: Database, tools: Database) -> None:
    """With an error that shows nothing of the inside; the next answer comes again."""

    def cut(listener: Listener) -> Answer:
        with tools.transaction() as connection:
            database.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
            time.sleep(0.2)
            connection.execute("SELECT 1")
        raise AssertionError("the connection is still there")

    with served(cut) as url:
        told = events(httpx.get(url).text)
    assert [name for name, _ in told] == ["error"]
    assert "log" in told[0][1]["message"]
    assert psycopg.__name__ not in told[0][1]["message"]
    with served(asking(world)) as url:
        assert events(httpx.get(url, timeout=20).text)[-1][0] == "done"
