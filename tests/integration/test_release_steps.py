"""The three assets of a release: candidate, judged queries, decision; each alone, killed in between, and at once."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from datetime import date

import dagster as dg
import pytest

from answering.releases import load_release
from resources.postgres import Role, open_database
from resources.settings import Settings
from starsearch_assets import waiting
from starsearch_assets.embeddings.switch import activate_model
from starsearch_assets.release.assets import CANDIDATE, JUDGING, RELEASE, STEPS
from starsearch_assets.release.candidate import CandidateUnfinished, newest_candidate, propose
from starsearch_assets.release.decide import decide
from starsearch_assets.release.publish import publish
from starsearch_assets.relevance.judging import judge_candidate
from starsearch_assets.relevance.names import ItemName
from starsearch_assets.relevance.sets import JudgedQuery, write_set
from tests.doubles.llm_server import embedding
from tests.doubles.rerank_server import RerankServer
from tests.integration.processes import until
from tests.integration.sensors import Looks
from tests.integration.spaces import build as rebuild
from tests.integration.spaces import serving, two_models
from tests.integration.test_dagster_runs import run
from tests.integration.test_index_and_release import MODEL, build, release, store

DAY, LATER = date(2025, 10, 6), date(2025, 10, 7)
STATES = "SELECT release_id, status, reason FROM search_releases ORDER BY 1"


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def indexed(settings: Settings, database, monkeypatch):
    """Settings of a database with two indexed months of the serving model `first`, and `second` beside it."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TOOLS_DATABASE_URL", settings.tools_database_url.get_secret_value())
    monkeypatch.setenv("STARSEARCH_HOME", str(settings.home))
    settings = settings.model_copy(update={"recall_floor": 0.5})
    with two_models(settings, database, days=8) as (settings, _):
        yield settings


def outcomes(database) -> list[str]:
    return [status for _, status, _ in database.fetch_all(STATES)]


def judge(settings: Settings, database) -> None:
    """Each pull request is asked for by its title, which means the same as it does to either model."""
    rows = database.fetch_all("SELECT number::text, title FROM pull_requests ORDER BY number")
    queries = [JudgedQuery(ref, title, {ItemName("pull_request", "acme/web", ref): 1}) for ref, title in rows]
    write_set(settings.relevance, "mine", (*queries, JudgedQuery("none", "nobody can say")))
    for model in ("first", "second"):
        for ref, title in rows:
            database.execute(
                f"UPDATE pull_request_vectors_{model}_16 SET embedding = %s::halfvec, text_hash = 't' WHERE ref = %s",
                [str(embedding(title, 16)), ref],
            )
        rebuild(database, model)


def failure(result: dg.ExecuteInProcessResult) -> str:
    """What the first failed step says; empty where none failed."""
    failed = [one.step_failure_data.error.to_string() for one in result.all_events if one.is_step_failure]
    return failed[0] if failed else ""


def turn_away(database, model: str) -> None:
    """The vectors of all pull requests point the other way, and their words are gone; the indexes are of them."""
    database.execute(
        f"UPDATE pull_request_vectors_{model}_16 SET lexemes = '', text_hash = 'x',"
        " embedding = (SELECT array_agg(-x) FROM unnest(embedding::vector::real[]) x)::vector::halfvec"
    )
    rebuild(database, model)


def metadata(result: dg.ExecuteInProcessResult, asset: str):
    return result.asset_materializations_for_node(asset)[0].metadata


def test_a_run_measures_judges_and_activates(indexed, instance, database, tools):
    """The three assets with their checks: a table of every mode, a plot, and one release that is served."""
    judge(indexed, database)
    with RerankServer("texts") as reranker:
        settings = indexed.model_copy(update={"reranker_base_url": reranker.url})
        result = run(settings, instance, [*STEPS])
        assert failure(result) == ""
        again = run(settings, instance, [*STEPS])
    assert reranker.requests
    checked = {one.check_name: one.passed for one in result.get_asset_check_evaluations()}
    assert checked == {"recall_reaches_the_floor": True, "relevance_is_kept": True, "release_was_accepted": True}
    measured = [one.data for one in metadata(result, JUDGING)["measured"].records]
    assert [one["mode"] for one in measured] == ["vector", "text", "hybrid", "reranked"]
    assert all((one["queries"], one["without an answer"]) == (40, 1) for one in measured)
    assert measured[0]["recall@10"] == 1.0
    assert metadata(result, JUDGING)["relevance of releases"].md_str.startswith("![recall@10, MRR and nDCG@10")
    assert metadata(result, CANDIDATE)["new"].value is True
    assert metadata(result, RELEASE)["outcome"].text == "activated"
    assert load_release(tools).model == "first"
    assert metadata(again, CANDIDATE)["new"].value is False
    assert metadata(again, RELEASE)["outcome"].text == "unchanged"
    assert outcomes(database) == ["published"]


def test_a_release_that_loses_fails_its_checks_and_is_not_served(indexed, instance, database, tools):
    """The run itself succeeds: a refusal is a result. What was lost is in the check, query by query."""
    judge(indexed, database)
    assert failure(run(indexed, instance, [*STEPS])) == ""
    first = load_release(tools).release_id
    turn_away(database, "first")
    result = run(indexed, instance, [*STEPS])
    assert failure(result) == ""
    checked = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert checked["recall_reaches_the_floor"].passed
    assert not checked["relevance_is_kept"].passed
    assert not checked["release_was_accepted"].passed
    told = checked["relevance_is_kept"].metadata["verdict"].text
    assert f"against release {first}: hybrid's recall@10 1.000 -> " in told
    assert load_release(tools).release_id == first


def test_a_switch_to_a_model_that_finds_less_is_refused(indexed, database, tools):
    """The other model's release is held to the same judged queries, each searched with its own embedder."""
    settings = indexed.model_copy(update={"search_text_weight": 0.0})
    judge(settings, database)
    assert activate_model(settings, database, tools, "first").outcome == "activated"
    turn_away(database, "second")
    result = activate_model(settings, database, tools, "second")
    assert result.outcome == "refused"
    assert "relevance of mine" in result.reason
    assert serving(database) == ["first"]
    assert load_release(tools).model == "first"


def test_each_step_alone_says_what_has_to_come_before(indexed, instance, database, tools):
    """A decision without a verdict fails with the name of what is missing; then the steps go on where they were."""
    judge(indexed, database)
    assert metadata(run(indexed, instance, [JUDGING]), JUDGING)["release"].text.startswith("none")
    empty = run(indexed, instance, [RELEASE])
    assert failure(empty)[-1500:] == ""
    assert metadata(empty, RELEASE)["outcome"].text == "empty"
    assert run(indexed, instance, [CANDIDATE]).success
    early = run(indexed, instance, [RELEASE])
    assert not early.success
    assert "materialize search_relevance first" in failure(early)
    assert outcomes(database) == ["candidate"]
    assert run(indexed, instance, [JUDGING]).success
    assert metadata(run(indexed, instance, [RELEASE]), RELEASE)["outcome"].text == "activated"
    active = run(indexed, instance, [JUDGING])
    assert metadata(active, JUDGING)["release"].text == f"{load_release(tools).release_id}"
    assert metadata(active, JUDGING)["verdict"].text == "no other release is active, to compare with"


def proposing(settings: Settings) -> None:
    with open_database(settings) as database, open_database(settings, Role.TOOLS) as tools:
        propose(database, tools, MODEL, 0.9)


def test_a_candidate_that_a_killed_run_left_is_taken_up(settings, database, tools):
    """Killed with SIGKILL while it is measured, it is no release for anybody; the next run completes the same one."""
    store(database, DAY, 1, 2000)
    build(database)
    process = multiprocessing.get_context("forkserver").Process(target=proposing, args=(settings,))
    process.start()
    until(lambda: outcomes(database) == ["candidate"])
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    with (
        database.transaction() as connection,
        pytest.raises(CandidateUnfinished, match="release_candidate first"),
    ):
        newest_candidate(connection, MODEL)
    assert database.fetch_value("SELECT release_id FROM active_release") is None
    left = database.fetch_value("SELECT release_id FROM search_releases")
    assert release(database, tools).release_id == left
    assert outcomes(database) == ["published"]
    assert load_release(tools).ef_search


def test_a_candidate_that_was_overtaken_is_refused(database, tools):
    """Indexes that came before it was decided make another one; nobody decides over the first any more."""
    store(database, DAY, 1, 50)
    build(database)
    left = propose(database, tools, MODEL, 0.9)
    store(database, LATER, 101, 50, seed=2)
    build(database)
    newer = release(database, tools)
    assert left is not None
    assert newer.outcome == "activated"
    assert database.fetch_all(STATES)[0] == (left.release_id, "refused", "newer indexes came before it was decided")
    judge_candidate(database, tools, left.release_id, None)
    assert decide(database, left.release_id, MODEL, 0.9).outcome == "refused"
    assert load_release(tools).release_id == newer.release_id


def test_two_at_once_make_one_release(database, tools):
    """Both measure the same candidate; one activates it, and the other finds it done."""
    store(database, DAY, 1, 200)
    build(database)
    results = []
    threads = [threading.Thread(target=lambda: results.append(release(database, tools))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.release_id for one in results} == {load_release(tools).release_id}
    assert sorted(one.outcome for one in results) == ["activated", "unchanged"]
    assert outcomes(database) == ["published"]


def test_the_sensor_requests_what_was_not_decided(indexed, instance, database, tools, monkeypatch):
    """Once for each set of indexes, and again when nothing came of it; neither what serves nor what was refused."""
    looks = Looks(indexed, instance, "release_sensor")
    assert [one.partition_key for one in next(looks)] == [None]
    assert next(looks) == []
    monkeypatch.setattr(waiting, "LONGEST_WAIT", waiting.LONGEST_WAIT / 7200_000)  # a run was killed long ago
    tags = {"dagster/sensor_name": "release_sensor"}
    working = dg.DagsterRun(job_name="__ASSET_JOB", tags=tags, status=dg.DagsterRunStatus.STARTED)
    instance.add_run(working)
    assert next(looks) == []
    instance.delete_run(working.run_id)
    assert len(next(looks)) == 1
    propose(database, tools, "first", 0.5)
    assert len(next(looks)) == 1  # a candidate alone is no decision
    publish(database, tools, "first", 0.5)
    assert next(looks) == []
    database.execute("UPDATE pull_request_vectors_first_16 SET text_hash = 'x' WHERE ref = (SELECT min(ref)"
                     " FROM pull_request_vectors_first_16)")  # fmt: skip
    rebuild(database, "first")
    assert len(next(looks)) == 1
    assert publish(database, tools, "first", 1.01).outcome == "refused"
    assert next(looks) == []
