"""What an environment is, read from where it is said: the overlay, the charts, their values."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[1]
NAMESPACE = "starsearch"
IMAGE = "starsearch"
"""The image's name in the base; an overlay's `images:` says what it is called in its registry."""

Values = dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A chart of others, pinned, with the values of one environment."""

    name: str
    namespace: str
    repository: str
    chart: str
    version: str
    values: Values


class Environment:
    """One of deploy/kubernetes/overlays.

    image: NAME:TAG or NAME:TAG@sha256:… instead of the overlay's.

    Raises:
        ValueError: there is no such overlay, or the image has no tag.
    """

    def __init__(self, name: str, image: str | None = None, deploy: Path = DEPLOY) -> None:
        self.name, self._deploy, self._given = name, deploy, image
        self._overlay = deploy / "kubernetes" / "overlays" / name
        file = self._overlay / "kustomization.yaml"
        if not file.is_file():
            there = ", ".join(sorted(path.parent.name for path in self._overlay.parent.glob("*/kustomization.yaml")))
            raise ValueError(f"starsearch:environment is {name!r}: expected one of {there}.")
        said = next(one for one in yaml.safe_load(file.read_text())["images"] if one["name"] == IMAGE)
        self._overlays_image = str(said["newName"]), str(said["newTag"])
        self.image = image or ":".join(self._overlays_image)
        if not re.fullmatch(r"[\w./-]+(:\d+/[\w./-]+)?:[\w.-]+(@sha256:[0-9a-f]{64})?", self.image):
            raise ValueError(f"starsearch:image is {self.image!r}: expected NAME:TAG or NAME:TAG@sha256:DIGEST.")

    def _name_and_tag(self) -> tuple[str, str]:
        reference, at, digest = self.image.partition("@")
        name, _, tag = reference.rpartition(":")
        return name, f"{tag}{at}{digest}"

    def charts(self, *, ours: bool) -> Iterator[Chart]:
        """The environment's charts in the file's order: those of our namespace, or all others."""
        folder = self._deploy / "helm-values"
        for one in yaml.safe_load((folder / "charts.yaml").read_text())["charts"]:
            if self.name not in one["environments"] or (one["namespace"] == NAMESPACE) != ours:
                continue
            values: Values = {}
            for path in (folder / "base" / f"{one['name']}.yaml", folder / self.name / f"{one['name']}.yaml"):
                if path.is_file():
                    values = merged(values, yaml.safe_load(path.read_text()) or {})
            repository, tag = self._name_and_tag()
            for place in one.get("images", []):
                set_image(values, place, repository, tag)
            yield Chart(one["name"], one["namespace"], one["repository"], one["chart"], str(one["version"]), values)

    def manifests(self, stack: str) -> Path:
        """The folder that kustomize renders: the overlay, or one over it where the stack has an image of its own."""
        if self._given is None:
            return self._overlay
        folder = Path(tempfile.gettempdir()).resolve() / f"starsearch-{stack}"
        folder.mkdir(exist_ok=True)
        name, tag = self._name_and_tag()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(self._overlay, folder)],
            "images": [{"name": self._overlays_image[0], "newName": name, "newTag": tag}],
        }
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return folder


def merged(base: Values, over: Values) -> Values:
    """As Helm merges files of values: maps key by key, all else is replaced, lists as a whole. Neither is changed."""
    both = dict(base)
    for key, value in over.items():
        mine = base.get(key)
        both[key] = merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return both


def set_image(values: Values, place: str, repository: str, tag: str) -> None:
    """Set repository and tag of the image at a place like `a-chart.list[0].image`.

    Raises:
        ValueError: there is no map there.
    """
    here: Any = values
    *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", place)]
    try:
        for part in way:
            here = here[part]
        here[last] = {**here[last], "repository": repository, "tag": tag}
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"No image is at {place}, where charts.yaml says (images:): expected a map there.") from error
