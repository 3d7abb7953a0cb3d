"""deploy/README.md is the map that Helm values are written by: it knows every name."""

from __future__ import annotations

import re

import pytest

from tests.kubernetes.outside import OUTSIDE_PODS, OUTSIDE_SECRETS, OUTSIDE_SERVICES
from tests.kubernetes.rendering import (
    KUBERNETES,
    OVERLAYS,
    PROJECT,
    of_kind,
    overlay,
    pod_labels,
    workloads,
)

README = (PROJECT / "deploy" / "README.md").read_text()
WORDS = set(re.findall(r"[\w./-]+", README))


@pytest.mark.files_only
def test_every_component_overlay_and_secret_is_in_it() -> None:
    """Folders and what is made elsewhere."""
    folders = {path.parent.name for path in KUBERNETES.glob("components/*/kustomization.yaml")}
    keys = {key for one in OUTSIDE_SECRETS.values() for key in one}
    assert folders | set(OVERLAYS) | set(OUTSIDE_SECRETS) | keys | OUTSIDE_SERVICES <= WORDS


@pytest.mark.files_only
def test_the_labels_of_others_pods_are_in_it() -> None:
    """By them policies know Dagster's and PostgreSQL's pods."""
    labels = {labels.get("component") or labels.get("app.kubernetes.io/component") for labels in OUTSIDE_PODS.values()}
    assert labels - {None} <= WORDS
    assert "cnpg.io/cluster" in WORDS


@pytest.mark.parametrize("name", OVERLAYS)
def test_accounts_claims_priorities_ports_and_labels_are_in_it(name: str) -> None:
    """Whatever another chart could refer to."""
    objects = overlay(name)
    kinds = of_kind(objects, "ServiceAccount", "PersistentVolumeClaim", "PriorityClass", "Service", "Role")
    names = {one["metadata"]["name"] for one in kinds}
    ports = {str(port["port"]) for one in of_kind(objects, "Service") for port in one["spec"]["ports"]}
    labels = {pod_labels(one)["app.kubernetes.io/component"] for one in workloads(objects)}
    users = {str(one["spec"]["template"]["spec"]["securityContext"]["runAsUser"]) for one in workloads(objects)}
    assert names | ports | labels <= WORDS
    assert users == {"10001"} and "10001" in WORDS
