"""Many things asked about, many a query."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

from resources.github_pages import Page, ask_pages


def test_pages_that_come_while_one_is_stored_are_stored_together() -> None:
    """A slow database does not hold the requests up; nothing is lost, and the last page counts, too."""
    asked: list[int] = []
    stored: list[Page[int, int]] = []
    all_asked = threading.Event()

    async def ask(page: Sequence[int]) -> Mapping[int, int | str]:
        asked.extend(page)
        if len(asked) == 100:
            all_asked.set()
        return {number: -number for number in page}

    def store(page: Page[int, int]) -> None:
        assert all_asked.wait(10)
        stored.append(page)

    rest = asyncio.run(ask_pages(range(100), ask, store, size=10, concurrency=4))
    assert (rest.left, rest.until) == (0, None)
    assert {number: answer for page in stored for number, answer in page.answers.items()} == {n: -n for n in range(100)}
    assert len(stored) < 10
