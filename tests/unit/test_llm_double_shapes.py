"""The double of the LLM server answers in the shapes of a real vLLM, as recorded in vllm_answers.json."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.llm_server import LLMServer

RECORDED = json.loads(Path(__file__).with_name("vllm_answers.json").read_text())


@pytest.fixture(scope="module")
def server() -> Iterator[LLMServer]:
    with LLMServer(models=("tiny",), max_model_len=512, priority_scheduling="ignored") as server:
        yield server


def shape(value: Any) -> Any:
    """Names and types; lists by their first item, texts, numbers and truth values by their type alone."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def said(reply: httpx.Response) -> Any:
    """The body: of a stream its events."""
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return reply.json()
    events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    return [event if event == "[DONE]" else json.loads(event) for event in events]


@pytest.mark.parametrize("recorded", RECORDED["answers"], ids=lambda recorded: recorded["name"])
def test_each_answer_has_vllms_status_shape_and_words(server: LLMServer, recorded: Any) -> None:
    """The same status, content type, fields and types; errors in the same words but for their numbers."""
    url, body = f"{server.url.removesuffix('/v1')}{recorded['path']}", recorded["body"]
    reply = httpx.get(url) if body is None else httpx.post(url, json=body)
    assert (reply.status_code, reply.headers["content-type"]) == (recorded["status"], recorded["content_type"])
    ours, theirs = said(reply), recorded["said"]
    if isinstance(theirs, list):  # as many pieces as the text needs: the first two, and those behind the text
        ours, theirs = ([*events[:2], *events[-3:]] for events in (ours, theirs))
        assert [shape(event) for event in ours] == [shape(event) for event in theirs]
        return
    assert shape(ours) == shape(theirs)
    if "error" in theirs:
        words = [re.sub(r"\d+", "N", one["error"]["message"]) for one in (ours, theirs)]
        assert words[0] == words[1]
        assert {**ours["error"], "message": ""} == {**theirs["error"], "message": ""}


def test_all_metrics_are_vllms(server: LLMServer) -> None:
    """Each of the double's has the name and the type of one of vLLM's."""
    lines = httpx.get(f"{server.url.removesuffix('/v1')}/metrics").text.splitlines()
    ours = {line.removeprefix("# TYPE ") for line in lines if line.startswith("# TYPE ")}
    assert len(ours) >= 8
    assert ours <= set(RECORDED["metrics"])
