"""Ask GitHub about many things, many a query, as many queries at the same time as the limits allow.

A page that GitHub does not finish is halved and asked again; one thing that fails alone is reported as
failed, and everything else goes on.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from resources.errors import GitHubExhausted, GitHubUnavailable
from resources.github import Overloaded

Item = TypeVar("Item")
Answer = TypeVar("Answer")

_TRIES = 3
_GROW_AFTER = 16  # pages in a row that GitHub finished
_BACKOFF = 0.2  # seconds, times the queries in a row that were not finished
_OUTAGE = 40
_WORKERS_A_PLACE = 2  # while one reads its answer, another's query is on the way
_PAGES_TOGETHER = 8  # stored in one transaction, where so many wait
_LEFT_OUT = "GitHub's response left it out"


@dataclass(frozen=True)
class Page(Generic[Item, Answer]):
    """What one query brought, or several. failed: why an item alone could not be had, after several tries."""

    answers: Mapping[Item, Answer]
    failed: Mapping[Item, str]


@dataclass(frozen=True)
class Rest:
    """What was not asked because a limit was used up, and when to go on. until is None: all was asked."""

    left: int = 0
    until: datetime | None = None
    reason: str = ""


Ask = Callable[[Sequence[Item]], Awaitable[Mapping[Item, Answer | str]]]
"""Answers by item; a text in place of an answer says why GitHub kept this item's, and it is asked again alone."""


async def ask_pages(
    items: Iterable[Item],
    ask: Ask[Item, Answer],
    store: Callable[[Page[Item, Answer]], None],
    *,
    size: int,
    concurrency: int,
) -> Rest:
    """Ask about all `items`, at most `size` a page, and hand what came to `store` (in a thread, one call at a time).

    Pages that come while `store` is at work are handed to it together, so that requests need not wait for it.
    Whatever else `ask` or `store` raises ends the work and is raised.

    Raises:
        GitHubUnavailable: no query was finished any more, however small.
    """
    work = _Work(items, size)
    pages: asyncio.Queue[Page[Item, Answer] | None] = asyncio.Queue(maxsize=4 * concurrency)

    async def worker() -> None:
        while (chunk := work.take()) is not None:
            try:
                answers = await ask(chunk)
            except Overloaded as error:
                failed = work.shrink(chunk, str(error))
                if failed:
                    await pages.put(Page({}, failed))
                else:
                    await asyncio.sleep(_BACKOFF * min(work.misses, 10))
            except GitHubExhausted as error:
                work.stop(chunk, error)
            else:
                good = {item: answer for item, answer in answers.items() if not isinstance(answer, str)}
                bad = {item: str(answers.get(item, _LEFT_OUT)) for item in chunk if item not in good}
                await pages.put(Page(good, work.accept(bad)))

    async def workers() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(_WORKERS_A_PLACE * concurrency):
                group.create_task(worker())
        await pages.put(None)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_store_all(pages, store))
            group.create_task(workers())
    except BaseExceptionGroup as errors:
        raise _first(errors) from errors
    return work.rest


async def _store_all(
    pages: asyncio.Queue[Page[Item, Answer] | None], store: Callable[[Page[Item, Answer]], None]
) -> None:
    """Store pages until None comes; those that wait go together."""
    more = True
    while more:
        batch = [await pages.get()]
        while not pages.empty() and len(batch) < _PAGES_TOGETHER:
            batch.append(pages.get_nowait())
        came = [page for page in batch if page is not None]
        more = len(came) == len(batch)
        if came:
            await asyncio.to_thread(store, _together(came))


def _together(pages: Sequence[Page[Item, Answer]]) -> Page[Item, Answer]:
    answers: dict[Item, Answer] = {}
    failed: dict[Item, str] = {}
    for page in pages:
        answers |= page.answers
        failed |= page.failed
    return Page(answers, failed)


class _Work(Generic[Item]):
    """What is still to be asked. Pages shrink when GitHub does not finish one and grow again slowly."""

    def __init__(self, items: Iterable[Item], size: int) -> None:
        self.misses = 0
        self._most = self._size = size
        self._todo = deque(items)
        self._again: deque[list[Item]] = deque()
        self._tries: Counter[Item] = Counter()
        self._finished = 0
        self._stopped: GitHubExhausted | None = None

    @property
    def rest(self) -> Rest:
        if self._stopped is None:
            return Rest()
        left = len(self._todo) + sum(map(len, self._again))
        return Rest(left, self._stopped.until, str(self._stopped))

    def take(self) -> list[Item] | None:
        if self._stopped is not None:
            return None
        if self._again:
            chunk = self._again.popleft()
            if len(chunk) > self._size:
                self._again.appendleft(chunk[self._size :])
            return chunk[: self._size]
        return [self._todo.popleft() for _ in range(min(self._size, len(self._todo)))] or None

    def accept(self, bad: Mapping[Item, str]) -> dict[Item, str]:
        """Note a finished page. bad: what it did not answer; what has failed too often comes back."""
        self.misses = 0
        self._finished += 1
        if self._finished >= _GROW_AFTER and self._size < self._most:
            self._size, self._finished = min(self._most, self._size + max(1, self._size // 4)), 0
        failed: dict[Item, str] = {}
        for item, reason in bad.items():
            failed |= self._alone(item, reason)
        return failed

    def shrink(self, chunk: list[Item], reason: str) -> dict[Item, str]:
        """Ask for less from now on, and for this chunk in halves; what has failed too often alone comes back."""
        self.misses += 1
        if self.misses >= _OUTAGE:
            raise GitHubUnavailable(
                f"GitHub did not finish any of {self.misses} queries in a row, the last: {reason} What came before"
                " is stored; materialize the partition again when https://www.githubstatus.com says that it is well."
            )
        self._finished = 0
        if len(chunk) == 1:
            return self._alone(chunk[0], reason)
        half = len(chunk) // 2
        self._size = max(1, min(self._size, half))
        self._again.extendleft((chunk[half:], chunk[:half]))  # the smallest come first, so that one succeeds soon
        return {}

    def stop(self, chunk: list[Item], error: GitHubExhausted) -> None:
        self._again.append(chunk)
        self._stopped = error

    def _alone(self, item: Item, reason: str) -> dict[Item, str]:
        self._tries[item] += 1
        if self._tries[item] >= _TRIES:
            return {item: reason}
        self._again.append([item])
        return {}


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
