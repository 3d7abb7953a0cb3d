"""The share of requests in flight that each of several runs has, with real processes that come, go and are killed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import ForkServerContext
from typing import Self

import psycopg
import pytest

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.summaries.share import Share
from tests.integration.processes import until

LOOK = 0.05


def hold(url: str, pipe: Pipe) -> None:
    """Share 64 until told to end; answers every question with the limit."""
    with Database(url) as database, Share(database, 64, LOOK) as share:
        share.join()
        pipe.send(share.limit())
        with contextlib.suppress(EOFError):
            while pipe.recv():
                pipe.send(share.limit())


class Holder:
    """A process that shares; first: its limit at the moment when it had joined."""

    def __init__(self, processes: ForkServerContext, settings: Settings) -> None:
        self._pipe, other = processes.Pipe()
        url = settings.database_url.get_secret_value()  # type: ignore[union-attr]
        self.process = processes.Process(target=hold, args=(url, other))
        self.process.start()
        other.close()
        self.first: int = self._pipe.recv()

    def limit(self) -> int:
        self._pipe.send(True)
        limit: int = self._pipe.recv()
        return limit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self.process.join()


@pytest.fixture
def start(processes: ForkServerContext, settings: Settings) -> Iterator[Callable[[], Holder]]:
    """Starts a holder, which ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Holder(processes, settings))


def test_three_processes_share_and_what_a_killed_one_had_is_the_others(
    database: Database, start: Callable[[], Holder]
) -> None:
    """The first has all 64 at once; whoever comes begins with one; three have 21 each, and two 32 after a SIGKILL."""
    first = start()
    assert first.first == 64
    others = [start(), start()]
    assert [other.first for other in others] == [1, 1]
    until(lambda: [one.limit() for one in (first, *others)] == [21, 21, 21])
    first.process.kill()
    until(lambda: [one.limit() for one in others] == [32, 32])
    others[0].__exit__()
    until(lambda: others[1].limit() == 64)


def test_more_runs_than_requests_have_one_each(database: Database) -> None:
    """Nobody starves: with more runs than requests in flight are allowed, each may still send one at a time."""
    with contextlib.ExitStack() as stack:
        shares = [stack.enter_context(Share(database, 2, LOOK)) for _ in range(5)]
        for share in shares:
            share.join()
        until(lambda: [share.limit() for share in shares] == [1] * 5)


def test_another_databases_runs_are_not_counted(database: Database, server, start: Callable[[], Holder]) -> None:  # type: ignore[no-untyped-def]
    """Two installations on one server have a share each: locks are counted in one's own database."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock_shared(%s)", [0x57A25EA2C8])
        assert start().first == 64


def test_a_lost_connection_is_made_again(database: Database) -> None:
    """A run whose connection was cut off is counted again a look later, and counts the others."""
    with Share(database, 64, LOOK) as one, Share(database, 64, LOOK) as two:
        one.join()
        two.join()
        for _ in range(3):
            until(lambda: _joined(database) == 2)
            until(lambda: (one.limit(), two.limit()) == (32, 32))
            ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s"
            assert database.fetch_value(f"{ended} AND datname = current_database()", ["starsearch-llm"]) == 2
            until(lambda: _joined(database) < 2)
        until(lambda: (one.limit(), two.limit()) == (32, 32))


def _joined(database: Database) -> int:
    return database.fetch_value(
        "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted"
        " AND application_name = 'starsearch-llm' AND datname = current_database()"
    )
