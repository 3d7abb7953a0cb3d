"""Renders kustomizations with kubectl, offline; and what every test asks of the objects."""

from __future__ import annotations

import functools
import json
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
OLDEST = (1, 27)
"""kubectl with kustomize 5: components, replacements, labels of templates."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CLUSTER_SCOPED = {"Namespace", "PriorityClass"}
_WORKLOADS = {"Deployment", "DaemonSet", "StatefulSet", "Job"}


@functools.cache
def missing() -> str | None:
    """Why nothing can be rendered here; None: it can."""
    if shutil.which("kubectl") is None:
        return "kubectl is not installed"
    told = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, check=True).stdout
    version = json.loads(told)["clientVersion"]
    major, minor = int(version["major"]), int(version["minor"].rstrip("+"))
    if (major, minor) < OLDEST:
        return f"kubectl is {major}.{minor}, its kustomize is too old: {OLDEST[0]}.{OLDEST[1]} or newer is needed"
    return None


@functools.cache
def _rendered(folder: Path) -> str:
    command = ["kubectl", "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def render(folder: Path) -> list[Manifest]:
    """The objects of one kustomization, each call a copy of its own."""
    return [document for document in yaml.load_all(_rendered(folder), Loader=_LOADER) if document is not None]


def overlay(name: str) -> list[Manifest]:
    """The objects of deploy/kubernetes/overlays/NAME."""
    return render(KUBERNETES / "overlays" / name)


def with_components(folder: Path, name: str, components: Sequence[str]) -> list[Manifest]:
    """The objects of an overlay with further components."""
    return render(copied(folder, name, components))


def copied(folder: Path, name: str, components: Sequence[str] = ()) -> Path:
    """An overlay as another environment would have it: a copy of its folder in `folder`, with further components."""
    copy = folder / name
    shutil.copytree(KUBERNETES / "overlays" / name, copy)
    for path in copy.rglob("kustomization.yaml"):
        up = "../" * (2 + len(path.parent.relative_to(copy).parts))
        path.write_text(path.read_text().replace(up, f"{os.path.relpath(KUBERNETES, path.parent)}/"))
    path = copy / "kustomization.yaml"
    kustomization = yaml.safe_load(path.read_text())
    kustomization["components"][:0] = [f"{os.path.relpath(KUBERNETES, copy)}/components/{one}" for one in components]
    path.write_text(yaml.safe_dump(kustomization))
    return copy


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
