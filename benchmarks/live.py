"""From what happens at GitHub and in git to an answer that cites it, in a whole running system."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.report import Report
from tests.live import TOPICS, live_system

POLL_INTERVAL = 60.0
"""As GitHub asks of those who poll it."""
TARGET = 120.0
_PHASE = 17.0  # seconds between the end of one news and the next: they meet the poller at other times each


def run(repetitions: int = 4) -> Report:
    """`starsearch up` with the double as GitHub: each time a pull request, an issue and a commit are
    made now, and a release is delivered by webhook.

    The double tells of an event at once; GitHub itself takes 30 seconds to hours, which nobody can shorten.
    """
    report = Report(f"live: seconds from what happens to an answer that cites it, polled every {POLL_INTERVAL:.0f} s")
    report.row("", *TOPICS)
    slowest = 0.0
    with (
        tempfile.TemporaryDirectory(prefix="starsearch-live-") as folder,
        live_system(Path(folder), POLL_INTERVAL) as one,
    ):
        for number in range(1, repetitions + 1):
            seconds = one.until_all_are_cited(one.happen(), deadline=600)
            report.row(f"news {number}", *(f"{seconds.get(kind, float('inf')):.0f} s" for kind in TOPICS))
            slowest = max([slowest, *(seconds.get(kind, float("inf")) for kind in TOPICS)])
            time.sleep(_PHASE)
    report.verdict("slowest", slowest, "<=", TARGET, "s")
    return report
