"""What the client finds out about a server before it relies on it."""

from __future__ import annotations

from typing import Any

import pytest

from resources.errors import LLMUnavailable
from resources.llm import LLM, Capabilities, Completion, Session
from resources.settings import Settings
from starsearch_assets.doctor import examine
from tests.doubles.llm_server import LLMServer

SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}


def capabilities(**options: Any) -> Capabilities:
    with LLMServer(**options) as server:
        return LLM(server.url, "test-model").capabilities()


def test_everything_that_vllm_has_is_found() -> None:
    """Models, context length, guided JSON and priority scheduling of a server that has them all."""
    found = capabilities(guided_json=True, priority_scheduling=True, max_model_len=4096)
    assert found == Capabilities(("test-model",), 4096, guided_json=True, priority=True)


@pytest.mark.parametrize("guided_json", [False, "ignored", "refused"])
def test_guided_json_that_is_refused_or_ignored_is_not_relied_on(guided_json: Any) -> None:
    """A server that answers 400 to the schema, or does as it likes: no schema is sent to it."""
    assert not capabilities(guided_json=guided_json).guided_json


def test_priority_that_is_off_is_not_sent() -> None:
    """vLLM answers 400 to a priority when its scheduler knows none; guided JSON is found all the same."""
    assert capabilities(guided_json=True, priority_scheduling=False) == Capabilities(
        ("test-model",), 32_768, guided_json=True, priority=False
    )


def test_a_run_probes_once_and_sends_what_the_server_knows() -> None:
    """Two runs of one client: one probe; each prompt carries schema and priority where the server has both."""

    async def ask(session: Session, user: str) -> Completion:
        return await session.ask([{"role": "system", "content": "JSON."}, {"role": "user", "content": user}],
                                 max_tokens=50, schema=SCHEMA)  # fmt: skip

    with LLMServer(guided_json=True, priority_scheduling=True) as server:
        llm = LLM(server.url, "test-model")
        for _ in range(2):
            llm.run(["a", "b"], ask, lambda _: None)
        prompts = [one for one in server.chats if one.user in "ab"]
        assert (len(prompts), len(server.requests)) == (4, 6)
        assert all(one.body["response_format"]["json_schema"]["schema"] == SCHEMA for one in prompts)
        assert {one.body["priority"] for one in prompts} == {10}


def test_a_missing_model_is_named_with_those_that_are_there() -> None:
    """Before anything else is sent."""
    with LLMServer(models=("llama", "qwen")) as server:
        with pytest.raises(LLMUnavailable, match="no model 'test-model'; it has llama, qwen"):
            LLM(server.url, "test-model").capabilities()
        assert server.chats == []


def test_a_server_that_lists_no_models_is_asked_all_the_same() -> None:
    """Some servers answer chats only."""
    with LLMServer() as server:
        server.misbehave("404", when=lambda request: request.path.endswith("/models"))
        assert LLM(server.url, "test-model").capabilities().models == ()


def test_something_else_that_answers_is_no_llm() -> None:
    """A web page at that address, or a refused key, is said before a run begins."""
    with LLMServer() as server:
        server.misbehave("not JSON", times=1)
        with pytest.raises(LLMUnavailable, match=r"not as an OpenAI-compatible server.*/v1"):
            LLM(server.url, "test-model").capabilities()
        server.misbehave("401", times=1)
        with pytest.raises(LLMUnavailable, match="LLM_API_KEY"):
            LLM(server.url, "test-model").capabilities()


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        ({"max_model_len": 2048}, "context of 2,048 tokens is smaller than the 4,000"),
        ({"max_model_len": 2048, "truncates": True}, "cuts prompts without saying so"),
        ({"max_model_len": 8192}, None),
    ],
)
def test_doctor_warns_of_a_context_that_is_too_small(
    settings: Settings, options: dict[str, Any], warning: str | None
) -> None:
    """Of one that vLLM tells, and of one that a server keeps to itself while it cuts prompts, as Ollama does."""
    with LLMServer(tokenizer="words", **options) as server:
        asking = settings.model_copy(update={"llm_base_url": server.url, "summary_model": "test-model"})
        findings = [one for one in examine(asking) if one.subject == "summaries"]
    assert "test-model" in findings[0].message
    warned = [one.message for one in findings if one.level == "warn"]
    assert any(warning in one for one in warned) if warning else warned == []
