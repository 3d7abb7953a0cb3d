"""GitHub's API through its double: concurrency in use, limits kept, 40,000 repositories planned and tracked."""

from __future__ import annotations

from benchmarks import hydration, reconciliation, tracking
from benchmarks.report import Report

TRACKED = 40_000


def run(repetitions: int = 3) -> Report:
    """Hydration, the day's plan against what a smaller day took, names resolved, repositories tracked."""
    report = Report("github: hydration, reconciliation and tracking against a double that counts what it is asked")
    hydration.measure(report, repetitions)
    reconciliation.measure(report, TRACKED)
    tracking.measure(report, TRACKED, repetitions)
    return report
