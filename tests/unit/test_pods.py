"""What each asset's pod asks for, as the Job that Dagster makes of it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from kubernetes.client import ApiClient
from kubernetes.utils.quantity import parse_quantity

from resources.settings import Settings
from starsearch_assets.definitions import build_definitions
from starsearch_assets.pods import POOL_LABEL, SIZES, SMALL, Size

ASSETS = sorted(
    key.to_user_string()
    for asset in build_definitions(Settings(_env_file=None)).assets or ()
    if isinstance(asset, dg.AssetsDefinition)
    for key in asset.keys
)


def job_of(size: Size) -> dict[str, Any]:
    """The manifest of a step's Job."""
    made = construct_dagster_k8s_job(
        job_config=DagsterK8sJobConfig(job_image="starsearch:1.0", dagster_home="/opt/dagster/dagster_home"),
        args=["dagster", "api", "execute_step"],
        job_name="step",
        user_defined_k8s_config=UserDefinedDagsterK8sConfig.from_dict(size.as_k8s_config()),
        component="step_worker",
    )
    manifest: dict[str, Any] = ApiClient().sanitize_for_serialization(made)
    return manifest


def refusal(job: dict[str, Any]) -> str | None:
    """What Kubernetes would refuse it for."""
    try:
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
        (container,) = job["spec"]["template"]["spec"]["containers"]
        quantities = {
            (which, name): parse_quantity(value)
            for which, values in container["resources"].items()
            for name, value in values.items()
        }
    except (kubernetes_validate.ValidationError, ValueError) as error:
        return str(error)
    over = [name for (which, name), value in quantities.items() if value > quantities.get(("limits", name), value)]
    return f"more of {over} is requested than allowed" if over else None


@pytest.mark.parametrize("name", ASSETS)
def test_every_assets_job_stands_kubernetes_own_schema(name: str) -> None:
    """Its quantities, which the schema takes for text, can be read, and none asks for more than it may have."""
    job = job_of(SIZES.get(name, SMALL))
    assert refusal(job) is None
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {"cpu", "memory"} == set(container["resources"]["requests"])


@pytest.mark.parametrize(
    "size", [Size("banana", "1Gi", "2Gi"), Size("1", "1Gib", "2Gi"), Size("1", "3Gi", "2Gi")], ids=lambda size: size.cpu
)
def test_sizes_that_no_cluster_takes_are_noticed(size: Size) -> None:
    """A word, a unit that there is none of, a request over its limit."""
    assert refusal(job_of(size)) is not None


def test_sizes_name_assets_that_there_are() -> None:
    """Every name of the table is an asset's."""
    assert set(SIZES) <= set(ASSETS)


def test_nodes_of_a_pool_are_preferred_and_their_taint_tolerated() -> None:
    """And none is required: the pod runs where there is no such pool."""
    spec = job_of(Size("1", "1Gi", "1Gi", "memory"))["spec"]["template"]["spec"]
    affinity = spec["affinity"]["nodeAffinity"]
    assert "requiredDuringSchedulingIgnoredDuringExecution" not in affinity
    (preferred,) = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["preference"]["matchExpressions"] == [{"key": POOL_LABEL, "operator": "In", "values": ["memory"]}]
    assert [(one["key"], one["value"]) for one in spec["tolerations"]] == [(POOL_LABEL, "memory")]
