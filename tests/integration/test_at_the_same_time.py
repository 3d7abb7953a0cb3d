"""Content, hydration and reconciliation of overlapping days at the same time: no deadlock, nothing lost."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from resources.embedded_postgres import EmbeddedPostgres
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets.content.process import process_day
from starsearch_assets.reconciliation.process import reconcile_day
from tests.doubles.github import Account, Comment, GitHubDouble, Limits, Repository, github_double
from tests.factories import item, slim
from tests.integration.content import issues, pr, store, track
from tests.integration.github import active, hydrate, issue, opener, pull
from tests.integration.processes import in_threads, until, waiting

ROUNDS = 8
DAYS = (date(2025, 11, 1), date(2025, 11, 2))
REPOSITORIES = [(number, f"octo/r{number}") for number in range(1, 7)]
NUMBERS = range(1, 61)
ROWS = {
    "pull_requests": "SELECT repo_id, number, title, body, state, author_login, created_at, closed_at, files,"
    " last_active_at, gone_at IS NOT NULL FROM pull_requests",
    "issues": "SELECT repo_id, number, title, body, state, author_login, created_at, last_active_at,"
    " gone_at IS NOT NULL FROM issues",
    "comments": "SELECT repo_id, source, comment_id, kind, ref, author_login, body, created_at, deleted FROM comments",
    "activity": "SELECT kind, repo_id, ref, day FROM activity",
    "hydrations": "SELECT kind, repo_id, ref, status, reason, moved_repo_id, moved_ref FROM hydrations",
    "reconciliations": "SELECT day, repositories, items, known, cut, finished_at IS NOT NULL FROM reconciliations",
    "reconciled_repositories": "SELECT * FROM reconciled_repositories",
    "repositories": "SELECT repo_id, name, hidden_as FROM repositories",
    "repository_names": "SELECT repo_id, name FROM repository_names",
    "dirty_months": "SELECT kind, month FROM dirty_months",
}
"""Everything that the days leave, without the times of the runs."""


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What the days have left, in an order that does not depend on who was first."""
    return {name: sorted(database.fetch_all(query), key=repr) for name, query in ROWS.items()}


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """Every item of the events and some more; some deleted, one repository renamed, one not shown."""
    with github_double(limits=Limits(rest_points_a_minute=100_000)) as running:
        for repo_id, name in REPOSITORIES:
            repository = Repository(id=repo_id, owner="octo", name=name.partition("/")[2])
            running.state.add(repository)
            for number in range(1, NUMBERS[-1] + 6):
                make = issue if number % 4 == 0 else pull
                time = datetime(2025, 11, 1 + number % 2, 12, tzinfo=UTC)
                said = [Comment(repo_id * 1000 + number, "Said once", Account("bob"), time)]
                fields = {"created_at": time, "updated_at": time, "comments": said, "deleted": number % 7 == 0}
                repository.add(make(number, f"Item {number} of {name}", **fields))
        running.state.repositories[2].rename("octo", "r2-ng")
        running.state.repositories[3].private = True
        yield running


def told(folder: Path, database: Database) -> None:
    """Slim pull requests and fat issues, each named on both days."""
    events = []
    for place, day in enumerate(DAYS):
        for repository in REPOSITORIES:
            for number in NUMBERS:
                event_id, time = place * 100_000 + repository[0] * 1000 + number, f"{day} {place + 8:02}:30"
                if number % 4 == 0:
                    fat = item(number, f"Item {number} of {repository[1]}")
                    events.append(issues(event_id, time, "labeled", fat, repository=repository))
                else:
                    events.append(pr(event_id, time, "opened", slim(number), repository=repository))
    store(database, events, folder)


def begin_anew(database: Database) -> None:
    """Nothing but the events and the tracked repositories under their first names; each item has its days."""
    database.execute(
        "TRUNCATE pull_requests, issues, comments, activity, hydrations, reconciliations, reconciled_repositories,"
        " repository_names, repositories, dirty_days, dirty_months"
    )
    track(database, *REPOSITORIES)
    for day in DAYS:
        for kind in (PULL_REQUEST, ISSUE):
            process_day(database, kind, day)


def work(database: Database, double: GitHubDouble) -> list[Callable[[], Any]]:
    """All that can be under way for two days."""
    found: list[Callable[[], Any]] = []
    for day in DAYS:
        for kind in (PULL_REQUEST, ISSUE):
            found.append(functools.partial(process_day, database, kind, day))
            found.append(functools.partial(hydrate, database, double, kind, day, github_concurrency=3))
        found.append(functools.partial(reconcile_day, database, day, opener(double, github_concurrency=3), 0.1))
    return found


def settle(database: Database, double: GitHubDouble) -> dict[str, list[tuple[Any, ...]]]:
    """Ask for what was found last, as the sensor does, and return all rows."""
    for day in DAYS:
        for kind in (PULL_REQUEST, ISSUE):
            hydrate(database, double, kind, day)
    return rows(database)


def test_at_the_same_time_or_one_after_the_other(database: Database, double: GitHubDouble, tmp_path: Path) -> None:
    """Ten pieces of work on the same items at the same time, again and again, leave what they leave one by one."""
    told(tmp_path, database)
    begin_anew(database)
    for one in work(database, double):
        one()
    expected = settle(database, double)
    assert {row[3] for row in expected["hydrations"]} == {"found", "deleted"}
    assert len(expected["activity"]) > 2 * len(REPOSITORIES) * len(NUMBERS)
    for _ in range(ROUNDS):
        begin_anew(database)
        in_threads(*work(database, double))
        found = settle(database, double)
        for name, wanted in expected.items():
            assert found[name] == wanted, name


def lock(kind: str, number: int) -> str:
    """A statement that takes an item's row."""
    return f"UPDATE starsearch.{kind} SET labels = labels WHERE number = {number} AND repo_id = 1"


@pytest.mark.parametrize(
    ("work", "held", "wanted"),
    [
        (lambda database, double: hydrate(database, double), lock("pull_requests", 7), lock("pull_requests", 9)),
        (
            lambda database, double: reconcile_day(database, DAYS[0], opener(double), 0.1),
            lock("issues", 12),
            lock("pull_requests", 2),
        ),
        (
            lambda database, double: process_day(database, ISSUE, DAYS[0]),
            "INSERT INTO starsearch.activity VALUES ('issue', 1, '4', '2025-11-01')",
            lock("issues", 12),
        ),
    ],
    ids=["hydration", "reconciliation", "content"],
)
def test_work_that_another_one_waits_for(
    database: Database,
    double: GitHubDouble,
    tmp_path: Path,
    server: EmbeddedPostgres,
    work: Callable[[Database, GitHubDouble], object],
    held: str,
    wanted: str,
) -> None:
    """Each holds what the other wants: the one that PostgreSQL ends is tried again."""
    told(tmp_path, database)
    track(database, *REPOSITORIES)
    active(database, [2, 7, 9], PULL_REQUEST, repo_id=1)
    active(database, [8, 12], ISSUE, repo_id=1)
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(server.url("postgres", database.fetch_value("SELECT current_database()"))) as other,
    ):
        other.execute("SET deadlock_timeout TO '1h'")  # the work is the one that finds the deadlock
        other.execute(held)
        working = pool.submit(work, database, double)
        until(lambda: waiting(database) == 1)
        other.execute(wanted)  # returns when the work has been ended
        other.commit()
        assert working.result() is not None
    assert database.fetch_value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 1
