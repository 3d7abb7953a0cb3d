"""Pauses of the machine: when it does the same small piece of work several times slower than it mostly does.

A virtual machine's host may stop it for a tenth of a second, or share its cores, and not tell it as stolen time. What
was measured meanwhile says nothing of the code; it is shown with the rest, and apart from it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

SLOWER, EVERY_SECONDS = 3.0, 0.004
# Of the work its CPU time counts: waiting for a core that other processes have is no pause.
_PROBE = f"""
import sys, threading, time
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
print(flush=True)
found = []
while not stop.wait({EVERY_SECONDS}):
    begun, cpu, total = time.perf_counter(), time.thread_time(), 0
    for number in range(2000):
        total += number
    found.append((begun, time.thread_time() - cpu, time.perf_counter()))
for one in found:
    print(*one)
"""


@dataclass
class Pauses:
    """Spans in seconds of `time.perf_counter`, which all processes of a machine share on Linux."""

    spans: list[tuple[float, float]] = field(default_factory=list)

    def met(self, begun: float, ended: float) -> bool:
        """Whether the machine paused at any time between the two."""
        return any(first <= ended and begun <= last for first, last in self.spans)

    @property
    def seconds(self) -> float:
        """How long it paused in all."""
        return sum(last - first for first, last in self.spans)


@contextmanager
def watched() -> Iterator[Pauses]:
    """Look for pauses, two to three per cent of a core, while the block runs; they are there when it ends."""
    pauses = Pauses()
    command = [sys.executable, "-c", _PROBE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as probe:
        assert probe.stdout is not None
        probe.stdout.readline()
        try:
            yield pauses
        finally:
            told, _ = probe.communicate()
    pauses.spans += spans([tuple(map(float, line.split())) for line in told.splitlines()])


def spans(found: Sequence[tuple[float, ...]]) -> list[tuple[float, float]]:
    """Of pieces of work (begun, seconds of CPU, ended) the spans in which they took over `SLOWER` times the median."""
    if not found:
        return []
    usual = statistics.median(seconds for _, seconds, _ in found)
    slow = [(begun, ended) for begun, seconds, ended in found if seconds > SLOWER * usual]
    joined = slow[:1]
    for (_, last), (begun, ended) in pairwise(slow):
        if begun - last <= 3 * EVERY_SECONDS:
            joined[-1] = (joined[-1][0], ended)
        else:
            joined.append((begun, ended))
    return joined
