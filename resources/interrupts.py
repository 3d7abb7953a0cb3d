"""Signals that arrive while an asyncio loop runs in the main thread wait until it has wound down."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

_ENDING = (signal.SIGINT, signal.SIGTERM)

T = TypeVar("T")


def run_interruptible(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """asyncio.run, where a signal first cancels `work` and then goes to the handler that was there before.

    Handlers that raise (Python's own of SIGINT, Dagster's of SIGINT and SIGTERM) would otherwise raise wherever the
    main thread is: in a callback of the loop, which logs the exception, in a destructor, which drops it, or amid the
    winding down. A second signal is not held back. Handlers that are no Python functions (SIG_DFL, SIG_IGN) stay as
    they are, and so do all where this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work())
    before = {int(number): handler for number in _ENDING if callable(handler := signal.getsignal(number))}
    held: list[tuple[int, FrameType | None]] = []
    cancels: list[Callable[[], object]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        held.append((number, frame))
        if len(held) > 1:
            before[number](number, frame)
        for cancel in cancels:
            cancel()

    async def cancellable() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        cancels.append(lambda: loop.call_soon_threadsafe(task.cancel))
        if held:  # before there was anything to cancel
            task.cancel()
        return await work()

    for number in before:
        signal.signal(number, hold)
    try:
        return asyncio.run(cancellable())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            received, frame = held[0]
            before[received](received, frame)
