"""A day's contributions, by person and by repository, against one sequential scan that reads the day's events."""

from __future__ import annotations

import statistics
from datetime import timedelta

from benchmarks.hours import HOUR, source, write_hour
from benchmarks.report import Report, paired, timed
from benchmarks.server import temporary_database
from resources.kinds import ISSUE, PULL_REQUEST
from starsearch_assets.content.process import process_day
from starsearch_assets.events.load import load_hour
from starsearch_assets.insights.process import count_people, count_repositories

TARGET = 1.5
HOURS = 4
TRACKED = 20
"""One repository of so many is tracked: a day of GitHub has about a million, of which 40,000 are."""

_SCAN = (
    "SELECT type, payload ->> 'action', count(*) FROM events WHERE created_at >= %s AND created_at < %s GROUP BY 1, 2"
)


def run(events: int = 100_000, repetitions: int = 5) -> Report:
    """Seconds of each counting, audit included, over those of a scan that groups the day's events by type and action.

    The pull requests and issues of the tracked repositories are stored.
    """
    report = Report(f"contributions: a day of {HOURS * events:,} events by person and by repository, against a scan")
    with temporary_database() as (database, home):
        for number in range(HOURS):
            write_hour(home / "hours", events, hour=HOUR + timedelta(hours=number), seed=number)
            with source(home / "hours").fetch(HOUR + timedelta(hours=number)) as file:
                load_hour(database, file)
        database.execute(
            "INSERT INTO repositories (repo_id, name)"
            " SELECT DISTINCT ON (repo_id) repo_id, repo_name FROM events WHERE repo_id %% %s = 0 ORDER BY repo_id",
            [TRACKED],
        )
        day = HOUR.date()
        for kind in (PULL_REQUEST, ISSUE):
            process_day(database, kind, day)
        database.execute("ANALYZE")
        parts: dict[str, list[float]] = {"contributor_days": [], "repository_days": []}
        rows: dict[str, int] = {}

        def ours() -> float:
            for name, count in (("contributor_days", count_people), ("repository_days", count_repositories)):
                with timed() as timer:
                    rows[name] = count(database, day).rows
                parts[name].append(timer.seconds)
            return sum(seconds[-1] for seconds in parts.values())

        def floor() -> float:
            with timed() as timer:
                database.fetch_all(_SCAN, [day, day + timedelta(days=1)])
            return timer.seconds

        with timed() as first:
            ours()
        floor()
        pairs = paired(ours, floor, repetitions)
    report.row("", "ours", "floor", "ratio")
    for name, seconds in parts.items():
        median = statistics.median(seconds[1:])
        report.row(f"{name}, {rows[name]:,} rows", f"{median:.2f} s", "", f"{median / pairs.floor_median:.2f}")
    report.note(f"the first time {first.seconds:.1f} s")
    report.row("both, the same day again", f"{pairs.ours_median:.2f} s", f"{pairs.floor_median:.2f} s",
               f"{pairs.slowdown:.2f}")  # fmt: skip
    for name, seconds in parts.items():
        ratio = statistics.median(seconds[1:]) / pairs.floor_median
        report.verdict(f"{name}: seconds over a scan's", ratio, "<=", TARGET)
    return report
