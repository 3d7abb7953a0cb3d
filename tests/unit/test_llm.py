"""The LLM client against a server that keeps the protocol, and breaks it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator

import pytest
import stamina
from pydantic import SecretStr

from resources.errors import ConfigurationError, LLMError, LLMReplyInvalid, LLMRequestFailed, LLMUnavailable
from resources.llm import LLM, Completion, Session, create_answer_llm, create_summary_llm
from resources.llm_chat import Turn
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer, Request

KEY = "sk-very-secret"


@pytest.fixture
def llm(llm_server: LLMServer) -> Iterator[LLM]:
    llm = LLM(llm_server.url, "test-model", KEY, concurrency=4)
    yield llm
    llm.close()


async def ask(session: Session, user: str) -> Completion | LLMError:
    """One prompt with instructions; what concerns it alone is its outcome."""
    messages = [{"role": "system", "content": "Summarize."}, {"role": "user", "content": user}]
    try:
        return await session.ask(messages, max_tokens=50)
    except (LLMReplyInvalid, LLMRequestFailed) as error:
        return error


def many(llm: LLM, users: Iterable[str]) -> dict[str, Completion | LLMError]:
    """All that `run` handed over, by prompt."""
    outcomes: dict[str, Completion | LLMError] = {}
    llm.run(users, ask, outcomes.update)
    return outcomes


def complete(llm: LLM, user: str = "u", *, max_tokens: int = 512, timeout: float = 10.0) -> Turn:
    """One turn of a chat without functions."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": user}]
    return llm.chat().turn(messages, (), max_tokens=max_tokens, timeout=timeout)


def test_a_completion_has_the_text_and_the_servers_token_counts(llm_server: LLMServer, llm: LLM) -> None:
    """The system prompt goes first, the key in the header, temperature 0; the counts are the server's."""
    completion = complete(llm, "three small words", max_tokens=7)
    assert completion.text.startswith("Summary ")
    assert completion.usage.tokens_in == 3
    assert completion.usage.tokens_out == len(completion.text.split())
    (request,) = llm_server.requests
    assert request.authorization == f"Bearer {KEY}"
    assert [one["role"] for one in request.body["messages"]] == ["system", "user"]
    assert (request.body["max_tokens"], request.body["temperature"]) == (7, 0.0)


@pytest.mark.parametrize("status", ["429", "500", "502", "503"])
def test_a_passing_failure_is_tried_again_when_the_server_says(llm_server: LLMServer, llm: LLM, status: str) -> None:
    """Two failures with Retry-After, then a reply: three requests, each wait as long as asked for."""
    waits: list[float] = []
    llm_server.misbehave(status, times=2, retry_after=0.05)  # type: ignore[arg-type]
    hooks = stamina.instrumentation.get_on_retry_hooks()
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    try:
        assert complete(llm).text
    finally:
        stamina.instrumentation.set_on_retry_hooks(hooks)
    assert len(llm_server.requests) == 3
    assert waits == [0.05, 0.05]


@pytest.mark.parametrize(
    ("what", "expected", "message", "requests"),
    [
        ("404", LLMUnavailable, "no model 'test-model'.*starsearch doctor", 1),
        ("401", LLMUnavailable, r"refused the key \(401\): check LLM_API_KEY", 1),
        ("400", LLMReplyInvalid, r"refused the request \(400\)", 1),
        ("422", LLMReplyInvalid, r"refused the request \(422\)", 1),
        ("empty choices", LLMReplyInvalid, "no chat completion", 1),
        ("invalid JSON", LLMReplyInvalid, "no chat completion", 1),
        ("not JSON", LLMReplyInvalid, "no chat completion.*LLM_BASE_URL", 1),
        ("half a body", LLMUnavailable, "did not answer.*LLM_BASE_URL", 2),
        ("503", LLMUnavailable, "did not answer.*extractive mode", 2),
    ],
)
@pytest.mark.usefixtures("without_waiting")
def test_each_failure_says_what_came_and_what_to_do(
    llm_server: LLMServer, llm: LLM, what: str, expected: type[LLMError], message: str, requests: int
) -> None:
    """Refusals are not repeated, failures are; each ends in the error of its kind, with the server's address."""
    llm_server.misbehave(what)  # type: ignore[arg-type]
    with pytest.raises(expected, match=message) as caught:
        complete(llm)
    assert len(llm_server.requests) == requests
    assert llm_server.url in str(caught.value)


def test_an_unknown_model_is_a_404_of_the_server_itself(llm_server: LLMServer) -> None:
    """The server knows other models: the message names the one that was asked for."""
    with pytest.raises(LLMUnavailable, match="no model 'other'"):
        complete(LLM(llm_server.url, "other"))


@pytest.mark.usefixtures("without_waiting")
def test_a_server_that_hangs_is_given_up_after_the_timeout(llm_server: LLMServer) -> None:
    """No answer within the timeout, twice: unavailable."""
    llm_server.misbehave("hang")
    with pytest.raises(LLMUnavailable, match="APITimeoutError"):
        complete(LLM(llm_server.url, "test-model"), timeout=0.1)
    assert len(llm_server.requests) == 2


@pytest.mark.usefixtures("without_waiting")
def test_a_server_that_is_down_is_named_without_its_password() -> None:
    """Nobody listens: the message has the URL, the reason and the remedy."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(
        LLMUnavailable, match=rf"http://me:\*\*\*@127\.0\.0\.1:{port}/v1 .*refused.*LLM_BASE_URL"
    ) as caught:
        complete(LLM(f"http://me:secret@127.0.0.1:{port}/v1", "m"))
    assert "secret" not in str(caught.value)


def test_many_prompts_are_bounded_in_flight(llm_server: LLMServer, llm: LLM) -> None:
    """Twelve prompts: four at a time as the server counts them, and each has its own reply."""
    llm_server.hold_until(4)
    outcomes = many(llm, [f"prompt {number}" for number in range(12)])
    assert llm_server.max_in_flight == 4
    assert len(outcomes) == 12
    assert all(isinstance(one, Completion) and f"{user}." in one.text for user, one in outcomes.items())


def test_no_prompts_make_no_request(llm_server: LLMServer, llm: LLM) -> None:
    """Nothing to do is nothing done: not even the probe is sent."""
    assert many(llm, []) == {}
    assert llm_server.requests == []


@pytest.mark.parametrize("what", ["400", "empty choices", "invalid JSON"])
def test_an_unusable_reply_is_handed_over_and_the_rest_goes_on(llm_server: LLMServer, llm: LLM, what: str) -> None:
    """One bad reply among five is an LLMReplyInvalid that tells what it cost; the other four are completions."""
    llm_server.misbehave(what, when=lambda request: request.user == "prompt 2")  # type: ignore[arg-type]
    outcomes = many(llm, [f"prompt {number}" for number in range(5)])
    bad = outcomes.pop("prompt 2")
    assert isinstance(bad, LLMReplyInvalid)
    assert bad.usage is not None and bad.usage.requests == 1
    assert [type(one) for one in outcomes.values()] == [Completion] * 4


@pytest.mark.parametrize("status", ["400", "401", "500"])
@pytest.mark.usefixtures("without_waiting")
def test_the_key_is_in_no_message_traceback_or_log(
    llm_server: LLMServer,
    llm: LLM,
    status: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The double's errors repeat the key; nothing that we show, print or log at INFO and above does."""
    llm_server.misbehave(status)  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO), pytest.raises(LLMError) as caught:
        complete(llm)
    assert KEY not in f"{caught.value} {caught.getrepr(chain=True)}"
    assert KEY not in repr([record.__dict__ for record in caplog.records])
    assert capsys.readouterr().out == ""
    retries = [record for record in caplog.records if record.name == "resources.retries"]
    assert len(retries) == (status == "500")


@pytest.mark.parametrize("create", [create_summary_llm, create_answer_llm])
def test_without_settings_there_is_no_llm(create: object) -> None:
    """Nothing set: extractive mode."""
    assert create(Settings(_env_file=None)) is None  # type: ignore[operator]


def test_half_of_the_settings_is_a_configuration_error() -> None:
    """A model without a server, or a server without a model, names the setting that is missing."""
    with pytest.raises(ConfigurationError, match="LLM_BASE_URL is not set"):
        create_summary_llm(Settings(_env_file=None, summary_model="m"))
    with pytest.raises(ConfigurationError, match="LLM_BASE_URL is not set"):
        create_answer_llm(Settings(_env_file=None, answer_model="m"))
    alone = Settings(_env_file=None, llm_base_url="http://127.0.0.1:9/v1")
    for create in (create_summary_llm, create_answer_llm):
        with pytest.raises(ConfigurationError, match="set SUMMARY_MODEL, ANSWER_MODEL or both"):
            create(alone)


def test_one_of_the_two_models_is_enough(llm_server: LLMServer) -> None:
    """With SUMMARY_MODEL only, summaries have an LLM and answers have none; the key and concurrency arrive."""
    settings = Settings(
        _env_file=None,
        llm_base_url=llm_server.url,
        summary_model="test-model",
        llm_api_key=SecretStr(KEY),
        llm_concurrency=2,
    )
    assert create_answer_llm(settings) is None
    llm = create_summary_llm(settings)
    assert llm is not None
    llm_server.hold_until(2)
    many(llm, ["a", "b", "c", "d"])
    assert llm_server.max_in_flight == 2
    assert {request.authorization for request in llm_server.requests} == {f"Bearer {KEY}"}


def test_the_double_refuses_what_it_cannot_do(llm_server: LLMServer) -> None:
    """A misspelt misbehaviour would make a test pass for nothing."""
    with pytest.raises(ValueError, match="cannot misbehave as '503s'"):
        llm_server.misbehave("503s")  # type: ignore[arg-type]
    assert llm_server.reply(Request("/v1/chat/completions", {}, None)).startswith("Summary")
