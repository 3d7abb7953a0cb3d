"""Runs the command `starsearch` as its user does: in a process of its own, with a home of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from resources.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def environment(home: Path, **extra: str) -> dict[str, str]:
    """The user's environment without any setting of StarSearch or Dagster, and this home."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {key: value for key, value in os.environ.items() if key not in ours and not key.startswith("DAGSTER_")}
    return {**kept, "STARSEARCH_HOME": str(home), "COLUMNS": "200", **extra}


def command(home: Path, *arguments: str, **extra: str) -> list[str]:
    return [sys.executable, "-m", "starsearch_assets.cli", *arguments]


def starsearch(home: Path, *arguments: str, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    result = subprocess.run(
        command(home, *arguments), capture_output=True, text=True, cwd=ROOT, env=environment(home, **extra)
    )
    if check:
        assert result.returncode == 0, f"{arguments}: {result.stdout}\n{result.stderr}"
    return result


def as_json(home: Path, *arguments: str, code: int = 0, **extra: str) -> Any:
    """Run one command with --json and read what it prints. code: with which it has to end."""
    result = starsearch(home, *arguments, "--json", check=False, **extra)
    assert result.returncode == code, f"{arguments}: {result.stdout}\n{result.stderr}"
    return json.loads(result.stdout)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
