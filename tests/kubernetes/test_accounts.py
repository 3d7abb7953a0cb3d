"""Service accounts may do what their pods call, and no more."""

from __future__ import annotations

import inspect
import re

import dagster_k8s.client
import pytest

from tests.kubernetes.rendering import OVERLAYS, named, of_kind, overlay

_VERBS = {"create": "create", "delete": "delete", "list": "list", "read": "get"}
_RESOURCES = {
    "event": ("", "events"),
    "job": ("batch", "jobs"),
    "job_status": ("batch", "jobs/status"),
    "pod": ("", "pods"),
    "pod_log": ("", "pods/log"),
}


def _called() -> set[tuple[str, str, str]]:
    """API group, resource and verb of each call of Dagster's client, which launcher, executor and monitoring use."""
    calls = re.findall(r"_api\.([a-z]+)_namespaced_([a-z_]+)\(", inspect.getsource(dagster_k8s.client))
    return {(*_RESOURCES[resource], _VERBS[verb]) for verb, resource in calls}


@pytest.mark.parametrize("name", OVERLAYS)
def test_dagster_may_do_what_its_launcher_calls(name: str) -> None:
    """Neither less, which shows only when a run is ended, nor more."""
    rules = named(overlay(name), "Role", "dagster-jobs")["rules"]
    granted = {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert len(_called()) >= 8
    assert granted == _called()


@pytest.mark.parametrize("name", OVERLAYS)
def test_nobody_else_may_do_anything(name: str) -> None:
    """Two accounts have the one role; nothing reaches beyond the namespace."""
    objects = overlay(name)
    subjects = [subject["name"] for one in of_kind(objects, "RoleBinding") for subject in one["subjects"]]
    assert subjects == ["dagster", "dagster-run"]
    assert of_kind(objects, "ClusterRole", "ClusterRoleBinding") == []
    others = [one for one in of_kind(objects, "ServiceAccount") if one["metadata"]["name"] not in subjects]
    assert [one["metadata"]["name"] for one in others if one.get("automountServiceAccountToken") is not False] == []
