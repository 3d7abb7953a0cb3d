"""Hydration, reconciliation and forgetting, killed with SIGKILL at random moments and completed by the next run."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

import psycopg
import pytest

from resources.embedded_postgres import EmbeddedPostgres
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database, open_database
from resources.settings import Settings
from starsearch_assets.forgetting import forget_hidden
from starsearch_assets.hydration.process import hydrate_day
from starsearch_assets.reconciliation.process import reconcile_day
from tests.doubles.github import Account, Comment, GitHubDouble, Limits, Repository, Review, github_double
from tests.factories import REPOSITORY
from tests.integration.content import track
from tests.integration.github import active, issue, opener, pull
from tests.integration.processes import is_storing, kill, until, waiting
from tests.integration.test_at_the_same_time import rows
from tests.integration.test_fates import OTHER, leftovers, prepare

KILLS = 16
LIMITS = Limits(hourly_points=10**6, hourly_requests=10**6, rest_points_a_minute=10**6)
DAYS = [date(2025, 11, 1) + timedelta(days=number) for number in range(KILLS // 2)]
REPOSITORIES = [(number, f"octo/r{number}") for number in range(1, 9)]
ITEMS_A_DAY = 8
"""Of each kind that the events of a day name, in each repository; one more they missed."""
MADE = ("starsearch.events_all", "starsearch.issue_vectors", "artifacts.issue_one")
"""Tables that `prepare` creates."""


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """Items of every day, some deleted or transferred; a repository renamed, one not shown."""
    with github_double(limits=LIMITS, latency=0.01) as running:
        for repo_id, name in REPOSITORIES:
            repository = Repository(id=repo_id, owner="octo", name=name.partition("/")[2])
            running.state.add(repository)
            for place, day in enumerate(DAYS):
                for number in numbers(place, ITEMS_A_DAY + 1):
                    time = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
                    fields = {"created_at": time, "updated_at": time, "author": Account("ada")}
                    words = [Comment(number * 100 + repo_id, "Said once", Account("bob"), time)]
                    reviews = [Review(number * 100 + repo_id, "Looks right", author=Account("eve"), submitted_at=time)]
                    repository.add(
                        pull(number, deleted=number % 13 == 0, comments=words, reviews=reviews, files=["a"], **fields),
                        issue(number + 1, transferred_to=(1, number + 1) if repo_id == 5 else None, **fields),
                    )
        running.state.repositories[2].rename("octo", "r2-ng")
        running.state.repositories[3].private = True
        yield running


def numbers(place: int, count: int) -> list[int]:
    """The pull requests of a day; each is followed by an issue."""
    return [place * 100 + 2 * number + 1 for number in range(count)]


def prepared(database: Database) -> None:
    """As if slim events of all days had been processed."""
    track(database, *REPOSITORIES)
    for place, day in enumerate(DAYS):
        for repo_id, _ in REPOSITORIES:
            active(database, numbers(place, ITEMS_A_DAY), PULL_REQUEST, day, repo_id)
            active(database, [number + 1 for number in numbers(place, ITEMS_A_DAY)], ISSUE, day, repo_id)


def work(settings: Settings, url: str, token: str, days: list[date]) -> None:
    """Hydrate both kinds of the days and reconcile them, as one run of each does."""
    github = opener(GitHubDouble(token=token), github_api_url=url, github_concurrency=4)
    with open_database(settings) as database:
        for day in days:
            for kind in (PULL_REQUEST, ISSUE):
                hydrate_day(database, kind, day, github)
            reconcile_day(database, day, github, 0.1)


def complete(settings: Settings, double: GitHubDouble) -> None:
    """Run all days, and ask for what the reconciliation found and for what has moved."""
    work(settings, double.url, double.token, DAYS)
    with open_database(settings) as database:
        for day in DAYS:
            for kind in (PULL_REQUEST, ISSUE):
                hydrate_day(database, kind, day, opener(double))


def test_days_killed_anywhere_and_run_again_are_as_if_undisturbed(
    settings: Settings, database: Database, undisturbed: Settings, processes: ForkServerContext, double: GitHubDouble
) -> None:
    """Each of eight days is killed twice, once while it stores; then all are run: the same rows as without kills."""

    def started(place: int) -> BaseProcess:
        asked = double.stats.total_requests
        process = processes.Process(target=work, args=(settings, double.url, double.token, [DAYS[place]]))
        process.start()
        while double.stats.total_requests == asked:  # there its work begins
            assert process.is_alive()
            time.sleep(0.002)
        return process

    with open_database(undisturbed) as other:
        prepared(other)
        began = time.monotonic()
        work(undisturbed, double.url, double.token, DAYS[:1])
        duration = time.monotonic() - began
        complete(undisturbed, double)
        assert double.stats.limit_violations == {}
        expected = rows(other)
    prepared(database)
    order = random.Random(0)
    moments = [(place + order.random()) / KILLS * duration for place in range(KILLS)]
    killed = storing = 0
    for number, moment in enumerate(order.sample(moments, KILLS)):
        process = started(number // 2)
        if number % 2:
            killed += kill(process, moment, lambda: True)
        else:
            storing += kill(process, moment, lambda: is_storing(database))
    assert killed > 0
    assert storing > 0
    complete(settings, double)
    found = rows(database)
    assert {row[3] for row in expected["hydrations"]} == {"found", "deleted", "moved"}
    assert len(expected["pull_requests"]) > len(REPOSITORIES) * len(DAYS) * ITEMS_A_DAY
    for name, wanted in expected.items():
        assert found[name] == wanted, name


def forget(settings: Settings) -> None:
    """What every hydration and reconciliation does at its end."""
    with open_database(settings) as database:
        forget_hidden(database)


def test_a_repository_forgotten_by_a_killed_run_is_forgotten_by_the_next(
    settings: Settings, database: Database, processes: ForkServerContext, server: EmbeddedPostgres
) -> None:
    """Killed anywhere, it is all there or all gone; the next run leaves nothing, also not as dead rows on the disk."""
    order = random.Random(0)
    seen = []
    for number in range(KILLS):
        if number:
            empty(database)
        prepare(database)
        database.execute("UPDATE repositories SET hidden_as = 'private' WHERE repo_id = %s", [REPOSITORY[0]])
        whole, others = leftovers(database, *REPOSITORY), leftovers(database, *OTHER)
        process = processes.Process(target=forget, args=(settings,))
        if number % 2:
            with psycopg.connect(server.url("postgres", database.fetch_value("SELECT current_database()"))) as other:
                other.execute(f"LOCK TABLE {order.choice(sorted(whole))} IN SHARE MODE")
                process.start()
                until(lambda: waiting(database) == 1)
                assert kill(process, 0, lambda: True)  # while it deletes the rows of this table
        else:
            process.start()
            while process.is_alive() and not gone(database):
                pass
            kill(process, order.random() * 0.02, lambda: True)  # while the rows leave the disk
        left = leftovers(database, *REPOSITORY)
        assert left in (whole, {"starsearch.repositories": 1, "starsearch.repository_names": 1}, {})
        seen.append(left)
        forget_hidden(database)
        assert leftovers(database, *REPOSITORY) == {}
        assert leftovers(database, *OTHER) == others
        until(lambda: vacuumed(database))
    assert whole in seen
    assert any(left != whole for left in seen)


def empty(database: Database) -> None:
    """Undo `prepare`."""
    tables = {table for table in leftovers(database, *OTHER) if table not in MADE}
    further = "tombstones, ingest_ledger, summaries, embedding_spaces, index_artifacts, search_releases"
    database.execute(f"DROP TABLE {', '.join(MADE)}")
    database.execute(f"TRUNCATE {', '.join(sorted(tables))}, {further} RESTART IDENTITY CASCADE")


def gone(database: Database) -> bool:
    """Whether the served table has no row of the repository any more."""
    return database.fetch_value("SELECT count(*) FROM artifacts.issue_one WHERE repo_id = %s", [REPOSITORY[0]]) == 0


def vacuumed(database: Database) -> bool:
    """Whether the rows that are gone from the served table have left the disk."""
    return database.fetch_value(
        "SELECT vacuum_count > 0 FROM pg_stat_user_tables WHERE relid = 'artifacts.issue_one'::regclass"
    )
