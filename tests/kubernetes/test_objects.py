"""Every object of every overlay is valid, and says what each has to say. The last tests break one of each."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from resources.schema import expected_version
from resources.settings import Settings
from tests.kubernetes import pods, references
from tests.kubernetes.rendering import (
    KUBERNETES,
    NAMESPACE,
    OVERLAYS,
    Manifest,
    named,
    of_kind,
    overlay,
    title,
    with_components,
    workloads,
)
from tests.kubernetes.validation import schema_problems

OPTIONAL = ("egress-hosted-llm", "embedding-server", "oauth2-proxy", "reranker")
"""Components that no overlay has by itself."""
_CLOSING = 5
"""Seconds beyond ANSWER_SECONDS that `starsearch serve` waits for open streams."""

OF_PODS = (pods.security_problems, pods.image_problems, pods.resource_problems, pods.probe_problems)
OF_OBJECTS = (
    references.selector_problems,
    references.port_problems,
    references.reference_problems,
    references.secret_problems,
    functools.partial(references.namespace_problems, expected=NAMESPACE),
)

every_overlay = pytest.mark.parametrize("name", OVERLAYS)


def _problems(check: Callable[[Manifest], list[str]], objects: list[Manifest]) -> list[str]:
    return [problem for one in objects for problem in check(one)]


def _answer_seconds(objects: list[Manifest]) -> float:
    data = named(objects, "ConfigMap", "starsearch-settings")["data"]
    return float(data.get("ANSWER_SECONDS", Settings.model_fields["answer_seconds"].default))


@every_overlay
def test_every_object_is_valid(name: str) -> None:
    """Strictly, against the oldest and the newest Kubernetes; a kind without a schema fails."""
    assert _problems(schema_problems, overlay(name)) == []


@every_overlay
def test_pods_have_what_every_pod_has_to_have(name: str) -> None:
    """No root, no writable image, no `latest`, requests and limits, probes."""
    assert [problem for check in OF_PODS for problem in _problems(check, workloads(overlay(name)))] == []


@every_overlay
def test_what_objects_name_exists(name: str) -> None:
    """Selectors select, ports resolve, what is referenced is there or made elsewhere, no secret has its value here."""
    assert [problem for check in OF_OBJECTS for problem in check(overlay(name))] == []


@pytest.mark.parametrize("name", ["gpu-daemonset", "gpu-autoscaled"])
def test_components_beyond_the_overlay_are_as_good(name: str, tmp_path: Path) -> None:
    """All that an environment may add, together; and each value of the cluster arrives."""
    objects = with_components(tmp_path, name, OPTIONAL)
    assert _problems(schema_problems, objects) == []
    assert [problem for check in OF_PODS for problem in _problems(check, workloads(objects))] == []
    assert [problem for check in OF_OBJECTS for problem in check(objects)] == []
    assert "set-by" not in str(objects)


def test_every_component_is_tested() -> None:
    """Each is part of an overlay, of the components that are added above, or of another component."""
    used = {path.resolve() for one in KUBERNETES.rglob("kustomization.yaml") for path in _included(one)}
    folders = {path.parent for path in KUBERNETES.glob("components/*/kustomization.yaml")}
    assert {path.name for path in folders - used} == set(OPTIONAL)


def _included(kustomization: Path) -> list[Path]:
    content = yaml.safe_load(kustomization.read_text())
    return [kustomization.parent / one for key in ("resources", "components") for one in content.get(key, [])]


@every_overlay
def test_open_streams_end_before_the_pod_does(name: str) -> None:
    """The grace period is longer than preStop, an answer and the closing together."""
    objects = overlay(name)
    service = named(objects, "Deployment", "starsearch-service")
    assert pods.drain_problems(service, math.ceil(_answer_seconds(objects)) + _CLOSING) == []


@every_overlay
def test_migration_is_named_by_the_version_of_the_schema(name: str) -> None:
    """A Job cannot be changed: a new migration is a new Job. Rename it in base/migrate.yaml when this fails."""
    found = [one["metadata"]["name"] for one in of_kind(overlay(name), "Job")]
    assert f"starsearch-migrate-{expected_version()}" in found


@every_overlay
def test_settings_are_settings(name: str) -> None:
    """A misspelt name would be ignored by the service."""
    data = named(overlay(name), "ConfigMap", "starsearch-settings")["data"]
    assert {key for key in data if key.lower() not in Settings.model_fields} == set()
    Settings(_env_file=None, **{key.lower(): value for key, value in data.items()})  # type: ignore[call-arg]


@every_overlay
def test_nothing_is_left_to_be_set(name: str) -> None:
    """Each value of the cluster arrived where it belongs, and the object with the values is not applied."""
    objects = overlay(name)
    assert "set-by" not in str(objects)
    assert [title(one) for one in of_kind(objects, "ConfigMap") if one["metadata"]["name"] == "cluster"] == []


def test_every_overlay_is_tested() -> None:
    """The list is found, not written; these must be among it."""
    assert {"cpu-dev", "gpu-daemonset", "gpu-autoscaled"} <= set(OVERLAYS)
