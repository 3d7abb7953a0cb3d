"""The tests' double of GitHub's API as a process of its own, so that it has a core and an interpreter to itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from resources.settings import Settings

CHECKOUT = Path(__file__).resolve().parents[1]
TOKEN = "double-token"


@dataclass(frozen=True)
class Stats:
    """What the double counted since it began, from GET /_double/stats."""

    queries: int
    points: int
    items: int
    mean_in_flight: float
    max_in_flight: int
    limit_violations: int


@dataclass(frozen=True)
class Double:
    """A running double."""

    url: str

    def stats(self) -> Stats:
        """Its counters."""
        told = httpx.get(f"{self.url}/_double/stats").raise_for_status().json()
        return Stats(
            queries=told["requests"].get("/graphql", 0),
            points=told["points_used"],
            items=told["items_served"],
            mean_in_flight=told["mean_in_flight"],
            max_in_flight=told["max_in_flight"],
            limit_violations=sum(told["limit_violations"].values()),
        )

    def settings(self, **fields: Any) -> Settings:
        """Settings of a client of this double."""
        values = {"github_token": SecretStr(TOKEN), "github_api_url": self.url} | fields
        return Settings(_env_file=None).model_copy(update=values)  # type: ignore[call-arg]


@contextmanager
def double(**options: int) -> Iterator[Double]:
    """`python -m tests.doubles.github` with these options, populated and listening; it ends with the block."""
    command = [sys.executable, "-m", "tests.doubles.github", "--port", "0", "--token", TOKEN]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"The double of GitHub did not start: {' '.join(command)} ended with {process.wait()}.")
        yield Double(url)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
