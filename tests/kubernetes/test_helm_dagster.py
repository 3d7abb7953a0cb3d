"""Dagster's chart: agrees with dagster.yaml and the manifests, and its launcher makes pods that the cluster takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._serdes import ConfigurableClassData
from dagster_aws.s3 import S3ComputeLogManager

from resources.settings import Settings
from tests.kubernetes import pods
from tests.kubernetes.charts import ENVIRONMENTS, at, launched, leaves, values
from tests.kubernetes.outside import OUTSIDE_PODS
from tests.kubernetes.reachability import Pod, may_reach
from tests.kubernetes.references import reference_problems
from tests.kubernetes.rendering import (
    NAMESPACE,
    PROJECT,
    Manifest,
    containers,
    named,
    of_kind,
    overlay,
    pod_labels,
    pod_spec,
    title,
)
from tests.kubernetes.test_helm_values import CHART_SECRETS
from tests.kubernetes.validation import schema_problems

LOCAL = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
LOCATION = "dagster-user-deployments.deployments[0]"
PLACES = {"daemon": "dagsterDaemon", "webserver": "dagsterWebserver", "code": LOCATION}
"""Where the chart's own pods are described, by the role that policies know them as."""

every = pytest.mark.parametrize("environment", ENVIRONMENTS)
files_only = pytest.mark.files_only


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    """Each of them."""
    return str(request.param)


@pytest.fixture
def job(environment: str, tmp_path: Path) -> Manifest:
    """The Job of one run."""
    return launched(environment, tmp_path)


def _workload(told: dict[str, Any], role: str) -> Manifest:
    """The parts of a chart's pod that its values decide."""
    one = at(told, PLACES[role])
    container = {
        "name": role, "image": f"{one['image']['repository']}:{one['image']['tag']}",
        "securityContext": one["securityContext"], "resources": one["resources"], "volumeMounts": one["volumeMounts"],
    }  # fmt: skip
    spec = {"securityContext": one["podSecurityContext"], "containers": [container], "volumes": one["volumes"]}
    return {
        "kind": "Deployment", "metadata": {"name": role}, "spec": {"template": {"metadata": {}, "spec": spec}},
    }  # fmt: skip


@files_only
@every
def test_pools_retries_monitoring_and_retention_are_the_local_ones(environment: str) -> None:
    """Pods take longer to start than processes; everything else is the same."""
    told = values("dagster", environment)
    daemon = told["dagsterDaemon"]
    monitoring, local = daemon["runMonitoring"], LOCAL["run_monitoring"]
    assert told["concurrency"]["pools"] == {
        "granularity": LOCAL["concurrency"]["pools"]["granularity"],
        "defaultLimit": LOCAL["concurrency"]["pools"]["default_limit"],
    }
    assert monitoring["enabled"] is local["enabled"] is True
    assert monitoring["freeSlotsAfterRunEndSeconds"] == local["free_slots_after_run_end_seconds"] > 0
    assert monitoring["startTimeoutSeconds"] > local["start_timeout_seconds"]
    assert daemon["runRetries"] == {
        "enabled": LOCAL["run_retries"]["enabled"],
        "maxRetries": LOCAL["run_retries"]["max_retries"],
        "retryOnAssetOrOpFailure": LOCAL["run_retries"]["retry_on_asset_or_op_failure"],
    }
    for kind in ("sensor", "schedule"):
        assert told["retention"][kind] == {"purgeAfterDays": LOCAL["retention"][kind]["purge_after_days"]}
    assert told["retention"]["enabled"] is True
    coordinator = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    assert coordinator == {"dequeueIntervalSeconds": LOCAL["run_coordinator"]["config"]["dequeue_interval_seconds"]}
    assert told["concurrency"]["runs"]["maxConcurrentRuns"] >= LOCAL["concurrency"]["runs"]["max_concurrent_runs"]


@files_only
@every
def test_nobody_reaches_the_ui_from_outside_and_nothing_is_reported(environment: str) -> None:
    """It has no authentication; a read-only one stands beside it."""
    told = values("dagster", environment)
    assert told["ingress"] == told["telemetry"] == {"enabled": False}
    assert told["dagsterWebserver"]["enableReadOnly"] is True
    assert told["additionalInstanceConfig"]["nux"] == LOCAL["nux"]
    assert told["postgresql"]["enabled"] is told["generatePostgresqlPasswordSecret"] is False


@pytest.mark.parametrize("environment", ["gpu-daemonset", "gpu-autoscaled"])
def test_summaries_and_answers_fit_into_one_server(environment: str) -> None:
    """Steps that summarize at a time, with all requests each, and answers: no more than a server runs at once."""
    objects = overlay(environment)
    settings = named(objects, "ConfigMap", "starsearch-settings")["data"]

    def number(name: str) -> int:
        return int(settings.get(name, Settings.model_fields[name.lower()].default))

    texts = [text for one in of_kind(objects, "ConfigMap") for text in one.get("data", {}).values()]
    slots = [int(yaml.safe_load(text)["max-num-seqs"]) for text in texts if "max-num-seqs" in text]
    pools = values("dagster", environment)["concurrency"]["pools"]
    used = set(re.findall(r'pool="(\w+)"', "".join(p.read_text() for p in PROJECT.glob("starsearch_assets/**/*.py"))))
    assert "llm" in used and len(slots) == 1
    assert pools["defaultLimit"] * number("LLM_CONCURRENCY") + number("ANSWER_CONCURRENCY") <= min(slots)


def test_the_api_takes_a_runs_job(job: Manifest) -> None:
    """Strictly, in the oldest and the newest Kubernetes that is known."""
    assert schema_problems(job) == []


def test_a_runs_pod_is_restricted(job: Manifest) -> None:
    """As the manifests' pods are. Its token is for the step pods that it launches."""
    assert pods.security_problems(job) == [f"{title(job)}: mounts a token of the Kubernetes API"]
    assert pods.resource_problems(job) == pods.image_problems(job) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("podSpecConfig.securityContext.runAsNonRoot", False),
        ("podSpecConfig.securityContext.seccompProfile", {"type": "Unconfined"}),
        ("containerConfig.securityContext.readOnlyRootFilesystem", False),
        ("containerConfig.securityContext.allowPrivilegeEscalation", True),
        ("containerConfig.securityContext.capabilities.drop", []),
    ],
)
def test_a_run_that_is_not_restricted_is_found(
    place: str, value: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above can fail."""
    told = values("dagster", "cpu-dev")
    parent, _, last = f"runLauncher.config.k8sRunLauncher.runK8sConfig.{place}".rpartition(".")
    at(told, parent)[last] = value
    monkeypatch.setattr("tests.kubernetes.charts.values", lambda *_: told)
    assert len(pods.security_problems(launched("cpu-dev", tmp_path))) == 2


def test_a_run_has_what_it_needs_and_its_own_account(environment: str, job: Manifest) -> None:
    """Not the code location's, which may do nothing, nor its memory, which is for loading definitions."""
    spec, (container, _) = pod_spec(job), next(containers(job))
    told = values("dagster", environment)
    location = at(told, LOCATION)
    assert spec["serviceAccountName"] == "dagster-run"
    assert spec["priorityClassName"] == "starsearch-runs"
    assert container["image"] == f"{location['image']['repository']}:{location['image']['tag']}"
    assert container["resources"] == at(
        told, "runLauncher.config.k8sRunLauncher.runK8sConfig.containerConfig.resources"
    )
    assert container["resources"] != location["resources"]
    variables = {one["name"]: one for one in container["env"]}
    assert [variables[one["name"]] for one in location["env"]] == location["env"]
    sources = {one[kind]["name"] for one in container["envFrom"] for kind in one}
    assert {one["name"] for one in location["envConfigMaps"] + location["envSecrets"]} <= sources
    assert variables["STEP_SERVICE_ACCOUNT"]["value"] == "dagster-step"
    assert named(overlay(environment), "ServiceAccount", "dagster-step")
    assert job["spec"]["ttlSecondsAfterFinished"] > 0 and job["spec"]["backoffLimit"] == 0


def test_a_run_leads_to_what_exists(environment: str, job: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets, settings, claims, account and priority, in the overlay of the environment."""
    from tests.kubernetes import references

    monkeypatch.setattr(references, "OUTSIDE_SECRETS", references.OUTSIDE_SECRETS | CHART_SECRETS)
    objects = overlay(environment)
    assert reference_problems([*objects, job]) == []
    job["spec"]["template"]["spec"]["priorityClassName"] = "high"
    assert reference_problems([*objects, job]) == [f"{title(job)}: there is no PriorityClass/high"]


@pytest.mark.parametrize("role", PLACES)
def test_the_charts_own_pods_are_restricted(environment: str, role: str) -> None:
    """Daemon and webservers have a token, for the launcher; the code location's account gives none."""
    one = _workload(values("dagster", environment), role)
    assert pods.security_problems(one) == [f"{title(one)}: mounts a token of the Kubernetes API"]
    assert pods.resource_problems(one) == pods.image_problems(one) == []
    told = values("dagster", environment)
    account = (told["dagster-user-deployments"] if role == "code" else told)["serviceAccount"]["name"]
    mounted = named(overlay(environment), "ServiceAccount", account).get("automountServiceAccountToken", True)
    assert mounted is (role != "code")


def test_what_pods_write_is_a_volume(environment: str, job: Manifest) -> None:
    """The root filesystem is read-only: /tmp, STARSEARCH_HOME and DAGSTER_HOME are mounted, each from a volume."""
    told = values("dagster", environment)
    for one in [job, *(_workload(told, role) for role in PLACES)]:
        spec, (container, _) = pod_spec(one), next(containers(one))
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert {"/tmp", "/var/lib/starsearch", told["global"]["dagsterHome"]} <= mounted
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in spec["volumes"]}
    (container, _) = next(containers(job))
    cache = next(one["value"] for one in container["env"] if one["name"] == "GIT_CACHE_DIR")
    assert {"name": "git-cache", "mountPath": cache} in container["volumeMounts"]


def test_policies_know_these_pods(environment: str, job: Manifest, tmp_path: Path) -> None:
    """Labels and ports are those that the manifests' policies allow."""
    objects, told = overlay(environment), values("dagster", environment)
    database = Pod(NAMESPACE, OUTSIDE_PODS["postgres"])
    steps = launched(environment, tmp_path, component="step_worker")
    for one in (job, steps):
        assert may_reach(objects, Pod(NAMESPACE, pod_labels(one)), database, told["postgresql"]["service"]["port"])
    code = Pod(NAMESPACE, OUTSIDE_PODS["code"])
    port = at(told, LOCATION)["port"]
    for role in ("daemon", "webserver", "read-only"):
        assert may_reach(objects, Pod(NAMESPACE, OUTSIDE_PODS[role]), code, port)
        assert not may_reach(objects, Pod(NAMESPACE, OUTSIDE_PODS[role]), code, port + 1)
    assert not may_reach(
        objects, Pod(NAMESPACE, {**pod_labels(job), "app.kubernetes.io/component": "x"}), database, 5432
    )


@files_only
@pytest.mark.parametrize("environment", ["gpu-daemonset", "gpu-autoscaled"])
def test_the_bucket_of_compute_logs_is_configured_as_dagster_takes_it(environment: str) -> None:
    """Chart keys are those of the class, in camel case; the class accepts them. cpu-dev has no bucket."""
    told = values("dagster", environment)["computeLogManager"]
    config = {
        re.sub(r"([A-Z])", lambda found: f"_{found[1].lower()}", key): value
        for key, value in told["config"]["s3ComputeLogManager"].items()
    }
    assert told["type"] == "S3ComputeLogManager"
    data = ConfigurableClassData("dagster_aws.s3", "S3ComputeLogManager", yaml.safe_dump(config))
    assert isinstance(data.rehydrate(as_type=S3ComputeLogManager), S3ComputeLogManager)
    assert not any("set-by-the" in str(value) for _, value in leaves(values("dagster", environment)))
    assert values("dagster", "cpu-dev")["computeLogManager"]["type"] == "NoOpComputeLogManager"
