"""The checks of vectors: on days whose rows were damaged one way or another, and in real runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pytest
import stamina

from resources.embedder import Vectors
from resources.kinds import KINDS, PULL_REQUEST
from resources.postgres import Connection, Database
from resources.settings import Settings
from starsearch_assets import audits
from starsearch_assets.definitions import build_definitions
from starsearch_assets.embeddings import quality
from starsearch_assets.embeddings.process import DayResult, embed_day
from starsearch_assets.embeddings.quality import VECTOR_CHECKS
from starsearch_assets.embeddings.spaces import Space, find_space
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.summaries.process import summarize_day
from tests.doubles.llm_server import LLMServer
from tests.integration.vectors import DAY, CountingEmbedder, FixedSummarizer, Flooded, add

ASSET = PULL_REQUEST.embeddings
TABLE = GATE = "pull_request_vectors_test_model_16"
SUMMARIZER = FixedSummarizer("one")
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


class Towards(CountingEmbedder):
    """Vectors near one direction: axis `axis`, with as much of everything else as `noise` says."""

    def __init__(self, axis: int, noise: float = 0.2) -> None:
        super().__init__()
        self.axis, self.noise = axis, noise

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = self.noise * super().encode(texts) + np.eye(16, dtype=np.float32)[self.axis]
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def verdicts(database: Database, day: date = DAY) -> dict[str, audits.Audit]:
    """The newest verdict of each check on a day, and the gate's as `gate`."""
    names = {check.name: check.name for check in VECTOR_CHECKS} | {"gate": GATE}
    return {name: audits.newest(database, ASSET, [f"{day}"], check)[f"{day}"] for name, check in names.items()}


def failed(database: Database, day: date = DAY) -> set[str]:
    return {name for name, verdict in verdicts(database, day).items() if not verdict.passed}


def embed(database: Database, day: date = DAY, embedder: CountingEmbedder | None = None) -> DayResult:
    return embed_day(database, PULL_REQUEST, day, embedder or CountingEmbedder(), SUMMARIZER, "run-1")


@pytest.fixture
def three(database: Database) -> Database:
    """A day of three summarized pull requests with vectors."""
    for number in (1, 2, 3):
        add(database, number, f"Body {number}.")
    summarize_day(database, PULL_REQUEST, DAY, SUMMARIZER)
    embed(database)
    return database


def judge(database: Database, *, missing: Sequence[int] = ()) -> bool:
    """Judge the day's rows as they are now, with nothing written before."""
    with database.transaction() as connection:
        space = space_of(connection)
        rows = connection.execute(f"SELECT repo_id, ref, text_hash FROM {TABLE} ORDER BY ref").fetchall()
        expected = [quality.Expected(*row) for row in rows]
        expected += [quality.Expected(1, f"{number}", b"") for number in missing]
        read_at = connection.execute("SELECT clock_timestamp()").fetchone()
        assert read_at is not None
        return quality.judge_day(connection, space, DAY, expected, read_at[0], None)


def space_of(connection: Connection) -> Space:
    space = find_space(connection, PULL_REQUEST, "test-model")
    assert space is not None
    return space


def test_a_sound_day_passes_all_checks(three: Database) -> None:
    """Each check has a verdict with its figures, the gate is open, and nothing is shown as bad."""
    assert failed(three) == set()
    found = verdicts(three)
    assert found["gate"].details == {
        "documents": 3, "vectors": 3, "model": "test-model", "dimensions": 16, "failed": "none",
    }  # fmt: skip
    assert found["vectors_cover_documents"].details["without a current vector"] == 0
    assert found["vectors_differ"].details["distinct vectors"] == 3
    assert found["vectors_do_not_drift"].details["not judged"].startswith("fewer than 50")
    assert {len(verdict.details.get("examples", [])) for verdict in found.values()} == {0}


@pytest.mark.parametrize(
    ("damage", "check", "example"),
    [
        (
            f"UPDATE {TABLE} SET text_hash = sha256('other') WHERE ref = '2'",
            "vectors_match_texts",
            "text_hash is of another text",
        ),
        (
            f"UPDATE {TABLE} SET document = document || '!', text_hash = sha256(convert_to(document || '!', 'UTF8'))"
            " WHERE ref = '2'",
            "vectors_match_texts",
            "not the summary that its row names",
        ),
        (
            f"UPDATE {TABLE} SET content_hash = sha256('none') WHERE ref = '2'",
            "vectors_match_texts",
            "not the summary that its row names",
        ),
        (
            f"UPDATE {TABLE} SET embedding = (embedding::vector * '[{','.join(['1.1'] * 16)}]')::halfvec"
            " WHERE ref = '2'",
            "vectors_are_unit",
            "length 1.100",
        ),
        (
            f"ALTER TABLE {TABLE} ALTER embedding TYPE halfvec;"
            f"UPDATE {TABLE} SET embedding = '[1,0,0]' WHERE ref = '2'",
            "vectors_have_dimensions",
            "3 dimensions",
        ),
    ],
)
def test_a_damaged_row_fails_its_check_by_name(three: Database, damage: str, check: str, example: str) -> None:
    """The check that sees it fails, the others pass, the gate closes, and the verdict shows the item."""
    for statement in damage.split(";"):
        three.execute(statement)
    assert not judge(three)
    assert failed(three) == {check, "gate"}
    (shown,) = verdicts(three)[check].details["examples"]
    assert (shown["item"], shown["found"]) == ("acme/web#2", example)
    assert verdicts(three)["gate"].details["failed"] == check


def test_a_withheld_summary_is_not_served(three: Database) -> None:
    """A summary that was withheld after it was embedded closes the gate; the next run of the day opens it."""
    three.execute("UPDATE summaries SET withheld = true WHERE summary LIKE '%Body 2.%'")
    assert not judge(three)
    assert failed(three) == {"vectors_match_texts", "gate"}
    embed(three)
    assert failed(three) == set()


def test_a_document_without_its_vector_is_named(three: Database) -> None:
    """A vector that is missing, and one of an older text."""
    assert not judge(three, missing=[4])
    assert failed(three) == {"vectors_cover_documents", "gate"}
    assert verdicts(three)["vectors_cover_documents"].details["examples"] == [
        {"item": "acme/web#4", "found": "no vector", "document": ""}
    ]
    with three.transaction() as connection:
        space = space_of(connection)
        now = connection.execute("SELECT clock_timestamp()").fetchone()
        assert now is not None
        newer = [quality.Expected(1, "1", b"a newer text")]
        assert not quality.judge_day(connection, space, DAY, newer, now[0], None)
    (shown,) = verdicts(three)["vectors_cover_documents"].details["examples"]
    assert (shown["item"], shown["found"]) == ("acme/web#1", "of an older text")
    assert shown["document"].startswith("Change 1\none/1 of Change 1")


def test_the_same_vector_for_every_text_fails(database: Database) -> None:
    """Twelve texts, one vector: the day does not pass and says so. Nine are too few to tell."""
    for number in range(1, 10):
        add(database, number, f"Body {number}.")
    assert embed(database, embedder=Flooded()).passed
    for number in range(10, 13):
        add(database, number, f"Body {number}.")
    assert not embed(database, embedder=Flooded()).passed
    assert failed(database) == {"vectors_differ", "gate"}
    details = verdicts(database)["vectors_differ"].details
    assert (details["distinct vectors"], details["distinct texts"]) == (1, 12)
    assert len(details["examples"]) == 10
    assert details["examples"][0]["found"] == "the vector of 12 different texts"


def test_many_items_of_one_text_are_no_flood(database: Database) -> None:
    """Twelve dependency bumps with the same text rightly share a vector."""
    for number in range(1, 13):
        add(database, number, "Same.", title="Bump vite")
    assert embed(database).passed
    assert verdicts(database)["vectors_differ"].details["with the vector of another text"] == 0


def test_vectors_whose_item_is_gone_are_counted(three: Database) -> None:
    """An item that GitHub shows no longer, and one of a repository that is not tracked: a warning, no closed gate."""
    three.execute(f"INSERT INTO {TABLE} SELECT 9, ref, text_hash, document, document_source, lexemes, content_hash,"
                  f" summary_model, prompt_version, embedding FROM {TABLE} WHERE ref = '1'")  # fmt: skip
    three.execute("UPDATE pull_requests SET gone_at = now() WHERE number = 3")
    result = embed(three)
    assert result.passed
    assert failed(three) == {"vectors_have_items"}
    details = verdicts(three)["vectors_have_items"].details
    assert (details["without an item"], details["vectors in the space"]) == (2, 4)
    assert details["examples"] == [{"item": "acme/web#3", "found": "no such item"}]


def add_days(database: Database, days: Sequence[date], items: int) -> None:
    for position, day in enumerate(days):
        for number in range(items):
            add(database, 1 + position * items + number, f"Body {day} {number}.", day)


def test_a_mean_that_moves_is_a_warning(database: Database) -> None:
    """A model that suddenly points elsewhere is seen against the days before it; the gate stays open."""
    days = [DAY + timedelta(days=number) for number in range(4)]
    add_days(database, days, 60)
    for day in days[:3]:
        assert embed(database, day, Towards(0)).passed
    assert failed(database, days[2]) == set()
    assert verdicts(database, days[2])["vectors_do_not_drift"].details["cosine of the means"] > 0.95
    assert embed(database, days[3], Towards(5)).passed
    assert failed(database, days[3]) == {"vectors_do_not_drift"}
    details = verdicts(database, days[3])["vectors_do_not_drift"].details
    assert details["cosine of the means"] < 0.3
    assert details["vectors of the days before"] == 180


def test_a_small_day_tells_nothing_of_drift(database: Database) -> None:
    """Forty vectors that point elsewhere are too few; so is a history of forty, or one that is too long ago."""
    add_days(database, [DAY], 60)
    assert embed(database, DAY, Towards(0)).passed
    for number in range(40):
        add(database, 1000 + number, f"Small {number}.", DAY + timedelta(days=1))
    embed(database, DAY + timedelta(days=1), Towards(5))
    for number in range(60):
        add(database, 2000 + number, f"Late {number}.", DAY + timedelta(days=40))
    embed(database, DAY + timedelta(days=40), Towards(5))
    for distance in (1, 40):
        assert failed(database, DAY + timedelta(days=distance)) == set()


def test_a_run_that_ends_in_the_middle_is_judged_the_same(three: Database) -> None:
    """Judged twice, the same rows have the same verdicts, and no more of them."""
    before = verdicts(three)
    embed(three)
    assert verdicts(three) == before
    assert three.fetch_value("SELECT count(*) FROM audits WHERE asset = %s", [ASSET]) == len(VECTOR_CHECKS) + 1


@pytest.mark.parametrize("key", ["examples", "test-model: examples"])
def test_a_forgotten_repository_leaves_the_examples(three: Database, key: str) -> None:
    """What verdicts show of a repository goes with it, also where verdicts of several models were made one."""
    three.execute(f"UPDATE {TABLE} SET text_hash = sha256('other') WHERE ref = '2'")
    judge(three)
    three.execute(
        "UPDATE audits SET details = details - 'examples' || jsonb_build_object(%s::text, details -> 'examples')"
        " WHERE details ? 'examples'", [key],
    )  # fmt: skip
    forget_repository(three, 1, "asked")
    left = three.fetch_all("SELECT check_name, details FROM audits WHERE asset = %s", [ASSET])
    assert {name for name, _ in left} == {GATE, *(check.name for check in VECTOR_CHECKS)}
    assert "acme" not in str(left)
    assert all(details["documents"] == 3 for _, details in left)


def test_dagster_shows_every_check_of_each_kind() -> None:
    """Seven checks of each kind's vectors: five close the gate, orphans and drift only warn."""
    checks = build_definitions(Settings(_env_file=None, starsearch_home="unused")).asset_checks or []
    for kind in KINDS:
        names = {key.name for one in checks for key in one.check_keys
                 if key.asset_key.to_user_string() == kind.embeddings}  # fmt: skip
        assert names == {check.name for check in VECTOR_CHECKS}
    assert [check.rule for check in VECTOR_CHECKS if not check.strict] == [quality.ORPHANS, quality.DRIFT]


@pytest.fixture
def llm_server() -> Iterator[LLMServer]:
    with LLMServer() as llm_server, stamina.set_testing(True, attempts=2):
        yield llm_server


def run(
    settings: Settings, instance: dg.DagsterInstance, server: LLMServer, **options: Any
) -> tuple[bool, dict[tuple[str, str | None], Any]]:
    """Whether a run of the vectors succeeded, and the checks' evaluations by name and partition."""
    configured = settings.model_copy(
        update={"embedding_base_url": server.url, "embedding_model": "test-model", "starsearch_start": DAY,
                "starsearch_end": DAY + timedelta(days=2)}
    )  # fmt: skip
    definitions = build_definitions(configured)
    checks = [one for one in definitions.asset_checks or []
              if all(key.asset_key.to_user_string() == ASSET for key in one.check_keys)]  # fmt: skip
    result = dg.materialize(
        [*(definitions.assets or []), *checks],  # type: ignore[list-item]
        selection=dg.AssetSelection.assets(ASSET),
        instance=instance,
        resources=definitions.resources,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
        **options,
    )
    shown = {}
    for check in VECTOR_CHECKS:
        key = dg.AssetCheckKey(dg.AssetKey(ASSET), check.name)
        for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=20):
            event = record.event and record.event.dagster_event
            if event is not None and event.event_type_value == "ASSET_CHECK_EVALUATION":  # others are planned
                shown[check.name, record.partition] = event.event_specific_data
    return result.success, shown


@pytest.fixture
def two_days(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two days of one pull request each, whose database resources find."""
    assert settings.database_url is not None
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    days = [DAY, DAY + timedelta(days=1)]
    for number, day in enumerate(days, 1):
        add(database, number, f"Body {number}.", day)
    return [f"{day}" for day in days]


def test_a_range_run_shows_every_check_of_every_day(
    settings: Settings, two_days: list[str], llm_server: LLMServer
) -> None:
    """Each check has an evaluation for each day, on its materialization, with its severity and figures."""
    with dg.instance_for_test() as instance:
        tags = {RANGE_START: two_days[0], RANGE_END: two_days[1]}
        success, shown = run(settings, instance, llm_server, tags=tags)
    assert success
    for check in VECTOR_CHECKS:
        severity = dg.AssetCheckSeverity.ERROR if check.strict else dg.AssetCheckSeverity.WARN
        for day in two_days:
            one = shown[check.name, day]
            assert (one.passed, one.severity) == (True, severity)
            assert one.target_materialization_data is not None
            assert one.metadata["documents"].value == 1


def test_a_run_of_one_day_shows_its_checks(
    settings: Settings, database: Database, two_days: list[str], llm_server: LLMServer
) -> None:
    """A vector whose item is gone is a warning of the check, with the item's name in a table; the run succeeds."""
    with dg.instance_for_test() as instance:
        assert run(settings, instance, llm_server, partition_key=two_days[1])[0]
        database.execute("UPDATE pull_requests SET gone_at = now() WHERE number = 2")
        success, shown = run(settings, instance, llm_server, partition_key=two_days[0])
    assert success
    one = shown["vectors_have_items", two_days[0]]
    assert (one.passed, one.severity) == (False, dg.AssetCheckSeverity.WARN)
    (row,) = one.metadata["examples"].records
    assert row.data["item"] == "acme/web#2"


def test_days_that_were_finished_show_their_checks_although_others_failed(
    settings: Settings, two_days: list[str], llm_server: LLMServer
) -> None:
    """Day one is done, the server gives NaN for day two: the run fails, and day one has all its checks."""
    llm_server.misbehave("NaN", when=lambda request: "Change 2" in str(request.body.get("input")))
    with dg.instance_for_test() as instance:
        tags = {RANGE_START: two_days[0], RANGE_END: two_days[1]}
        success, shown = run(settings, instance, llm_server, tags=tags)
    assert not success
    assert set(shown) == {(check.name, two_days[0]) for check in VECTOR_CHECKS}
