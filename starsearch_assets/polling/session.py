"""Polling while the lease is held: takes feeds from the schedule, asks GitHub, stores what comes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from resources.errors import GitHubExhausted, GitHubUnreachable
from resources.github import GitHub
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.polling import store
from starsearch_assets.polling.cursor import NEARLY_FULL, Cursor, times
from starsearch_assets.polling.lease import Lease
from starsearch_assets.polling.log import Backoff, say
from starsearch_assets.polling.plan import HOURLY_REQUESTS
from starsearch_assets.polling.rates import first_rate
from starsearch_assets.polling.schedule import REPLAN_SECONDS, Feed, Schedule
from starsearch_assets.polling.store import Stored
from starsearch_assets.polling.walk import Walk, WalkFailed, walk

T = TypeVar("T")
Told = Callable[[str, str], None]
"""Called with a feed and what came of its poll, in words."""

SYNC_SECONDS = 3.0
_GRACE_SECONDS = 5.0
_ABSENT = {403: "forbidden to this token", 404: "not there, or private", 410: "gone", 451: "blocked for legal reasons"}


class Session:
    """One lease's work. counts: polls by outcome, events, requests, since it began."""

    def __init__(self, settings: Settings, database: Database, lease: Lease, github: GitHub, told: Told) -> None:
        self._database, self._lease, self._github, self._told = database, lease, github, told
        self._concurrency = settings.github_concurrency
        self.schedule = Schedule(github.hourly_requests or HOURLY_REQUESTS, settings.github_reserve)
        self.counts: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._paused_until = 0.0
        self._away = Backoff()

    async def begin(self) -> None:
        """Load the feeds, with their cursors where they have one, and plan."""
        self.schedule.add(await asyncio.to_thread(store.load_feeds, self._database))
        await self._follow_changes()
        self.schedule.replan()

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until `stop` is set; then let what is in flight end.

        Raises (in an ExceptionGroup):
            LeaseLost: another poller works.
            GitHubRefused: the token is wrong.
            DatabaseUnavailable, psycopg.OperationalError: the database is away.
        """
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(self._heartbeat()),
                group.create_task(self._every(SYNC_SECONDS, self._follow_changes)),
                group.create_task(self._every(REPLAN_SECONDS, self._replan)),
            ]
            polls: set[asyncio.Task[None]] = set()
            while not stop.is_set():
                polls = {poll for poll in polls if not poll.done()}
                feed = self.schedule.take(time.time()) if self._may_take(len(polls)) else None
                if feed is not None:
                    polls.add(group.create_task(self._poll(feed)))
                    continue
                await self._rest(stop, full=len(polls) >= self._concurrency)
            if polls:
                await asyncio.wait(polls, timeout=_GRACE_SECONDS)
            for task in (*background, *polls):
                task.cancel()

    async def run_once(self) -> None:
        """Poll every feed that is due, once. Where GitHub allows no more, what is in flight comes to its end.

        Raises: GitHubExhausted, GitHubUnreachable; and, in an ExceptionGroup, as `run`.
        """
        due = [feed for feed in self.schedule.feeds.values() if not feed.paused and feed.next_at <= time.time()]
        places = asyncio.Semaphore(self._concurrency)
        ended: list[GitHubExhausted | GitHubUnreachable] = []

        async def poll(feed: Feed) -> None:
            async with places:
                if ended:
                    return
                try:
                    await self._poll(feed, again=False)
                except (GitHubExhausted, GitHubUnreachable) as error:
                    ended.append(error)

        async with asyncio.TaskGroup() as group:
            heartbeat = group.create_task(self._heartbeat())
            if polls := [group.create_task(poll(feed)) for feed in due]:
                await asyncio.wait(polls)
            heartbeat.cancel()
        if ended:
            raise ended[0]

    def _may_take(self, in_flight: int) -> bool:
        return in_flight < self._concurrency and time.time() >= self._paused_until

    async def _rest(self, stop: asyncio.Event, *, full: bool) -> None:
        """Until something is due and there is a place for it, or `stop` is set."""
        now = time.time()
        seconds = 1.0 if full else min(max(self.schedule.wait(now), self._paused_until - now, 0.005), 1.0)
        waits = [asyncio.create_task(self._wake.wait()), asyncio.create_task(stop.wait())]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        self._wake.clear()

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._lease.time_to_live.total_seconds() / 4)
            await asyncio.to_thread(self._lease.renew)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await work()

    async def _follow_changes(self) -> None:
        changed, gone = await asyncio.to_thread(store.follow_changes, self._database, self._lease)
        if not changed and not gone:
            return
        self.schedule.remove([*gone, *(feed.name for feed in changed)])
        self.schedule.add(changed)
        self.schedule.replan()
        say("feeds changed", added_or_changed=len(changed), removed=len(gone), feeds=len(self.schedule.feeds))
        self._wake.set()

    async def _replan(self) -> None:
        self.schedule.allow(self._github.hourly_requests or HOURLY_REQUESTS)
        changed = self.schedule.replan()
        await asyncio.to_thread(store.store_plan, self._lease, changed)
        plan = self.schedule.plan
        say(
            "polling",
            feeds=len(self.schedule.feeds),
            behind=self.schedule.behind(time.time()),
            charged_an_hour=round(plan.charged),
            requests_an_hour=round(plan.requests),
            crowded=plan.crowded,
            stretch=round(plan.stretch, 2),
            **self.counts,
        )
        self._wake.set()

    async def _poll(self, feed: Feed, *, again: bool = True) -> None:
        requests = charged = 1
        cursor = Cursor()

        async def load() -> Cursor:
            nonlocal cursor
            cursor = await asyncio.to_thread(store.load_cursor, self._database, feed.name)
            return cursor

        try:
            found = await walk(self._github, feed.name, feed.etag, load)
            requests, charged = found.requests, found.charged
            self._away.reset()
            await self._store(feed, found, cursor)
        except WalkFailed as failure:
            requests = charged = failure.requests
            await self._fail(feed, str(failure), absent=False)
        except (GitHubExhausted, GitHubUnreachable) as error:
            requests = charged = 0
            self._pause(error)
            if not again:
                raise
        finally:
            self.counts["requests"] += requests
            self.counts["charged"] += charged
            self.schedule.settle(feed, requests, charged, time.time())
            if again:
                self.schedule.put(feed)
                self._wake.set()

    async def _store(self, feed: Feed, found: Walk, cursor: Cursor) -> None:
        now = datetime.now(UTC)
        page = found.first
        if page.status in (200, 304):
            # Of a feed that overflowed, what came is no measure: what it offers has a shorter time of its own.
            anew = feed.polled_at is None or (found.whole and len(found.offered) >= NEARLY_FULL)
            first = first_rate(times(found.offered), now) if anew else None
            feed.floor = page.poll_interval
            feed.answered(len(found.new), now.timestamp(), rate=first)
            feed.interval = self.schedule.plan.interval(feed.rate or 0.0, feed.floor)
        if page.status == 304:
            await self._thread(store.store_unchanged, self._lease, feed)
            self.counts["unchanged"] += 1
            self._told(feed.name, "unchanged")
        elif page.status == 200:
            feed.etag = page.etag
            stored = await self._thread(store.store_walk, self._lease, feed, found, cursor, now)
            self._count(feed, found, stored)
        else:
            reason = f"{page.status}: {_ABSENT.get(page.status, 'no feed')}"
            await self._fail(feed, reason, absent=page.status in _ABSENT)

    def _count(self, feed: Feed, found: Walk, stored: Stored) -> None:
        self.counts["changed"] += 1
        self.counts["events"] += stored.events
        self.counts["withheld"] += stored.withheld
        told = f"{stored.events:,} new events on {found.requests} pages"
        if stored.withheld:
            told += f", {stored.withheld:,} withheld"
        if stored.gap is not None:
            self.counts["gaps"] += 1
            since, until = stored.gap
            told += f", events between {since:%Y-%m-%d %H:%M:%S} and {until:%Y-%m-%d %H:%M:%S} UTC were missed"
            say("gap", feed=feed.name, since=since.isoformat(), until=until.isoformat())
        self._told(feed.name, told)

    async def _fail(self, feed: Feed, reason: str, *, absent: bool) -> None:
        feed.failed(time.time(), absent=absent)
        self.counts["absent" if absent else "failed"] += 1
        say("feed not read", feed=feed.name, failures=feed.failures, reason=reason)
        self._told(feed.name, f"not read: {reason}")
        await self._thread(store.store_failure, self._lease, feed, reason)

    def _pause(self, error: GitHubExhausted | GitHubUnreachable) -> None:
        """Nothing is asked for a while; no feed is at fault."""
        until = error.until.timestamp() if isinstance(error, GitHubExhausted) else time.time() + self._away.next()
        if until > self._paused_until:
            self._paused_until = until
            say("waiting for GitHub", until=datetime.fromtimestamp(until, UTC).isoformat(), reason=str(error))

    async def _thread(self, work: Callable[..., T], *arguments: object) -> T:
        """A transaction in a thread of its own: it comes to its end also where the poll is cancelled meanwhile."""
        return await asyncio.shield(asyncio.to_thread(work, *arguments))


@contextlib.asynccontextmanager
async def ending_with_first_error() -> AsyncIterator[None]:
    """Raise the first error of an ExceptionGroup as itself: all tasks end for the same reason."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
