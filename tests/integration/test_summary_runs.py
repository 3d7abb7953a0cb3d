"""Runs of summaries through a real Dagster instance: what the UI shows, and a server that is down and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest
import stamina

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import waiting
from starsearch_assets.release.assets import STEPS
from tests.doubles.llm_server import LLMServer
from tests.integration.sensors import Looks, asked
from tests.integration.summaries import DAY, LATER, add, usage
from tests.integration.test_dagster_runs import RANGE_END, RANGE_START, materialized, run
from tests.integration.test_hydration_runs import instance, let_the_time_come, metadata, verdicts
from tests.llm import asked as chats

__all__ = ["instance"]

SUMMARIES, EMBEDDINGS = "pull_request_summaries", "pull_request_embeddings"
RANGE = {RANGE_START: f"{DAY}", RANGE_END: f"{LATER}"}


@pytest.fixture
def llm_server() -> Iterator[LLMServer]:
    with LLMServer(models=("one",)) as llm_server, stamina.set_testing(True, attempts=2):
        yield llm_server


@pytest.fixture
def configured(settings: Settings, llm_server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the test's database and LLM, with prices."""
    monkeypatch.setenv("STARSEARCH_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TOOLS_DATABASE_URL", settings.tools_database_url.get_secret_value())
    monkeypatch.setenv("LLM_OUTAGE_MINUTES", "0")
    return settings.model_copy(
        update={
            "starsearch_start": date(2026, 1, 1),
            "starsearch_end": date(2026, 1, 31),
            "llm_base_url": llm_server.url,
            "summary_model": "one",
            "llm_price_in": 1000.0,
            "llm_price_out": 2000.0,
            "llm_outage_minutes": 0.0,
        }
    )


def failed(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step said."""
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    return failure.step_failure_data.user_failure_data.description


def waits(database: Database) -> list[tuple[str, str, int]]:
    """(asset, partition, attempts) of what waits."""
    return sorted((one.asset, one.partition, one.attempts) for one in waiting.listing(database))


def test_each_day_of_a_run_tells_what_it_cost(configured, instance, database, llm_server):
    """Counts, tokens, estimated cost, version and examples a partition; the ledger has the same. A replay: zeros."""
    add(database, 1, "Body one.")
    add(database, 2, "Body two.", title="Pipes | and\nlines")
    add(database, 3, "Body three.", day=LATER)
    assert run(configured, instance, [SUMMARIES], tags=RANGE).success
    told = metadata(instance, SUMMARIES)
    counts = {"dagster/partition_row_count": 2, "written": 2, "failed": 0, "given up": 0, "requests": 2, "retries": 0}
    assert told[f"{DAY}"] | counts == told[f"{DAY}"]
    assert (told[f"{DAY}"]["model"], told[f"{LATER}"]["written"]) == ("one", 1)
    assert told[f"{DAY}"]["prompt version"] in told[f"{DAY}"]["prompt version"]
    assert told[f"{DAY}"]["examples"].count("\n") == 4
    rows = usage(database)
    assert [(row[1], row[2], row[6], row[7]) for row in rows] == [
        (day, told[day]["written"], told[day]["tokens in"], told[day]["tokens out"]) for day in (f"{DAY}", f"{LATER}")
    ]
    for row in rows:
        cost = (row[6] * 1000 + row[7] * 2000) / 1e6
        assert row[8] == pytest.approx(cost)
        assert told[row[1]]["estimated cost"] == pytest.approx(cost, abs=1e-6)
    before = len(chats(llm_server))
    assert run(configured, instance, [SUMMARIES], tags=RANGE).success
    again = metadata(instance, SUMMARIES)[f"{DAY}"]
    assert (again["written"], again["requests"], again["estimated cost"]) == (0, 0, 0)
    assert "examples" not in again
    assert len(chats(llm_server)) == before
    assert usage(database) == rows


def test_a_day_that_the_server_did_not_answer_is_asked_for_again(configured, instance, database, llm_server):
    """The run fails with the reason and nothing falls back; the days that it did not reach wait. When their time has
    come, summaries and vectors are requested; once the server is back, nothing waits."""
    add(database, 1, "Body one.")
    add(database, 2, "Body two.", day=LATER)
    llm_server.stop()
    for attempts in (1, 2):
        result = run(configured, instance, [SUMMARIES, EMBEDDINGS], tags=RANGE)
        assert not result.success
        assert llm_server.url in failed(result)
        assert f"2 of 2 partitions of {SUMMARIES} failed" in failed(result)
        assert waits(database) == [(SUMMARIES, f"{DAY}", attempts), (SUMMARIES, f"{LATER}", attempts)]
    assert llm_server.url in waiting.listing(database)[0].reason
    assert materialized(instance, SUMMARIES) == materialized(instance, EMBEDDINGS) == set()
    for table in ("summaries", "audits", "llm_usage", "summary_failures"):
        assert database.fetch_value(f"SELECT count(*) FROM {table}") == 0
    requested = map(asked, Looks(configured, instance, "waiting_days_sensor"))
    assert next(requested) == []
    let_the_time_come(database)
    due = next(requested)
    assert sorted(due) == [(f"{DAY}", {SUMMARIES, EMBEDDINGS}), (f"{LATER}", {SUMMARIES, EMBEDDINGS})]
    llm_server.start()
    for partition, assets in due:
        assert run(configured, instance, sorted(assets), partition_key=partition).success
    assert waits(database) == []
    assert next(requested) == []
    assert materialized(instance, EMBEDDINGS) == {f"{DAY}", f"{LATER}"}
    assert database.fetch_value("SELECT count(*) FROM summaries WHERE NOT extractive") == 2


def test_a_server_that_leaves_in_the_middle_keeps_the_days_before(configured, instance, database, llm_server):
    """The finished day of a range is materialized with its verdict; the one that was not finished waits."""
    add(database, 1, "Body one.")
    add(database, 2, "Body two.", day=LATER)
    llm_server.misbehave("503", when=lambda request: "Body two." in request.user)
    assert not run(configured, instance, [SUMMARIES], tags=RANGE).success
    assert materialized(instance, SUMMARIES) == {f"{DAY}"}
    assert waits(database) == [(SUMMARIES, f"{LATER}", 1)]
    assert database.fetch_all("SELECT DISTINCT partition FROM audits") == [(f"{DAY}",)]


def test_what_is_served_stays_while_the_server_is_down(configured, instance, database, tools, llm_server):
    """A release, its rows and the day's verdict are as they were after a run that the server did not answer."""
    for number in range(1, 13):
        add(database, number, f"Body {number}: the parser reads one more token.")
    assert run(configured, instance, [SUMMARIES, EMBEDDINGS], partition_key=f"{DAY}").success
    assert run(configured, instance, ["pull_request_index"], partition_key="2026-01-01").success
    assert run(configured, instance, [*STEPS]).success
    served = "SELECT * FROM active_release"
    active = database.fetch_all(served)
    assert active[0][1] is not None
    table = database.fetch_value("SELECT table_name FROM index_artifacts")
    documents = tools.fetch_all(f"SELECT ref, document FROM {table} ORDER BY 1")
    judged = database.fetch_all("SELECT * FROM newest_audits ORDER BY asset, partition")
    add(database, 1, "Another text by now.")
    llm_server.misbehave("503")
    assert not run(configured, instance, [SUMMARIES, EMBEDDINGS], partition_key=f"{DAY}").success
    assert database.fetch_all(served) == active
    assert tools.fetch_all(f"SELECT ref, document FROM {table} ORDER BY 1") == documents
    assert database.fetch_all("SELECT * FROM newest_audits ORDER BY asset, partition") == judged
    assert verdicts(instance, SUMMARIES, "summaries_cover_items") == {f"{DAY}": "SUCCEEDED"}


def test_the_launchpad_asks_again_for_what_failed_too_often(configured, instance, database, llm_server):
    """After three runs the content costs nothing; `retry_failures` in the run's config asks once more."""
    add(database, 1, "Body one.")
    llm_server.misbehave("empty choices")
    for number in range(1, 5):
        assert run(configured, instance, [SUMMARIES], partition_key=f"{DAY}").success
        assert database.fetch_value("SELECT attempts FROM summary_failures") == min(number, 3)
    assert metadata(instance, SUMMARIES)[f"{DAY}"]["given up"] == 1
    before = len(chats(llm_server))
    llm_server.behave()
    assert run(configured, instance, [SUMMARIES], partition_key=f"{DAY}").success
    assert len(chats(llm_server)) == before
    again = {SUMMARIES: {"config": {"retry_failures": True}}}
    assert run(configured, instance, [SUMMARIES], ops=again, partition_key=f"{DAY}").success
    assert len(chats(llm_server)) == before + 1
    assert database.fetch_value("SELECT count(*) FROM summary_failures") == 0
