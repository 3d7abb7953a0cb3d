"""Small tables, medians and verdicts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Verdict:
    """One figure against its target."""

    name: str
    value: float
    target: float
    comparison: Literal[">=", "<="]
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target if self.comparison == ">=" else self.value <= self.target

    def __str__(self) -> str:
        word = "met" if self.met else "MISSED"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.name}: {self.value:.3g}{unit} (target {self.comparison} {self.target:g}{unit}) {word}"


@dataclass
class Report:
    """What one benchmark found; its rows are printed as they are added."""

    title: str
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        print(f"\n{self.title}")

    def row(self, *cells: str) -> None:
        """One line of the table: a label of 52 columns, then figures of 16."""
        label, *figures = cells
        print(f"  {label:<52}" + "".join(f"{figure:>16}" for figure in figures), flush=True)

    def note(self, text: str) -> None:
        """A remark beneath the table."""
        print(f"  {text}", flush=True)

    def verdict(self, name: str, value: float, comparison: Literal[">=", "<="], target: float, unit: str = "") -> None:
        """Print and keep the comparison of a figure with its target."""
        verdict = Verdict(name, value, target, comparison, unit)
        self.verdicts.append(verdict)
        print(f"  {verdict}", flush=True)


@dataclass(frozen=True)
class Pairs:
    """Repetitions of two measurements that alternate, so that a noisy neighbour meets both. Seconds."""

    ours: Sequence[float]
    floor: Sequence[float]

    @property
    def ours_median(self) -> float:
        """Median seconds of what is measured."""
        return statistics.median(self.ours)

    @property
    def floor_median(self) -> float:
        """Median seconds of the floor."""
        return statistics.median(self.floor)

    @property
    def slowdown(self) -> float:
        """Median over the pairs of ours / floor."""
        return statistics.median(ours / floor for ours, floor in zip(self.ours, self.floor, strict=True))


def paired(ours: Callable[[], float], floor: Callable[[], float], repetitions: int) -> Pairs:
    """Run both in turn, changing who goes first; each returns its own seconds."""
    mine: list[float] = []
    bare: list[float] = []
    for repetition in range(repetitions):
        for run, seconds in ((ours, mine), (floor, bare))[:: 1 if repetition % 2 else -1]:
            seconds.append(run())
    return Pairs(mine, bare)


@dataclass
class Timer:
    """Seconds of a `timed` block."""

    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Timer]:
    """Measure the block's wall time."""
    timer = Timer()
    started = time.perf_counter()
    yield timer
    timer.seconds = time.perf_counter() - started
