"""`tracking.add` of many resolved repositories, against COPY of the rows that it leaves into the same tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks.hours import HOUR, source, write_hour
from benchmarks.report import Report, paired, timed
from benchmarks.server import temporary_database
from resources.github_items import RepositoryState
from resources.postgres import Database
from starsearch_assets.content.tracking import Resolved, add
from starsearch_assets.events.load import load_hour

TARGET = 0.25
_EVENTS = 200_000
_FIRST_ID = 10_000_000  # of the repositories of the generated events
_TABLES = ("repositories", "repository_names")


def measure(report: Report, repositories: int, repetitions: int) -> None:
    """The ratio, in a database that holds events of most of the repositories and of many others."""
    states = [RepositoryState(_FIRST_ID + number, f"octo/repository-{number}", False) for number in range(repositories)]
    names = [state.full_name for state in states]
    resolved = Resolved(dict(zip(names, states, strict=True)))
    with temporary_database() as (database, home):
        write_hour(home / "hours", _EVENTS)
        with source(home / "hours").fetch(HOUR) as file:
            load_hour(database, file)
        database.execute("ANALYZE events")
        for table in _TABLES:
            database.execute(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)")

        def ours() -> float:
            database.execute(f"TRUNCATE {', '.join(_TABLES)}, dirty_days")
            with timed() as timer:
                tracked = add(database, names, resolved)
            assert len(tracked.found) == repositories
            assert database.fetch_value("SELECT count(*) FROM repositories") == repositories
            assert database.fetch_value("SELECT count(*) FROM dirty_days") > 0
            return timer.seconds

        floor = _floor(database, states)
        pairs = paired(ours, floor, repetitions)
    report.row("tracking", "ours", "COPY", "ratio")
    report.row(
        f"{repositories:,} repositories, among {_EVENTS:,} events",
        f"{pairs.ours_median:.2f} s",
        f"{pairs.floor_median:.2f} s",
        f"{1 / pairs.slowdown:.2f}",
    )
    report.verdict("repositories tracked/s over COPY's", 1 / pairs.slowdown, ">=", TARGET)


def _floor(database: Database, states: list[RepositoryState]) -> Callable[[], float]:
    now = datetime.now(UTC).isoformat()
    tracked = "".join(f"{state.repo_id}\t{state.full_name}\t{now}\n" for state in states).encode()
    named = "".join(f"{state.repo_id}\t{state.full_name}\t{now}\t{now}\n" for state in states).encode()

    def floor() -> float:
        database.execute("TRUNCATE floor_repositories, floor_repository_names")
        with timed() as timer, database.transaction() as connection:
            cursor = connection.cursor()
            with cursor.copy("COPY floor_repositories (repo_id, name, seen_at) FROM STDIN") as copy:
                copy.write(tracked)
            with cursor.copy("COPY floor_repository_names FROM STDIN") as copy:
                copy.write(named)
        return timer.seconds

    return floor
