"""Each check finds what it is for: one object is broken, and the check says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kubernetes import pods, references
from tests.kubernetes.rendering import NAMESPACE, Manifest, named, overlay
from tests.kubernetes.validation import schema_problems


def _set(one: Any, path: str, value: object) -> None:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        one = one[part]
    if value is None:
        del one[last]
    else:
        one[last] = value


_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers.0"
_ENV, _FROM = f"{_CONTAINER}.env", f"{_CONTAINER}.envFrom"
_BACKEND = "spec.rules.0.http.paths.0.backend.service"
_CREDENTIALS = "spec.endpoints.0.authorization.credentials"
_OF_OBJECTS: list[tuple[Callable[[Manifest], list[str]], str, object, str]] = [
    (schema_problems, "spec.replicaz", 1, "replicaz"),
    (schema_problems, f"{_CONTAINER}.resources.requests.cpu", {"no": 1}, "cpu"),
    (schema_problems, "kind", "Deploymant", "nothing validates"),
    (pods.security_problems, f"{_POD}.securityContext.runAsNonRoot", None, "root"),
    (pods.security_problems, f"{_POD}.securityContext.runAsUser", 0, "root"),
    (pods.security_problems, f"{_POD}.securityContext.seccompProfile", None, "seccomp"),
    (pods.security_problems, f"{_POD}.automountServiceAccountToken", None, "token"),
    (pods.security_problems, f"{_POD}.hostNetwork", True, "namespaces"),
    (pods.security_problems, f"{_POD}.volumes", [{"name": "a", "hostPath": {"path": "/"}}], "mounts"),
    (pods.security_problems, f"{_CONTAINER}.securityContext.readOnlyRootFilesystem", False, "write its image"),
    (pods.security_problems, f"{_CONTAINER}.securityContext.allowPrivilegeEscalation", None, "privileges"),
    (pods.security_problems, f"{_CONTAINER}.securityContext.capabilities", None, "capabilities"),
    (pods.security_problems, f"{_CONTAINER}.securityContext.runAsUser", 0, "takes root back"),
    (pods.image_problems, f"{_CONTAINER}.image", "registry:5000/starsearch", "can change"),
    (pods.image_problems, f"{_CONTAINER}.image", "starsearch:latest", "can change"),
    (pods.resource_problems, f"{_CONTAINER}.resources.limits.memory", None, "no limits of memory"),
    (pods.resource_problems, f"{_CONTAINER}.resources.requests", None, "no requests of cpu"),
    (pods.probe_problems, f"{_CONTAINER}.readinessProbe", None, "no readinessProbe"),
    (pods.probe_problems, f"{_CONTAINER}.livenessProbe.httpGet.port", "htp", "not one of its own"),
    (lambda one: pods.drain_problems(one, 65), f"{_POD}.terminationGracePeriodSeconds", None, "take longer"),
    (lambda one: pods.drain_problems(one, 65), f"{_POD}.terminationGracePeriodSeconds", 75, "take longer"),
    (lambda one: pods.drain_problems(one, 65), f"{_CONTAINER}.lifecycle", None, "preStop"),
]


@pytest.mark.parametrize(("check", "path", "value", "said"), _OF_OBJECTS)
def test_a_broken_object_is_noticed(check: Any, path: str, value: object, said: str) -> None:
    """Each check of one object can fail."""
    one = named(overlay("cpu-dev"), "Deployment", "starsearch-service")
    assert check(one) == []
    _set(one, path, value)
    assert said in "\n".join(check(one))


_SERVICE = ("Deployment", "starsearch-service")
_OF_ALL: list[tuple[Callable[[list[Manifest]], list[str]], tuple[str, str], str, object, str]] = [
    (references.selector_problems, ("Service", "starsearch-service"), "spec.selector", {"a": "b"}, "selects nothing"),
    (
        references.selector_problems,
        ("PodDisruptionBudget", "starsearch-service"), "spec.selector.matchLabels", {"a": "b"}, "selects nothing",
    ),
    (
        references.selector_problems,
        ("NetworkPolicy", "starsearch-service"), "spec.podSelector.matchLabels", {"a": "b"}, "selects nothing",
    ),
    (
        references.selector_problems,
        ("NetworkPolicy", "starsearch-service"), "spec.egress.0.to.0.podSelector.matchLabels", {"a": "b"},
        "selects nothing",
    ),
    (references.selector_problems, _SERVICE, "spec.selector.matchLabels", {"a": "b"}, "selects nothing"),
    (references.port_problems, ("Service", "starsearch-service"), "spec.ports.0.targetPort", "web", "is none of"),
    (references.reference_problems, _SERVICE, f"{_FROM}.0.configMapRef.name", "other", "no ConfigMap/other"),
    (references.reference_problems, _SERVICE, f"{_ENV}.0.valueFrom.secretKeyRef.name", "other", "nobody makes"),
    (references.reference_problems, _SERVICE, f"{_ENV}.0.valueFrom.secretKeyRef.key", "other", "has no key"),
    (references.reference_problems, _SERVICE, f"{_POD}.serviceAccountName", "other", "no ServiceAccount/other"),
    (references.reference_problems, _SERVICE, f"{_POD}.priorityClassName", "other", "no PriorityClass/other"),
    (
        references.reference_problems, _SERVICE, f"{_POD}.volumes.0",
        {"name": "home", "persistentVolumeClaim": {"claimName": "other"}}, "no PersistentVolumeClaim/other",
    ),
    (
        references.reference_problems,
        ("HorizontalPodAutoscaler", "starsearch-service"), "spec.scaleTargetRef.name", "other", "no Deployment/other",
    ),
    (
        references.reference_problems,
        ("RoleBinding", "dagster-jobs"), "subjects.0.name", "other", "no ServiceAccount/other",
    ),
    (references.secret_problems, _SERVICE, f"{_ENV}.0", {"name": "PG_PASSWORD", "value": "x"}, "its value here"),
    (
        references.secret_problems,
        ("ConfigMap", "starsearch-settings"), "data.GITHUB_TOKEN", "x", "GITHUB_TOKEN is a secret",
    ),
    (references.secret_problems, ("ConfigMap", "starsearch-settings"), "kind", "Secret", "do not belong here"),
    (
        lambda objects: references.namespace_problems(objects, NAMESPACE),
        _SERVICE, "metadata.namespace", "default", "is in namespace 'default'",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("check", "which", "path", "value", "said"), _OF_ALL)
def test_a_broken_reference_is_noticed(check: Any, which: tuple[str, str], path: str, value: object, said: str) -> None:
    """Each check of objects together can fail."""
    objects = overlay("cpu-dev")
    assert check(objects) == []
    _set(named(objects, *which), path, value)
    assert said in "\n".join(check(objects))


@pytest.mark.parametrize(
    ("which", "path", "value"),
    [
        (("ScaledObject", "vllm-blue"), "spec.minReplicas", 1),
        (("ScaledObject", "vllm-blue"), "spec.triggers.0.metadata.threshold", 16),
        (("ScaledObject", "vllm-blue"), "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.window", 900),
        (("PodMonitor", "vllm"), "spec.podMetricsEndpoints.0.targetport", "http"),
        (("ServiceMonitor", "starsearch-service"), "spec.endpoints.0.authorization.credentials.key", None),
        (("ExternalSecret", "starsearch-database"), "spec.data.0.remoteRef.key", None),
        (("ExternalSecret", "starsearch-database"), "apiVersion", "external-secrets.io/v1beta1"),
    ],
)
def test_a_broken_custom_resource_is_noticed(which: tuple[str, str], path: str, value: object) -> None:
    """The schemas that are written down here refuse what the documentation does not know."""
    one = named(overlay("gpu-autoscaled"), *which)
    assert schema_problems(one) == []
    _set(one, path, value)
    assert schema_problems(one) != []


@pytest.mark.parametrize(
    ("check", "which", "path", "value"),
    [
        (references.port_problems, ("PodMonitor", "vllm"), "spec.podMetricsEndpoints.0.port", "metrics"),
        (references.port_problems, ("ServiceMonitor", "starsearch-service"), "spec.endpoints.0.port", "metrics"),
        (references.port_problems, ("Ingress", "starsearch"), f"{_BACKEND}.port.name", "web"),
        (references.reference_problems, ("Ingress", "starsearch"), f"{_BACKEND}.name", "other"),
        (references.reference_problems, ("ScaledObject", "vllm-blue"), "spec.scaleTargetRef.name", "vllm-green"),
        (references.reference_problems, ("ServiceMonitor", "starsearch-service"), f"{_CREDENTIALS}.name", "other"),
        (references.selector_problems, ("PodMonitor", "vllm"), "spec.selector.matchLabels", {"a": "b"}),
        (
            references.selector_problems,
            ("ServiceMonitor", "starsearch-service"),
            "spec.selector.matchLabels",
            {"a": "b"},
        ),
        (references.selector_problems, ("Service", "vllm-service"), "spec.selector.model-revision", "green"),
    ],
)
def test_what_leads_nowhere_is_noticed(check: Any, which: tuple[str, str], path: str, value: object) -> None:
    """Monitors, Ingress and scaling, too."""
    objects = overlay("gpu-autoscaled")
    assert check(objects) == []
    _set(named(objects, *which), path, value)
    assert check(objects) != []
