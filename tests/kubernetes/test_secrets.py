"""Secrets are named, never written down; what the store has to hold follows from that."""

from __future__ import annotations

import pytest

from tests.kubernetes.outside import OUTSIDE_SECRETS
from tests.kubernetes.rendering import Manifest, containers, of_kind, overlay, workloads


def _needed(objects: list[Manifest]) -> set[tuple[str, str]]:
    """Name and key of each Secret without which a pod does not start."""
    references = [
        variable["valueFrom"]["secretKeyRef"]
        for one in workloads(objects)
        for container, _ in containers(one)
        for variable in container.get("env", [])
        if "secretKeyRef" in variable.get("valueFrom", {})
    ]
    return {(one["name"], one["key"]) for one in references if not one.get("optional")}


@pytest.mark.parametrize("name", ["gpu-daemonset", "gpu-autoscaled"])
def test_the_store_provides_what_pods_need(name: str) -> None:
    """Each key of each Secret that is not optional."""
    objects = overlay(name)
    provided = {
        (one["spec"]["target"]["name"], entry["secretKey"])
        for one in of_kind(objects, "ExternalSecret")
        for entry in one["spec"]["data"]
    }
    assert len(_needed(objects)) >= 4
    assert _needed(objects) <= provided
    assert provided <= {(secret, key) for secret, keys in OUTSIDE_SECRETS.items() for key in keys}


def test_the_owner_of_the_database_is_known_to_the_migration_only() -> None:
    """The service and the poller connect as roles that own nothing."""
    holders = {
        one["metadata"]["labels"]["app.kubernetes.io/component"]
        for one in workloads(overlay("gpu-daemonset"))
        for container, _ in containers(one)
        if "'starsearch-database'" in str(container)
    }
    assert holders == {"migrate"}
