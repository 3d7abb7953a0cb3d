"""One hour file into `events`, against COPY of the very same rows into an empty table with the same indexes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.hours import HOUR, source, write_hour
from benchmarks.report import REAL_DATA, Report, paired, timed
from benchmarks.server import temporary_database
from resources.gh_archive import GHArchive, HourFile
from resources.postgres import Database
from starsearch_assets.events.load import load_hour
from starsearch_assets.events.parse import BadLine, parse_line
from starsearch_assets.events.storage import event_storage
from starsearch_assets.events.write import COLUMNS

REAL_HOUR = datetime(2016, 1, 1, 1, tzinfo=UTC)
TARGET, REPLAY_TARGET, MEMORY_TARGET = 0.6, 3.0, 300.0
_BLOCK = 256 * 1024


@dataclass(frozen=True)
class _Subject:
    name: str
    archive: GHArchive
    hour: datetime


def run(events: int = 100_000, repetitions: int = 5, memory: bool = True) -> Report:
    """The ratio for a real and for a generated hour, the replay, and the peak memory of two sizes."""
    report = Report("events: an hour file with all indexes, ledger, rejects and dirty days, against bare COPY")
    report.row("", "ours", "floor", "ratio")
    with temporary_database() as (database, home):
        write_hour(home / "hours", events)
        subjects = [_Subject(f"generated slim hour, {events:,} events", source(home / "hours"), HOUR)]
        folder = REAL_DATA / "gharchive" / "2016"
        if folder.is_dir():
            subjects.insert(0, _Subject("real fat hour 2016-01-01-1", GHArchive(str(folder)), REAL_HOUR))
        else:
            report.note(f"skipped: no real hour files in {folder}")
        for subject in subjects:
            with subject.archive.fetch(subject.hour) as file:
                _measure(report, database, subject, file, repetitions)
    if memory:
        _memory(report)
    return report


def _measure(report: Report, database: Database, subject: _Subject, file: HourFile, repetitions: int) -> None:
    lines = list(_copy_lines(file))
    blocks, count = _joined(lines), len(lines)
    storage = event_storage(database)
    storage.prepare([subject.hour.date()])
    replays: list[float] = []

    def ours() -> float:
        database.execute("TRUNCATE events")
        _forget_file(database)
        with timed() as first:
            result = load_hour(database, file)
        assert (result.status, result.inserted) == ("loaded", count)
        _forget_file(database)
        with timed() as replay:
            again = load_hour(database, file)
        stored = database.fetch_value("SELECT count(*) FROM events")
        assert (again.status, again.inserted, stored) == ("loaded", 0, count), "the replay added rows"
        replays.append(first.seconds / replay.seconds)
        return first.seconds

    def floor() -> float:
        return _floor(database, subject.hour, blocks)

    ours(), floor()  # the first run of a server pays for files and caches that no later one pays for
    replays.clear()
    pairs = paired(ours, floor, repetitions)
    report.row(
        subject.name,
        f"{count / pairs.ours_median:,.0f} rows/s",
        f"{count / pairs.floor_median:,.0f} rows/s",
        f"{1 / pairs.slowdown:.2f}",
    )
    report.verdict(f"{subject.name}, rows/s over COPY's", 1 / pairs.slowdown, ">=", TARGET)
    report.verdict("the same hour again, times faster", sorted(replays)[len(replays) // 2], ">=", REPLAY_TARGET)


def _floor(database: Database, hour: datetime, blocks: list[bytes]) -> float:
    """COPY into an empty table of the same structure: partitioned by day, with the same key and index."""
    day = f"{hour:%Y-%m-%d}"
    with database.transaction() as connection:
        connection.execute("DROP TABLE IF EXISTS floor_events")
        connection.execute("CREATE TABLE floor_events (LIKE events INCLUDING ALL) PARTITION BY RANGE (created_at)")
        connection.execute(
            "CREATE TABLE floor_events_day PARTITION OF floor_events"
            f" FOR VALUES FROM ('{day} 00:00+00') TO ('{day} 24:00+00')"
        )
    statement = f"COPY floor_events ({COLUMNS}) FROM STDIN"
    with timed() as timer, database.transaction() as connection, connection.cursor().copy(statement) as copy:
        for block in blocks:
            copy.write(block)
    return timer.seconds


def _forget_file(database: Database) -> None:
    database.execute("DELETE FROM ingest_ledger")
    database.execute("DELETE FROM dirty_days")


def _copy_lines(file: HourFile) -> Iterator[bytes]:
    now = datetime.now(UTC)
    for _, raw in file.lines():
        try:
            yield parse_line(raw, now).copy + b"\t1\n"
        except BadLine:
            continue


def _joined(lines: list[bytes]) -> list[bytes]:
    size = max(1, _BLOCK * len(lines) // max(sum(map(len, lines)), 1))
    return [b"".join(lines[start : start + size]) for start in range(0, len(lines), size)]


_LOADER = """
import sys
from pathlib import Path
from benchmarks.hours import HOUR, source
from resources.postgres import Database
from starsearch_assets.events.load import load_hour
with Database(sys.argv[1]) as database, source(Path(sys.argv[2])).fetch(HOUR) as file:
    load_hour(database, file)
try:  # getrusage's figure starts from that of the process that forked us; this one is ours alone
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))
"""


def _memory(report: Report) -> None:
    """Peak memory of a fresh process that loads a small and a large hour: it must not grow with the file."""
    peaks: dict[int, float] = {}
    for events in (100_000, 600_000):
        with temporary_database() as (database, home):
            write_hour(home / "hours", events)
            command = [sys.executable, "-c", _LOADER, database.url, str(home / "hours")]
            with timed() as timer:
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            peaks[events] = float(done.stdout)
        report.row(f"peak memory, {events:,} events", f"{peaks[events]:.0f} MiB", "", f"{timer.seconds:.1f} s")
    small, large = peaks.values()
    report.verdict("peak memory of 600,000 events", large, "<=", MEMORY_TARGET, "MiB")
    report.verdict("the same over that of 100,000", large / small, "<=", 1.15)
