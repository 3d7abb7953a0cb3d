"""The LLM client against servers that are not ours: what we take for the wire format is what they speak."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from resources.errors import LLMContextExceeded, LLMReplyInvalid, LLMUnavailable
from resources.llm import LLM
from resources.llm_chat import Turn
from resources.llm_session import Completion, Session
from tests.integration.llm_servers import SERVERS, RealServer, running

SCHEMA = {
    "type": "object",
    "properties": {
        "change_type": {"enum": ["fix", "feature"]},
        "user_visible": {"type": "boolean"},
        "technologies": {"type": "array", "items": {"enum": ["Python", "Rust"]}, "maxItems": 2},
    },
    "required": ["change_type", "user_visible", "technologies"],
    "additionalProperties": False,
}

PROMPTS = [f"prompt {number}" for number in range(6)]


@pytest.fixture(scope="module", params=sorted(SERVERS))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def llm(server: RealServer) -> Iterator[LLM]:
    llm = LLM(server.url, server.model, concurrency=2)
    yield llm
    llm.close()


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def ask(server: RealServer, prompt: str, **given: Any) -> Any:
    """One chat of the openai client; a stream is read to its end."""
    messages: Any = user(prompt)
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as asked:
        reply = asked.chat.completions.create(model=server.model, messages=messages, temperature=0, **given)
        return list(reply) if given.get("stream") else reply


def turn(llm: LLM, text: str = "u", functions: tuple[Any, ...] = ()) -> Turn:
    """One turn of a chat, at most five tokens of it."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]
    return llm.chat().turn(messages, functions, max_tokens=5, timeout=60)


def test_what_a_chat_streams_is_what_it_says_at_once(llm: LLM) -> None:
    """Piece by piece, to its end; and it can be left in the middle, and asked again."""
    stream = llm.chat().stream("Be brief.", "three small words", max_tokens=5, timeout=60)
    pieces = list(stream)
    assert len(pieces) > 1
    assert "".join(pieces).strip() == turn(llm, "three small words").text
    left = llm.chat().stream("Be brief.", "three small words", max_tokens=50, timeout=60)
    next(left)
    left.close()
    assert turn(llm).text


def test_whether_functions_are_called_is_found_out(llm: LLM) -> None:
    """Random weights call none: whatever the server says to the question, the answer is no."""
    assert llm.chat().calls_functions(timeout=60) is False


def test_a_completion_has_text_and_the_servers_counts(llm: LLM) -> None:
    """Some text, as many tokens as were allowed, and more tokens in for a longer prompt."""
    short = turn(llm, "three small words")
    longer = turn(llm, "three small words, and some more of them")
    assert short.text
    assert 0 < short.usage.tokens_out <= 5
    assert 0 < short.usage.tokens_in < longer.usage.tokens_in


def test_a_run_brings_each_reply_to_its_prompt(llm: LLM) -> None:
    """Six prompts, two at a time: six replies, each with what it cost."""
    stored: dict[str, Completion] = {}
    llm.run(PROMPTS, lambda session, prompt: session.ask(user(prompt), max_tokens=4), stored.update)
    assert sorted(stored) == PROMPTS
    assert all(0 < one.usage.tokens_out <= 4 and one.usage.requests == 1 for one in stored.values())


def test_the_server_tells_what_it_can_do(server: RealServer, llm: LLM) -> None:
    """The model that is served, none where the server cannot say; how long its context is, where it tells."""
    told = llm.capabilities()
    assert told.models == ((server.model,) if server.lists_models else ())
    assert told.context == (512 if server.kind == "vllm" else None)


def test_an_unknown_model_is_an_error_or_ignored(server: RealServer) -> None:
    """404 is a server without the model, 400 a refused request; llama.cpp answers with the model that it has."""
    other = LLM(server.url, "other")
    if server.unknown_model == 200:
        assert turn(other).usage.tokens_out
        return
    with pytest.raises(
        LLMUnavailable if server.unknown_model == 404 else LLMReplyInvalid, match=rf"'other'|{server.unknown_model}"
    ):
        turn(other)


def test_a_stream_has_pieces_an_end_and_the_usage(server: RealServer) -> None:
    """More than one chunk, finish_reason in the last that has a choice, and the counts of the same chat unstreamed."""
    whole = ask(server, "three small words", max_tokens=6)
    chunks = ask(server, "three small words", max_tokens=6, stream=True, stream_options={"include_usage": True})
    ends = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert len(ends) > 2
    assert (ends[-1], set(ends[:-1])) == (whole.choices[0].finish_reason, {None})
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [whole.usage.total_tokens]


def test_a_reply_is_held_to_a_schema_where_the_server_can(server: RealServer) -> None:
    """Even random weights write JSON that fits; a server that cannot hold them to it answers all the same."""
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "item", "schema": SCHEMA, "strict": True}}
    reply = ask(server, "Answer in JSON.", max_tokens=300 if server.guides_json else 5, response_format=wanted)
    if not server.guides_json:
        assert reply.choices[0].message.content
        return
    value = json.loads(reply.choices[0].message.content)
    assert set(value) == set(SCHEMA["required"])
    assert value["change_type"] in ("fix", "feature")
    assert isinstance(value["user_visible"], bool)
    assert set(value["technologies"]) <= {"Python", "Rust"}


def test_a_prompt_beyond_the_context_is_known_as_such(server: RealServer, llm: LLM) -> None:
    """Whatever words the server has for it, it is an error of its own, for one prompt, and the others are answered."""
    if server.kind == "transformers":
        pytest.skip("transformers serve has no limit")
    refused: list[str] = []

    async def ask_or_note(session: Session, prompt: str) -> None:
        try:
            await session.ask(user(prompt), max_tokens=4)
        except LLMContextExceeded:
            refused.append(prompt)

    beyond = ["x" * 900, "x" * 20_000]
    llm.run([PROMPTS[0], *beyond, PROMPTS[1]], ask_or_note, lambda results: None)
    assert sorted(refused) == beyond
