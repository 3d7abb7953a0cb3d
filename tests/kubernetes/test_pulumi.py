"""deploy/pulumi, under Pulumi's own mocks: what a stack registers, in which order, and where each value comes from."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.rendering import OVERLAYS, PROJECT, containers, of_kind, overlay, render, workloads

PROGRAM = PROJECT / "deploy" / "pulumi"
CHARTS = PROJECT / "deploy" / "helm-values" / "charts.yaml"
STACKS = sorted(path.name.split(".")[1] for path in PROGRAM.glob("Pulumi.*.yaml"))
RELEASE, DIRECTORY = "kubernetes:helm.sh/v3:Release", "kubernetes:kustomize/v2:Directory"
DIGEST = "sha256:" + "0123456789abcdef" * 4
GIVEN = f"registry.example:5000/acme/starsearch:1.2.3@{DIGEST}"

has_charts = pytest.mark.skipif(not CHARTS.is_file(), reason="deploy/helm-values/charts.yaml is not there")
has_pulumi = pytest.mark.skipif(
    importlib.util.find_spec("pulumi_kubernetes") is None, reason="the extra `pulumi` is not installed"
)


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("environment", PROGRAM / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["environment"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


environment = _module()


@functools.cache
def _registered(stack: str, *changes: str) -> str:
    command = [sys.executable, "-m", "tests.kubernetes.pulumi_double", stack, *changes]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=120).stdout


def registered(stack: str, *changes: str) -> list[dict[str, Any]]:
    """The resources of a stack, in the order of their registration."""
    return list(json.loads(_registered(stack, *changes).splitlines()[-1]))


def configuration(stack: str) -> dict[str, Any]:
    return dict(yaml.safe_load((PROGRAM / f"Pulumi.{stack}.yaml").read_text())["config"])


def small(folder: Path, **over: Any) -> Path:
    """A folder like deploy/ with one overlay and one chart in our namespace."""
    for name, text in {
        "kubernetes/overlays/one/kustomization.yaml": {
            "images": [{"name": "starsearch", "newName": "registry/starsearch", "newTag": "7"}]
        },
        "helm-values/charts.yaml": {
            "charts": [
                {"name": "ours", "namespace": "starsearch", "repository": "r", "chart": "c", "version": 1.5,
                 "environments": ["one"], "images": ["web.image", "sub-chart.list[1].image"]} | over,
                {"name": "theirs", "namespace": "other", "repository": "r", "chart": "c", "version": "2",
                 "environments": ["two"]},
            ]
        },
        "helm-values/base/ours.yaml": {
            "web": {"image": {"repository": "x", "pullPolicy": "Always"}, "args": [1, 2]},
            "sub-chart": {"list": [{}, {"image": {"tag": "y"}}]},
        },
        "helm-values/one/ours.yaml": {"web": {"args": [3], "limit": None}},
    }.items():  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(text))
    return folder


@pytest.mark.files_only
def test_values_are_the_bases_merged_with_the_environments(tmp_path: Path) -> None:
    """Maps key by key, lists as a whole; the overlay's image at each place that charts.yaml lists."""
    (chart,) = environment.Environment("one", deploy=small(tmp_path)).charts(ours=True)
    image = {"repository": "registry/starsearch", "tag": "7"}
    assert chart.values == {
        "web": {"image": image | {"pullPolicy": "Always"}, "args": [3], "limit": None},
        "sub-chart": {"list": [{}, {"image": image}]},
    }
    assert chart.version == "1.5"
    assert list(environment.Environment("one", deploy=tmp_path).charts(ours=False)) == []


@pytest.mark.files_only
def test_merging_changes_neither_side() -> None:
    """As Helm does it: null takes a value away, a map takes the place of anything else."""
    base, over = {"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": None}, "d": {"e": 1}}
    assert environment.merged(base, over) == {"a": {"b": None, "c": 2}, "d": {"e": 1}}
    assert (base, over) == ({"a": {"b": 1, "c": 2}, "d": 1}, {"a": {"b": None}, "d": {"e": 1}})


@pytest.mark.files_only
@pytest.mark.parametrize(
    "image", ["starsearch", "starsearch@" + DIGEST, "a b:1", "starsearch:1@sha256:12", "host:5000/x"]
)
def test_an_image_without_a_tag_is_refused(tmp_path: Path, image: str) -> None:
    """A digest alone does not say which version it is."""
    with pytest.raises(ValueError, match="expected NAME:TAG"):
        environment.Environment("one", image, small(tmp_path))


@pytest.mark.files_only
def test_unknown_names_are_refused(tmp_path: Path) -> None:
    """The environment, and a place without an image, with what was expected."""
    deploy = small(tmp_path, images=["web.picture"])
    with pytest.raises(ValueError, match="'two': expected one of one"):
        environment.Environment("two", deploy=deploy)
    with pytest.raises(ValueError, match=r"No image is at web\.picture"):
        list(environment.Environment("one", deploy=deploy).charts(ours=True))


@pytest.mark.files_only
@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_configuration_only(stack: str) -> None:
    """Context, environment and perhaps the image; no secret, encrypted or not."""
    config = configuration(stack)
    assert {"kubernetes:context", "starsearch:environment"} <= set(config)
    assert set(config) <= {"kubernetes:context", "starsearch:environment", "starsearch:image"}
    assert config["starsearch:environment"] in OVERLAYS
    assert all(isinstance(value, str) for value in config.values())


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_image_that_is_given_takes_the_overlays_place_and_nothing_else(name: str) -> None:
    """Rendered by kustomize: each container of ours has it, and all else is the overlay's."""
    before = environment.Environment(name)
    after = environment.Environment(name, GIVEN)
    assert before.manifests("test") == PROJECT / "deploy" / "kubernetes" / "overlays" / name
    expected = json.loads(json.dumps(overlay(name)).replace(f'"{before.image}"', f'"{GIVEN}"'))
    key = lambda one: (one["kind"], one["metadata"]["name"])  # noqa: E731
    assert sorted(render(after.manifests(f"test-{name}")), key=key) == sorted(expected, key=key)
    images = {container["image"] for one in workloads(expected) for container, _ in containers(one)}
    assert GIVEN in images
    assert before.image not in images


@has_pulumi
@has_charts
@pytest.mark.files_only
@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_installs_what_its_environment_lists_in_order(stack: str) -> None:
    """Others' operators, then our workloads, then the charts of our namespace, pinned as charts.yaml says."""
    name = configuration(stack)["starsearch:environment"]
    listed = [one for one in yaml.safe_load(CHARTS.read_text())["charts"] if name in one["environments"]]
    names = lambda ours: [one["name"] for one in listed if (one["namespace"] == "starsearch") == ours]  # noqa: E731
    found = registered(stack)
    assert [one["name"] for one in found] == [*names(False), "workloads", *names(True)]
    pins = {one["name"]: (one["chart"], str(one["version"]), one["repository"], one["namespace"]) for one in listed}
    for one in found:
        inputs = one["inputs"]
        if one["type"] == DIRECTORY:
            assert inputs["directory"].endswith(f"deploy/kubernetes/overlays/{name}")
            continue
        assert one["type"] == RELEASE
        told = inputs["chart"], inputs["version"], inputs["repositoryOpts"]["repo"], inputs["namespace"]
        assert told == pins[inputs["name"]]
        assert inputs.get("createNamespace", False) == (inputs["namespace"] != "starsearch")


@has_pulumi
@has_charts
@pytest.mark.files_only
def test_an_image_reaches_the_charts(tmp_path: Path) -> None:
    """All pods of one environment have one image, Dagster's too."""
    (dagster,) = [one for one in registered("dev", f"starsearch:image={GIVEN}") if one["name"] == "dagster"]
    values = dagster["inputs"]["values"]
    code = values["dagster-user-deployments"]["deployments"][0]["image"]
    for image in (values["dagsterWebserver"]["image"], values["dagsterDaemon"]["image"], code):
        assert f"{image['repository']}:{image['tag']}" == GIVEN


@has_pulumi
@has_charts
@pytest.mark.files_only
@pytest.mark.parametrize("stack", STACKS)
def test_no_secret_is_made(stack: str) -> None:
    """Secrets come from a store or by hand: neither a chart nor the overlay is told one."""
    name = configuration(stack)["starsearch:environment"]
    assert "secret" not in {one["type"].rsplit(":", 1)[1].lower() for one in registered(stack)}
    text = _registered(stack)
    assert not any(word in text for word in ('"password"', "BEGIN PRIVATE KEY", "secure:"))
    assert name in text


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_overlay_has_a_secret(name: str) -> None:
    """The manifests that a stack applies."""
    assert of_kind(overlay(name), "Secret") == []
