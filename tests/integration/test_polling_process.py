"""`starsearch poll` as a process: killed at any moment, taken over, stopped, told of new repositories."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psycopg
import pytest

from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.content.tracking import add
from tests.doubles.github import GitHubDouble, Repository, github_double
from tests.factories import Object, event
from tests.integration.commands import ROOT, command, environment, starsearch
from tests.integration.content import track
from tests.integration.polling import NOW, UNLIMITED, follow, gaps, happen, key, keys
from tests.integration.processes import DEADLINE, until

ROCKET, OTHER = (1001, "acme/rocket"), (2002, "else/where")
KILLS = 12


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """Polls may come as often as they like."""
    with github_double(limits=UNLIMITED) as running:
        running.feeds.poll_interval = 0
        yield running


@pytest.fixture
def variables(settings: Settings, double: GitHubDouble) -> dict[str, str]:
    """The environment of a poller."""
    urls = {name: getattr(settings, name) for name in ("database_url", "service_database_url")}
    secrets = {name.upper(): url.get_secret_value() for name, url in urls.items()}
    return {**secrets, "GITHUB_TOKEN": double.token, "GITHUB_API_URL": double.url}


class Poller:
    """A running `starsearch poll`; its log is in a file."""

    def __init__(self, folder: Path, variables: dict[str, str], lease_seconds: float = 1) -> None:
        self.path = folder / f"poll-{time.monotonic_ns()}.log"
        with self.path.open("wb") as log:
            self.process = subprocess.Popen(
                command(folder, "poll", "--lease-seconds", str(lease_seconds)),
                cwd=ROOT, env=environment(folder / "home", **variables), stdout=log, stderr=log,
            )  # fmt: skip

    @property
    def log(self) -> str:
        return self.path.read_text()

    def until_it_says(self, words: str) -> None:
        until(lambda: words in self.log or self.process.poll() is not None)
        assert words in self.log

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


@contextmanager
def poller(folder: Path, variables: dict[str, str], lease_seconds: float = 1) -> Iterator[Poller]:
    running = Poller(folder, variables, lease_seconds)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


class Happening:
    """Events that go on happening in several repositories, from a thread."""

    def __init__(self, double: GitHubDouble, repositories: list[tuple[int, str]], seconds: float = 0.02) -> None:
        self.events: list[Object] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(double, repositories, seconds))

    def _run(self, double: GitHubDouble, repositories: list[tuple[int, str]], seconds: float) -> None:
        order = random.Random(0)
        while not self._stop.wait(seconds):
            number = order.getrandbits(40)  # ids in no order
            one = event(number, "WatchEvent", f"{NOW:%Y-%m-%d %H:%M:%S}", {}, repository=order.choice(repositories))
            double.feeds.publish(one)
            self.events.append(one)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def is_storing(database: Database) -> bool:
    """Whether another session of the database is in a transaction that has written."""
    return database.fetch_value(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL"
    )


def test_killed_anywhere_nothing_is_lost_or_repeated(
    database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """Twelve SIGKILLs while events go on happening: each is in the inbox once, and no gap is invented."""
    repositories = [(number, f"octo/r{number}") for number in range(1, 6)]
    follow(database, double, *repositories)
    order = random.Random(0)
    storing = 0
    with Happening(double, repositories) as happening:
        for number in range(KILLS):
            with poller(tmp_path, variables) as running:
                running.until_it_says("lease taken")
                time.sleep(order.random())
                if number % 2:
                    until(lambda: is_storing(database))
                    storing += 1
                assert running.process.poll() is None
    assert storing == KILLS // 2
    with poller(tmp_path, variables):
        until(lambda: len(keys(database)) >= len(happening.events))
    assert keys(database) == sorted(map(key, happening.events))
    assert gaps(database) == []
    assert 304 in double.stats.statuses


def test_the_second_waits_and_takes_over_from_the_dead(
    database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """It says so; after SIGKILL of the first it works as soon as the lease has run out."""
    follow(database, double, ROCKET)
    everything = happen(double, 1, 3)
    with poller(tmp_path, variables) as first:
        until(lambda: len(keys(database)) == 3)
        with poller(tmp_path, variables) as second:
            second.until_it_says("another poller works")
            assert "lease taken" not in second.log
            first.process.kill()
            everything += happen(double, 4, 2)
            second.until_it_says("lease taken")
            until(lambda: len(keys(database)) == 5)
            assert second.stop() == 0
    assert keys(database) == sorted(map(key, everything))


def test_the_second_takes_over_at_once_when_the_first_ends_properly(
    database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """SIGTERM gives the lease back, which would have lasted for an hour."""
    follow(database, double, ROCKET)
    happen(double, 1, 3)
    with poller(tmp_path, variables, 3600) as first:
        until(lambda: len(keys(database)) == 3)
        with poller(tmp_path, variables, 3600) as second:
            second.until_it_says("another poller works")
            assert first.stop() == 0
            second.until_it_says("lease taken")
            assert second.stop() == 0
    assert "Traceback" not in first.log + second.log
    assert double.token not in first.log + second.log


def test_a_poller_that_lost_its_lease_stops_and_waits(
    database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """What happens while another holds it is not stored by this one; it goes on when the other is gone."""
    follow(database, double, ROCKET)
    happen(double, 1, 3)
    with poller(tmp_path, variables) as running:
        until(lambda: len(keys(database)) == 3)
        database.execute("UPDATE service.polling_lease SET holder = 'x', expires_at = now() + interval '1 hour'")
        happen(double, 4, 3)
        running.until_it_says("lease lost")
        running.until_it_says("another poller works")
        assert len(keys(database)) == 3
        database.execute("DELETE FROM service.polling_lease")
        until(lambda: len(keys(database)) == 6)


def test_what_is_tracked_while_it_runs_is_polled_within_seconds(
    database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """A repository and an organization that were added come in; one that was removed is asked for no more."""
    follow(database, double, ROCKET)
    happen(double, 1, 3)
    double.feeds.organizations.add("huge")
    with poller(tmp_path, variables):
        until(lambda: len(keys(database)) == 3)
        follow(database, double, OTHER)
        add(database, ["huge/*"])
        happen(double, 1, 2, OTHER)
        happen(double, 10, 1, (7, "huge/monorepo"))
        until(lambda: len(keys(database)) == 6)
        database.execute("DELETE FROM repositories WHERE repo_id = 1001")
        until(lambda: database.fetch_value("SELECT count(*) FROM service.polling_feeds") == 2)


def test_github_that_is_away_is_waited_for(database: Database, variables: dict[str, str], tmp_path: Path) -> None:
    """Also at the start; the feeds are not blamed for it."""
    track(database, OTHER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    elsewhere = variables | {"GITHUB_API_URL": f"http://127.0.0.1:{port}"}
    with poller(tmp_path, elsewhere, 30) as running:
        time.sleep(2)
        with github_double(port, limits=UNLIMITED) as late:
            late.feeds.poll_interval = 0
            late.state.add(Repository(id=2002, owner="else", name="where"))
            happen(late, 1, 3, OTHER)
            until(lambda: len(keys(database)) == 3)
        running.until_it_says("waiting for GitHub")
        with github_double(port, limits=UNLIMITED) as again:
            again.feeds.poll_interval = 0
            again.state.add(*late.state.repositories.values())
            happen(again, 4, 2, OTHER)
            until(lambda: len(keys(database)) == 5)
    assert database.fetch_value("SELECT max(failures) FROM service.polling_feeds WHERE repo_id = 2002") == 0


def test_a_database_that_is_away_is_waited_for(
    server: EmbeddedPostgres, database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """Its connections break: what was not committed is polled again."""
    follow(database, double, ROCKET)
    happen(double, 1, 3)
    name = database.fetch_value("SELECT current_database()")
    breaks = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        f" WHERE datname = '{name}' AND usename = 'starsearch_service'"
    )
    with poller(tmp_path, variables) as running:
        until(lambda: len(keys(database)) == 3)
        with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as other:
            until(lambda: bool(other.execute(breaks).fetchall()) and "waiting for the database" in running.log)
        happen(double, 4, 2)
        until(lambda: len(keys(database)) == 5)


def test_a_refused_token_ends_it_with_a_message(
    database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """At the start and while it runs; without one it says which setting is missing."""
    follow(database, double, ROCKET)
    wrong = starsearch(tmp_path, "poll", check=False, **variables | {"GITHUB_TOKEN": "wrong-one"})
    assert wrong.returncode == 1
    assert "refuses GITHUB_TOKEN" in wrong.stderr
    assert "wrong-one" not in wrong.stderr
    none = starsearch(tmp_path, "poll", check=False, **variables | {"GITHUB_TOKEN": ""})
    assert none.returncode == 1
    assert "GITHUB_TOKEN is not set" in none.stderr
    with poller(tmp_path, variables) as running:
        running.until_it_says("lease taken")
        double.token = "revoked"
        assert running.process.wait(DEADLINE) == 1
        assert "refuses GITHUB_TOKEN" in running.log
    assert database.fetch_value("SELECT count(*) FROM service.polling_lease") == 0


def test_once_says_what_came(
    database: Database, double: GitHubDouble, variables: dict[str, str], tmp_path: Path
) -> None:
    """A line a feed, and the sum."""
    follow(database, double, ROCKET)
    happen(double, 1, 3)
    output = starsearch(tmp_path, "poll", "--once", **variables).stdout
    assert "repositories/1001: 3 new events on 1 pages" in output
    assert "1 feeds polled, 3 new events" in output
