"""Many prompts at once: places kept busy, results stored as they come, outages waited out, nothing left behind."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import stamina

from resources.errors import LLMContextExceeded, LLMError, LLMReplyInvalid, LLMRequestFailed, LLMUnavailable
from resources.llm import LLM, Completion, Session
from tests.doubles.llm_server import Latency, LLMProcess, LLMServer, llm_process
from tests.llm import asked, is_asked

Outcome = Completion | LLMError


async def ask(session: Session, user: str) -> Outcome:
    messages = [{"role": "system", "content": "Summarize."}, {"role": "user", "content": user}]
    try:
        return await session.ask(messages, max_tokens=50)
    except (LLMReplyInvalid, LLMRequestFailed) as error:
        return error


class Stored:
    """A store that keeps what it gets, and in which threads and batches."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.batches: list[list[tuple[str, Outcome]]] = []
        self.at_once = 0
        self._then, self._lock = then, threading.Lock()

    def __call__(self, batch: Sequence[tuple[str, Outcome]]) -> None:
        assert self._lock.acquire(blocking=False), "two batches are stored at the same time"
        try:
            self.batches.append(list(batch))
            self._then()
        finally:
            self._lock.release()

    @property
    def outcomes(self) -> dict[str, Outcome]:
        return dict(one for batch in self.batches for one in batch)


def users(count: int) -> list[str]:
    return [f"prompt {number}" for number in range(count)]


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds, generously."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_prompts_are_taken_as_places_become_free(llm_server: LLMServer) -> None:
    """With three places no more than three prompts are taken before the first reply."""
    taken: list[int] = []

    def prompts() -> Iterator[str]:
        for number in range(20):
            taken.append(number - len([one for one in llm_server.chats if is_asked(one)]))
            yield f"prompt {number}"

    stored = Stored()
    LLM(llm_server.url, "test-model", concurrency=3).run(prompts(), ask, stored)
    assert len(stored.outcomes) == 20
    assert max(taken) <= 3


def test_results_are_stored_while_others_are_asked() -> None:
    """More results than a batch holds: several batches, each prompt in one of them, none twice."""
    with LLMServer(latency=Latency(fixed=0.01)) as server:
        stored = Stored()
        LLM(server.url, "test-model", concurrency=16).run(users(300), ask, stored)
    assert len(stored.batches) > 2
    assert sorted(user for batch in stored.batches for user, _ in batch) == sorted(users(300))


def test_a_limit_that_changes_is_kept_while_running() -> None:
    """A limit of 2 that becomes 8: never more than it says, and in the end as many."""
    with LLMServer(latency=Latency(fixed=0.05)) as server:
        stored = Stored()
        seen: list[tuple[int, int]] = []

        def limit() -> int:
            allowed = 2 if len(asked(server)) < 20 else 8
            seen.append((allowed, server.seen.in_flight))
            return allowed

        LLM(server.url, "test-model", concurrency=64).run(users(80), ask, stored, limit=limit)
        assert len(stored.outcomes) == 80
        assert all(flying <= 2 for allowed, flying in seen if allowed == 2)
        assert 2 < server.max_in_flight <= 8


def test_an_error_of_the_store_ends_the_run_and_leaves_no_request() -> None:
    """What the store raises comes out as it is; requests in flight are given up, as the server sees."""
    with LLMServer(slots=64, latency=Latency(fixed=0.2)) as server:

        def fail() -> None:
            server.latency = Latency(fixed=60.0)
            raise KeyError("disk full")

        with pytest.raises(KeyError, match="disk full"):
            LLM(server.url, "test-model", concurrency=70).run(users(500), ask, Stored(fail))
        eventually(lambda: server.seen.in_flight == 0)


class Interrupted(BaseException):
    """As Dagster's own, which a signal handler raises."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_and_leaves_no_request(number: signal.Signals) -> None:
    """An exception out of a signal handler, as when a run is terminated: results that came are stored, connections
    are closed, and the server is left with nothing to do."""
    with llm_process(slots=16, latency_ms=50) as server:
        stored = Stored()

        def interrupt(*_: object) -> None:
            raise Interrupted

        before = signal.signal(number, interrupt)
        try:

            def end() -> None:
                eventually(lambda: server.stats()["outcomes"].get("stop", 0) > 20)
                server.misbehave("hang")
                eventually(lambda: server.stats()["in_flight"] >= 16)
                signal.pthread_kill(main, number)

            main = threading.main_thread().ident or 0
            thread = threading.Thread(target=end)
            thread.start()
            with pytest.raises(Interrupted):
                LLM(server.url, "test-model", concurrency=16).run(users(100_000), ask, stored)
            thread.join()
        finally:
            signal.signal(number, before)
        eventually(lambda: server.stats()["in_flight"] == 0)
        stats = server.stats()
        assert stats["abandoned"] >= 16
        assert len(stored.outcomes) >= stats["outcomes"]["stop"] - 1 - 16  # the probe's, and those of the last moment


def test_a_server_that_restarts_costs_retries_not_the_run() -> None:
    """Killed in the middle and started again at the same port: all prompts are answered, some after retries."""
    with llm_process(slots=8, latency_ms=20) as server:
        restarted = threading.Thread(target=_restart, args=(server,))
        stored = Stored()
        restarted.start()
        LLM(server.url, "test-model", concurrency=8).run(users(400), ask, stored)
        restarted.join()
    assert len(stored.outcomes) == 400
    assert all(isinstance(one, Completion) for one in stored.outcomes.values())
    assert sum(one.usage.retries for one in stored.outcomes.values() if isinstance(one, Completion)) > 0


def test_a_server_that_is_not_there_at_the_beginning_is_said_at_once() -> None:
    """A wrong LLM_BASE_URL is not waited for as a restart is: nothing has ever answered there."""
    with llm_process(slots=8) as server:
        server.kill()
        with pytest.raises(LLMUnavailable, match=r"did not answer.*LLM_BASE_URL"):
            LLM(server.url, "test-model").run(users(20), ask, Stored())
        server.start()


def _restart(server: LLMProcess) -> None:
    eventually(lambda: server.stats()["outcomes"].get("stop", 0) > 50)
    server.kill()
    time.sleep(1.5)
    server.start()


def test_while_the_server_is_away_one_scout_tries(llm_server: LLMServer) -> None:
    """All answer 503 for a while: after the first failures of the eight, requests come one at a time."""
    away = threading.Event()
    away.set()
    llm_server.misbehave("503", when=lambda request: is_asked(request) and away.is_set())
    threading.Timer(3.0, away.clear).start()
    stored = Stored()
    LLM(llm_server.url, "test-model", concurrency=8).run(users(30), ask, stored)
    assert all(isinstance(one, Completion) for one in stored.outcomes.values())
    assert len(stored.outcomes) == 30
    assert len(asked(llm_server)) <= 30 + 8 + 8  # the first of each place, and a scout at growing intervals


def test_a_server_that_stays_away_ends_the_run(llm_server: LLMServer) -> None:
    """Nothing for as long as an outage may last: LLMUnavailable with URL, reason and remedy; what came is stored."""
    llm_server.misbehave("503", when=lambda request: is_asked(request) and int(request.user.split()[1]) >= 3)
    stored = Stored()
    with pytest.raises(LLMUnavailable, match=rf"{llm_server.url} answered nothing for .*503.*LLM_BASE_URL"):
        LLM(llm_server.url, "test-model", concurrency=2, outage_seconds=1.0).run(users(50), ask, stored)
    assert set(stored.outcomes) == {"prompt 0", "prompt 1", "prompt 2"}
    assert max(int(request.user.split()[1]) for request in asked(llm_server)) <= 4


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("what", ["500", "drop", "hang"])
def test_a_prompt_that_alone_fails_is_no_outage(llm_server: LLMServer, what: Any, concurrency: int) -> None:
    """One prompt kills its request every time: it fails alone, after four tries, and the others are answered."""
    llm_server.misbehave(what, when=lambda request: request.user == "prompt 2")
    stored = Stored()
    timeout = 0.5 if what == "hang" else 30.0
    with stamina.set_testing(False):
        LLM(llm_server.url, "test-model", concurrency=concurrency, timeout=timeout).run(users(10), ask, stored)
    outcomes = stored.outcomes
    bad = outcomes.pop("prompt 2")
    assert isinstance(bad, LLMRequestFailed)
    assert bad.usage is not None and bad.usage.requests == 4
    assert len(outcomes) == 9
    assert all(isinstance(one, Completion) for one in outcomes.values())


def test_a_busy_server_is_obeyed(llm_server: LLMServer) -> None:
    """429 with Retry-After to some: they wait as asked, all are answered, and nobody takes it for an outage."""
    llm_server.misbehave("429", times=20, retry_after=0.1, when=is_asked)
    stored = Stored()
    LLM(llm_server.url, "test-model", concurrency=8).run(users(30), ask, stored)
    assert len(stored.outcomes) == 30
    assert all(isinstance(one, Completion) for one in stored.outcomes.values())
    assert sum(one.usage.retries for one in stored.outcomes.values() if isinstance(one, Completion)) == 20


@pytest.mark.parametrize(("what", "message"), [("401", "LLM_API_KEY"), ("404", "no model")])
def test_what_concerns_all_requests_ends_the_run_at_once(llm_server: LLMServer, what: Any, message: str) -> None:
    """A refused key, a model that is gone: no second try, and the run says what to do."""
    llm_server.misbehave(what, when=is_asked)
    with pytest.raises(LLMUnavailable, match=message):
        LLM(llm_server.url, "test-model", concurrency=2).run(users(50), ask, Stored())
    assert len(asked(llm_server)) <= 2


def test_a_prompt_that_is_too_long_has_an_error_of_its_own() -> None:
    """vLLM's 400 for a prompt beyond the context: LLMContextExceeded, for that prompt alone."""
    with LLMServer(max_model_len=300) as server:
        stored = Stored()
        LLM(server.url, "test-model").run(["short", "long " * 2000], ask, stored)
    assert isinstance(stored.outcomes["short"], Completion)
    assert isinstance(stored.outcomes["long " * 2000], LLMContextExceeded)
