"""The double of the LLM server speaks the protocol: the real `openai` client and raw HTTP drive it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.doubles.llm_server import CHAT, Latency, LLMServer, llm_process
from tests.doubles.llm_server.connections import Connection
from tests.doubles.llm_server.slots import Slots
from tests.llm_double import FORMAT, ITEM, SCHEMA, ask, client, post, soon


@pytest.fixture
def server() -> Iterator[LLMServer]:
    with LLMServer() as server:
        yield server


def test_a_chat_has_text_usage_and_a_reason_to_end(server: LLMServer) -> None:
    """Words of the user's message and of the reply are the tokens; the reply names the title."""
    reply = ask(server)
    choice = reply.choices[0]
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert "Fix the FastAPI parser" in choice.message.content
    assert reply.usage.prompt_tokens == len(ITEM.split())
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + len(choice.message.content.split())


def test_a_reply_is_cut_at_max_tokens(server: LLMServer) -> None:
    """Two tokens wanted: two words, and finish_reason length."""
    reply = ask(server, max_tokens=2)
    assert (reply.choices[0].finish_reason, reply.usage.completion_tokens) == ("length", 2)
    assert len(reply.choices[0].message.content.split()) == 2


def test_a_stream_says_what_a_chat_says(server: LLMServer) -> None:
    """The pieces joined are the reply; the usage comes in a chunk of its own where it is asked for; [DONE] is last."""
    whole = ask(server)
    chunks = ask(server, stream=True, stream_options={"include_usage": True})
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == (
        whole.choices[0].message.content
    )
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [whole.usage.total_tokens]
    assert all(chunk.usage is None for chunk in ask(server, stream=True))
    body = {"model": "test-model", "messages": [{"role": "user", "content": "a"}], "stream": True}
    raw = httpx.post(f"{server.url}/chat/completions", json=body)
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert raw.text.endswith("data: [DONE]\n\n")


def test_models_come_and_go_while_it_runs(server: LLMServer) -> None:
    """Each with its context length; one that is taken away is answered with 404 in vLLM's words."""
    server.models = ("test-model", "other")
    (one, two) = client(server).models.list().data
    assert (one.id, two.id, one.owned_by, one.max_model_len) == ("test-model", "other", "vllm", 32_768)  # type: ignore[attr-defined]
    server.models = ("other",)
    with pytest.raises(openai.NotFoundError, match=r"The model `test-model` does not exist\. Valid aliases: other\."):
        ask(server)


def test_json_fits_the_schema_and_speaks_of_the_text(server: LLMServer) -> None:
    """All properties, of their types, within their limits; technologies and components are those of the text."""
    value = json.loads(ask(server, response_format=FORMAT).choices[0].message.content)
    assert list(value) == SCHEMA["required"]
    assert 2 <= len(re.findall(r"[.] ?", value["summary"])) <= 4
    assert value["summary"].startswith("Fix the FastAPI parser.")
    assert (value["change_type"], value["technologies"]) == ("fix", ["FastAPI", "PostgreSQL"])
    assert "src/reader.py" in value["components"]
    assert isinstance(value["user_visible"], bool)
    assert value["effort"] in (1, 2, 3)
    assert value == json.loads(ask(server, response_format=FORMAT).choices[0].message.content)


def test_json_may_be_ignored_or_refused(server: LLMServer) -> None:
    """A server that knows no schemas answers text; one that refuses them says 400."""
    server.guided_json = "ignored"
    assert ask(server, response_format=FORMAT).choices[0].message.content.startswith("Summary ")
    server.guided_json = "refused"
    with pytest.raises(openai.BadRequestError, match="json_schema is not supported"):
        ask(server, response_format=FORMAT)


def test_a_prompt_beyond_the_context_is_refused_or_cut(server: LLMServer) -> None:
    """vLLM's words; with `truncates` the answer's prompt_tokens tell that the prompt was cut."""
    server.max_model_len = 20
    with pytest.raises(openai.BadRequestError, match=r"context length is 20 tokens\..*at least 30 input tokens"):
        ask(server, "word " * 30)
    with pytest.raises(openai.BadRequestError, match="max_tokens=21 cannot be greater than max_model_len=20"):
        ask(server, "word", max_tokens=21)
    server.truncates = True
    assert ask(server, "word " * 30).usage.prompt_tokens == 20


def test_tokens_may_be_counted_by_characters(server: LLMServer) -> None:
    """A token for every four characters of all messages, and four for each message."""
    server.tokenizer = "characters"
    assert ask(server, "x" * 400).usage.prompt_tokens == (len("Summarize.") // 4 + 1 + 4) + (100 + 1 + 4)


def test_slots_are_filled_in_order_of_arrival() -> None:
    """Two slots and six requests: two run, four wait, none overtakes; the slots are busy until the queue is empty."""
    with LLMServer(slots=2, latency=Latency(fixed=2.0)) as server:

        async def drive() -> None:
            async with httpx.AsyncClient() as asked, asyncio.TaskGroup() as group:
                for number in range(6):
                    group.create_task(post(asked, server, f"request {number}"))
                    while len(server.requests) <= number:
                        await asyncio.sleep(0.001)

        asyncio.run(drive())
        starts = [one.started or 0.0 for one in server.observations]
        assert starts == sorted(starts)
        told = server.stats()
        assert (told["max_in_flight"], told["outcomes"], told["running"], told["waiting"]) == (6, {"stop": 6}, 0, 0)
        assert 0 < told["busy_share"] <= 1
        assert told["queued_seconds"]["max"] > 0


@pytest.mark.parametrize("by_priority", [True, "ignored"])
def test_a_lower_priority_goes_first_only_where_it_is_scheduled(by_priority: Any) -> None:
    """One slot: behind the running request, the queue is ordered by priority, or by arrival where that is ignored."""
    with LLMServer(slots=1, latency=Latency(fixed=0.1), priority_scheduling=by_priority) as server:

        async def drive() -> None:
            async with httpx.AsyncClient() as asked, asyncio.TaskGroup() as group:
                for number, priority in enumerate((0, 5, 1, -1)):
                    group.create_task(post(asked, server, "a", priority=priority))
                    while len(server.requests) <= number:
                        await asyncio.sleep(0.001)

        asyncio.run(drive())
        order = [one.priority for one in sorted(server.observations, key=lambda one: one.started or 0.0)]
        assert order == ([0, -1, 1, 5] if by_priority is True else [0, 5, 1, -1])


def test_a_priority_is_refused_where_none_are_scheduled(server: LLMServer) -> None:
    """400 for any but 0."""
    assert ask(server, extra_body={"priority": 0}).choices
    with pytest.raises(openai.BadRequestError, match="Priority scheduling is not enabled"):
        ask(server, extra_body={"priority": 3})


def test_a_client_that_leaves_frees_its_slot() -> None:
    """One that is generated for and one that waits lose their clients: both are abandoned, and the slot is free."""
    with LLMServer(slots=1, latency=Latency(fixed=60)) as server:

        async def drive() -> None:
            async with httpx.AsyncClient() as asked:
                tasks = [asyncio.create_task(post(asked, server, str(number))) for number in range(2)]
                while server.queue.waiting < 1:
                    await asyncio.sleep(0.001)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(drive())
        assert soon(lambda: server.stats()["abandoned"] == 2)
        told = server.stats()
        assert (told["running"], told["waiting"], told["in_flight"], told["open_connections"]) == (0, 0, 0, 0)
        server.latency = Latency()
        assert ask(server).choices


def test_the_length_of_replies_is_spread_but_repeatable() -> None:
    """Around the mean, by prompt and seed alone, never more than max_tokens."""
    latency = Latency(output_tokens=200, spread=0.5, seed=1)
    lengths = [latency.length(f"prompt {number}", 7, 400) for number in range(500)]
    assert 170 < sum(lengths) / 500 < 230
    assert max(lengths) == 400
    assert min(lengths) < 100
    assert lengths == [latency.length(f"prompt {number}", 7, 400) for number in range(500)]
    assert Latency(prefill_rate=1000, token_rate=50).prefill(500) == 0.5
    assert Latency(prefill_rate=1000, token_rate=50).generation(100) == 2


def test_the_busy_share_is_counted_while_all_could_be_busy() -> None:
    """Two slots: one is taken at 10 s, both from 12 s, one is free from 20 to 24 s, the last moment of both is 28 s."""
    now = [10.0]
    slots = Slots(2, clock=lambda: now[0])

    async def drive() -> None:
        connection = Connection(asyncio.Transport())
        began = slots.mark()
        await slots.enter(connection, 0)
        assert slots.busy_share() is None
        for at, step in ((12, slots.enter), (20, slots.leave), (24, slots.enter), (28, slots.leave), (30, slots.leave)):
            now[0] = at
            if step == slots.enter:
                await slots.enter(connection, 0)
            else:
                slots.leave()
        now[0] = 40.0
        assert slots.mark().busy - began.busy == 2 + 16 + 4 + 8 + 2

    asyncio.run(drive())
    assert slots.busy_share() == (16 + 4 + 8) / (2 * 16)


def test_busy_slots_between_two_marks() -> None:
    """One of two slots in use: at most half of the slot seconds are busy."""
    with LLMServer(slots=2, latency=Latency(fixed=0.05)) as server:
        before = server.mark()
        ask(server)
        assert 0 < server.busy_share(before, server.mark()) <= 0.5
        assert server.stats()["busy_share"] is None


def test_clients_and_connections_are_told_apart(server: LLMServer) -> None:
    """By API key; and how many requests each connection had."""
    with client(server, "one") as asked:
        for _ in range(3):
            asked.models.list()
    client(server, "two").models.list()
    told = server.stats()
    assert told["clients"] == {"one": 3, "two": 1}
    assert (told["connections"], told["requests_a_connection"]["max"]) == (2, 3)
    server.api_keys = ("one",)
    with pytest.raises(openai.AuthenticationError):
        client(server, "two").models.list()


def test_metrics_have_vllms_names(server: LLMServer) -> None:
    """Counters tell what was served, histograms how long it took; /health is 200 without a body."""
    ask(server)
    root = server.url.removesuffix("/v1")
    lines = httpx.get(f"{root}/metrics").text.splitlines()
    label = 'engine="0",model_name="test-model"'
    assert f"vllm:num_requests_running{{{label}}} 0.0" in lines
    assert f"vllm:num_requests_waiting{{{label}}} 0.0" in lines
    assert f"vllm:prompt_tokens_total{{{label}}} {float(len(ITEM.split()))}" in lines
    assert f'vllm:request_success_total{{{label},finished_reason="stop"}} 1.0' in lines
    assert f"vllm:time_to_first_token_seconds_count{{{label}}} 1.0" in lines
    health = httpx.get(f"{root}/health")
    assert (health.status_code, health.content) == (200, b"")
    counted = httpx.post(f"{root}/tokenize", json={"messages": [{"role": "user", "content": "a b c"}]}).json()
    assert counted["count"] == 3


def test_it_starts_again_at_its_port_and_cuts_who_is_there() -> None:
    """Stopped while it generates: the connection ends, nobody listens. Started again: same port, all counts."""
    with LLMServer(latency=Latency(fixed=60)) as server:

        async def cut() -> None:
            async with httpx.AsyncClient() as asked:
                waiting = asyncio.create_task(post(asked, server, "a"))
                while not server.queue.running:
                    await asyncio.sleep(0.001)
                await asyncio.to_thread(server.stop)
                with pytest.raises(httpx.TransportError):
                    await waiting

        asyncio.run(cut())
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        server.latency = Latency()
        server.start()
        assert ask(server).choices
        assert server.stats()["outcomes"] == {"stopped": 1, "stop": 1}
        assert [one.path for one in server.observations] == [CHAT, CHAT]


def test_a_process_of_its_own_is_steered_killed_and_started_again() -> None:
    """Over HTTP: counts, misbehaviour, settings; after SIGKILL it listens at its port again, with counts of its own."""
    with llm_process(slots=3, models="test-model,other", output_tokens=5) as process:
        body = {"model": "other", "messages": [{"role": "user", "content": "Title: Walrus"}]}
        chats = f"{process.url}/chat/completions"
        process.misbehave("503", times=1, containing="Walrus")
        assert [httpx.post(chats, json=body).status_code for _ in range(2)] == [503, 200]
        told = process.stats()
        assert (told["slots"], told["outcomes"], told["completion_tokens"]) == (3, {"503": 1, "stop": 1}, 5)
        assert [one["outcome"] for one in process.observations()] == ["503", "stop"]
        process.change(models=["another"], slots=5)
        assert httpx.post(chats, json=body).status_code == 404
        with pytest.raises(ValueError, match="cannot misbehave as 'dance'"):
            process.misbehave("dance")
        with pytest.raises(ValueError, match="known are misbehave"):
            process.change(colour="blue")
        process.forget()
        assert (process.stats()["requests"], process.stats()["slots"]) == (0, 5)
        process.kill()
        with pytest.raises(httpx.ConnectError):
            process.stats()
        process.start()
        assert httpx.post(chats, json=body).status_code == 200
        assert process.stats()["requests"] == 1
