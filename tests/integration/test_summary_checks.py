"""The checks of summaries: real runs on a real database, with an LLM that misbehaves for some items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg
import numpy as np
import pytest
import stamina

from resources.embedder import Vectors
from resources.kinds import PULL_REQUEST
from resources.llm import LLM
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import audits
from starsearch_assets.definitions import build_definitions
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.summaries import judging, quality
from starsearch_assets.summaries.process import summarize_day
from starsearch_assets.summaries.quality import QUALITY_VERSION
from starsearch_assets.summaries.summarizers import LLMSummarizer
from starsearch_assets.summaries.verdicts import PROMISES
from tests.doubles.llm_server import LLMServer
from tests.llm import summary_json

DAYS = [date(2026, 1, 2), date(2026, 1, 3), date(2026, 1, 4)]
ASSET = PULL_REQUEST.summaries
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
BODY = "The cache keeps its entries for ever, so the sessions are stale. It should expire them after a while."


def reply(request: Any) -> str:
    """A summary that keeps to its source, but for the items whose titles say otherwise."""
    text = "The cache keeps its entries for ever, so the sessions are stale. It should expire them after a while."
    if "Title: Echo" in request.user:
        text = "BEGIN TEXT The cache keeps its entries for ever."
    if "Title: Link" in request.user:
        text = "The cache keeps its entries for ever. See evil.example/x and ask @mallory about it."
    return summary_json(text)


@pytest.fixture
def llm_server() -> Iterator[LLMServer]:
    with LLMServer(models=("one",), reply=reply) as llm_server, stamina.set_testing(True, attempts=2):
        yield llm_server


@pytest.fixture
def summarizer(llm_server: LLMServer) -> LLMSummarizer:
    return LLMSummarizer(LLM(llm_server.url, "one"))


class Agreed:
    """The same vector for every text; remembers what it was asked for."""

    model, dimensions = "agreed", 64

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.texts += texts
        return np.eye(64, dtype=np.float32)[[0] * len(texts)]


def add(database: Database, number: int, title: str, day: date = DAYS[0]) -> None:
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (1, 'acme/web') ON CONFLICT DO NOTHING")
    database.execute(
        "INSERT INTO pull_requests (repo_id, number, title, body, hydrated_at) VALUES (1, %s, %s, %s, now())",
        [number, title, BODY],
    )
    database.execute("INSERT INTO activity VALUES ('pull_request', 1, %s, %s)", [str(number), day])


def verdicts(database: Database, day: date = DAYS[0]) -> dict[str, audits.Audit]:
    return {promise.name: audits.newest(database, ASSET, [f"{day}"], promise.name)[f"{day}"] for promise in PROMISES}


def failed(database: Database, day: date = DAYS[0]) -> set[str]:
    return {name for name, verdict in verdicts(database, day).items() if not verdict.passed}


@pytest.fixture
def configured(settings: Settings, llm_server: LLMServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with the misbehaving LLM, and a server for embeddings, whose secrets resources read from outside."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())  # type: ignore[union-attr]
    return settings.model_copy(
        update={
            "llm_base_url": llm_server.url,
            "summary_model": "one",
            "starsearch_start": DAYS[0],
            "starsearch_end": DAYS[-1],
        }
    )


def run(settings: Settings, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(settings)
    checks = [
        check
        for check in definitions.asset_checks or []
        if all(key.asset_key.to_user_string() == ASSET for key in check.check_keys)
    ]
    return dg.materialize(
        [*(definitions.assets or []), *checks],  # type: ignore[list-item]
        selection=dg.AssetSelection.assets(ASSET),
        instance=instance,
        resources=definitions.resources,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
        **options,
    )


def test_a_range_run_shows_every_check_of_every_partition(configured: Settings, database: Database) -> None:
    """Day one is good, day two has an echo and an invented link, day three no items: each partition's checks say so,
    with tables of examples, and the run goes on."""
    add(database, 1, "Good")
    add(database, 2, "Echo", DAYS[1])
    add(database, 3, "Link", DAYS[1])
    with dg.instance_for_test() as instance:
        result = run(configured, instance, tags={RANGE_START: f"{DAYS[0]}", RANGE_END: f"{DAYS[2]}"})
        assert result.success
        shown: dict[tuple[str, str | None], Any] = {}
        for promise in PROMISES:
            key = dg.AssetCheckKey(dg.AssetKey(ASSET), promise.name)
            for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=20):
                assert record.event is not None
                assert record.event.dagster_event is not None
                evaluation = record.event.dagster_event.event_specific_data
                if record.partition is not None:
                    shown[promise.name, record.partition] = evaluation
                    assert evaluation.target_materialization_data is not None
    assert len(shown) == len(PROMISES) * len(DAYS)
    bad = {name for (name, day), one in shown.items() if day == f"{DAYS[1]}" and not one.passed}
    assert {"summaries_echo_no_prompt", "summaries_invent_no_links"} <= bad
    assert all(one.passed for (_, day), one in shown.items() if day != f"{DAYS[1]}")
    links = shown["summaries_invent_no_links", f"{DAYS[1]}"]
    assert links.severity == dg.AssetCheckSeverity.ERROR
    (row,) = links.metadata["examples"].records
    assert row.data["item"] == "acme/web#3"
    assert "https://evil.example/x" in str(row.data["found"]) or "@mallory" in str(row.data["found"])
    assert shown["summaries_have_length", f"{DAYS[1]}"].severity == dg.AssetCheckSeverity.WARN
    assert shown["summaries_cover_items", f"{DAYS[2]}"].metadata["items with text"].value == 0
    assert database.fetch_value("SELECT count(*) FROM summaries WHERE withheld") == 2


def test_days_that_were_finished_before_the_llm_went_away_show_their_checks(
    configured: Settings, database: Database, llm_server: LLMServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Day one is done, day two is not: the run fails, day one has its materialization and all its checks."""
    add(database, 1, "Good")
    add(database, 2, "Away", DAYS[1])
    llm_server.misbehave("503", when=lambda request: "Title: Away" in request.user)
    monkeypatch.setenv("LLM_OUTAGE_MINUTES", "0")
    with dg.instance_for_test() as instance:
        result = run(configured, instance, tags={RANGE_START: f"{DAYS[0]}", RANGE_END: f"{DAYS[1]}"})
        assert not result.success
        shown = set()
        for promise in PROMISES:
            key = dg.AssetCheckKey(dg.AssetKey(ASSET), promise.name)
            for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=20):
                event = record.event and record.event.dagster_event
                if event is not None and event.event_type_value == "ASSET_CHECK_EVALUATION":  # others are planned
                    shown.add((promise.name, record.partition))
    assert shown == {(promise.name, f"{DAYS[0]}") for promise in PROMISES}


def test_a_run_of_one_partition_shows_its_checks(configured: Settings, database: Database) -> None:
    """The run succeeds, its failed checks are failed evaluations with counts."""
    add(database, 1, "Link")
    with dg.instance_for_test() as instance:
        result = run(configured, instance, partition_key=f"{DAYS[0]}")
        assert result.success
        evaluations = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert set(evaluations) == {promise.name for promise in PROMISES}
    links = evaluations["summaries_invent_no_links"]
    assert not links.passed
    assert links.metadata["with links of their own"].value == 1
    assert evaluations["summaries_cover_items"].passed


def test_older_rules_judge_again_without_the_llm(
    database: Database, summarizer: LLMSummarizer, llm_server: LLMServer
) -> None:
    """Summaries of an older quality version are judged again when their day is; nothing is asked of the LLM."""
    add(database, 1, "Link")
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer)
    database.execute("UPDATE summaries SET quality_version = %s, flags = '{}', withheld = false", [QUALITY_VERSION - 1])
    asked = len(llm_server.chats)
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer)
    assert len(llm_server.chats) == asked
    row = database.fetch_all("SELECT quality_version, withheld, flags[1] FROM summaries")
    assert row[0][:2] == (QUALITY_VERSION, True)
    assert "summaries_invent_no_links" in failed(database)


def test_a_judged_day_reads_no_source(database: Database, summarizer: LLMSummarizer) -> None:
    """Where all is judged and measured, the verdicts come of what is stored: the sources are not asked for."""
    add(database, 1, "Good")
    embedder = Agreed()
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer, embedder=embedder)
    embedded = len(embedder.texts)
    assert embedded == 2

    def sources() -> Any:
        raise AssertionError("nothing is left to do")

    judging.finish_day(
        database, PULL_REQUEST, DAYS[0], summarizer, sources, embedder=embedder, failure_limit=0.05, run_id=None
    )
    assert len(embedder.texts) == embedded
    assert failed(database) == set()


def test_a_sample_of_summaries_is_measured(
    database: Database, summarizer: LLMSummarizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most the sample's size a day, the first by content hash; running again measures no others. What is unlike
    its source fails the day."""
    monkeypatch.setattr(judging, "SAMPLE", 3)
    for number in range(1, 6):
        add(database, number, f"Good {number}")
    measured = "SELECT content_hash FROM summaries WHERE similarity IS NOT NULL ORDER BY 1"
    for _ in range(2):
        summarize_day(database, PULL_REQUEST, DAYS[0], summarizer, embedder=Agreed())
        rows = database.fetch_all(measured)
        assert rows == database.fetch_all("SELECT content_hash FROM summaries ORDER BY 1 LIMIT 3")
    assert verdicts(database)["summaries_resemble_sources"].passed
    database.execute("UPDATE summaries SET similarity = 0.1 WHERE similarity IS NOT NULL")
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer, embedder=Agreed())
    verdict = verdicts(database)["summaries_resemble_sources"]
    assert not verdict.passed
    assert (verdict.details["measured"], verdict.details["unlike their source"]) == (3, 3)
    assert len(verdict.details["examples"]) == 3


def test_items_without_a_summary_are_named_with_the_reason(
    database: Database, summarizer: LLMSummarizer, llm_server: LLMServer
) -> None:
    """What the LLM could not summarize stands in the table of the coverage; the limit is the caller's."""
    add(database, 1, "Good")
    add(database, 2, "Bad")
    llm_server.misbehave("empty choices", when=lambda request: "Title: Bad" in request.user)
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer)
    verdict = verdicts(database)["summaries_cover_items"]
    assert not verdict.passed
    (row,) = verdict.details["examples"]
    assert row["item"] == "acme/web#2"
    assert "no text" in row["found"]
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer, failure_limit=0.5)
    assert verdicts(database)["summaries_cover_items"].passed


def test_a_flood_of_findings_shows_ten(database: Database, summarizer: LLMSummarizer) -> None:
    """All are counted, ten are shown."""
    for number in range(1, 15):
        add(database, number, f"Link {number}")
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer)
    details = verdicts(database)["summaries_invent_no_links"].details
    assert (details["with links of their own"], details["withheld"], len(details["examples"])) == (14, 14, 10)


def test_examples_are_forgotten_with_their_repository(database: Database, summarizer: LLMSummarizer) -> None:
    """What a verdict quotes of a repository goes with it; the counts stay."""
    add(database, 1, "Link")
    summarize_day(database, PULL_REQUEST, DAYS[0], summarizer)
    assert verdicts(database)["summaries_invent_no_links"].details["examples"]
    forget_repository(database, 1, "private")
    details = verdicts(database)["summaries_invent_no_links"].details
    assert "examples" not in details
    assert details["with links of their own"] == 1


def test_every_rule_is_promised() -> None:
    """No rule of the judge goes unreported."""
    rules = {quality.LENGTH, quality.LANGUAGE, quality.ECHO, quality.LINKS, quality.ENTITIES, quality.TECHNOLOGIES}
    assert rules <= {promise.rule for promise in PROMISES}
