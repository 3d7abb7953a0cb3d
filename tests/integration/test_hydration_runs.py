"""Runs of what asks GitHub, through a real Dagster instance: with a token, without one, without budget."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import waiting
from starsearch_assets.definitions import build_definitions
from tests.doubles.github import GitHubDouble, github_double
from tests.factories import at, slim, write_hour
from tests.integration.content import pr, track
from tests.integration.github import issue, pull, rocket, titles
from tests.integration.sensors import Looks, asked
from tests.integration.test_dagster_runs import RANGE_END, RANGE_START, materialized, run

FIRST, SECOND = "2025-11-01", "2025-11-02"
NUMBERS = {FIRST: range(1, 61), SECOND: range(51, 91)}
"""Pull requests with events, by day; some of them on both."""
HYDRATED = ["pull_request_hydration", "pull_request_summaries", "pull_request_embeddings"]


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """A double of GitHub that has every pull request of the events."""
    with github_double() as running:
        rocket(running).add(
            *(
                pull(number, f"Repair the parser, part {number}", created_at=_noon(day), updated_at=_noon(day))
                for day, numbers in NUMBERS.items()
                for number in numbers
            )
        )
        yield running


@pytest.fixture
def without_token(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the test's database and of a folder of slim hour files, two days of one hour each."""
    for day, numbers in NUMBERS.items():
        events = [pr(at_day(day) + n, f"{day} 12:00", "opened", slim(n)) for n in numbers]
        write_hour(tmp_path / "hours", _noon(day), events)
    monkeypatch.setenv("STARSEARCH_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    return settings.model_copy(
        update={
            "gh_archive_url": str(tmp_path / "hours"),
            "starsearch_start": date.fromisoformat(FIRST),
            "starsearch_end": date.fromisoformat(SECOND),
        }
    )


@pytest.fixture
def configured(without_token: Settings, double: GitHubDouble, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same with a token and the double's address."""
    monkeypatch.setenv("GITHUB_TOKEN", double.token)
    return without_token.model_copy(
        update={"github_token": SecretStr(double.token), "github_api_url": double.url, "github_concurrency": 2}
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of the test's own."""
    with dg.instance_for_test() as running:
        yield running


def at_day(day: str) -> int:
    """A number from which the day's event ids count."""
    return date.fromisoformat(day).toordinal() * 1000


def _noon(day: str) -> datetime:
    return at(f"{day} 12:00")


def content(settings: Settings, instance: dg.DagsterInstance, database: Database, *days: str) -> None:
    """Track the repository, load the days' hours and process what they say."""
    track(database)
    for day in days:
        assert run(settings, instance, ["events"], partition_key=f"{day}-12:00").success
        assert run(settings, instance, ["pull_requests"], partition_key=day).success


def metadata(instance: dg.DagsterInstance, asset: str) -> dict[str, dict[str, Any]]:
    """The metadata of each partition's newest materialization."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset)), limit=50, ascending=True
    ).records
    return {
        record.partition_key: {name: one.value for name, one in record.asset_materialization.metadata.items()}
        for record in records
    }


def verdicts(instance: dg.DagsterInstance, asset: str, check: str) -> dict[str | None, str]:
    """The newest result of a check by partition; a check that was planned and skipped has none."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), check)
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    return {record.partition: record.status.value for record in reversed(records) if record.status.value != "PLANNED"}


def embedded(database: Database) -> int:
    """How many vectors of pull requests there are."""
    if database.fetch_value("SELECT count(*) FROM embedding_spaces WHERE kind = 'pull_request'") == 0:
        return 0
    table = database.fetch_value("SELECT table_name FROM embedding_spaces WHERE kind = 'pull_request'")
    return database.fetch_value(f"SELECT count(*) FROM {table}")


def let_the_time_come(database: Database) -> None:
    """As if what is waited for were due now."""
    assert database.execute("UPDATE waiting_partitions SET not_before = now() - INTERVAL '1 minute'")


def test_a_day_of_slim_events_gets_text_summaries_and_vectors(configured, instance, database, double):
    """From the hour file to the vectors in one run a day; the metadata and the check say what came."""
    content(configured, instance, database, FIRST)
    assert run(configured, instance, ["pull_requests", *HYDRATED], partition_key=FIRST).success
    assert set(titles(database).values()) == {f"Repair the parser, part {number}" for number in NUMBERS[FIRST]}
    told = metadata(instance, "pull_request_hydration")[FIRST]
    wanted = {"found": 60, "wanted": 60, "without text": 0, "failed": 0, "left for later": 0, "github": "asked"}
    assert told | wanted == told
    assert told["points"] == double.stats.points_used > 0
    assert metadata(instance, "pull_request_summaries")[FIRST]["written"] == 60
    assert embedded(database) == 60
    assert verdicts(instance, "pull_request_hydration", "asked_items_came") == {FIRST: "SUCCEEDED"}
    assert waiting.listing(database) == []


def test_a_range_run_tells_each_day_its_own(configured, instance, database, double):
    """Two days in one run: an item of both is asked for once; figures and verdicts are each day's own."""
    content(configured, instance, database, FIRST, SECOND)
    double.poison = {("acme/rocket", number): "502" for number in (88, 89)}
    tags = {RANGE_START: FIRST, RANGE_END: SECOND}
    assert run(configured, instance, HYDRATED, tags=tags).success
    told = metadata(instance, "pull_request_hydration")
    assert {day: (one["found"], one["failed"], one["without text"]) for day, one in told.items()} == {
        FIRST: (60, 0, 0), SECOND: (28, 2, 2),
    }  # fmt: skip
    found = verdicts(instance, "pull_request_hydration", "asked_items_came")
    assert (found[FIRST], found[SECOND]) == ("SUCCEEDED", "FAILED")
    assert embedded(database) == 88


def test_without_a_token_the_same_runs_succeed(without_token, instance, database):
    """Nothing is asked; the items are counted as without text, nothing is summarized or embedded."""
    content(without_token, instance, database, FIRST)
    assert run(without_token, instance, ["pull_requests", *HYDRATED], partition_key=FIRST).success
    told = metadata(instance, "pull_request_hydration")[FIRST]
    assert told | {"found": 0, "without text": 60, "requests": 0} == told
    assert "GITHUB_TOKEN is not set" in told["github"]
    assert metadata(instance, "pull_request_summaries")[FIRST]["written"] == 0
    assert embedded(database) == 0
    assert verdicts(instance, "pull_request_hydration", "asked_items_came") == {FIRST: "SUCCEEDED"}
    assert waiting.listing(database) == []


def test_what_the_budget_leaves_over_waits_for_its_reset(configured, instance, database, double):
    """The day is materialized with what came; the rest, its summaries and vectors are requested at the reset only."""
    configured = configured.model_copy(update={"github_reserve": 0.5, "github_concurrency": 1})
    double.limits.hourly_points = 4  # two points may be used: one query of 49
    content(configured, instance, database, FIRST)
    assert run(configured, instance, HYDRATED, partition_key=FIRST).success
    told = metadata(instance, "pull_request_hydration")[FIRST]
    assert (told["found"], told["left for later"]) == (49, 11)
    assert "hourly budget" in told["github"]
    assert embedded(database) == 49
    (one,) = waiting.listing(database)
    assert (one.asset, one.partition) == ("pull_request_hydration", FIRST)
    assert one.not_before == datetime.fromtimestamp(double.limiter.graphql.reset, UTC)
    assert one.reason.startswith("11 items left.")
    requested = map(asked, Looks(configured, instance, "waiting_days_sensor"))
    assert next(requested) == []
    let_the_time_come(database)
    ((partition, assets),) = next(requested)
    assert (partition, assets) == (FIRST, set(HYDRATED))
    double.limits.hourly_points = 5_000
    assert run(configured, instance, sorted(assets), partition_key=partition).success
    assert waiting.listing(database) == []
    assert next(requested) == []
    assert embedded(database) == 60


def test_a_wrong_token_fails_the_hydration_and_leaves_the_content(configured, instance, database, monkeypatch):
    """The failure says what to do and does not hold the token; the content of the same run is materialized."""
    track(database)
    assert run(configured, instance, ["events"], partition_key=f"{FIRST}-12:00").success
    monkeypatch.setenv("GITHUB_TOKEN", "not-the-token")
    result = run(configured, instance, ["pull_requests", *HYDRATED], partition_key=FIRST)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_key == "pull_request_hydration"
    said = failure.step_failure_data.user_failure_data.description
    assert "GitHub refuses GITHUB_TOKEN (401)" in said
    assert "not-the-token" not in said
    assert materialized(instance, "pull_requests") == {FIRST}
    assert materialized(instance, "pull_request_hydration") == set()


def test_a_reconciled_day_tells_its_capture_rate(configured, instance, database, double):
    """Metadata, verdict; what the events missed makes the day be requested."""
    content(configured, instance, database, FIRST)
    dirty = map(asked, Looks(configured, instance, "dirty_days_sensor"))
    next(dirty)
    double.state.repositories[1001].add(
        *(issue(number, created_at=_noon(FIRST), updated_at=_noon(FIRST)) for number in range(500, 520))
    )
    assert run(configured, instance, ["reconciliation"], partition_key=FIRST).success
    told = metadata(instance, "reconciliation")[FIRST]
    assert told | {"items": 70, "known from events": 50, "capture rate": round(50 / 70, 4)} == told
    assert "tracked repositories | 1 " in told["plan"]
    assert verdicts(instance, "reconciliation", "day_is_reconciled") == {FIRST: "SUCCEEDED"}
    assert waiting.listing(database) == []
    ((partition, assets),) = next(dirty)
    assert partition == FIRST
    assert assets == {
        "issues", "issue_hydration", "issue_summaries", "issue_embeddings", "contributor_days", "repository_days",
    }  # fmt: skip
    assert run(configured, instance, sorted(assets), partition_key=partition).success
    assert metadata(instance, "issue_hydration")[FIRST]["found"] == 20


def test_a_reconciliation_that_the_budget_stops_waits(configured, instance, database, double):
    """The run succeeds and says what is left, the check fails; it alone is requested at the reset, and then goes on."""
    track(database)
    double.limits.hourly_points = 0
    assert run(configured, instance, ["reconciliation"], partition_key=FIRST).success
    assert metadata(instance, "reconciliation")[FIRST]["left for later"] == 1
    assert verdicts(instance, "reconciliation", "day_is_reconciled") == {FIRST: "FAILED"}
    (one,) = waiting.listing(database)
    assert (one.asset, one.partition) == ("reconciliation", FIRST)
    assert one.not_before == datetime.fromtimestamp(double.limiter.graphql.reset, UTC)
    requested = map(asked, Looks(configured, instance, "waiting_days_sensor"))
    assert next(requested) == []
    let_the_time_come(database)
    assert next(requested) == [(FIRST, {"reconciliation"})]
    double.limits.hourly_points = 5_000
    assert run(configured, instance, ["reconciliation"], partition_key=FIRST).success
    assert verdicts(instance, "reconciliation", "day_is_reconciled") == {FIRST: "SUCCEEDED"}
    assert waiting.listing(database) == []


def test_without_a_token_no_day_is_reconciled(without_token, instance, database):
    """The run succeeds and says so, the check fails, and nothing waits: no time would help."""
    track(database)
    assert run(without_token, instance, ["reconciliation"], partition_key=FIRST).success
    told = metadata(instance, "reconciliation")[FIRST]
    assert told["github"] == "GITHUB_TOKEN is not set: nothing was asked"
    assert "capture rate" not in told
    assert verdicts(instance, "reconciliation", "day_is_reconciled") == {FIRST: "FAILED"}
    assert waiting.listing(database) == []


def test_a_whole_day_in_one_run_needs_no_token(without_token, instance, database):
    """Whoever materializes all daily assets together gets all of them: nothing is skipped behind what asks GitHub."""
    content(without_token, instance, database, FIRST)
    whole = ["pull_requests", "reconciliation", *HYDRATED]
    assert run(without_token, instance, whole, partition_key=FIRST).success
    assert all(materialized(instance, asset) == {FIRST} for asset in whole)


def test_the_schedule_requests_yesterday(configured, instance):
    """In UTC; a day outside the partitions is skipped with the settings' names."""
    definitions = build_definitions(configured)
    schedule = next(one for one in definitions.schedules or [] if one.name == "daily_reconciliation")

    def requested(time: str) -> list[str | None] | str | None:
        context = dg.build_schedule_context(
            instance=instance,
            repository_def=definitions.get_repository_def(),
            scheduled_execution_time=datetime.fromisoformat(time),
        )
        evaluated = schedule.evaluate_tick(context)
        return [request.partition_key for request in evaluated.run_requests or []] or evaluated.skip_message

    assert requested("2025-11-02T02:00:00+00:00") == [FIRST]
    assert requested("2025-11-02T20:00:00-07:00") == [SECOND]
    assert "STARSEARCH_END" in str(requested("2025-11-04T02:00:00+00:00"))
