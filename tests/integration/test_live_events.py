"""Hours of which GitHub's Events API tells before their file comes: from the inbox into `events`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import dagster as dg
import pytest

from resources.inbox import EVENTS_API, Arrival, put
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.definitions import build_definitions
from starsearch_assets.doctor import _inbox
from starsearch_assets.events.inbox import load_inbox_hour
from starsearch_assets.partitions import hour_key
from tests.doubles.archive_server import ArchiveServer, archive_server
from tests.factories import event, item
from tests.integration.sensors import Looks, asked
from tests.integration.test_dagster_runs import materialized, run
from tests.integration.test_waiting import LAST, NOW, publish, reading_from, waits

THIS = LAST + timedelta(hours=1)
LIVE_ONLY = {"ops": {"events": {"config": {"hour_file": False}}}}


@pytest.fixture
def archive() -> Iterator[ArchiveServer]:
    with archive_server() as archive:
        yield archive


@pytest.fixture
def configured(settings: Settings, archive: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return reading_from(archive, settings, monkeypatch)


def opened(number: int, time: datetime = NOW) -> bytes:
    """An event that opens an issue, as the Events API gives it."""
    payload = {"action": "opened", "issue": item(number, f"Issue {number}")}
    return json.dumps(event(number, "IssuesEvent", f"{time:%Y-%m-%d %H:%M:%S}", payload)).encode()


def receive(database: Database, *bodies: bytes, at: datetime | None = None) -> None:
    """Put bodies into the inbox, as if they had come at another hour."""
    with database.transaction() as connection:
        put(connection, [Arrival(EVENTS_API, body) for body in bodies])
        if at is not None:
            connection.execute("UPDATE service.inbox SET received_at = %s", [at])
            connection.execute("UPDATE service.inbox_hours SET hour = %s", [at])


def hour_of_arrival(database: Database) -> datetime:
    hour: datetime = database.fetch_value("SELECT hour FROM service.inbox_hours")
    return hour


def test_what_came_becomes_events_and_dirty_days(database):
    """Each event once, bad ones rejected and counted, days dirty, the hour no longer asked for."""
    receive(database, opened(1), opened(2), b'{"id": 5}', b"not JSON \xff\x00")
    hour = hour_of_arrival(database)
    result = load_inbox_hour(database, hour)
    assert (result.status, result.events, result.inserted, result.rejected) == ("loaded", 2, 2, 2)
    assert database.fetch_all("SELECT event_id FROM events ORDER BY 1") == [(1,), (2,)]
    assert database.fetch_all("SELECT kind FROM dirty_days ORDER BY 1") == [("issue",), ("pull_request",)]
    rejected = {bytes(raw) for (raw,) in database.fetch_all("SELECT raw FROM rejected_events")}
    assert rejected == {b'{"id": 5}', b"not JSON \xff\x00"}
    assert database.fetch_all("SELECT * FROM service.inbox_hours") == []
    assert database.fetch_value("SELECT source FROM ingest_ledger") == "events_api"
    assert load_inbox_hour(database, hour).status == "unchanged"


def test_what_arrives_later_in_the_hour_is_added(database):
    """The hour grows; the ledger's row has the figures of all of it, and nothing is stored twice."""
    receive(database, opened(1), b"bad")
    hour = hour_of_arrival(database)
    load_inbox_hour(database, hour)
    receive(database, opened(2), opened(1) + b" ")
    result = load_inbox_hour(database, hour)
    assert (result.events, result.inserted, result.rejected) == (3, 1, 1)
    assert database.fetch_all("SELECT events, inserted, rejected FROM ingest_ledger") == [(3, 2, 1)]


def test_what_arrives_while_the_hour_is_read_brings_it_back(database):
    """Only the version that was read is cleared."""
    receive(database, opened(1))
    hour = hour_of_arrival(database)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as connection:  # the load has to wait for the ledger's row
            connection.execute(
                "INSERT INTO ingest_ledger (url, hour, status) VALUES (%s, %s, 'failed')",
                [f"inbox://events_api/{hour:%Y-%m-%d-%H}", hour],
            )
            loading = pool.submit(load_inbox_hour, database, hour)
            while not database.fetch_value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                time.sleep(0.01)
            receive(database, opened(2))
        loading.result()
    assert database.fetch_value("SELECT count(*) FROM service.inbox_hours") == 1
    load_inbox_hour(database, hour)
    assert database.fetch_all("SELECT event_id FROM events ORDER BY 1") == [(1,), (2,)]
    assert database.fetch_value("SELECT count(*) FROM service.inbox_hours") == 0


def test_events_known_from_an_hour_file_are_not_stored_twice(configured, database, archive):
    """The API's copy first, then the file with the same and further events: one row a key, both in the metadata."""
    publish(archive, LAST, 3)
    lines = [
        json.dumps(event(number, "PushEvent", f"{LAST:%Y-%m-%d %H}:10", {"push_id": 1})).encode() for number in range(2)
    ]
    receive(database, *lines, at=LAST)
    key = hour_key(LAST)
    with dg.instance_for_test() as instance:
        assert run(configured, instance, ["events"], partition_key=key).success
        record = instance.get_latest_materialization_event(dg.AssetKey("events")).asset_materialization
    assert record.metadata["dagster/partition_row_count"].value == 3
    assert record.metadata["inserted from the Events API"].value == 2
    assert record.metadata["inserted"].value == 1
    assert database.fetch_value("SELECT count(*) FROM events") == 3


def test_the_hour_that_is_not_over_is_live_and_asks_for_no_file(configured, database, archive):
    """Its events are there at once; the file is asked for only after the hour."""
    receive(database, opened(1))
    key = hour_key(hour_of_arrival(database))
    with dg.instance_for_test() as instance:
        result = run(configured, instance, ["events"], partition_key=key)
        assert result.success
        assert materialized(instance, "events") == {key}
        (evaluation,) = result.get_asset_check_evaluations()
        assert evaluation.passed
        record = instance.get_latest_materialization_event(dg.AssetKey("events")).asset_materialization
    assert record.metadata["status"].value == "live"
    assert archive.requests == []
    assert waits(database) == [(key, 1)]


def test_a_file_that_is_awaited_comes_after_the_live_events(configured, database, archive):
    """Live first, and the partition waits for its file; the verdict is then the file's, and stays so."""
    receive(database, opened(1, LAST), at=LAST)
    key = hour_key(LAST)
    with dg.instance_for_test() as instance:
        assert run(configured, instance, ["events"], partition_key=key).success
        assert waits(database) == [(key, 1)]
        publish(archive, LAST, 2)
        assert run(configured, instance, ["events"], partition_key=key).success
        assert waits(database) == []
        receive(database, opened(2, LAST))
        database.execute("UPDATE service.inbox SET received_at = %s", [LAST])
        result = run(configured, instance, ["events"], partition_key=key, live_only=True)
        (evaluation,) = result.get_asset_check_evaluations()
        assert evaluation.metadata["status"].value == "loaded"
    assert database.fetch_value("SELECT count(*) FROM events") == 4


def test_nothing_is_materialized_where_nothing_came(configured, database):
    """An hour without arrivals and without a file stays as it is, and the run succeeds."""
    with dg.instance_for_test() as instance:
        assert run(configured, instance, ["events"], partition_key=hour_key(LAST), live_only=True).success
        assert materialized(instance, "events") == set()
    assert waits(database) == []


def test_the_sensor_requests_arrivals_once_and_one_run_at_a_time(configured, database):
    """A version is requested once; while its run is unfinished nothing more is; then what came meanwhile."""
    with dg.instance_for_test() as instance:
        looks = Looks(configured, instance, "inbox_sensor")
        assert next(looks) == []
        receive(database, opened(1))
        key = hour_key(hour_of_arrival(database))
        requests = next(looks)
        assert asked(requests) == [(key, {"events"})]
        assert requests[0].run_config == LIVE_ONLY
        assert next(looks) == []

        receive(database, opened(2))
        tags = {"dagster/sensor_name": "inbox_sensor", "dagster/partition": key}
        job = build_definitions(configured).resolve_implicit_global_asset_job_def()
        unfinished = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        before = looks.cursor
        assert (next(looks), looks.cursor) == ([], before)
        instance.report_run_failed(unfinished)
        late = next(looks)
        assert [one.partition_key for one in late] == [key]
        assert late[0].run_key != requests[0].run_key

        assert run(configured, instance, ["events"], partition_key=key, live_only=True).success
        assert (next(looks), looks.cursor) == ([], "{}")


def test_arrivals_outside_the_partitions_are_left(configured, database):
    """An hour that is no partition is not requested, and what came in it stays for when it is one."""
    closed = configured.model_copy(update={"starsearch_end": (NOW - timedelta(days=2)).date()})
    receive(database, opened(1))
    with dg.instance_for_test() as instance:
        assert next(Looks(closed, instance, "inbox_sensor")) == []
    assert database.fetch_value("SELECT count(*) FROM service.inbox_hours") == 1
    (found,) = _inbox(database, closed)
    assert (found.level, "Unset STARSEARCH_END" in found.message) == ("bad", True)
    (found,) = _inbox(database, configured)
    assert found.level == "warn"


def test_the_schedule_asks_for_the_last_complete_hour(configured):
    """At twenty past, the hour before: the running one is a partition too, but has no file."""
    schedule = next(one for one in build_definitions(configured).schedules if one.name == "hourly_events")
    with dg.build_schedule_context(scheduled_execution_time=THIS + timedelta(minutes=20)) as context:
        request = schedule(context)
    assert request.partition_key == hour_key(LAST)
