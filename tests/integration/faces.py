"""The service as browsers and programs meet it: over real HTTP, with answers where a test asks for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr

from answering.http.app import create_app
from answering.keys import create_key
from resources.postgres import Database, Role, open_database
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer
from tests.integration.processes import until
from tests.integration.spaces import add_items, build, embed, own, release

QUESTION = "What is known about telescope mirrors?"
ANYWHERE = "0.0.0.0"
IDENTITY, SECRET = "X-Auth-Request-Email", "proxy-secret-of-the-test"


@contextmanager
def serving(settings: Settings, host: str = "127.0.0.1") -> Iterator[str]:
    """The URL of the service on loopback, told that it is bound to `host`."""
    if settings.embedding_base_url is None:  # the bundled model takes seconds to load, and answers nothing here
        with LLMServer(models=("first",), dimensions=16) as embedder, serving(own(settings, embedder), host) as url:
            yield url
        return
    app = create_app(settings, host)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    (socket,) = server.servers[0].sockets
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def answerable(settings: Settings, database: Database, tools: Database, server: LLMServer) -> Settings:
    """Settings of a service over a small release, whose embedding model `first` is at the server."""
    settings = own(settings, server).model_copy(
        update={"recall_floor": 0.0, "relevance_threshold": -1.0, "answer_cache": False}
    )
    add_items(database, days=1)
    embed(database, settings, days=1)
    build(database, "first")
    release(database, tools, "first")
    return settings


@contextmanager
def answering(settings: Settings, host: str = "127.0.0.1") -> Iterator[str]:
    """The same, once questions can be asked."""
    with serving(settings, host) as url:
        until(lambda: httpx.get(f"{url}/readyz").json()["ready"] is True)
        yield url


def proxied(settings: Settings) -> Settings:
    """Settings of a service behind a proxy that tells who asks."""
    return settings.model_copy(update={"identity_header": IDENTITY, "proxy_secret": SecretStr(SECRET)})


def with_key(url: str, database: Database, *scopes: str, **limits: Any) -> httpx.Client:
    """A client with a new key."""
    key = create_key(database, "a test", *([scopes] if scopes else []), **limits)
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)


def browser(url: str, **headers: str) -> httpx.Client:
    """A client that keeps cookies, and may have what a proxy adds."""
    return httpx.Client(base_url=url, headers=headers, timeout=30)


def person(url: str, identity: str) -> httpx.Client:
    """Somebody whom the proxy vouches for."""
    return browser(url, **{IDENTITY: identity, "X-Proxy-Secret": SECRET})


def ask(client: httpx.Client, thread_id: str | None = None, question: str = QUESTION) -> dict[str, Any]:
    """The answer's JSON."""
    reply = client.post("/v1/ask", json={"question": question, "thread_id": thread_id})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def new_thread(client: httpx.Client, **body: Any) -> str:
    """Its id."""
    reply = client.post("/v1/threads", json=body)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["thread_id"])


def problem(reply: httpx.Response, status: int) -> str:
    """The detail of a problem, which has everything that RFC 9457 and we ask for."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    told = reply.json()
    assert set(told) == {"type", "title", "status", "detail", "request_id"}
    assert (told["status"], told["request_id"]) == (status, reply.headers["x-request-id"])
    return str(told["detail"])


def own_release(settings: Settings, server: LLMServer) -> Settings:
    """The same, for who has not opened the databases."""
    with open_database(settings) as database, open_database(settings, Role.TOOLS) as tools:
        return answerable(settings, database, tools, server)
