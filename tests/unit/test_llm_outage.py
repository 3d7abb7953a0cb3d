"""Who may ask a server that is away."""

from __future__ import annotations

import asyncio

import pytest

from resources import llm_outage
from resources.errors import LLMUnavailable
from resources.llm_outage import FAILURES_IN_A_ROW, Outage


def away(give_up_after: float = 60.0) -> Outage:
    outage = Outage("The LLM server", give_up_after)
    for _ in range(FAILURES_IN_A_ROW):
        outage.failed("503")
    return outage


def test_late_failures_of_others_send_no_second_scout(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the scout is out, requests from before the outage fail one by one: nobody else is let through by that."""
    monkeypatch.setattr(llm_outage, "_FIRST_PAUSE", 0.0)

    async def work() -> None:
        outage, admitted = away(), []

        async def ask(number: int) -> None:
            await outage.admit()
            admitted.append(number)
            await asyncio.Event().wait()

        asking = [asyncio.create_task(ask(number)) for number in range(5)]
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(admitted) == 1
        for _ in range(10):
            outage.failed("a request from before")
            outage.left()
            await asyncio.sleep(0.001)
        assert len(admitted) == 1
        outage.succeeded()
        for _ in range(20):
            await asyncio.sleep(0)
        assert sorted(admitted) == list(range(5))
        for task in asking:
            task.cancel()

    asyncio.run(work())


def test_a_scout_that_fails_makes_room_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed or cancelled, during its pause or its request: the next one goes."""
    monkeypatch.setattr(llm_outage, "_FIRST_PAUSE", 0.0)

    async def work() -> None:
        outage = away()

        async def fail() -> None:
            await outage.admit()
            outage.failed("503")

        await asyncio.wait_for(asyncio.gather(*(fail() for _ in range(5))), 10)
        monkeypatch.setattr(llm_outage, "_FIRST_PAUSE", 60.0)
        pausing = asyncio.create_task(fail())
        await asyncio.sleep(0.01)
        monkeypatch.setattr(llm_outage, "_FIRST_PAUSE", 0.0)
        pausing.cancel()
        await asyncio.wait_for(fail(), 10)

    asyncio.run(work())


def test_the_clock_starts_anew_with_a_success() -> None:
    """Failures before a success do not count towards giving up; those after it do."""

    async def work() -> None:
        now = 0.0
        outage = Outage("The LLM server", 10.0, clock=lambda: now)
        outage.failed("503")
        now = 9.0
        outage.succeeded()
        outage.failed("503")
        now = 18.9
        outage.failed("503")
        now = 19.0
        with pytest.raises(LLMUnavailable, match=r"The LLM server answered nothing for 0\.2 minutes.*at\s+last: 502"):
            outage.failed("502")

    asyncio.run(work())
