"""The asset graph as pods: Dagster's own launcher, executor and daemon over a double of Kubernetes' API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.embedded_postgres import EmbeddedPostgres
from resources.kinds import KINDS
from resources.postgres import Database, open_database
from starsearch_assets.pods import SIZES, SMALL
from tests.conftest import fresh
from tests.doubles.kubernetes import Pod
from tests.factories import at, item, write_hour
from tests.integration.commands import starsearch
from tests.integration.content import issues, pr, track
from tests.integration.demo import DUMPS
from tests.integration.pods import Deployment, deployed

DAY = "2025-10-08"
DAILY = [*(kind.table for kind in KINDS), *(kind.summaries for kind in KINDS if kind.summarized),
         *(kind.embeddings for kind in KINDS)]  # fmt: skip
LAUNCH = """
mutation($parameters: ExecutionParams!) {
  launchPipelineExecution(executionParams: $parameters) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
RUN = """
query($id: ID!) {
  pipelineRunOrError(runId: $id) { ... on Run { status stepStats { stepKey status } } }
}"""


@pytest.fixture(scope="module")
def hours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of hour files; in one of them things happen."""
    folder = tmp_path_factory.mktemp("hours")
    things = {number: item(number, f"Polish the {word} mirror") for number, word in enumerate("abcdefgh", 1)}
    noon = f"{DAY} 12:00"
    events = [pr(number, noon, "opened", thing) for number, thing in things.items()]
    events += [issues(20 + n, noon, "opened", item(20 + n, f"The {n}th telescope is cloudy")) for n in range(8)]
    for hour in (at(DAY) + timedelta(hours=number) for number in range(24)):
        write_hour(folder, hour, events if hour == at(noon) else [])
    return folder


@pytest.fixture(scope="module")
def deployment(
    server: EmbeddedPostgres, hours: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Deployment, Database]]:
    """A deployment over a database of its own, of which the hours are loaded."""
    folder = tmp_path_factory.mktemp("dagster")
    with fresh(server, folder) as settings, open_database(settings) as database:
        track(database)
        with deployed(server, settings, folder, hours) as deployment:
            partitions = [f"{DAY}-{hour:02d}:00" for hour in range(24)]
            assert deployment.backfill(["events"], partitions)["status"] == "COMPLETED_SUCCESS"
            yield deployment, database


def test_a_backfill_in_pods_leaves_the_rows_of_a_local_one(
    deployment: tuple[Deployment, Database], server: EmbeddedPostgres, hours: Path, tmp_path: Path
) -> None:
    """Though the node of one of its pods is taken away, and the API is away for a moment."""
    dagster, database = deployment
    cluster, before = dagster.cluster, set(dagster.cluster.pods)
    cluster.misbehave("503", times=1)
    backfill = dagster.launch(DAILY, [DAY])

    def embedding() -> Pod | None:
        return next(
            (pod for name, pod in cluster.pods.items() if name not in before and "_embeddings" in cluster.log(name)),
            None,
        )

    evicted = dagster.wait_for(embedding)
    cluster.evict(evicted.name)
    assert dagster.ended(backfill)["status"] == "COMPLETED_SUCCESS"
    assert evicted.reason == "Evicted"
    (later,) = [pod for name, pod in cluster.pods.items() if name not in {*before, evicted.name}]
    dagster.wait_for(lambda: later.phase != "Running")  # a run ends a moment before its process
    assert later.phase == "Succeeded"
    assert cluster.refused == []

    home = tmp_path / "local"
    with fresh(server, home) as settings, open_database(settings) as local:
        track(local)
        starsearch(
            home, "backfill", "--from", DAY, "--to", DAY, GH_ARCHIVE_URL=str(hours), STARSEARCH_START="2025-10-01",
            DATABASE_URL=settings.database_url.get_secret_value(),
            SERVICE_DATABASE_URL=settings.service_database_url.get_secret_value(),
            TOOLS_DATABASE_URL=settings.tools_database_url.get_secret_value(),
        )  # fmt: skip
        for name in ("events", "items", "activity", "contents", "summaries", "vectors"):
            rows = [sorted(one.fetch_all(DUMPS[name]), key=repr) for one in (database, local)]
            assert rows[0] == rows[1], name
            assert rows[0], name


def test_steps_have_pods_of_their_own_where_the_launchpad_says_so(deployment: tuple[Deployment, Database]) -> None:
    """Each with what its asset asks for, under an account that may create nothing; one that is evicted comes again."""
    dagster, _ = deployment
    cluster, before = dagster.cluster, len(dagster.cluster.created)
    cluster.delay(1.0)
    run = _launch(dagster, ["issues"], {"execution": {"config": {"step_pods": {}}}})
    first = dagster.wait_for(lambda: [pod for pod in cluster.pods.values() if pod.labels.get("dagster/op") == "issues"])
    dagster.wait_for(lambda: first[0].phase == "Running")
    cluster.evict(first[0].name)
    found = dagster.wait_for(lambda: _finished(dagster, run))
    cluster.delay(0.0)
    assert found["status"] == "SUCCESS"
    run_job, *steps = cluster.created[before:]
    assert run_job["spec"]["template"]["spec"]["serviceAccountName"] == "dagster-run"
    assert [_label(job, "dagster/op") for job in steps].count("issues") == 2
    asked = {_label(job, "dagster/op"): _container(job)["resources"] for job in steps}
    assert set(asked) == {step["stepKey"] for step in found["stepStats"]}
    assert {job["spec"]["template"]["spec"]["serviceAccountName"] for job in steps} == {"dagster-step"}
    for name, resources in asked.items():
        size = SIZES.get(name, SMALL)
        assert resources == {
            "requests": {"cpu": size.cpu, "memory": size.memory}, "limits": {"memory": size.limit}
        }  # fmt: skip


def _launch(dagster: Deployment, assets: list[str], run_config: dict[str, Any]) -> str:
    selector = {
        "repositoryName": "__repository__", "repositoryLocationName": "starsearch", "pipelineName": "__ASSET_JOB",
        "assetSelection": [{"path": [name]} for name in assets],
    }  # fmt: skip
    parameters = {
        "mode": "default", "selector": selector, "runConfigData": run_config,
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": DAY}]},
    }  # fmt: skip
    launched = dagster.graphql(LAUNCH, parameters=parameters)["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id: str = launched["run"]["runId"]
    return run_id


def _finished(dagster: Deployment, run_id: str) -> Any:
    found = dagster.graphql(RUN, id=run_id)["pipelineRunOrError"]
    return found if found["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None


def _label(job: dict[str, Any], name: str) -> str:
    label: str = job["metadata"]["labels"][name]
    return label


def _container(job: dict[str, Any]) -> Any:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container
