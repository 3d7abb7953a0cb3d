"""Signals while an asyncio loop runs, with real signals and handlers that raise."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from resources.interrupts import run_interruptible


class Interrupted(BaseException):
    pass


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal whose handler raises, as Dagster's does."""

    def handler(*_: object) -> None:
        raise Interrupted

    before = signal.signal(request.param, handler)
    yield request.param
    signal.signal(request.param, before)


def test_work_winds_down_before_the_handler_raises(number: signal.Signals) -> None:
    """A signal out of a callback of the loop, where asyncio logs what is raised: the work ends, then it is raised."""
    done: list[str] = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)
            done.append("wound down")

    with pytest.raises(Interrupted):
        run_interruptible(work)
    assert done == ["wound down"]


def test_a_second_signal_is_not_held_back(number: signal.Signals) -> None:
    """Work that takes for ever to wind down is ended by the next signal."""

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(60)
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(60)

    with pytest.raises(Interrupted):
        run_interruptible(work)


def test_a_signal_at_the_very_end_is_not_lost(number: signal.Signals) -> None:
    """The work returns all the same, and the handler raises after it."""
    done: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        done.append("returned")

    with pytest.raises(Interrupted):
        run_interruptible(work)
    assert done == ["returned"]


def test_handlers_are_as_before_and_results_come_out() -> None:
    """What the work returns is returned; the handlers of the process are untouched, in any thread."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    results: list[int] = []

    async def work() -> int:
        return 7

    assert run_interruptible(work) == 7
    thread = threading.Thread(target=lambda: results.append(run_interruptible(work)))
    thread.start()
    thread.join()
    assert results == [7]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
