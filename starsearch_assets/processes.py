"""The processes that `starsearch up` started, recorded so that `down` finds them after a crash."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
import psutil

_FILE = "processes.json"


def record(home: Path, pids: Mapping[str, int]) -> None:
    """Remember processes by name, pid and start time (a pid alone can be somebody else's tomorrow)."""
    entries = [[name, pid, psutil.Process(pid).create_time()] for name, pid in pids.items()]
    partial = home / f"{_FILE}.partial"
    partial.write_bytes(orjson.dumps(entries))
    partial.replace(home / _FILE)


def forget(home: Path) -> None:
    """Remember nothing."""
    (home / _FILE).unlink(missing_ok=True)


def stop_recorded(home: Path) -> list[str]:
    """Stop what is recorded and still runs; returns the names."""
    path = home / _FILE
    if not path.exists():
        return []
    names, found = [], []
    for name, pid, started in orjson.loads(path.read_bytes()):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < 1:
                names.append(name)
                found.append(process)
    terminate(found)
    forget(home)
    return names


def terminate(processes: Sequence[psutil.Process], patience: float = 15.0) -> None:
    """Ask processes and all their descendants to end; kill those that do not within `patience` seconds."""
    family: list[psutil.Process] = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            family += process.children(recursive=True)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs([*processes, *family], timeout=patience)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)
