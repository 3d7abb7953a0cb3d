"""Group commit into the inbox: whoever waits while one transaction is committed shares the next one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg

from resources.errors import ResourceError
from resources.inbox import Arrival, put
from resources.postgres import Connection, Role, connect
from resources.settings import Settings

logger = logging.getLogger(__name__)

Counts = Counter[tuple[str, str]]
"""(event, outcome) -> how many requests."""

_PENDING = 2_000  # deliveries that wait
_BATCH, _BATCH_BYTES = 500, 16 * 1024 * 1024  # of one transaction
_SPACING = 0.01  # seconds between two transactions, unless a batch is full: fewer, for little of the latency
_FLUSH_SECONDS = 1.0  # counts that no delivery takes along wait so long
# GitHub gives a delivery up after ten seconds: a server that does not answer in less is down.
_CONNECTION = {
    "connect_timeout": 3,
    "options": "-c statement_timeout=6s -c lock_timeout=6s",
    "tcp_user_timeout": 6_000,
    "application_name": "starsearch-webhooks",
}


class InboxFull(Exception):
    """More deliveries wait than may."""


class InboxUnavailable(Exception):
    """The database did not take the delivery. Nothing of it counts as stored."""


@dataclass(frozen=True)
class Delivery:
    """One that waits. if_tracked: the repository that has to be tracked for it to be stored; None: none has to."""

    arrival: Arrival
    event: str
    outcome: str
    if_tracked: int | None
    done: asyncio.Future[None]


class InboxWriter:
    """Writes deliveries in the order in which they came, one transaction at a time, in a thread of its own.

    A transaction holds what came while the one before it was committed. After an error of the database the batch is
    refused, and the next one connects anew.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: list[Delivery] = []
        self._counts: Counts = Counter()
        self._wake = asyncio.Event()
        self._stopping = False
        self._began = 0.0  # the last transaction
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the database is connected to when there is something to write."""
        self._task = asyncio.create_task(self._run(), name="inbox-writer")

    async def stop(self) -> None:
        """Commit what waits, then let go of the database."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def count(self, event: str, outcome: str) -> None:
        """Count a request that leaves nothing in the inbox; written soon."""
        self._counts[event, outcome] += 1
        self._wake.set()

    async def write(self, arrival: Arrival, event: str, outcome: str, if_tracked: int | None = None) -> None:
        """Return when the arrival is committed. if_tracked: only where the repository of this id is tracked.

        Raises:
            InboxFull: too many wait already.
            InboxUnavailable: it is not committed, or nobody can tell whether it is.
        """
        if len(self._waiting) >= _PENDING or self._stopping:
            raise InboxFull
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(Delivery(arrival, event, outcome, if_tracked, done))
        self._wake.set()
        await done

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._stopping and not self._waiting):
            if not self._waiting:
                await self._pause()
            await self._space()
            batch, counts = self._take(), self._counts
            if not batch and not counts:
                continue
            self._counts = Counter()
            counted, stored = await loop.run_in_executor(self._thread, self._commit, batch, counts)
            if not counted:
                self._counts += counts
            self._settle(batch, stored)
        if self._counts:
            await loop.run_in_executor(self._thread, self._commit, [], self._counts)

    async def _pause(self) -> None:
        """Wait for a delivery; for counts alone, no longer than they may wait."""
        deadline = asyncio.get_running_loop().time() + _FLUSH_SECONDS
        while not self._waiting and not self._stopping:
            self._wake.clear()
            left = deadline - asyncio.get_running_loop().time() if self._counts else None
            if left is not None and left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left)

    async def _space(self) -> None:
        """Let others join the next transaction where the one before it has only just been."""
        left = self._began + _SPACING - asyncio.get_running_loop().time()
        if left > 0 and len(self._waiting) < _BATCH and not self._stopping:
            await asyncio.sleep(left)
        self._began = asyncio.get_running_loop().time()

    def _take(self) -> list[Delivery]:
        size = 0
        for number, delivery in enumerate(self._waiting[:_BATCH]):
            size += len(delivery.arrival.body)
            if size > _BATCH_BYTES and number:
                break
        else:
            number = min(len(self._waiting), _BATCH)
        batch, self._waiting = self._waiting[:number], self._waiting[number:]
        return batch

    def _settle(self, batch: Sequence[Delivery], stored: Sequence[bool]) -> None:
        for delivery, there in zip(batch, stored, strict=True):
            if not there:
                self._counts[delivery.event, "unavailable"] += 1
            if delivery.done.done():
                continue  # whoever waited went away
            if there:
                delivery.done.set_result(None)
            else:
                delivery.done.set_exception(InboxUnavailable())

    def _commit(self, batch: Sequence[Delivery], counts: Counts) -> tuple[bool, list[bool]]:
        """One transaction; whether the counts and which deliveries are in it."""
        try:
            self._store(batch, counts)
        except psycopg.DataError:
            if len(batch) > 1:  # one of them cannot be stored: that must not keep the others out
                return False, [self._commit([delivery], Counter())[0] for delivery in batch]
            logger.exception("a webhook delivery cannot be stored")
        except (psycopg.Error, ResourceError, OSError) as error:
            self._disconnect()
            reason = {"reason": str(error), "deliveries": len(batch)}
            logger.warning("the inbox takes nothing, deliveries are refused: %s", error, extra=reason)
        else:
            return True, [True] * len(batch)
        return False, [False] * len(batch)

    def _store(self, batch: Sequence[Delivery], counts: Counts) -> None:
        counts = counts + Counter((delivery.event, delivery.outcome) for delivery in batch)
        if self._connection is None:
            self._connection = connect(self._settings, Role.SERVICE, **_CONNECTION)
        connection = self._connection
        with connection.transaction():
            arrivals = _of_interest(connection, batch)
            if arrivals:
                put(connection, arrivals)
            connection.execute(
                _COUNT, [[event for event, _ in counts], [outcome for _, outcome in counts], list(counts.values())]
            )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_COUNT = (
    "INSERT INTO service.webhook_counts AS known (event, outcome, count)"
    " SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[]) told (event, outcome, count) ORDER BY 1, 2"
    " ON CONFLICT (event, outcome) DO UPDATE SET count = known.count + excluded.count, last_at = now()"
)


def _of_interest(connection: Connection, batch: Sequence[Delivery]) -> list[Arrival]:
    """All but what concerns a repository that nobody tracks and should be stored only if somebody does."""
    asked = [delivery.if_tracked for delivery in batch if delivery.if_tracked is not None]
    tracked: set[int] = set()
    if asked:
        rows = connection.execute("SELECT repo_id FROM published.repositories WHERE repo_id = ANY (%s)", [asked])
        tracked = {repo_id for (repo_id,) in rows}
    return [delivery.arrival for delivery in batch if delivery.if_tracked in (None, *tracked)]
