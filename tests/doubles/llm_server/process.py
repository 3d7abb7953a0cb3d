"""The server as a process of its own, seen from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass
class LLMProcess:
    """`python -m tests.doubles.llm_server` with these options; it can be killed, and started again at its port."""

    options: dict[str, Any]
    port: int = 0

    @property
    def url(self) -> str:
        """The base URL, /v1 included."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Start it and wait until it listens; its counts begin at 0.

        Raises:
            RuntimeError: it ended instead.
        """
        command = [sys.executable, "-m", "tests.doubles.llm_server", "--port", str(self.port)]
        for name, value in self.options.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        self._process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        url = self._process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"The double of the LLM server did not start: {command} ended: {self._process.wait()}.")
        self.port = int(url.removesuffix("/v1").rsplit(":", 1)[1])

    def kill(self, ends_with: signal.Signals = signal.SIGKILL) -> None:
        """End it, at once unless told otherwise."""
        self._process.send_signal(ends_with)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def stats(self) -> dict[str, Any]:
        """GET /_double/stats."""
        told: dict[str, Any] = httpx.get(self._at("stats")).raise_for_status().json()
        return told

    def observations(self) -> list[dict[str, Any]]:
        """GET /_double/observations."""
        told: list[dict[str, Any]] = httpx.get(self._at("observations")).raise_for_status().json()
        return told

    def misbehave(self, what: str, **given: Any) -> None:
        """POST /_double/misbehave: times, retry_after, seconds, and `containing`, a part of the user's message."""
        self._post("misbehave", what=what, **given)

    def behave(self) -> None:
        """POST /_double/behave."""
        self._post("behave")

    def forget(self) -> None:
        """POST /_double/forget: all counts begin anew."""
        self._post("forget")

    def change(self, **settings: Any) -> None:
        """POST /_double/settings."""
        self._post("settings", **settings)

    def _post(self, name: str, **given: Any) -> None:
        reply = httpx.post(self._at(name), json=given)
        if reply.is_error:
            raise ValueError(reply.text)

    def _at(self, name: str) -> str:
        return f"{self.url.removesuffix('/v1')}/_double/{name}"


@contextmanager
def llm_process(**options: Any) -> Iterator[LLMProcess]:
    """A running process with these options (`slots=64, token_rate=50`); it ends with the block."""
    process = LLMProcess(options, port=int(options.pop("port", 0)))
    process.start()
    try:
        yield process
    finally:
        process.kill(signal.SIGTERM)
