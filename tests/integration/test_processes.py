"""What `down` stops, with real processes: also those that start others while they are asked to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from starsearch_assets.processes import record, stop_recorded

LEADER = """
import signal, subprocess, sys, time

def asked(*_):
    late = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(sys.argv[1], "w").write(str(late.pid))
    sys.exit(0)

signal.signal(signal.SIGTERM, asked)
print("ready", flush=True)
time.sleep(600)
"""


def test_what_is_started_while_it_is_asked_to_end_ends_as_well(tmp_path: Path) -> None:
    """A child that its parent leaves behind is nobody's descendant any more, but still of its session."""
    noted = tmp_path / "late"
    leader = subprocess.Popen(
        [sys.executable, "-c", LEADER, str(noted)], start_new_session=True, stdout=subprocess.PIPE
    )
    assert leader.stdout is not None
    assert leader.stdout.readline() == b"ready\n"
    record(tmp_path, {"daemon": leader.pid})
    assert stop_recorded(tmp_path) == ["daemon"]
    leader.wait(timeout=10)
    late = int(noted.read_text())
    assert not psutil.pid_exists(late) or psutil.Process(late).status() == psutil.STATUS_ZOMBIE
    assert stop_recorded(tmp_path) == []
