"""How often and how much, by everybody and by one: real processes over one database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from answering.http.openai_shapes import MODEL
from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Database, Role
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer
from tests.integration.commands import free_port
from tests.integration.faces import (
    ANYWHERE,
    QUESTION,
    answering,
    ask,
    browser,
    new_thread,
    own_release,
    problem,
    proxied,
    serving,
    with_key,
)
from tests.integration.processes import in_threads
from tests.integration.webhooks import service as service_process
from tests.integration.webhooks import waited_for


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """A service that is reached from everywhere: without a key it answers nobody."""
    with serving(proxied(settings), ANYWHERE) as url:
        yield url


def test_a_rate_is_shared_by_all_processes(settings: Settings, database: Database) -> None:
    """Of a key with ten requests a minute, ten of thirty get through two services; the others are told when to come."""
    with service_process(settings) as one, service_process(settings) as other:
        clients = [with_key(one.url, database, per_minute=10)]
        clients.append(httpx.Client(base_url=other.url, headers=clients[0].headers))
        replies = in_threads(
            *(lambda client=client: [client.get("/v1/threads") for _ in range(15)] for client in clients)
        )
        told = [reply for some in replies for reply in some]
        passed = [reply for reply in told if reply.status_code == 200]
        assert 10 <= len(passed) <= 12  # one comes back every six seconds
        for reply in told:
            if reply not in passed:
                assert "10 requests a minute" in problem(reply, 429)
                assert 1 <= int(reply.headers["retry-after"]) <= 60
        with with_key(one.url, database) as another:
            assert another.get("/v1/threads").status_code == 200


def test_a_dropped_cookie_does_not_reset_the_rate(settings: Settings) -> None:
    """Browsers have a rate each, and all that come without a key have one together."""
    few = settings.model_copy(update={"rate_per_minute": 5, "anonymous_per_minute": 12})
    with serving(few) as url:
        with browser(url) as client:
            new_thread(client)
            assert [client.get("/v1/threads").status_code for _ in range(6)] == [200] * 5 + [429]
        codes = [httpx.get(f"{url}/v1/threads").status_code for _ in range(10)]
        assert codes.count(429) >= 3


def test_spent_tokens_leave_answers_by_rule(settings: Settings, database: Database) -> None:
    """What the LLM read and wrote is charged; when the day's share is spent the answer is extractive, and says so."""
    with LLMServer(models=("first", "writer"), dimensions=16) as server:
        server.reply = lambda request: "Work on telescope mirrors is under way [1]."
        settings = own_release(settings, server).model_copy(
            update={"llm_base_url": server.url, "answer_model": "writer"}
        )
        with answering(settings) as url, with_key(url, database, tokens_per_day=1) as client:
            thread = new_thread(client)
            first = ask(client, thread)
            assert (first["mode"], first["note"]) == ("llm", None)
            spent = database.fetch_value("SELECT tokens FROM service.token_days")
            assert spent > 100
            asked = len(server.chats)
            body = {"question": QUESTION, "thread_id": thread}
            stream = client.post("/v1/ask", json=body, headers={"Accept": "text/event-stream"}).text
            assert '"stage":"budget"' in stream
            second = client.get(f"/v1/threads/{thread}").json()["messages"][-1]["answer"]
            assert second["mode"] == "extractive"
            assert "used up" in second["note"]
            assert len(server.chats) == asked
            assert database.fetch_value("SELECT tokens FROM service.token_days") == spent
            chat = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}
            completion = client.post("/v1/chat/completions", json=chat).json()
            assert completion["starsearch"]["mode"] == "extractive"
            call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": {"name": "ask", "arguments": {"question": QUESTION}}}  # fmt: skip
            accept = {"Accept": "application/json, text/event-stream"}
            assert '"extractive"' in client.post("/mcp", json=call, headers=accept).text.replace("\\", "")
            assert len(server.chats) == asked
            with with_key(url, database) as other:
                assert ask(other)["mode"] == "llm"
                assert other.post("/v1/chat/completions", json=chat).json()["starsearch"]["mode"] == "llm"
            assert database.fetch_value("SELECT max(tokens) FROM service.token_days") > 1.5 * spent


def test_a_full_service_refuses_rather_than_queues(settings: Settings, database: Database) -> None:
    """503 with Retry-After while the one place is taken, and not a moment longer; health is told all the time."""
    with LLMServer(models=("first", "writer"), dimensions=16) as server:
        settings = own_release(settings, server).model_copy(
            update={"llm_base_url": server.url, "answer_model": "writer", "answers_at_once": 1}
        )
        go, came = threading.Event(), threading.Event()

        def reply(_: Any) -> str:
            came.set()
            assert go.wait(30)
            return "Work on telescope mirrors is under way [1]."

        with answering(settings) as url, browser(url) as client:
            server.reply = reply
            first: list[Any] = []
            thread = threading.Thread(target=lambda: first.append(ask(client)))
            thread.start()
            try:
                assert came.wait(30)
                refused = httpx.post(f"{url}/v1/ask", json={"question": QUESTION})
                assert "no more are" in problem(refused, 503)
                assert int(refused.headers["retry-after"]) > 0
                assert httpx.get(f"{url}/healthz").status_code == 200
                assert httpx.get(f"{url}/v1/threads").status_code == 200
            finally:
                go.set()
                thread.join(30)
            assert first[0]["mode"] == "llm"
            assert ask(client)["mode"] == "llm"


def test_a_database_that_is_away_lets_nobody_in(settings: Settings) -> None:
    """503 with Retry-After on all routes that count, also where anonymous use is allowed; health and page are there."""
    away = SecretStr(f"postgresql://me:secret@127.0.0.1:{free_port()}/nowhere")
    with serving(settings.model_copy(update={"service_database_url": away})) as url:
        for headers in ({}, {"Authorization": "Bearer ss_unknown"}):
            for path in ("/v1/threads", "/v1/session", "/v1/search?q=x", "/v1/shared/x"):
                reply = httpx.get(f"{url}{path}", headers=headers, timeout=30)
                assert "secret" not in problem(reply, 503)
                assert int(reply.headers["retry-after"]) > 0
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert httpx.get(f"{url}/").status_code == 200


def test_a_database_that_comes_back_lets_people_in_again(
    url: str, database: Database, server: EmbeddedPostgres
) -> None:
    """Connections that were cut cost a request or two, not the service."""
    with with_key(url, database) as client:
        assert client.get("/v1/threads").status_code == 200
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as administrator:
            cut = administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = %s",
                [database.fetch_value("SELECT current_database()"), Role.SERVICE.value],
            )
            assert cut.rowcount > 0
        assert waited_for(lambda: client.get("/v1/threads").status_code == 200)


def test_a_large_body_is_refused(settings: Settings) -> None:
    """By its length before it is read, and without one as soon as it is too long; webhooks have their own limit."""
    with serving(settings.model_copy(update={"request_max_bytes": 4096})) as url:

        def chunks() -> Iterator[bytes]:
            yield b'{"title": "'
            for _ in range(100):
                yield b"x" * 1000

        for content in (b"x" * 5000, chunks()):
            reply = httpx.post(f"{url}/v1/threads", content=content, headers={"Content-Type": "application/json"})
            assert "REQUEST_MAX_BYTES" in problem(reply, 413)
        assert httpx.post(f"{url}/webhooks/github", content=b"x" * 5000).status_code == 503  # no secret is set
        assert httpx.post(f"{url}/v1/threads", json={"title": "x"}).status_code == 201
