"""Renders kustomizations with kubectl, offline; and what every test asks of the objects."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

PROJECT = Path(__file__).resolve().parents[2]
KUBERNETES = PROJECT / "deploy" / "kubernetes"
OVERLAYS = sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
NAMESPACE = "starsearch"

_CLUSTER_SCOPED = {"Namespace", "PriorityClass"}
_WORKLOADS = {"Deployment", "DaemonSet", "StatefulSet", "Job"}


def kubectl() -> str | None:
    """The path of kubectl, 1.21 or newer for components; None without it."""
    return shutil.which("kubectl")


@functools.cache
def _rendered(folder: Path) -> str:
    command = [str(kubectl()), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def render(folder: Path) -> list[Manifest]:
    """The objects of one kustomization, each call a copy of its own."""
    return [document for document in yaml.safe_load_all(_rendered(folder)) if document is not None]


def overlay(name: str) -> list[Manifest]:
    """The objects of deploy/kubernetes/overlays/NAME."""
    return render(KUBERNETES / "overlays" / name)


def with_components(folder: Path, name: str, components: Sequence[str]) -> list[Manifest]:
    """An overlay and further components, put together in `folder` as another environment would."""
    root = os.path.relpath(KUBERNETES, folder)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{root}/overlays/{name}"],
        "components": [f"{root}/components/{component}" for component in components],
        "images": [{"name": "quay.io/oauth2-proxy/oauth2-proxy", "newTag": "v7.12.0"}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


def of_kind(objects: Sequence[Manifest], *kinds: str) -> list[Manifest]:
    """The objects of these kinds."""
    return [one for one in objects if one["kind"] in kinds]


def named(objects: Sequence[Manifest], kind: str, name: str) -> Manifest:
    """The one object of this kind and name."""
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind}/{name}, one is expected"
    return found[0]


def title(one: Manifest) -> str:
    """Kind and name, for messages."""
    return f"{one['kind']}/{one['metadata']['name']}"


def namespace(one: Manifest) -> str | None:
    """Where the object lives; None: in no namespace."""
    return None if one["kind"] in _CLUSTER_SCOPED else one["metadata"].get("namespace")


def workloads(objects: Sequence[Manifest]) -> list[Manifest]:
    """What makes pods."""
    return of_kind(objects, *_WORKLOADS)


def pod_labels(one: Manifest) -> dict[str, str]:
    """The labels of a workload's pods."""
    return dict(one["spec"]["template"]["metadata"]["labels"])


def pod_spec(one: Manifest) -> Manifest:
    """What a workload's pods are."""
    return dict(one["spec"]["template"]["spec"])


def containers(one: Manifest) -> Iterator[tuple[Manifest, bool]]:
    """Each container of a workload's pods, and whether it is one that starts the pod."""
    spec = pod_spec(one)
    for container in spec.get("initContainers", []):
        yield container, True
    for container in spec["containers"]:
        yield container, False
