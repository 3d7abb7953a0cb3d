"""What polling missed is reconciled, and what it does is shown: sensor, doctor, status; forgetting."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.polling.state import gap_days
from starsearch_assets.sources import SourceStatus, source_statuses
from starsearch_assets.status import read_status
from tests.doubles.github import GitHubDouble
from tests.integration.polling import due, follow, happen, once
from tests.integration.sensors import Looks

ROCKET, OTHER = (1001, "acme/rocket"), (2002, "else/where")
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def gap(database: Database, since: datetime, until: datetime, repo_id: int = 1001) -> None:
    """As if polling had noted it."""
    database.execute(
        "INSERT INTO service.polling_gaps (feed, repo_id, since, until) VALUES (%s, %s, %s, %s)",
        [f"repositories/{repo_id}", repo_id, since, until],
    )


def reconciled(database: Database, day: date, at: datetime) -> None:
    """As if the day's reconciliation had been finished at some time."""
    database.execute(
        "INSERT INTO reconciliations (day, finished_at) VALUES (%s, %s) ON CONFLICT (day) DO UPDATE"
        " SET finished_at = excluded.finished_at",
        [day, at],
    )


def days(database: Database) -> list[str]:
    """Days that have to be reconciled for a gap."""
    return [day for day, _ in gap_days(database, datetime.now(UTC))]


def test_a_gap_is_open_until_each_of_its_days_is_reconciled(database: Database) -> None:
    """After the gap was noted; a day that is not over waits; a reconciliation from before does not count."""
    start = TODAY - timedelta(days=2)
    reconciled(database, start.date(), datetime.now(UTC) - timedelta(hours=1))
    gap(database, start + timedelta(hours=23), TODAY)
    yesterday = TODAY - timedelta(days=1)
    assert days(database) == [f"{yesterday.date()}", f"{start.date()}"]
    reconciled(database, start.date(), datetime.now(UTC) + timedelta(seconds=1))
    assert days(database) == [f"{yesterday.date()}"]
    reconciled(database, yesterday.date(), datetime.now(UTC) + timedelta(seconds=1))
    assert days(database) == []
    assert database.fetch_value("SELECT count(*) FROM service.open_gap_days") == 1  # today


def test_the_sensor_requests_the_reconciliation_of_a_gap_once(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each day of it that is a partition and over, newest first; once more for a newer gap."""
    assert settings.database_url is not None
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    configured = settings.model_copy(update={"starsearch_start": (TODAY - timedelta(days=3)).date()})
    with dg.instance_for_test() as instance:
        looks = Looks(configured, instance, "polling_gaps_sensor")
        assert next(looks) == []
        gap(database, TODAY - timedelta(days=9), TODAY)
        wanted = [f"{(TODAY - timedelta(days=n)).date()}" for n in (1, 2, 3)]
        assert [one.partition_key for one in next(looks)] == wanted
        assert next(looks) == []
        gap(database, TODAY - timedelta(days=2), TODAY - timedelta(days=2))
        assert [one.partition_key for one in next(looks)] == wanted[1:2]
        assert next(looks) == []


def events_api(database: Database, now: datetime | None = None) -> SourceStatus | None:
    """The source's line."""
    return next((one for one in source_statuses(database, now) if one.name == "events api"), None)


def test_what_polling_does_is_shown(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """Nothing where nobody polls; then the last poll, feeds that are late, failing or absent, and open gaps."""
    assert events_api(database) is None
    assert "feeds" not in read_status(database)
    follow(database, double, ROCKET, OTHER)
    happen(double, 1, 3)
    double.state.repositories[2002].deleted = True
    once(settings, double)
    status = events_api(database)
    assert status is not None
    assert status.last_success is not None
    assert status.missing == "1 feeds that GitHub does not have"
    shown = read_status(database)
    assert shown["feeds"] == {"all": 2, "behind": 0, "failing": 0, "absent": 1}
    assert (shown["gaps"], shown["last poll"][:10]) == (0, f"{datetime.now(UTC):%Y-%m-%d}")
    since = datetime(2025, 11, 1, 12, tzinfo=UTC)
    gap(database, since, since)
    later = events_api(database, datetime.now(UTC) + timedelta(days=9))
    assert later is not None
    assert later.missing == (
        "1 of 2 feeds behind their plan; 1 feeds that GitHub does not have;"
        " 1 gaps to be reconciled (repositories/1001 2025-11-01 12:00)"
    )


def test_forgetting_takes_feed_and_gaps(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """Those of the repository, and its bodies in the inbox; the next poll asks for the others only."""
    follow(database, double, ROCKET, OTHER)
    happen(double, 1, 3)
    happen(double, 1, 3, OTHER)
    once(settings, double)
    gap(database, TODAY, TODAY)
    gap(database, TODAY, TODAY, 2002)
    forget_repository(database, 1001, "private")
    assert database.fetch_all("SELECT feed FROM service.polling_feeds") == [("repositories/2002",)]
    assert database.fetch_all("SELECT repo_id FROM service.polling_gaps") == [(2002,)]
    assert database.fetch_all("SELECT DISTINCT repo_id FROM service.inbox") == [(2002,)]
    due(database)
    assert set(once(settings, double)[1]) == {"repositories/2002"}
