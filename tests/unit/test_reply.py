"""Replies of an LLM, as servers send them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.llm import Completion, Usage
from starsearch_assets.summaries.reply import Reply, ReplyUnusable, json_schema, read_reply
from starsearch_assets.summaries.source import Summary

GOOD: dict[str, Any] = {
    "summary": "The cache leaked memory under load. Its pool closes connections now.",
    "change_type": "bug fix",
    "technologies": ["postgres", "AcmeDB", "PostgreSQL"],
    "components": ["cache/pool.py", "cache/pool.py"],
    "user_visible": True,
}
TEXT = json.dumps(GOOD)


def read(text: str) -> Summary:
    return read_reply(Completion(text, "m", Usage(1)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT, id="plain"),
        pytest.param(f"```json\n{TEXT}\n```", id="fenced"),
        pytest.param(f"Here it is {{as asked}}:\n{TEXT}\nAnything else?", id="prose around"),
        pytest.param(f"<think>It says {{}} and {TEXT[:40]}</think>{TEXT}", id="thinking"),
        pytest.param(f'No, {{"summary": 1}}.</think>\n{TEXT}', id="thinking without its beginning"),
        pytest.param(f'{{"note": 1}} {TEXT}', id="another object before"),
        pytest.param(TEXT + TEXT, id="twice"),
    ],
)
def test_the_object_is_found_in_what_is_around_it(text: str) -> None:
    """Fences, prose, thinking blocks and repeats do no harm; names become canonical, or others."""
    assert read(text) == Summary(
        GOOD["summary"], "bug fix", ("PostgreSQL",), ("AcmeDB",), ("cache/pool.py",), True, Usage(1)
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "no JSON object", id="nothing"),
        pytest.param(TEXT[:-20], "no JSON object", id="cut"),
        pytest.param("[1, 2]", "no JSON object", id="a list"),
        pytest.param("<think>" + TEXT, "no JSON object", id="thought without an end"),
        pytest.param(json.dumps({**GOOD, "change_type": "poem"}), "change_type", id="unknown type"),
        pytest.param(json.dumps({**GOOD, "user_visible": "yes"}), "user_visible", id="text for a boolean"),
        pytest.param(json.dumps({**GOOD, "summary": ""}), "summary", id="empty"),
        pytest.param(json.dumps({**GOOD, "summary": "word " * 500}), "summary", id="too long"),
        pytest.param(json.dumps({**GOOD, "summary": "<!-- nothing -->"}), "nothing but markup", id="markup only"),
        pytest.param(json.dumps({key: GOOD[key] for key in list(GOOD)[:-1]}), "user_visible", id="a field lacks"),
    ],
)
def test_what_is_wrong_is_said(text: str, told: str) -> None:
    """The problem names the field, for the model that is asked again."""
    with pytest.raises(ReplyUnusable, match=told):
        read(text)


def test_the_text_is_one_clean_line() -> None:
    """Markup, links, hidden characters, NUL and surrogates that the model repeats do not reach a summary."""
    said = "**Fixed** the leak.\n\n<!-- hi --> See [this](https://evil.test/x)\u202e now.\x00\ud800"
    assert read(json.dumps({**GOOD, "summary": said})).text == "Fixed the leak. See this now."


def test_words_that_templates_have_are_a_models_own_in_a_reply() -> None:
    """A summary is no template: nothing of it is taken for one."""
    said = "Please describe the steps is asked for by the new template."
    assert read(json.dumps({**GOOD, "summary": said})).text == said


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.text()), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(st.one_of(st.text(), _JSON.map(json.dumps), st.builds(lambda one: json.dumps({**GOOD, "summary": one}), _JSON)))
@settings(max_examples=200, deadline=None)
def test_any_reply_is_read_or_refused(text: str) -> None:
    """No reply raises anything else."""
    with suppress(ReplyUnusable):
        assert read(text).text


def test_thousands_of_braces_end() -> None:
    """They are given up after some."""
    with pytest.raises(ReplyUnusable):
        read('{"a":' * 200_000)


def test_the_schema_that_is_sent_has_the_fields_of_the_model() -> None:
    """All of them are required; the types are those of the pydantic model."""
    of_model = Reply.model_json_schema()["properties"]
    assert list(json_schema()["properties"]) == json_schema()["required"] == list(of_model)
    assert all(told["type"] == of_model[name]["type"] for name, told in json_schema()["properties"].items())


def test_the_schema_has_only_keywords_that_all_servers_take() -> None:
    """Bounds are checked here: guided decoding refuses or ignores them."""

    def keywords(node: Any) -> set[str]:
        if not isinstance(node, dict):
            return set()
        inner = [*node.get("properties", {}).values(), node.get("items")]
        return set(node).union(*map(keywords, inner))

    assert keywords(json_schema()) == {"type", "properties", "required", "additionalProperties", "enum", "items"}
    assert json_schema()["additionalProperties"] is False
