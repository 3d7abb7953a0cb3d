"""Runs of the real assets on a real Dagster instance over a real database: single, range, failing, checked."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from resources.settings import Settings
from starsearch_assets.definitions import build_definitions
from tests.factories import at, event, item, write_hour
from tests.integration.sensors import Looks

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three hours of 2025-10-06, the middle one damaged."""
    folder = tmp_path / "hours"
    folder.mkdir()
    for hour in (3, 5):
        issues = [
            event(
                hour * 10 + n,
                "IssuesEvent",
                f"2025-10-06 {hour:02}:0{n}",
                {"action": "opened", "issue": item(hour * 10 + n, f"Issue {n}")},
            )
            for n in range(3)
        ]
        write_hour(folder, at(f"2025-10-06 {hour:02}:00"), issues)
    (folder / "2025-10-06-4.json.gz").write_bytes(b"this is not gzip")
    return folder


@pytest.fixture
def configured(settings: Settings, source: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the test's database, as environment variables too, because resources read secrets there."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TOOLS_DATABASE_URL", settings.tools_database_url.get_secret_value())
    return settings.model_copy(
        update={
            "gh_archive_url": str(source),
            "starsearch_start": date.fromisoformat("2025-10-06"),
            "starsearch_end": date.fromisoformat("2025-10-08"),
        }
    )


def run(
    settings: Settings, instance: dg.DagsterInstance, assets: list[str], *, live_only: bool = False, ops=None, **options
) -> dg.ExecuteInProcessResult:
    """Materialize assets with their checks. live_only: read no hour file, as when the inbox sensor asks. ops: their
    config, by name."""
    ops = {"events": {"config": {"hour_file": False}}} if live_only else ops
    definitions = build_definitions(settings)
    checks = [
        check
        for check in definitions.asset_checks or []
        if all(key.asset_key.to_user_string() in assets for key in check.check_keys)
    ]
    return dg.materialize(
        [*(definitions.assets or []), *checks],
        selection=dg.AssetSelection.assets(*assets),
        instance=instance,
        resources=definitions.resources,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **({"ops": ops} if ops else {})},
        raise_on_error=False,
        **options,
    )


def materialized(instance: dg.DagsterInstance, asset: str) -> set[str]:
    return instance.get_materialized_partitions(dg.AssetKey(asset))


def test_a_range_run_finishes_its_good_hours_and_names_the_bad_one(configured, database):
    """The damaged hour fails with its file and the reason; its neighbours are stored and materialized."""
    with dg.instance_for_test() as instance:
        tags = {RANGE_START: "2025-10-06-03:00", RANGE_END: "2025-10-06-05:00"}
        result = run(configured, instance, ["events"], tags=tags)
        assert not result.success
        failure = next(event for event in result.all_events if event.is_step_failure)
        description = failure.step_failure_data.user_failure_data.description
        assert "2025-10-06-04:00" in description
        assert "2025-10-06-4.json.gz" in description
        assert materialized(instance, "events") == {"2025-10-06-03:00", "2025-10-06-05:00"}
    assert database.fetch_value("SELECT count(*) FROM events") == 6
    assert database.fetch_value("SELECT count(*) FROM ingest_ledger WHERE status = 'failed'") == 1


def test_a_bad_hour_alone_fails_its_own_run(configured, database):
    """One partition, one failure, nothing stored; the whole file later completes it."""
    with dg.instance_for_test() as instance:
        result = run(configured, instance, ["events"], partition_key="2025-10-06-04:00")
        assert not result.success
        assert materialized(instance, "events") == set()
        folder = Path(configured.gh_archive_url)
        shutil.copy(folder / "2025-10-06-3.json.gz", folder / "2025-10-06-4.json.gz")
        assert run(configured, instance, ["events"], partition_key="2025-10-06-04:00").success
        assert materialized(instance, "events") == {"2025-10-06-04:00"}
    assert database.fetch_value("SELECT status FROM ingest_ledger") == "loaded"


def test_an_old_hour_without_a_file_is_missing_and_its_check_says_so(configured, database):
    """Nothing waits for ever: the hour materializes as missing, and the check fails."""
    with dg.instance_for_test() as instance:
        result = run(configured, instance, ["events"], partition_key="2025-10-06-09:00")
        assert result.success
        assert materialized(instance, "events") == {"2025-10-06-09:00"}
        (evaluation,) = result.get_asset_check_evaluations()
        assert not evaluation.passed
    assert database.fetch_value("SELECT status FROM ingest_ledger") == "missing"


def test_range_runs_report_a_check_result_for_every_partition(configured):
    """The canary of dagster upgrades: each partition of a range run has its own verdict, tied to its own
    materialization, and none is left without."""
    shutil.copy(
        Path(configured.gh_archive_url) / "2025-10-06-3.json.gz",
        Path(configured.gh_archive_url) / "2025-10-06-4.json.gz",
    )
    with dg.instance_for_test() as instance:
        # 06:00 has no file: its partition is missing, so that one verdict of the range differs.
        tags = {RANGE_START: "2025-10-06-03:00", RANGE_END: "2025-10-06-06:00"}
        assert run(configured, instance, ["events"], tags=tags).success
        key = dg.AssetCheckKey(dg.AssetKey("events"), "hour_is_complete")
        records = instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
        by_partition: dict[str | None, list[tuple[str, int | None]]] = defaultdict(list)
        for record in records:
            evaluation = record.event.dagster_event.event_specific_data if record.event else None
            target = evaluation.target_materialization_data if evaluation else None
            by_partition[record.partition].append((record.status.value, target.storage_id if target else None))
        verdicts = {partition: found[0][0] for partition, found in by_partition.items() if partition is not None}
        assert verdicts == {
            "2025-10-06-03:00": "SUCCEEDED",
            "2025-10-06-04:00": "SUCCEEDED",
            "2025-10-06-05:00": "SUCCEEDED",
            "2025-10-06-06:00": "FAILED",
        }
        storage_ids = [found[0][1] for partition, found in by_partition.items() if partition is not None]
        assert len(set(storage_ids)) == 4
        assert None not in storage_ids


def test_partition_metadata_is_of_the_partition(configured):
    """Row counts in a range run are each partition's own."""
    with dg.instance_for_test() as instance:
        run(configured, instance, ["events"], tags={RANGE_START: "2025-10-06-05:00", RANGE_END: "2025-10-06-06:00"})
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey("events")), limit=10
        ).records
        rows = {
            record.partition_key: record.asset_materialization.metadata["dagster/partition_row_count"].value
            for record in records
        }
        assert rows == {"2025-10-06-05:00": 3, "2025-10-06-06:00": 0}


def test_a_replayed_hour_adds_nothing(configured, database):
    """Materializing an hour twice leaves the same rows, and the second time says `unchanged`."""
    with dg.instance_for_test() as instance:
        for _ in range(2):
            assert run(configured, instance, ["events"], partition_key="2025-10-06-03:00").success
        record = instance.get_latest_materialization_event(dg.AssetKey("events"))
        assert record.asset_materialization.metadata["status"].value == "unchanged"
    assert database.fetch_value("SELECT count(*) FROM events") == 3


def test_the_dirty_days_sensor_requests_each_version_once_and_a_late_file_again(configured, database):
    """A day is requested when its events change, not again while nothing changes, and again when a late file comes."""
    with dg.instance_for_test() as instance:
        run(configured, instance, ["events"], partition_key="2025-10-06-03:00")
        looks = Looks(configured, instance, "dirty_days_sensor")
        requests = next(looks)
        assert [request.partition_key for request in requests] == ["2025-10-06"]
        assert {key.to_user_string() for key in requests[0].asset_selection} >= {"issues", "issue_embeddings"}
        assert next(looks) == []
        run(configured, instance, ["events"], partition_key="2025-10-06-05:00")
        late = next(looks)
        assert [request.partition_key for request in late] == ["2025-10-06"]
        assert late[0].run_key != requests[0].run_key
        assert run(configured, instance, ["issues", "pull_requests", "releases"], partition_key="2025-10-06").success
        assert database.fetch_value("SELECT count(*) FROM dirty_days") == 0
        assert next(looks) == []
        assert json.loads(looks.cursor) == {}


def test_the_dirty_days_sensor_is_bounded_and_newest_first(configured, database):
    """A large backlog is requested over several ticks, the newest days first, and none is left out."""
    configured = configured.model_copy(update={"starsearch_start": date.fromisoformat("2025-01-01")})
    database.execute(
        "INSERT INTO dirty_days (kind, day)"
        " SELECT 'issue', day FROM generate_series('2025-01-01'::date, '2025-02-14', INTERVAL '1 day') day"
    )
    seen = []
    with dg.instance_for_test() as instance:
        looks = Looks(configured, instance, "dirty_days_sensor")
        for _ in range(4):
            requested = [request.partition_key for request in next(looks)]
            assert len(requested) <= 20
            seen += requested
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 45
