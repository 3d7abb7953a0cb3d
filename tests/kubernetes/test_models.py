"""Servers of models: one choice of a model, said once, and what has to agree with it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.settings import Settings
from tests.kubernetes import pods
from tests.kubernetes.references import selects
from tests.kubernetes.rendering import (
    KUBERNETES,
    Manifest,
    containers,
    copied,
    named,
    of_kind,
    overlay,
    pod_labels,
    pod_spec,
    render,
    with_components,
    workloads,
)
from tests.kubernetes.validation import schema_problems

GPU = ("gpu-daemonset", "gpu-autoscaled")
T4 = "qwen2.5-7b-awq-t4"

# https://docs.vllm.ai/en/stable/configuration/serve_args/ and the CLI reference of 0.33
VLLM_ARGUMENTS = {
    "dtype", "enable-auto-tool-choice", "enable-lora", "enable-prefix-caching", "enforce-eager",
    "gpu-memory-utilization", "lora-modules", "max-lora-rank", "max-model-len", "max-num-seqs", "port", "quantization",
    "scheduling-policy", "served-model-name", "shutdown-timeout", "structured-outputs-config", "tensor-parallel-size",
    "tool-call-parser",
}  # fmt: skip

every_gpu_overlay = pytest.mark.parametrize("name", GPU)


def _vllm(objects: list[Manifest]) -> list[Manifest]:
    return [one for one in workloads(objects) if pod_labels(one)["app.kubernetes.io/component"] == "vllm"]


def _main(one: Manifest) -> Manifest:
    return dict(pod_spec(one)["containers"][0])


def _arguments(objects: list[Manifest], one: Manifest) -> dict[str, Any]:
    """What the configuration file of a vLLM pod says."""
    volume = next(volume for volume in pod_spec(one)["volumes"] if volume["name"] == "config")
    text = named(objects, "ConfigMap", volume["configMap"]["name"])["data"]["vllm.yaml"]
    return dict(yaml.safe_load(text))


@every_gpu_overlay
def test_vllm_is_told_what_answers_need(name: str) -> None:
    """Tool calls, a prefix cache, an interactive lane, and time to end what runs; no misspelt argument."""
    objects = overlay(name)
    (one,) = _vllm(objects)
    told = _arguments(objects, one)
    assert set(told) <= VLLM_ARGUMENTS
    assert told["enable-auto-tool-choice"] and told["tool-call-parser"]
    assert told["enable-prefix-caching"] is True
    assert told["scheduling-policy"] == "priority"
    assert told["shutdown-timeout"] >= Settings.model_fields["llm_timeout"].default
    assert pods.drain_problems(one, told["shutdown-timeout"]) == []


@every_gpu_overlay
def test_vllm_has_room_for_what_is_sent_at_once(name: str) -> None:
    """Both concurrencies fit, and so does the longest summary with instructions and reply."""
    objects = overlay(name)
    told = _arguments(objects, _vllm(objects)[0])
    data = named(objects, "ConfigMap", "starsearch-settings")["data"]
    settings = Settings(_env_file=None, **{key.lower(): value for key, value in data.items()})  # type: ignore[call-arg]
    assert told["max-num-seqs"] >= settings.llm_concurrency + settings.answer_concurrency
    assert told["max-model-len"] >= settings.summary_tokens + 1000


@every_gpu_overlay
def test_the_model_of_the_settings_is_the_one_that_is_served(name: str) -> None:
    """The revision that vllm-service selects has the name that requests carry, on the port that they go to."""
    objects = overlay(name)
    service = named(objects, "Service", "vllm-service")
    selected = [one for one in _vllm(objects) if selects({"matchLabels": service["spec"]["selector"]}, pod_labels(one))]
    assert len(selected) == 1
    told, data = _arguments(objects, selected[0]), named(objects, "ConfigMap", "starsearch-settings")["data"]
    assert data["SUMMARY_MODEL"] == data["ANSWER_MODEL"] == told["served-model-name"]
    assert data["LLM_BASE_URL"] == f"http://vllm-service:{service['spec']['ports'][0]['port']}/v1"
    assert _main(selected[0])["ports"][0]["containerPort"] == told["port"]


@every_gpu_overlay
def test_a_pod_has_the_gpus_that_it_splits_the_model_over(name: str) -> None:
    """And it runs on GPU nodes only, which keep others away by a taint."""
    objects = overlay(name)
    for one in _vllm(objects):
        resources, spec = _main(one)["resources"], pod_spec(one)
        gpus = _arguments(objects, one)["tensor-parallel-size"]
        assert resources["limits"]["nvidia.com/gpu"] == resources["requests"]["nvidia.com/gpu"] == str(gpus)
        assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
        assert "nvidia.com/gpu" in {one["key"] for one in spec["tolerations"]}


@every_gpu_overlay
def test_a_model_has_minutes_to_load(name: str) -> None:
    """Ten at least, before it counts as failed."""
    for one in _vllm(overlay(name)):
        probe = _main(one)["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 600


@every_gpu_overlay
def test_a_gpu_node_has_a_daemon_and_the_autoscaled_one_its_own_workload(name: str) -> None:
    """One of two: a DaemonSet, or a Deployment that KEDA scales by the requests that wait for this revision."""
    objects = overlay(name)
    (one,) = _vllm(objects)
    scaled = of_kind(objects, "ScaledObject")
    if name == "gpu-daemonset":
        assert (one["kind"], scaled) == ("DaemonSet", [])
        return
    assert one["kind"] == "Deployment" and "replicas" not in one["spec"]
    assert scaled[0]["spec"]["scaleTargetRef"]["name"] == one["metadata"]["name"]
    revision = pod_labels(one)["model-revision"]
    query = f'sum(vllm:num_requests_waiting{{namespace="starsearch",model_revision="{revision}"}})'
    assert scaled[0]["spec"]["triggers"][0]["metadata"]["query"] == query
    assert named(objects, "PodMonitor", "vllm")["spec"]["podTargetLabels"] == ["model-revision"]
    assert {"cloud.google.com/gke-spot"} <= {toleration["key"] for toleration in pod_spec(one)["tolerations"]}


def test_only_the_fill_has_the_token_and_writes_the_catalogue(tmp_path: Path) -> None:
    """Everybody else mounts it read-only, and downloads nothing."""
    objects = with_components(tmp_path, "gpu-daemonset", ["embedding-server", "reranker"])
    servers = 0
    for one in workloads(objects):
        fills = pod_labels(one)["app.kubernetes.io/component"] == "model-fill"
        for container, starts in containers(one):
            secrets = {
                variable["valueFrom"]["secretKeyRef"]["name"]
                for variable in container.get("env", [])
                if "secretKeyRef" in variable.get("valueFrom", {})
            }
            assert ("huggingface" in secrets) == fills
            mounts = [mount for mount in container.get("volumeMounts", []) if mount["name"] == "models"]
            assert [mount.get("readOnly", False) for mount in mounts] == [not fills] * len(mounts)
            if mounts and not fills and not starts:
                servers += 1
                assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]
    assert servers == 3


def test_each_server_reads_what_its_fill_writes(tmp_path: Path) -> None:
    """Both are told by the same ConfigMap, and each model has one fill."""
    objects = with_components(tmp_path, "gpu-daemonset", ["embedding-server", "reranker"])

    def models(component: str) -> list[str]:
        return sorted(
            _main(one)["envFrom"][0]["configMapRef"]["name"]
            for one in workloads(objects)
            if pod_labels(one)["app.kubernetes.io/component"] == component
        )

    assert models("model-fill") == sorted([*models("vllm"), *models("tei")])
    assert len(set(models("model-fill"))) == 3


def test_a_green_revision_runs_beside_the_blue_one(tmp_path: Path) -> None:
    """A copy of the folder with another model: both run, one is selected, and nothing has the same name."""
    folder = copied(tmp_path, "gpu-daemonset")
    (folder / "green").mkdir()
    blue = (folder / "blue" / "kustomization.yaml").read_text()
    (folder / "green" / "kustomization.yaml").write_text(blue.replace("blue", "green").replace("qwen3-8b", T4))
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    content["resources"].append("green")
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    objects = render(folder)
    selector = named(objects, "Service", "vllm-service")["spec"]["selector"]
    by_revision = {pod_labels(one)["model-revision"]: one for one in _vllm(objects)}
    assert set(by_revision) == {"blue", "green"}
    assert [name for name, one in by_revision.items() if selects({"matchLabels": selector}, pod_labels(one))] == [
        "blue"
    ]
    names = {name: _arguments(objects, one)["served-model-name"] for name, one in by_revision.items()}
    assert names["blue"] != names["green"]
    assert [problem for one in objects for problem in schema_problems(one)] == []


def test_the_profile_of_old_cards_asks_for_what_they_have() -> None:
    """Half precision and AWQ: a T4 knows no bfloat16; and what answers need is the same as everywhere."""
    t4 = yaml.safe_load((KUBERNETES / "models" / T4 / "vllm.yaml").read_text())
    usual = yaml.safe_load((KUBERNETES / "models" / "qwen3-8b" / "vllm.yaml").read_text())
    assert (t4["dtype"], t4["quantization"]) == ("half", "awq")
    assert set(t4) <= VLLM_ARGUMENTS
    same = ("enable-auto-tool-choice", "enable-prefix-caching", "scheduling-policy", "shutdown-timeout", "port")
    assert {key: t4[key] for key in same} == {key: usual[key] for key in same}
