"""Who may reach whom, worked out of the rendered policies: the table is everything that is allowed, all else is not."""

from __future__ import annotations

import pytest

from tests.kubernetes.outside import OTHER_NAMESPACES, OUTSIDE_PODS
from tests.kubernetes.reachability import Address, End, Pod, may_reach
from tests.kubernetes.rendering import NAMESPACE, OVERLAYS, Manifest, named, overlay, pod_labels, workloads

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
_CONTROL = {"postgres:5432", "code:3030", "kubernetes:443", "kubernetes:6443"}
BASE: dict[str, set[str]] = {
    "starsearch-service": _DATABASE,
    "starsearch-migrate": _DATABASE,
    "daemon": _CONTROL,
    "webserver": _CONTROL,
    "read-only": _CONTROL,
    "code": _DATABASE,
    "run": _DATABASE | {"kubernetes:443", "kubernetes:6443"},
    "step": _DATABASE,
    "postgres": {"postgres:5432", "postgres:8000", "kubernetes:443", "kubernetes:6443"},
    "cnpg-operator": {"postgres:5432", "postgres:8000"},
}
"""Role to what it may reach, with every overlay; DNS, which all may ask, is left out."""

EXPECTED: dict[str, dict[str, set[str]]] = {
    "cpu-dev": BASE,
}
KUBERNETES = {"cpu-dev": "172.18.0.2"}
"""An address of the API server in the cluster of each overlay."""


def ends(objects: list[Manifest], kubernetes: str) -> dict[str, End]:
    """Everybody who sends or receives, by role."""
    found: dict[str, End] = {
        pod_labels(one)["app.kubernetes.io/name"]: Pod(NAMESPACE, pod_labels(one)) for one in workloads(objects)
    }
    found |= {role: Pod(NAMESPACE, labels) for role, labels in OUTSIDE_PODS.items()}
    found |= {role: Pod(*place) for role, place in OTHER_NAMESPACES.items()}
    found |= {role: Address(ip) for role, ip in {**ADDRESSES, "kubernetes": kubernetes}.items()}
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
    unknown = Pod(NAMESPACE, {"app.kubernetes.io/name": "unknown"})
    for role, other in ends(objects, KUBERNETES[name]).items():
        for port in PORTS - {53}:
            assert not may_reach(objects, unknown, other, port), role
            assert not may_reach(objects, other, unknown, port), role


# The evaluation itself, on policies that are wrong.


def test_without_default_deny_everything_is_allowed() -> None:
    """So the table does not hold by itself."""
    objects = [one for one in overlay("cpu-dev") if one["metadata"]["name"] != "default-deny"]
    unknown = Pod(NAMESPACE, {"app.kubernetes.io/name": "unknown"})
    assert may_reach(objects, Address(ADDRESSES["internet"]), unknown, 8080)


def test_a_policy_that_opens_too_much_is_noticed() -> None:
    """An open block lets the service reach the metadata address, and the table says so."""
    objects = overlay("cpu-dev")
    named(objects, "NetworkPolicy", "starsearch-service")["spec"]["egress"].append(
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"port": 80, "endPort": 443}]}
    )
    found = allowed(objects, KUBERNETES["cpu-dev"])["starsearch-service"]
    assert {"metadata:80", "metadata:443", "internet:443"} <= found
    assert "private-10:443" not in found


def test_both_ends_have_to_allow_a_connection() -> None:
    """PostgreSQL that takes nobody cannot be reached by who may send."""
    objects = overlay("cpu-dev")
    named(objects, "NetworkPolicy", "postgres")["spec"]["ingress"] = []
    assert "starsearch-service" not in allowed(objects, KUBERNETES["cpu-dev"])
