"""`starsearch demo` on the bundled sample, from an empty STARSEARCH_HOME to printed answers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.definitions import environment
from benchmarks.report import Report, timed
from resources.embedded_postgres import EmbeddedPostgres

TARGET_SECONDS = 90.0


def run() -> Report:
    """Wall seconds of one run; there is no floor, the target is a promise to a newcomer."""
    report = Report("demo: the whole path on the bundled sample, in a fresh STARSEARCH_HOME")
    with tempfile.TemporaryDirectory(prefix="starsearch-bench-", ignore_cleanup_errors=True) as home:
        try:
            with timed() as timer:
                done = subprocess.run(
                    [sys.executable, "-m", "starsearch_assets.cli", "demo"],
                    env=environment(home),
                    check=False,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
        finally:
            EmbeddedPostgres(Path(home)).stop()
    for line in done.stdout.splitlines()[-3:]:
        report.note(line)
    report.verdict("exit status of starsearch demo", done.returncode, "<=", 0)
    report.verdict("starsearch demo", timer.seconds, "<=", TARGET_SECONDS, "s")
    return report
