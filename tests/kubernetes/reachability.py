"""Evaluates NetworkPolicies as Kubernetes defines them: https://kubernetes.io/docs/concepts/services-networking/network-policies/."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.kubernetes.references import selects
from tests.kubernetes.rendering import Manifest, of_kind


@dataclass(frozen=True)
class Pod:
    """One end of a connection inside the cluster."""

    namespace: str
    labels: Mapping[str, str] = field(hash=False)


@dataclass(frozen=True)
class Address:
    """One end of a connection outside the cluster, or a node."""

    ip: str


End = Pod | Address


def may_reach(objects: Sequence[Manifest], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection is allowed: its source may send it, and its target may receive it."""
    return _allowed(objects, "Egress", source, target, port, protocol) and _allowed(
        objects, "Ingress", target, source, port, protocol
    )


def _allowed(objects: Sequence[Manifest], direction: str, own: End, other: End, port: int, protocol: str) -> bool:
    if isinstance(own, Address):
        return True
    policies = [
        policy["spec"]
        for policy in of_kind(objects, "NetworkPolicy")
        if policy["metadata"]["namespace"] == own.namespace
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], own.labels)
    ]
    rules, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return not policies or any(
        _is_port(rule.get("ports"), port, protocol) and _is_peer(rule.get(peers), own.namespace, other)
        for policy in policies
        for rule in policy.get(rules, [])
    )


def _is_port(ports: Iterable[Manifest] | None, port: int, protocol: str) -> bool:
    """No list means all ports."""
    return ports is None or any(
        one.get("protocol", "TCP") == protocol
        and one.get("port", port) <= port <= one.get("endPort", one.get("port", port))
        for one in ports
    )


def _is_peer(peers: Iterable[Manifest] | None, namespace: str, other: End) -> bool:
    """No list means everybody."""
    return peers is None or any(_matches(peer, namespace, other) for peer in peers)


def _matches(peer: Manifest, namespace: str, other: End) -> bool:
    if "ipBlock" in peer:
        if isinstance(other, Pod):
            return False
        block, address = peer["ipBlock"], ipaddress.ip_address(other.ip)
        inside = [address in ipaddress.ip_network(one) for one in (block["cidr"], *block.get("except", []))]
        return inside[0] and not any(inside[1:])
    if isinstance(other, Address):
        return False
    if "namespaceSelector" in peer:
        labels = {"kubernetes.io/metadata.name": other.namespace}
        if not selects(peer["namespaceSelector"], labels):
            return False
    elif other.namespace != namespace:
        return False
    return selects(peer.get("podSelector", {}), other.labels)
