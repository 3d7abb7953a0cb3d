"""What ends polling or holds it back: intervals, tokens, the lease, and the hour's requests."""

from __future__ import annotations

import pytest

from resources.errors import GitHubExhausted, GitHubRefused
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.polling.process import PollerAtWork
from tests.doubles.github import GitHubDouble, replies
from tests.integration.polling import FEED, ROCKET, due, feeds, follow, happen, key, keys, once, polls


def test_x_poll_interval_is_obeyed_also_by_the_next_process(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """Within the time that GitHub asked for, nothing is due; also a 304 may change it."""
    follow(database, double, ROCKET)
    happen(double, 1, 3)
    double.feeds.poll_interval = 120
    once(settings, double)
    assert once(settings, double)[1] == {}
    assert polls(double) == 1
    due(database)
    double.feeds.poll_interval = 300
    assert once(settings, double)[1] == {FEED: "unchanged"}
    asked = "SELECT poll_interval FROM service.polling_feeds WHERE next_at >= polled_at + interval '300 s'"
    assert database.fetch_all(asked) == [(300.0,)]


def test_a_wrong_token_ends_the_work(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """With a message that says what to do, and without the token."""
    follow(database, double, ROCKET)
    with pytest.raises(GitHubRefused, match="set another") as refused:
        once(settings, double, github_token=type(settings.database_url)("wrong-one"))
    assert "wrong-one" not in str(refused.value)


def test_two_at_a_time_is_refused(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """`--once` does not wait for a poller that may work for ever."""
    follow(database, double, ROCKET)
    database.execute(
        "INSERT INTO service.polling_lease VALUES ('poller', 'host:1', now(), now() + interval '1 minute')"
    )
    with pytest.raises(PollerAtWork, match="host:1 is polling already"):
        once(settings, double)
    assert polls(double) == 0


def test_the_reserve_is_left_to_others(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """Of 40 requests an hour a half is reserved: after 20 the work ends and says until when; what came is kept."""
    follow(database, double, *((number, f"octo/r{number}") for number in range(1, 31)))
    double.limits.hourly_requests = 40
    for number in range(1, 31):
        happen(double, number, 1, (number, f"octo/r{number}"))
    with pytest.raises(GitHubExhausted, match="hourly budget"):
        once(settings, double, github_reserve=0.5, github_concurrency=4)
    assert double.limiter.core.used <= 20
    assert 15 <= len(keys(database)) <= 20
    assert double.stats.limit_violations == {}
    assert max(row[0] for row in feeds(database).values()) == 0


def test_what_is_in_flight_when_the_reserve_is_reached_is_kept(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """Its answer comes after the work ended: it is stored, and counts as no failure of its feed."""
    follow(database, double, *((number, f"octo/r{number}") for number in range(1, 31)))
    double.limits.hourly_requests = 40
    events = {number: happen(double, number, 1, (number, f"octo/r{number}")) for number in range(1, 31)}
    double.misbehave("/repositories/1/", replies.hang(1.5))
    with pytest.raises(GitHubExhausted):
        once(settings, double, github_reserve=0.5, github_concurrency=4)
    assert max(failures for failures, *_ in feeds(database).values()) == 0
    assert {key(one) for one in events[1]} <= set(keys(database))
