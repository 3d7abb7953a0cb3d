"""Values of charts of others: pinned, without secrets, and leading only to what exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.kubernetes.charts import CHARTS, ENVIRONMENTS, HELM_VALUES, INSTALLED, at, chart, leaves, merge, values
from tests.kubernetes.outside import OUTSIDE_SECRETS
from tests.kubernetes.rendering import OVERLAYS, PROJECT, overlay

CHART_SECRETS: dict[str, set[str]] = {
    "starsearch-postgres-owner": {"username", "password"},
    "starsearch-postgres-service": {"username", "password"},
    "starsearch-postgres-tools": {"username", "password"},
    "starsearch-backups": {"ACCESS_KEY_ID", "ACCESS_SECRET_KEY"},
    "dagster-compute-logs": {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
    "alertmanager-receivers": {"slack-url", "webhook-url"},
    "grafana-admin": {"admin-user", "admin-password"},
}
"""Beside `OUTSIDE_SECRETS`: what only charts read. deploy/helm-values/README.md says who makes them."""

README = (HELM_VALUES / "README.md").read_text()
PATHS: dict[str, list[str]] = yaml.safe_load((PROJECT / "tests" / "kubernetes" / "chart_paths.yaml").read_text())

_SECRET = re.compile(r"(password|token|secret|accesskey|secretkey|apikey|_url|_key)$", re.IGNORECASE)
_HARMLESS = {"grafana.admin.passwordKey", "grafana.admin.userKey", "grafana.admin.existingSecret"}
_NAMES_SECRET = re.compile(
    r"(postgresqlSecretName|existingSecret|[sS]ecret\.name|secretKeyRef\.name|envSecrets\[\]\.name|\.secrets\[\])$"
)
_LEADS_TO = {
    "ConfigMap": re.compile(r"envConfigMaps\[\]\.name$"),
    "ServiceAccount": re.compile(r"(serviceAccountName|serviceAccount\.name)$"),
    "PriorityClass": re.compile(r"priorityClassName$"),
    "PersistentVolumeClaim": re.compile(r"claimName$"),
}

each = pytest.mark.parametrize(("name", "environment"), INSTALLED)
files_only = pytest.mark.files_only


def secret_values(tree: Any) -> list[str]:
    """Places where the value of a secret stands."""
    found = [
        path
        for path, value in leaves(tree)
        if _SECRET.search(path) and path not in _HARMLESS and not _NAMES_SECRET.search(path) and isinstance(value, str)
    ]
    for path, variables in _environments(tree):
        found += [f"{path}: {one['name']}" for one in variables if "value" in one and _SECRET.search(one["name"])]
    return found


def _environments(tree: Any, path: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each list `env` of variables."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == "env" and isinstance(value, list):
                yield f"{path}.env", value
            yield from _environments(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for value in tree:
            yield from _environments(value, f"{path}[]")


def dangling(tree: Any, known: set[tuple[str, str]]) -> list[str]:
    """Names of Secrets and of objects of ours that nobody makes. known: kinds and names that the manifests make."""
    problems = []
    for path, value in leaves(tree):
        if _NAMES_SECRET.search(path) and value not in OUTSIDE_SECRETS | CHART_SECRETS:
            problems.append(f"{path}: nobody makes the Secret {value!r}")
        problems += [
            f"{path}: there is no {kind}/{value}"
            for kind, pattern in _LEADS_TO.items()
            if pattern.search(path) and (kind, value) not in known
        ]
    for _, variables in _environments(tree):
        for one in variables:
            told = one.get("valueFrom", {}).get("secretKeyRef")
            if told and told["key"] not in (OUTSIDE_SECRETS | CHART_SECRETS).get(told["name"], set()):
                problems.append(f"{one['name']}: the Secret {told['name']!r} has no key {told['key']!r}")
    return problems


def _made(environment: str) -> set[tuple[str, str]]:
    return {(one["kind"], one["metadata"]["name"]) for one in overlay(environment)}


@files_only
def test_environments_are_those_of_the_manifests() -> None:
    """One folder each, with files for charts that it installs; the base has all of them."""
    assert sorted(ENVIRONMENTS) == OVERLAYS
    names = {one["name"] for one in CHARTS}
    assert {path.stem for path in HELM_VALUES.glob("base/*.yaml")} == names
    for environment in ENVIRONMENTS:
        here = {path.stem for path in (HELM_VALUES / environment).glob("*.yaml")}
        assert here <= {name for name, installed in INSTALLED if installed == environment}
    assert {path.name for path in HELM_VALUES.iterdir() if path.is_dir()} == {"base", "variants", *ENVIRONMENTS}


@files_only
def test_versions_are_pinned_and_dagsters_is_the_librarys() -> None:
    """A chart of another version would launch runs with another library."""
    for one in CHARTS:
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", one["version"]), one
        assert one["repository"].startswith("https://")
    lock = (PROJECT / "requirements.lock").read_text()
    assert f"\ndagster=={chart('dagster')['version']}\n" in lock


@files_only
def test_merging_is_helms() -> None:
    """Maps are merged, lists replaced, null removes."""
    assert merge({"a": {"b": 1, "c": 2}, "d": [1, 2]}, {"a": {"b": None, "e": 3}, "d": [3]}) == {
        "a": {"c": 2, "e": 3},
        "d": [3],
    }


@files_only
@each
def test_no_value_of_a_secret_stands_there(name: str, environment: str) -> None:
    """Secrets are named."""
    assert secret_values(values(name, environment)) == []


@files_only
@pytest.mark.parametrize("variant", sorted((HELM_VALUES / "variants").glob("*.yaml")), ids=lambda path: path.stem)
def test_variants_change_what_is_there(variant: Any) -> None:
    """Each keeps the roles and the databases of its base."""
    over = yaml.safe_load(variant.read_text())
    for environment in ENVIRONMENTS:
        before = values("starsearch-postgres", environment)
        after = merge(before, over)
        assert after["cluster"]["roles"] == before["cluster"]["roles"]
        assert {one["name"]: one["owner"] for one in after["databases"]} == {
            one["name"]: one["owner"] for one in before["databases"]
        }
        assert {"name": "vector", "ensure": "present"} in after["databases"][0]["extensions"]
        assert secret_values(after) == []


@each
def test_what_is_named_exists(name: str, environment: str) -> None:
    """Secrets are of the documented ones; accounts, claims, priorities and settings are made by the overlay."""
    assert dangling(values(name, environment), _made(environment)) == []


@files_only
def test_the_readme_names_each_secret() -> None:
    """With its keys."""
    words = set(re.findall(r"[\w./-]+", README))
    assert set(CHART_SECRETS) | {key for keys in CHART_SECRETS.values() for key in keys} <= words


@files_only
@each
def test_only_keys_that_the_chart_knows_are_set(name: str, environment: str) -> None:
    """A misspelt key is no error for Helm: it does nothing. chart_paths.yaml lists what the pinned versions know."""
    known = PATHS[chart(name)["chart"]]
    unknown = [
        path
        for path, _ in leaves(values(name, environment))
        if not any(path == one or path.startswith((f"{one}.", f"{one}[]")) for one in known)
    ]
    assert unknown == []


def _broken(name: str, place: str, value: object) -> dict[str, Any]:
    tree = values(name, "gpu-daemonset")
    parent, _, last = place.rpartition(".")
    at(tree, parent)[last] = value
    return tree


@pytest.mark.parametrize(
    ("name", "place", "value", "told"),
    [
        ("dagster", "global.postgresqlSecretName", "dagster-postgres", "nobody makes the Secret"),
        ("dagster", "dagster-user-deployments.serviceAccount.name", "code", "no ServiceAccount/code"),
        (
            "dagster",
            "runLauncher.config.k8sRunLauncher.runK8sConfig.podSpecConfig.priorityClassName",
            "high",
            "no Prio",
        ),
        ("dagster", "runLauncher.config.k8sRunLauncher.volumes[3].persistentVolumeClaim.claimName", "git", "no Persis"),
        ("dagster", "dagster-user-deployments.deployments[0].envConfigMaps[0].name", "settings", "no ConfigMap"),
        ("dagster", "dagster-user-deployments.deployments[0].env[2].valueFrom.secretKeyRef.key", "TOKEN", "no key"),
        ("starsearch-postgres", "backups.secret.name", "backups", "nobody makes the Secret"),
    ],
)
def test_a_broken_reference_is_found(name: str, place: str, value: object, told: str) -> None:
    """The check above can fail."""
    assert any(told in problem for problem in dangling(_broken(name, place, value), _made("gpu-daemonset")))


@files_only
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("dagster", "postgresql.postgresqlPassword"),
        ("starsearch-postgres", "backups.s3.secretKey"),
        ("kube-prometheus-stack", "grafana.adminPassword"),
        ("kube-prometheus-stack", "alertmanager.config.receivers[1].slack_configs[0].api_url"),
        ("dagster", "dagster-user-deployments.deployments[0].env[2].value"),
    ],
)
def test_a_value_of_a_secret_is_found(name: str, place: str) -> None:
    """The check above can fail."""
    assert len(secret_values(_broken(name, place, "hunter2"))) == 1
