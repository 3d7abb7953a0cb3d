"""The processes that `starsearch up` started, recorded so that `down` finds them after a crash."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import orjson
import psutil

_FILE = "processes.json"
_ROUNDS = 5
"""Times that what is left is killed: what is killed last can have started another."""


def record(home: Path, pids: Mapping[str, int]) -> None:
    """Remember processes by name, pid and start time (a pid alone can be somebody else's tomorrow)."""
    entries = [[name, pid, psutil.Process(pid).create_time()] for name, pid in pids.items()]
    partial = home / f"{_FILE}.partial"
    partial.write_bytes(orjson.dumps(entries))
    partial.replace(home / _FILE)


def forget(home: Path) -> None:
    """Remember nothing."""
    (home / _FILE).unlink(missing_ok=True)


def recorded(home: Path) -> dict[str, psutil.Process]:
    """What is recorded and still runs, by name."""
    path = home / _FILE
    found: dict[str, psutil.Process] = {}
    for name, pid, started in orjson.loads(path.read_bytes()) if path.exists() else []:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < 1:
                found[name] = process
    return found


def stop_recorded(home: Path) -> list[str]:
    """Stop what is recorded and still runs; returns the names."""
    found = recorded(home)
    terminate(list(found.values()))
    forget(home)
    return list(found)


def terminate(processes: Sequence[psutil.Process], patience: float = 15.0) -> None:
    """Ask processes to end, and wait for all their descendants; kill those that have not within `patience` seconds.

    A process that is asked to end can still start others, which nobody waits for: those in the sessions that the
    processes lead end with them.
    """
    family = [*processes, *_descendants(processes)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(family, timeout=patience)
    leaders = {process.pid for process in processes}
    for _ in range(_ROUNDS):
        left += _in_sessions(leaders)
        if not left:
            break
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        _, left = psutil.wait_procs(left, timeout=5)


def _descendants(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            found += process.children(recursive=True)
    return found


def _in_sessions(leaders: Collection[int]) -> list[psutil.Process]:
    """What still runs in the sessions of these leaders, also where the leader is gone."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            if os.getsid(process.pid) in leaders and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
