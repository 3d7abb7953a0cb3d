"""Values of charts as Helm merges them, and the Jobs that Dagster's launcher makes of its chart's values."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterRun
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_k8s import K8sRunLauncher
from dagster_k8s.client import ApiClient
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job

from tests.kubernetes.rendering import KUBERNETES, PROJECT, Manifest

HELM_VALUES = PROJECT / "deploy" / "helm-values"
CHARTS: list[dict[str, Any]] = yaml.safe_load((HELM_VALUES / "charts.yaml").read_text())["charts"]
ENVIRONMENTS = sorted({environment for chart in CHARTS for environment in chart["environments"]})
INSTALLED = [(chart["name"], environment) for chart in CHARTS for environment in chart["environments"]]
"""Name of the release and environment of each installation."""

_STEP = re.compile(r"([^.\[]+)(?:\[(\d+)\])?")


def chart(name: str) -> dict[str, Any]:
    """The entry of charts.yaml."""
    return next(one for one in CHARTS if one["name"] == name)


def merge(base: Any, over: Any) -> Any:
    """As Helm merges two files: maps key by key, anything else is replaced, null removes."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return copy.deepcopy(over)
    merged = {key: copy.deepcopy(value) for key, value in base.items() if over.get(key, 1) is not None}
    for key, value in over.items():
        if value is not None:
            merged[key] = merge(base.get(key), value)
    return merged


def values(name: str, environment: str) -> dict[str, Any]:
    """What a chart is installed with, the overlay's image in its places."""
    merged: dict[str, Any] = {}
    for folder in ("base", environment):
        path = HELM_VALUES / folder / f"{name}.yaml"
        if path.exists():
            merged = merge(merged, yaml.safe_load(path.read_text()))
    for place in chart(name).get("images", []):
        image = at(merged, place)
        image |= image_of(environment)
    return merged


def image_of(environment: str) -> dict[str, str]:
    """Repository and tag that the overlay of the same name gives to our workloads."""
    told = yaml.safe_load((KUBERNETES / "overlays" / environment / "kustomization.yaml").read_text())["images"]
    image = next(one for one in told if one["name"] == "starsearch")
    return {"repository": image["newName"], "tag": image["newTag"]}


def at(tree: Any, path: str) -> Any:
    """What stands at a path such as `a.b[0].c`."""
    for key, index in _STEP.findall(path):
        tree = tree[key]
        if index:
            tree = tree[int(index)]
    return tree


def leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each scalar, empty map and list with its path; the places of a list are written `[]`."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list) and tree:
        for value in tree:
            yield from leaves(value, f"{path}[]")
    else:
        yield path, tree


def launched(environment: str, folder: Path, *, component: str = "run_worker") -> Manifest:
    """The Job of one run: the real launcher, configured with what the chart's templates make of the values.

    folder: empty; a kubeconfig that leads nowhere is put there, because the launcher wants one.
    """
    told = values("dagster", environment)
    config = _launcher_config(told)
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1", "kind": "Config", "current-context": "none",
                "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
                "users": [{"name": "none", "user": {}}],
                "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
            }
        )
    )  # fmt: skip
    launcher = K8sRunLauncher(**config, load_incluster_config=False, kubeconfig_file=str(kubeconfig))  # type: ignore[no-untyped-call]
    deployment = told["dagster-user-deployments"]["deployments"][0]
    image = f"{deployment['image']['repository']}:{deployment['image']['tag']}"
    repository = RepositoryPythonOrigin(
        executable_path="python",
        code_pointer=ModuleCodePointer("starsearch_assets.definitions", "defs"),
        container_image=image,
        container_context=_location_context(told),
    )
    run = DagsterRun(job_name="__ASSET_JOB", job_code_origin=JobPythonOrigin("__ASSET_JOB", repository))
    context = K8sContainerContext.create_for_run(run, launcher, include_run_tags=True)
    job: Any = construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config(job_image=image, run_launcher=launcher),
        args=["dagster", "api", "execute_run"],
        job_name=f"dagster-run-{run.run_id}"[:63],
        component=component,
        user_defined_k8s_config=context.run_k8s_config,
        labels={"dagster/job": "__ASSET_JOB", "dagster/run-id": run.run_id},
    )
    return dict(ApiClient().sanitize_for_serialization(job))


def _names(sources: list[dict[str, str]]) -> list[str]:
    return [one["name"] for one in sources]


def _launcher_config(told: Mapping[str, Any]) -> dict[str, Any]:
    """What the chart's ConfigMap `dagster-instance` says of the launcher."""
    own = told["runLauncher"]["config"]["k8sRunLauncher"]
    raw = own["runK8sConfig"]
    return {
        "service_account_name": told["serviceAccount"]["name"],
        "instance_config_map": f"{told['global']['fullnameOverride']}-instance",
        "postgres_password_secret": told["global"]["postgresqlSecretName"],
        "dagster_home": told["global"]["dagsterHome"],
        "job_namespace": chart("dagster")["namespace"],
        "image_pull_policy": own["imagePullPolicy"],
        "env_config_maps": _names(own["envConfigMaps"]),
        "env_secrets": _names(own["envSecrets"]),
        "volumes": own["volumes"],
        "volume_mounts": own["volumeMounts"],
        "run_k8s_config": {
            "container_config": raw["containerConfig"],
            "pod_spec_config": raw["podSpecConfig"],
            "pod_template_spec_metadata": raw["podTemplateSpecMetadata"],
            "job_spec_config": raw["jobSpecConfig"],
        },
    }


def _location_context(told: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the chart hands to the code location for its run pods, where includeConfigInLaunchedRuns says so."""
    location = told["dagster-user-deployments"]["deployments"][0]
    if not location["includeConfigInLaunchedRuns"]["enabled"]:
        return None
    context = {
        "image_pull_policy": location["image"]["pullPolicy"],
        "env_config_maps": ["dagster-starsearch-user-env", *_names(location["envConfigMaps"])],
        "env_secrets": _names(location["envSecrets"]),
        "env": location["env"],
        "volumes": location["volumes"],
        "volume_mounts": location["volumeMounts"],
        "resources": location["resources"],
        "namespace": chart("dagster")["namespace"],
        "service_account_name": told["dagster-user-deployments"]["serviceAccount"]["name"],
    }
    return {"k8s": context}
