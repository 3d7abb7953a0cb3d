"""A daemon and a webserver of Dagster that launch runs in a double of Kubernetes, over a database of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import yaml

from resources.embedded_postgres import EmbeddedPostgres
from resources.settings import Settings
from tests.doubles.kubernetes import Cluster
from tests.integration.commands import ROOT, environment, free_port
from tests.integration.running import Ui

IMAGE = "registry.example.org/starsearch:1.0"
CONFIG_MAP, SECRET, INSTANCE = "starsearch-settings", "starsearch-database", "dagster-instance"

SENSORS = """
query($repository: RepositorySelector!) {
  sensorsOrError(repositorySelector: $repository) { ... on Sensors { results { name sensorState { id } } } }
}"""
STOP_SENSOR = "mutation($id: String!) { stopSensor(id: $id) { __typename ... on PythonError { message } } }"


class Deployment(Ui):
    """Dagster as Kubernetes runs it, beside its double."""

    def __init__(self, cluster: Cluster, port: int) -> None:
        super().__init__(port)
        self.cluster = cluster

    def stop_sensors(self) -> None:
        """From now on nothing runs but what a test asks for."""
        repository = {"repositoryName": "__repository__", "repositoryLocationName": "starsearch"}
        for sensor in self.graphql(SENSORS, repository=repository)["sensorsOrError"]["results"]:
            self.wait_for(lambda state=sensor["sensorState"]["id"]: self._stops(state), 30)

    def _stops(self, state: str) -> bool:
        """Whether the sensor stops: it does not while the daemon writes its first state."""
        stopped: bool = self.graphql(STOP_SENSOR, id=state)["stopSensor"]["__typename"] == "StopSensorMutationResult"
        return stopped

    def wait_for(self, found: Callable[[], Any], seconds: float = 240.0) -> Any:
        """What `found` returns as soon as it is anything."""
        end = time.monotonic() + seconds
        while not (value := found()):
            if time.monotonic() > end:
                logs = "\n".join(f"{name}: {self.cluster.log(name)[-3000:]}" for name in self.cluster.pods)
                raise AssertionError(f"nothing came in {seconds:.0f} s; refused: {self.cluster.refused}; pods: {logs}")
            time.sleep(0.1)
        return value


@contextmanager
def deployed(server: EmbeddedPostgres, settings: Settings, folder: Path, hours: Path) -> Iterator[Deployment]:
    """Dagster's daemon and webserver, which launch runs in the double. folder: of their own; hours: the hour files."""
    secret = {
        name: getattr(settings, name.lower()).get_secret_value()
        for name in ("DATABASE_URL", "SERVICE_DATABASE_URL", "TOOLS_DATABASE_URL")
    }
    with dagster_database(server) as url, ExitStack() as stack:
        secret["DAGSTER_DATABASE_URL"] = url
        maps = {
            CONFIG_MAP: {
                "GH_ARCHIVE_URL": str(hours),
                "STARSEARCH_HOME": str(folder),
                "STARSEARCH_START": "2025-10-01",
                "STEP_SERVICE_ACCOUNT": "dagster-step",
            },
            INSTANCE: {"dagster.yaml": ""},
        }
        cluster = stack.enter_context(
            Cluster(config_maps=maps, secrets={SECRET: secret}, service_accounts={"dagster-run", "dagster-step"})
        )
        (folder / "dagster.yaml").write_text(yaml.safe_dump(_instance(cluster, folder)))
        known = {**maps[CONFIG_MAP], **secret, "DAGSTER_HOME": str(folder)}
        port, workspace = free_port(), str(ROOT / "workspace.yaml")
        for arguments in (
            ("-m", "dagster._daemon", "run", "-w", workspace),
            ("-m", "dagster_webserver", "-w", workspace, "-h", "127.0.0.1", "-p", str(port)),
        ):
            log = stack.enter_context((folder / f"{arguments[1]}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env=environment(folder, **known), stdout=log, stderr=log
            )
            stack.callback(_stop, process)
        deployment = Deployment(cluster, port)
        deployment.wait_for(lambda: _answers(port))
        deployment.stop_sensors()
        yield deployment


@contextmanager
def dagster_database(server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of an empty database for Dagster."""
    name = f"dagster_{free_port()}"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield server.url("postgres", name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _instance(cluster: Cluster, folder: Path) -> dict[str, Any]:
    """The project's own instance, with its runs in pods; what is lost is seen within seconds."""
    instance: dict[str, Any] = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    instance["storage"] = {"postgres": {"postgres_url": {"env": "DAGSTER_DATABASE_URL"}}}
    instance["run_monitoring"] |= {"poll_interval_seconds": 2, "free_slots_after_run_end_seconds": 2}
    instance["run_launcher"] = {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {
            "load_incluster_config": False,
            "kubeconfig_file": str(cluster.kubeconfig(folder)),
            "job_namespace": cluster.namespace,
            "service_account_name": "dagster-run",
            "instance_config_map": INSTANCE,
            "dagster_home": str(folder),
            "job_image": IMAGE,
            "env_config_maps": [CONFIG_MAP],
            "env_secrets": [SECRET],
            "run_k8s_config": {
                "job_spec_config": {"ttl_seconds_after_finished": 600},
                "pod_spec_config": {"service_account_name": "dagster-run"},
            },
        },
    }
    return instance


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info").is_success
    except httpx.HTTPError:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
