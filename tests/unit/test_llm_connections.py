"""Connections to the LLM server: shared while they are young, drained and closed when they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from openai import AsyncOpenAI

from resources.llm_connections import Connections
from tests.doubles.llm_server import Latency, LLMServer


@pytest.fixture
def llm_server() -> Iterator[LLMServer]:
    with LLMServer(latency=Latency(fixed=0.01)) as llm_server:
        yield llm_server


def use(llm_server: LLMServer, requests: int, oldest: float) -> None:
    """Chats, one after the other."""

    def new() -> AsyncOpenAI:
        return AsyncOpenAI(base_url=llm_server.url, api_key="k", max_retries=0)

    async def ask() -> None:
        async with Connections(new, oldest) as connections:
            for _ in range(requests):
                async with connections.client() as client:
                    await client.chat.completions.create(
                        model="test-model", messages=[{"role": "user", "content": "hello"}]
                    )

    asyncio.run(ask())


def test_a_young_connection_is_used_again(llm_server: LLMServer) -> None:
    """Ten requests one after the other take one connection."""
    use(llm_server, 10, oldest=600)
    assert llm_server.stats()["connections"] == 1


def test_an_old_connection_takes_no_request(llm_server: LLMServer) -> None:
    """Where each connection is old at once, ten requests take ten, and none stays open."""
    use(llm_server, 10, oldest=0)
    stats = llm_server.stats()
    assert (stats["connections"], stats["requests_a_connection"]["max"]) == (10, 1)


def test_a_request_in_flight_keeps_its_old_connection(llm_server: LLMServer) -> None:
    """A connection that grows old under a request is closed only when that has its answer."""

    def new() -> AsyncOpenAI:
        return AsyncOpenAI(base_url=llm_server.url, api_key="k", max_retries=0)

    async def one(connections: Connections) -> str:
        async with connections.client() as client:
            reply = await client.chat.completions.create(
                model="test-model", messages=[{"role": "user", "content": "hello"}]
            )
        return reply.choices[0].message.content or ""

    async def together() -> list[str]:
        async with Connections(new, 0) as connections:
            return await asyncio.gather(*(one(connections) for _ in range(8)))

    assert all(asyncio.run(together()))
    assert llm_server.stats()["outcomes"] == {"stop": 8}
