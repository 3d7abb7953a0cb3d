"""Hours that are not there yet: the partition waits, its run succeeds, and it is asked for again in time."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import waiting
from starsearch_assets.partitions import hour_key
from tests.doubles.archive_server import ArchiveServer, archive_server
from tests.factories import event, line
from tests.integration.commands import starsearch
from tests.integration.sensors import Looks
from tests.integration.test_dagster_runs import RANGE_END, RANGE_START, materialized, run

NOW = datetime.now(UTC)
LAST = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
"""The newest complete hour."""
HOURS = [LAST - timedelta(hours=2), LAST - timedelta(hours=1), LAST]
KEYS = [hour_key(hour) for hour in HOURS]


@pytest.fixture
def archive() -> Iterator[ArchiveServer]:
    with archive_server() as archive:
        yield archive


def reading_from(archive: ArchiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the test's database and server; partitions from three days ago on."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    start = (NOW - timedelta(days=3)).date()
    return settings.model_copy(update={"gh_archive_url": archive.url, "starsearch_start": start})


@pytest.fixture
def configured(settings: Settings, archive: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return reading_from(archive, settings, monkeypatch)


def publish(archive: ArchiveServer, hour: datetime, events: int = 1) -> None:
    """Put the hour's file on the server."""
    lines = [line(event(number, "PushEvent", f"{hour:%Y-%m-%d %H}:10", {"push_id": 1})) for number in range(events)]
    archive.files[f"{hour:%Y-%m-%d}-{hour.hour}.json.gz"] = gzip.compress(b"\n".join(lines))


def waits(database: Database) -> list[tuple[str, int]]:
    """(partition, attempts) of what waits, the next one first."""
    return [(one.partition, one.attempts) for one in waiting.listing(database)]


def test_an_hour_that_is_not_there_yet_waits_and_comes_later(configured, database, archive):
    """The run succeeds without a materialization or a ledger row; the file, once there, is loaded and nothing waits."""
    with dg.instance_for_test() as instance:
        for attempts in (1, 2):
            assert run(configured, instance, ["events"], partition_key=KEYS[-1]).success
            assert materialized(instance, "events") == set()
            assert waits(database) == [(KEYS[-1], attempts)]
        (one,) = waiting.listing(database)
        assert "404" in one.reason
        assert database.fetch_value("SELECT count(*) FROM ingest_ledger") == 0
        publish(archive, LAST)
        result = run(configured, instance, ["events"], partition_key=KEYS[-1])
        assert materialized(instance, "events") == {KEYS[-1]}
        (evaluation,) = result.get_asset_check_evaluations()
        assert evaluation.passed
    assert waits(database) == []
    assert database.fetch_value("SELECT status FROM ingest_ledger") == "loaded"


def test_in_a_range_the_hours_that_are_there_are_done(configured, database, archive):
    """Two of three come: both materialize with their own figures and verdicts, the third waits, the run succeeds."""
    publish(archive, HOURS[0], 1)
    publish(archive, HOURS[2], 2)
    with dg.instance_for_test() as instance:
        result = run(configured, instance, ["events"], tags={RANGE_START: KEYS[0], RANGE_END: KEYS[2]})
        assert result.success
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey("events")), limit=10
        ).records
        rows = {
            record.partition_key: record.asset_materialization.metadata["dagster/partition_row_count"].value
            for record in records
        }
        assert rows == {KEYS[0]: 1, KEYS[2]: 2}
        verdicts = {
            evaluation.partition: (evaluation.passed, evaluation.target_materialization_data.storage_id)
            for evaluation in result.get_asset_check_evaluations()
        }
        assert verdicts == {record.partition_key: (True, record.storage_id) for record in records}
        publish(archive, HOURS[1], 3)
        assert run(configured, instance, ["events"], tags={RANGE_START: KEYS[0], RANGE_END: KEYS[2]}).success
        assert materialized(instance, "events") == set(KEYS)
    assert waits(database) == []


def test_a_range_with_a_bad_hour_fails_for_that_one_only(configured, database, archive):
    """The failure names the damaged hour, not the one that waits; the good one is materialized."""
    publish(archive, HOURS[0])
    archive.files[f"{HOURS[1]:%Y-%m-%d}-{HOURS[1].hour}.json.gz"] = b"this is not gzip"
    with dg.instance_for_test() as instance:
        result = run(configured, instance, ["events"], tags={RANGE_START: KEYS[0], RANGE_END: KEYS[2]})
        assert not result.success
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        said = failure.step_failure_data.user_failure_data
        assert said.description.startswith("1 of 3 partitions of events failed.")
        assert KEYS[1] in said.description
        assert KEYS[2] not in said.description
        assert said.metadata["waiting partitions"].value == 1
        assert materialized(instance, "events") == {KEYS[0]}
    assert waits(database) == [(KEYS[2], 1)]


def test_an_hour_that_fails_no_longer_waits(configured, database, archive):
    """A file that comes and is damaged is a failed run, not one that is asked for for ever."""
    with dg.instance_for_test() as instance:
        run(configured, instance, ["events"], partition_key=KEYS[2])
        archive.files[f"{LAST:%Y-%m-%d}-{LAST.hour}.json.gz"] = b"this is not gzip"
        assert not run(configured, instance, ["events"], partition_key=KEYS[2]).success
    assert waits(database) == []


def test_a_day_later_an_hour_is_missing(configured, database):
    """It materializes with ledger status `missing`, and nothing waits any more."""
    key = hour_key(LAST - timedelta(hours=24))
    with database.transaction() as connection:
        waiting.postpone(connection, "events", key, None, "404", None)
    with dg.instance_for_test() as instance:
        assert run(configured, instance, ["events"], partition_key=key).success
        assert materialized(instance, "events") == {key}
    assert database.fetch_value("SELECT status FROM ingest_ledger") == "missing"
    assert waits(database) == []


def test_waits_grow_to_two_hours(database):
    """10, 20, 40, 80, 120, 120 minutes; the first time is kept, the reason is the newest."""
    minutes, first = [], None
    for attempt in range(6):
        with database.transaction() as connection:
            until = waiting.postpone(connection, "events", KEYS[0], None, f"reason {attempt}", "run")
        minutes.append(round((until - datetime.now(UTC)) / timedelta(minutes=1)))
        (one,) = waiting.listing(database)
        first = first or one.since
        assert (one.not_before, one.since) == (until, first)
        assert (one.reason, one.attempts) == (f"reason {attempt}", attempt + 1)
    assert minutes == [10, 20, 40, 80, 120, 120]


def test_a_named_time_is_kept(database):
    """A budget that comes back at a known time is asked for then, however often it was tried; due says whose it is."""
    time = NOW + timedelta(hours=5)
    for _ in range(2):
        with database.transaction() as connection:
            assert waiting.postpone(connection, "issues", "2025-03-01", time, "budget", None) == time
    assert waiting.due(database, time - timedelta(seconds=1)) == []
    assert [one.partition for one in waiting.due(database, time)] == ["2025-03-01"]


def test_what_is_finished_is_the_assets_own(database):
    """Only the named partitions of the named asset stop waiting."""
    with database.transaction() as connection:
        for asset, partition in (("events", "a"), ("events", "b"), ("issues", "a")):
            waiting.postpone(connection, asset, partition, None, "reason", None)
        waiting.finished(connection, "events", ["a", "c"])
    assert [one.partition for one in waiting.listing(database, "events")] == ["b"]
    assert [one.partition for one in waiting.listing(database, "issues")] == ["a"]


def postpone_to(database: Database, asset: str, partition: str, time: datetime) -> None:
    with database.transaction() as connection:
        waiting.postpone(connection, asset, partition, time, "reason", None)


def test_the_sensor_requests_each_due_time_once(configured, database):
    """Nothing before its time; then one request; again when it was postponed and is due again; never a stranger."""
    minute = timedelta(minutes=1)
    postpone_to(database, "events", KEYS[0], NOW - minute)
    postpone_to(database, "events", KEYS[1], NOW + timedelta(hours=1))
    postpone_to(database, "events", "2011-02-12-00:00", NOW - minute)
    postpone_to(database, "events", "no hour", NOW - minute)
    postpone_to(database, "nobody's", KEYS[0], NOW - minute)
    with dg.instance_for_test() as instance:
        requested = Looks(configured, instance, "waiting_hours_sensor")
        (first,) = next(requested)
        assert first.partition_key == KEYS[0]
        assert list(first.asset_selection) == [dg.AssetKey("events")]
        assert next(requested) == []
        postpone_to(database, "events", KEYS[0], NOW - minute / 2)
        (second,) = next(requested)
        assert second.partition_key == KEYS[0]
        assert second.run_key != first.run_key
        assert next(requested) == []


def test_a_request_of_which_nothing_came_is_repeated(configured, database, monkeypatch):
    """A killed run leaves its row: after the longest wait, here shortened, it is requested once more."""
    postpone_to(database, "events", KEYS[0], NOW)
    with dg.instance_for_test() as instance:
        requested = Looks(configured, instance, "waiting_hours_sensor")
        (first,) = next(requested)
        assert next(requested) == []
        monkeypatch.setattr(waiting, "LONGEST_WAIT", timedelta(milliseconds=1))
        (again,) = next(requested)
        assert again.partition_key == KEYS[0]
        assert again.run_key != first.run_key


def test_the_sensor_is_bounded_and_leaves_none_out(configured, database):
    """A large backlog is requested over several ticks, longest overdue first."""
    keys = [hour_key(LAST - timedelta(hours=number)) for number in range(45)]
    for number, key in enumerate(keys):
        postpone_to(database, "events", key, NOW - timedelta(minutes=60 - number))
    with dg.instance_for_test() as instance:
        requested = Looks(configured, instance, "waiting_hours_sensor")
        batches = [[request.partition_key for request in next(requested)] for _ in range(4)]
    assert [len(batch) for batch in batches] == [20, 20, 5, 0]
    assert [key for batch in batches for key in batch] == keys


def test_backfill_says_what_is_waited_for(configured, settings, database, archive):
    """Hours that are not there yet are counted and are no failure: exit code 0."""
    first: date = (NOW - timedelta(days=1)).date()
    result = starsearch(
        settings.home,
        *("backfill", "--from", f"{first}", "--to", f"{NOW.date()}"),
        DATABASE_URL=settings.database_url.get_secret_value(),
        GH_ARCHIVE_URL=archive.url,
    )
    count = len(waiting.listing(database, "events"))
    assert count in (22, 23, 24)
    assert f"{count} hours are not there yet" in result.stdout
    assert "asks again from" in result.stdout
