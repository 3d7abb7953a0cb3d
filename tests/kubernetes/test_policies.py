"""Who may reach whom, worked out of the rendered policies: the table is everything that is allowed, all else is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kubernetes.outside import OTHER_NAMESPACES, OUTSIDE_PODS
from tests.kubernetes.reachability import Address, End, Pod, may_reach
from tests.kubernetes.rendering import (
    NAMESPACE,
    OVERLAYS,
    Manifest,
    named,
    overlay,
    pod_labels,
    with_components,
    workloads,
)

PORTS = {22, 53, 80, 443, 3000, 3030, 4180, 5432, 6443, 8000, 8080, 9090, 9187, 10250}
ADDRESSES = {
    "internet": "140.82.112.3",
    "metadata": "169.254.169.254",
    "private-10": "10.9.8.7",
    "private-172": "172.20.1.1",
    "private-192": "192.168.1.1",
    "carrier-nat": "100.64.0.1",
    "loopback": "127.0.0.1",
    "internet-6": "2606:50c0:8000::153",
    "private-6": "fd00::1",
    "link-local-6": "fe80::1",
    "metadata-6": "fd00:ec2::254",
    "metadata-nat64": "64:ff9b::a9fe:a9fe",
    "mapped-private": "::ffff:10.9.8.7",
}

_DATABASE = {"postgres:5432"}
_KUBERNETES = {"kubernetes:443", "kubernetes:6443"}
_CONTROL = _DATABASE | _KUBERNETES | {"code:3030"}
_PUBLIC = {"internet:443", "internet-6:443"}
_LLM = {"vllm:8000"}
_ASKERS = ("service", "run", "step")

Table = dict[str, set[str]]
"""Role to the ROLE:PORT that it may reach. DNS, which all may ask, is left out."""

BASE: Table = {
    "service": _DATABASE,
    "migrate": _DATABASE,
    "daemon": _CONTROL,
    "webserver": _CONTROL,
    "read-only": _CONTROL,
    "code": _DATABASE,
    "run": _DATABASE | _KUBERNETES,
    "step": _DATABASE,
    "postgres": _KUBERNETES | {"postgres:5432", "postgres:8000"},
    "cnpg-operator": {"postgres:5432", "postgres:8000"},
}


def also(table: Table, *more: Table) -> Table:
    """The table and what is allowed besides."""
    roles = {role for one in (table, *more) for role in one}
    return {role: set().union(*(one.get(role, set()) for one in (table, *more))) for role in roles}


SOURCES: Table = {"run": _PUBLIC, "step": _PUBLIC}
BUCKETS: Table = dict.fromkeys(("run", "step", "webserver", "read-only", "postgres"), _PUBLIC)
POLLER: Table = {"poller": _DATABASE | _PUBLIC}
GPU: Table = {
    **dict.fromkeys(_ASKERS, _LLM),
    "ingress": {"service:8080"},
    "prometheus": {"service:8080", "postgres:9187", "vllm:8000"},
    "model-fill": _PUBLIC,
}
_CPU_DEV, _GPU = also(BASE, SOURCES), also(BASE, SOURCES, BUCKETS, POLLER, GPU)
EXPECTED: dict[str, Table] = {"cpu-dev": _CPU_DEV, "gpu-daemonset": _GPU, "gpu-autoscaled": _GPU}
COMPONENTS: dict[str, Table] = {
    "egress-hosted-llm": dict.fromkeys(_ASKERS, _PUBLIC),
    "embedding-server": {asker: {"embedding:8080"} for asker in _ASKERS},
    "reranker": {asker: {"reranker:8080"} for asker in _ASKERS},
    "oauth2-proxy": {"oauth2-proxy": _PUBLIC | {"read-only:3000"}, "ingress": {"oauth2-proxy:4180"}},
}
"""What a component adds to gpu-daemonset."""
KUBERNETES = {"cpu-dev": "172.18.0.2", "gpu-daemonset": "10.0.0.2", "gpu-autoscaled": "10.0.0.2"}
"""An address of the API server in the cluster of each overlay."""


def role(labels: dict[str, str]) -> str:
    """The component, or of servers that differ by their model only, the model."""
    component = labels["app.kubernetes.io/component"]
    return labels["model"] if component == "tei" else component


def ends(objects: list[Manifest], kubernetes: str) -> dict[str, End]:
    """Everybody who sends or receives, by role."""
    found: dict[str, End] = {role(pod_labels(one)): Pod(NAMESPACE, pod_labels(one)) for one in workloads(objects)}
    found |= {name: Pod(NAMESPACE, labels) for name, labels in OUTSIDE_PODS.items()}
    found |= {name: Pod(*place) for name, place in OTHER_NAMESPACES.items()}
    found |= {name: Address(ip) for name, ip in {**ADDRESSES, "kubernetes": kubernetes}.items()}
    return found


def allowed(objects: list[Manifest], kubernetes: str) -> dict[str, set[str]]:
    """Role to what it may reach, without DNS, and without what happens outside of our namespace."""
    everybody = ends(objects, kubernetes)
    found: dict[str, set[str]] = {}
    for source, here in everybody.items():
        for target, there in everybody.items():
            if target == "dns" or NAMESPACE not in (getattr(here, "namespace", ""), getattr(there, "namespace", "")):
                continue
            for port in PORTS:
                if may_reach(objects, here, there, port):
                    found.setdefault(source, set()).add(f"{target}:{port}")
    return found


@pytest.mark.parametrize("name", OVERLAYS)
def test_exactly_what_the_table_says_is_allowed(name: str) -> None:
    """Each role, each port; a stranger with our labels in another namespace is nobody."""
    assert allowed(overlay(name), KUBERNETES[name]) == EXPECTED[name]


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_opens_what_it_is_for(component: str, tmp_path: Path) -> None:
    """And nothing else: private networks and metadata servers stay closed to who may reach the internet."""
    objects = with_components(tmp_path, "gpu-daemonset", [component])
    assert allowed(objects, KUBERNETES["gpu-daemonset"]) == also(_GPU, COMPONENTS[component])


def test_components_work_together(tmp_path: Path) -> None:
    """All of them at once."""
    objects = with_components(tmp_path, "gpu-autoscaled", list(COMPONENTS))
    assert allowed(objects, KUBERNETES["gpu-autoscaled"]) == also(_GPU, *COMPONENTS.values())


@pytest.mark.parametrize("name", OVERLAYS)
def test_everybody_may_ask_for_names_and_nothing_else_of_kube_system(name: str) -> None:
    """DNS over UDP and TCP."""
    objects = overlay(name)
    everybody = ends(objects, KUBERNETES[name])
    inside = [one for one in everybody.values() if isinstance(one, Pod) and one.namespace == NAMESPACE]
    for one in inside:
        assert may_reach(objects, one, everybody["dns"], 53, "UDP")
        assert may_reach(objects, one, everybody["dns"], 53)
        assert not may_reach(objects, one, everybody["dns"], 10250)


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_pod_that_nobody_thought_of_reaches_nothing(name: str) -> None:
    """Default-deny holds for labels that no policy names, in both directions."""
    objects = overlay(name)
    unknown = Pod(NAMESPACE, {"app.kubernetes.io/component": "unknown"})
    for other, end in ends(objects, KUBERNETES[name]).items():
        for port in PORTS - {53}:
            assert not may_reach(objects, unknown, end, port), other
            assert not may_reach(objects, end, unknown, port), other


# The evaluation itself, on policies that are wrong.


def test_without_default_deny_everything_is_allowed() -> None:
    """So the table does not hold by itself."""
    objects = [one for one in overlay("cpu-dev") if one["metadata"]["name"] != "default-deny"]
    unknown = Pod(NAMESPACE, {"app.kubernetes.io/component": "unknown"})
    assert may_reach(objects, Address(ADDRESSES["internet"]), unknown, 8080)


def test_a_policy_that_opens_too_much_is_noticed() -> None:
    """An open block lets the service reach the metadata address, and the table says so."""
    objects = overlay("cpu-dev")
    named(objects, "NetworkPolicy", "starsearch-service")["spec"]["egress"].append(
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"port": 80, "endPort": 443}]}
    )
    found = allowed(objects, KUBERNETES["cpu-dev"])["service"]
    assert {"metadata:80", "metadata:443", "internet:443"} <= found
    assert "private-10:443" not in found


def test_both_ends_have_to_allow_a_connection() -> None:
    """PostgreSQL that takes nobody cannot be reached by who may send."""
    objects = overlay("cpu-dev")
    named(objects, "NetworkPolicy", "postgres")["spec"]["ingress"] = []
    assert "service" not in allowed(objects, KUBERNETES["cpu-dev"])
