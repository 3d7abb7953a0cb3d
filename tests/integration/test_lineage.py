"""GET /v1/answers/{id}/lineage over HTTP: from an answer's citations down to rows of events and runs of Dagster."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import dagster as dg
import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from answering.insights.definitions import FUNCTIONS, definition_of
from answering.retrieval import Scope
from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.cli.questions import ABSTAINED
from starsearch_assets.instance import render_instance
from starsearch_assets.sample import write_histories
from tests.integration.commands import ROOT, as_json, command, environment, free_port
from tests.integration.demo import Demo
from tests.integration.processes import until
from tests.integration.webhooks import Service, service

UI = "https://dagster.example.com/ui"


@pytest.fixture(scope="module")
def url(demo: Demo) -> Iterator[str]:
    """The service over the demo, told where the Dagster UI is."""
    port = free_port()
    log = (demo.home / "lineage.log").open("wb")
    process = subprocess.Popen(
        command(demo.home, "serve", "--port", str(port)), cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
        env=environment(demo.home, DAGSTER_UI_URL=f"{UI}/"),
    )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    until(lambda: process.poll() is not None or answers(base))
    yield base
    process.terminate()
    assert process.wait(60) in (0, -15)
    log.close()


def answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", timeout=5).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def runs(demo: Demo) -> Iterator[dg.DagsterInstance]:
    """The demo's own Dagster instance."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DAGSTER_HOME", "DAGSTER_DATABASE_URL", "STARSEARCH_HOME"):
            patch.setenv(name, "")  # what render_instance sets is taken back
        home = render_instance(Settings(_env_file=None, starsearch_home=demo.home))
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield instance


def lineage(url: str, demo: Demo, question: str, code: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    """An answer of `ask`, and its lineage."""
    answer = as_json(demo.home, "ask", question, code=code)
    reply = httpx.get(f"{url}/v1/answers/{answer['answer_id']}/lineage", timeout=60)
    assert reply.status_code == 200, reply.text
    return answer, reply.json()


def by_name(citation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["step"]: step for step in citation["steps"]}


def materialized(runs: dg.DagsterInstance, run_id: str) -> set[str]:
    """The assets that a run of Dagster wrote."""
    logs = runs.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    return {one.dagster_event.asset_key.to_user_string() for one in logs if one.dagster_event is not None}


def test_a_citation_is_followed_to_its_event_and_its_runs(url, demo, runs):
    """Each step names a run that Dagster knows and that made what it says, and the event is the row that told it."""
    answer, found = lineage(url, demo, "hydration mismatch when a lazy route renders")
    assert [{name: one[name] for name in answer["citations"][0]} for one in found["citations"]] == answer["citations"]
    assert found["answer_id"] == answer["answer_id"]
    told = [one for one in found["citations"] if one["kind"] in ("pull_request", "issue")]
    assert told
    with psycopg.connect(EmbeddedPostgres(demo.home).url()) as connection:
        for one in told:
            steps = by_name(one)
            assert list(steps) == ["release", "index_artifact", "embedding", "summary", "content", "source_event"]
            assert steps["release"]["release"] == answer["release"]
            event = steps["source_event"]
            row = connection.execute(
                "SELECT repo_name, coalesce(payload #>> '{pull_request,title}', payload #>> '{issue,title}'), l.url,"
                " l.run_id FROM starsearch.events e JOIN starsearch.ingest_ledger l USING (source_id)"
                " WHERE e.created_at = %s AND e.event_id = %s AND e.type = %s AND e.repo_id = %s",
                [event["created_at"], event["id"], event["type"], event["repo_id"]],
            ).fetchone()
            assert row == (one["repo"], one["title"], event["file"], event["run"])
            assert steps["content"]["observed_at"] == event["created_at"]
            table = steps["index_artifact"]["table"]
            built = connection.execute(
                "SELECT run_id, month::text FROM starsearch.index_artifacts WHERE table_name = %s", [table]
            ).fetchone()
            assert built == (steps["index_artifact"]["run"], steps["index_artifact"]["month"])
    assets = {
        "release": "release_candidate", "index_artifact": f"{told[0]['kind']}_index",
        "embedding": f"{told[0]['kind']}_embeddings", "summary": f"{told[0]['kind']}_summaries",
        "source_event": "events",
    }  # fmt: skip
    for name, asset in assets.items():
        step = by_name(told[0])[name]
        assert asset in materialized(runs, step["run"]), name
        assert step["run_url"] == f"{UI}/runs/{step['run']}"


def test_a_commit_is_followed_to_its_fetch(url, demo, runs):
    """Commits have the fetch of git that first saw them in place of an event."""
    (history, *_) = write_histories(demo.home / "histories") or ()
    _, found = lineage(url, demo, f"Who changed {history.commits[1].paths[0]}?")
    assert found["citations"]
    for one in found["citations"]:
        assert one["kind"] == "commit"
        fetch = by_name(one)["git_fetch"]
        assert fetch["sha"] == one["ref"]
        assert "source_event" not in by_name(one)
        assert "git_history" in materialized(runs, fetch["run"])


def test_a_measure_has_its_definition_window_tool_and_coverage(url, demo):
    """A figure is followed to the function that computed it, with its formula, and to the days that it counted."""
    _, found = lineage(url, demo, "lottery factor of remix-run/react-router")
    (citation,) = found["citations"]
    assert citation["kind"] == "measure"
    measure = by_name(citation)["measure"]
    assert measure["tool"] == "answering.insights.contributors.lottery_factor"
    assert "least n with c1 + … + cn >= (c1 + … + cm) / 2" in measure["definition"]
    assert measure["window"] == {"since": "2025-10-06", "until": "2025-10-09"}
    assert measure["coverage"]["hours_loaded"] == 72
    assert measure["rests_on"]["counted"] == 3


def test_an_abstention_has_no_citations(url, demo):
    """It is stored as well, and nothing stands behind it."""
    answer, found = lineage(url, demo, demo.truth.unanswerable[0], ABSTAINED)
    assert answer["abstained"]
    assert (found["abstained"], found["citations"]) == (True, [])


@pytest.fixture
def running(settings: Settings) -> Iterator[Service]:
    """A service over an empty database, that does not know where the Dagster UI is."""
    with service(settings) as running:
        yield running


def test_what_is_not_there_is_said(running):
    """An unknown answer and an id that is none: the shape of every other error, and what to do."""
    unknown = httpx.get(f"{running.url}/v1/answers/{uuid.uuid4()}/lineage", timeout=30)
    assert unknown.status_code == 404
    assert "is stored: give the answer_id" in unknown.json()["detail"]
    for wrong in ("1", "not-an-id", "%00", "a" * 5000, "'; DROP TABLE answers; --"):
        reply = httpx.get(f"{running.url}/v1/answers/{wrong}/lineage", timeout=30)
        assert reply.status_code in (404, 422), wrong
        assert reply.json()["detail"]


def test_a_database_that_is_away_is_said(settings: Settings):
    """503, and in the log what to check, without the password."""
    away = SecretStr("postgresql://me:secret@127.0.0.1:9/nowhere")
    with service(settings.model_copy(update={"service_database_url": away})) as running:
        reply = httpx.get(f"{running.url}/v1/answers/{uuid.uuid4()}/lineage", timeout=30)
    assert reply.status_code == 503
    assert "database" in reply.json()["detail"]
    assert "cannot be used as starsearch_service" in running.log
    assert "secret" not in reply.text + running.log


def test_an_answer_that_was_stored_earlier_is_shown_as_far_as_it_was_traced(running, database: Database):
    """Traces without a release's run, without any step, and of a text that no event told: what is there is shown."""
    answer = uuid.uuid4()
    nothing = {"id": None, "type": None, "file": None, "file_sha256": None, "run": None}
    traced = {
        "1": {"release": 1, "content": {"observed_at": None, "from": "GitHub's API", "run": "run-7"},
              "source_event": nothing},
        "2": {"release": 1, "measure": "lottery_factor", "coverage": {}},
    }  # fmt: skip
    cited = [{"n": n, "kind": "issue", "repo": "a/b", "ref": "1", "title": "t", "url": "u"} for n in (1, 2, 3)]
    database.execute(
        "INSERT INTO service.answers (answer_id, question, answer, mode, abstained, release_id, coverage, citations,"
        " trace) VALUES (%s, 'q', 'a', 'extractive', false, 1, '{}', %s, %s)",
        [answer, Jsonb(cited), Jsonb(traced)],
    )
    found = httpx.get(f"{running.url}/v1/answers/{answer}/lineage", timeout=30).json()
    first, second, third = ([step["step"] for step in one["steps"]] for one in found["citations"])
    assert (first, second, third) == (["release", "content"], ["release", "measure"], ["release"])
    assert found["citations"][0]["steps"][1] == {"step": "content", **traced["1"]["content"]}  # no link anywhere


def test_every_measure_has_a_definition(tools: Database):
    """Each function is registered under the name that its results bear, and says what it counts."""
    for name, function in FUNCTIONS.items():
        if name != "experts":  # needs a release to search in
            by = {"by": "commits"} if name == "commit_lottery_factor" else {}
            assert function(tools, Scope(), **by).measure == name
        definition = definition_of(name)
        assert definition is not None
        assert len(definition.text) > 60, name
    assert definition_of("nothing") is None
