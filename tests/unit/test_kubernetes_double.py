"""The double of Kubernetes' API, through the client that Dagster uses: what it takes, refuses, runs and loses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster_k8s.client import DagsterK8sUnrecoverableAPIError, DagsterKubernetesClient
from kubernetes.client import ApiClient, ApiException, BatchV1Api, Configuration, CoreV1Api

from tests.doubles.kubernetes import Cluster

NAMESPACE = "starsearch"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(
        config_maps={"settings": {"COLOUR": "blue"}}, secrets={"database": {"PASSWORD": "hunter2"}},
        service_accounts={"default", "runner"},
    ) as cluster:  # fmt: skip
        yield cluster


@pytest.fixture
def batch(cluster: Cluster) -> BatchV1Api:
    return BatchV1Api(ApiClient(Configuration(host=cluster.url)))


@pytest.fixture
def core(cluster: Cluster) -> CoreV1Api:
    return CoreV1Api(ApiClient(Configuration(host=cluster.url)))


def job(name: str, *words: str, **container: Any) -> dict[str, Any]:
    spec = {"name": "main", "image": "starsearch:1.0", "args": list(words), **container}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {"role": name}},
                "spec": {"restartPolicy": "Never", "serviceAccountName": "runner", "containers": [spec]},
            },
        },
    }


def wait(found: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.02)
    return value


def status(batch: BatchV1Api, name: str) -> Any:
    return batch.read_namespaced_job_status(name, NAMESPACE).status


def test_a_container_has_the_pods_environment_and_nothing_else(
    cluster: Cluster, batch: BatchV1Api, core: CoreV1Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of settings, secrets, and the pod's own name; not of this process."""
    monkeypatch.setenv("OF_THE_TEST", "1")
    words = ["python", "-c", "import os; print(dict(os.environ))"]
    env = [
        {"name": "WORD", "value": "$(COLOUR)"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "database", "key": "PASSWORD"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
    batch.create_namespaced_job(
        NAMESPACE, job("show", *words, env=env, envFrom=[{"configMapRef": {"name": "settings"}}])
    )
    wait(lambda: status(batch, "show").succeeded)
    (pod,) = core.list_namespaced_pod(NAMESPACE, label_selector="job-name=show").items
    told = core.read_namespaced_pod_log(pod.metadata.name, NAMESPACE)
    assert pod.status.phase == "Succeeded"
    for pair in ("'COLOUR': 'blue'", "'KEY': 'hunter2'", f"'POD': '{pod.metadata.name}'"):
        assert pair in told
    assert "OF_THE_TEST" not in told


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda one: one["spec"].update(backofLimit=0), "backofLimit"),
        (lambda one: one["spec"]["template"]["spec"].update(restartPolicy=1), "1 is not"),
        (lambda one: one["spec"]["template"]["spec"].update(serviceAccountName="nobody"), "nobody"),
    ],
)
def test_what_a_cluster_would_not_take_is_refused(
    cluster: Cluster, batch: BatchV1Api, broken: Callable[[dict[str, Any]], None], why: str
) -> None:
    """A typing error, a wrong type, an account that there is not; and a name that is taken."""
    bad = job("bad", "true")
    broken(bad)
    with pytest.raises(ApiException) as refused:
        batch.create_namespaced_job(NAMESPACE, bad)
    assert refused.value.status == 422
    assert why in refused.value.body
    assert cluster.jobs == {}
    batch.create_namespaced_job(NAMESPACE, job("good", "true"))
    with pytest.raises(ApiException) as taken:
        batch.create_namespaced_job(NAMESPACE, job("good", "true"))
    assert taken.value.status == 409


def test_pods_fail_are_evicted_and_wait(cluster: Cluster, batch: BatchV1Api, core: CoreV1Api) -> None:
    """A command that fails, a node that goes, one that is not there yet, and a secret that is missing."""
    batch.create_namespaced_job(NAMESPACE, job("fails", "false"))
    assert wait(lambda: status(batch, "fails").failed) == 1
    batch.create_namespaced_job(NAMESPACE, job("long", "sleep", "60"))
    name = wait(lambda: [pod for pod in cluster.pods.values() if pod.labels["job-name"] == "long"])[0].name
    wait(lambda: cluster.pods[name].phase == "Running")
    cluster.evict(name)
    assert status(batch, "long").failed == 1
    assert core.read_namespaced_pod(name, NAMESPACE).status.reason == "Evicted"
    cluster.delay(60.0)
    batch.create_namespaced_job(NAMESPACE, job("waits", "true"))
    (waits,) = core.list_namespaced_pod(NAMESPACE, label_selector="role=waits").items
    assert waits.status.phase == "Pending"
    cluster.delay(0.0)
    env = [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "none", "key": "PASSWORD"}}}]
    batch.create_namespaced_job(NAMESPACE, job("lacks", "true", env=env))
    lacks = wait(lambda: [pod for pod in cluster.pods.values() if pod.labels["job-name"] == "lacks" and pod.reason])[0]
    assert lacks.phase == "Pending"
    assert "CreateContainerConfigError" in lacks.reason
    cluster.fail(1)
    batch.create_namespaced_job(NAMESPACE, job("unlucky", "true"))
    assert wait(lambda: status(batch, "unlucky").failed) == 1


def test_jobs_are_deleted_and_end_their_time(cluster: Cluster, batch: BatchV1Api) -> None:
    """With their pods; those that have ended, when their time to live is over."""
    batch.create_namespaced_job(NAMESPACE, job("long", "sleep", "60"))
    wait(lambda: any(pod.phase == "Running" for pod in cluster.pods.values()))
    batch.delete_namespaced_job("long", NAMESPACE)
    assert (cluster.jobs, cluster.pods) == ({}, {})
    short = job("short", "true")
    short["spec"]["ttlSecondsAfterFinished"] = 0
    batch.create_namespaced_job(NAMESPACE, short)
    wait(lambda: cluster.jobs == {})


def test_dagsters_client_waits_out_an_api_that_is_away(cluster: Cluster, tmp_path: Path) -> None:
    """A 503 and a dropped connection are tried again; a refusal is not."""
    import kubernetes.config

    kubernetes.config.load_kube_config(str(cluster.kubeconfig(tmp_path)))
    client = DagsterKubernetesClient.production_client()
    cluster.misbehave("503", times=1)
    client.create_namespaced_job_with_retries(job("first", "true"), NAMESPACE, wait_time_between_attempts=0.1)
    cluster.misbehave("drop", times=1)
    client.create_namespaced_job_with_retries(job("second", "true"), NAMESPACE, wait_time_between_attempts=0.1)
    assert set(cluster.jobs) == {"first", "second"}
    cluster.misbehave("403", times=1)
    with pytest.raises(DagsterK8sUnrecoverableAPIError):
        client.create_namespaced_job_with_retries(job("third", "true"), NAMESPACE, wait_time_between_attempts=0.1)
