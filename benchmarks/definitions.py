"""Importing the asset graph in a fresh interpreter, as every Dagster process does."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.report import Report
from resources.settings import Settings

HEAVY = ("torch", "openai", "sentence_transformers")
TARGET_SECONDS = 2.0

_OURS = """
import sys, time
started = time.perf_counter()
from resources.settings import load_settings
from starsearch_assets.definitions import build_definitions
build_definitions(load_settings())
print(time.perf_counter() - started, *(name for name in %r if name in sys.modules))
"""
_FLOOR = """
import time
started = time.perf_counter()
import dagster
print(time.perf_counter() - started)
"""


def run(repetitions: int = 5) -> Report:
    """Seconds of import and build, beside those of importing dagster alone, and the heavy modules that came along."""
    report = Report("definitions: import and build in a fresh interpreter, beside importing dagster alone")
    report.row("", "ours", "floor", "ratio")
    ours: list[float] = []
    floor: list[float] = []
    heavy: set[str] = set()
    for repetition in range(repetitions + 1):
        seconds, *loaded = _fresh_interpreter(_OURS % (HEAVY,))
        heavy.update(loaded)
        bare, *_ = _fresh_interpreter(_FLOOR)
        if repetition:  # the first one may compile bytecode
            ours.append(float(seconds))
            floor.append(float(bare))
    mine, bare_seconds = statistics.median(ours), statistics.median(floor)
    report.row("seconds", f"{mine:.2f}", f"{bare_seconds:.2f}", f"{mine / bare_seconds:.2f}")
    if heavy:
        report.note(f"imported although nothing was computed: {', '.join(sorted(heavy))}")
    report.verdict("heavy modules imported", len(heavy), "<=", 0)
    report.verdict("import and build", mine, "<=", TARGET_SECONDS, "s")
    return report


def environment(home: str) -> dict[str, str]:
    """This process's environment without the developer's own settings, and with `home`."""
    own = {name.upper() for name in Settings.model_fields}
    return {name: value for name, value in os.environ.items() if name.upper() not in own} | {"STARSEARCH_HOME": home}


def _fresh_interpreter(code: str) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="starsearch-bench-") as home:
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(command, env=environment(home), check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.split()
