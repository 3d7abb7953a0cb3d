"""Work in threads and processes: begun together, waited for, looked at from outside, killed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from typing import Any

from resources.postgres import Database

DEADLINE = 60


def in_threads(*work: Callable[[], Any]) -> list[Any]:
    """Run all at the same time and return what they return."""
    barrier = threading.Barrier(len(work))

    def start(one: Callable[[], Any]) -> Any:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(start, one) for one in work]]


def until(true: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"it did not happen in {seconds} seconds"
        time.sleep(0.02)


def waiting(database: Database) -> int:
    """Sessions of the database that wait for a lock."""
    count = database.fetch_value(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return int(count)


def is_storing(database: Database) -> bool:
    """Whether another session of the database is in a transaction that has written."""
    return database.fetch_value(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL"
    )


def kill(process: BaseProcess, moment: float, until: Callable[[], bool]) -> bool:
    """Kill a process after `moment` seconds and then as soon as `until` is true; whether it was still at work."""
    process.join(moment)
    while process.is_alive() and not until():
        pass
    process.kill()
    process.join()
    return process.exitcode != 0
