"""Alert rules and dashboards: over metrics that are there, and each alert fires when it should and only then."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.charts import values
from tests.kubernetes.rendering import PROJECT, named, overlay, render

MONITORING = PROJECT / "deploy" / "monitoring"
RULES = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
SERVICE_METRICS = PROJECT / "answering" / "http" / "metrics.py"

OTHERS = {
    # Prometheus' own, the kubelet's
    "up", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes",
    # https://docs.vllm.ai/en/stable/usage/metrics/
    "vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc", "vllm:prompt_tokens_total",
    "vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_bucket",
    # https://cloudnative-pg.io/documentation/current/monitoring/ and the backup plugin's page on observability
    "cnpg_collector_up", "cnpg_pg_replication_lag", "cnpg_pg_replication_streaming_replicas",
    "cnpg_collector_pg_wal_archive_status", "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp",
}  # fmt: skip

_METRIC = re.compile(r"([a-zA-Z_][\w:]*)\{")

Series = Mapping[str, str]
CASES: dict[str, dict[str, list[Series]]] = yaml.safe_load((Path(__file__).parent / "alert_cases.yaml").read_text())


def _expressions() -> list[str]:
    """Of rules and of dashboards."""
    told = [rule["expr"] for rule in ALERTS.values()]
    for path in DASHBOARDS:
        told += [target["expr"] for panel in json.loads(path.read_text())["panels"] for target in panel["targets"]]
    return told


def _of_queries() -> set[str]:
    """The metrics that the exporter makes of our own queries."""
    told = values("starsearch-postgres", "gpu-daemonset")["cluster"]["monitoring"]["customQueries"]
    return {f"cnpg_{query['name']}_{name}" for query in told for metric in query["metrics"] for name in metric}


def _of_service() -> set[str]:
    """The metrics that the service declares, and the series of its histograms."""
    names = set(re.findall(r'"(starsearch_\w+)"', SERVICE_METRICS.read_text()))
    return names | {f"{name}_bucket" for name in names if name.endswith("_seconds")}


@pytest.mark.files_only
def test_each_metric_is_one_that_somebody_tells() -> None:
    """vLLM's and PostgreSQL's as documented, those of our own queries, and the service's."""
    used = {name for expression in _expressions() for name in _METRIC.findall(expression)}
    assert len(used) > 25
    assert {name for name in used if not name.startswith("starsearch_")} <= OTHERS | _of_queries()
    assert _of_queries() <= used


@pytest.mark.files_only
@pytest.mark.skipif(
    not SERVICE_METRICS.exists(), reason="answering/http/metrics.py, which has GET /metrics, is not here"
)
def test_the_service_declares_what_is_asked_of_it() -> None:
    """Names as they stand in the code."""
    used = {name for expression in _expressions() for name in _METRIC.findall(expression)}
    assert {name for name in used if name.startswith("starsearch_")} <= _of_service()


@pytest.mark.files_only
def test_alerts_say_what_and_what_to_do() -> None:
    """Each has a severity that Alertmanager routes, waits, and is tested."""
    for rule in ALERTS.values():
        assert rule["labels"]["severity"] in ("critical", "warning") and rule["for"]
        assert set(rule["annotations"]) == {"summary", "action"}
    assert CASES.keys() == ALERTS.keys()
    assert all(case["fires"] and case["quiet"] for case in CASES.values())


@pytest.mark.files_only
def test_alerts_reach_a_receiver() -> None:
    """Each route leads to one that is there; addresses are files of a Secret that is mounted."""
    alertmanager = values("kube-prometheus-stack", "gpu-daemonset")["alertmanager"]
    config, mounted = alertmanager["config"], alertmanager["alertmanagerSpec"]["secrets"]
    receivers = {one["name"]: one for one in config["receivers"]}
    routes = [config["route"], *config["route"]["routes"]]
    assert {route["receiver"] for route in routes} == set(receivers)
    files = re.findall(r"/etc/alertmanager/secrets/([\w-]+)/", json.dumps(config))
    assert set(files) == set(mounted) and len(files) == 2


def test_our_monitors_rules_and_dashboards_are_taken() -> None:
    """Whatever label they lack, and from the namespace where they are."""
    told = values("kube-prometheus-stack", "gpu-daemonset")
    spec = told["prometheus"]["prometheusSpec"]
    for kind in ("rule", "serviceMonitor", "podMonitor"):
        assert spec[f"{kind}SelectorNilUsesHelmValues"] is False
    dashboards = told["grafana"]["sidecar"]["dashboards"]
    made = named(render(MONITORING), "ConfigMap", "starsearch-dashboards")
    assert made["metadata"]["labels"][dashboards["label"]] == dashboards["labelValue"]
    assert made["metadata"]["namespace"] == dashboards["searchNamespace"]
    assert set(made["data"]) == {path.name for path in DASHBOARDS}
    assert named(render(MONITORING), "PrometheusRule", "starsearch")["spec"] == RULES


def test_jobs_are_called_as_rules_call_them() -> None:
    """A ServiceMonitor's job is its Service, a PodMonitor's NAMESPACE/NAME."""
    objects = overlay("gpu-daemonset")
    jobs = {job for expression in _expressions() for job in re.findall(r'job="([^"]+)"', expression)}
    assert jobs == {"starsearch-service", "starsearch/vllm"}
    assert named(objects, "ServiceMonitor", "starsearch-service") and named(objects, "Service", "starsearch-service")
    assert "model-revision" in named(objects, "PodMonitor", "vllm")["spec"]["podTargetLabels"]


@pytest.mark.files_only
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_whole(path: Path) -> None:
    """Panels have names and places of their own, and lie on the grid."""
    told = json.loads(path.read_text())
    assert told["uid"] and told["title"] and told["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in told["panels"]]
    titles = [panel["title"] for panel in told["panels"]]
    assert len(set(places)) == len(places) and len(set(titles)) == len(titles)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in told["panels"])


def _labelled(series: Series) -> list[dict[str, str]]:
    """With the namespace that all of them have."""
    return [
        {"series": name.replace("{", '{namespace="starsearch",', 1).replace(",}", "}"), "values": told}
        for name, told in series.items()
    ]


def _test(alert: str, series: Series, *, fires: bool) -> dict[str, Any]:
    expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if fires else []
    expression = (
        f'count by (alertname) (count by (alertname, severity) (ALERTS{{alertname="{alert}",alertstate="firing"}}))'
    )
    return {
        "interval": "1m",
        "input_series": _labelled(series),
        "promql_expr_test": [{"expr": expression, "eval_time": "2h", "exp_samples": expected}],
    }


def _promtool(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Has the rules as Prometheus reads them; skips where promtool is missing."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool (Debian: prometheus) is not installed: rules are not evaluated")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULES))
    return tmp_path


@pytest.mark.files_only
def test_promtool_takes_the_rules(folder: Path) -> None:
    """As Prometheus would."""
    assert _promtool("check", "rules", "rules.yaml", folder=folder) == ""


@pytest.mark.files_only
@pytest.mark.parametrize("right", [True, False], ids=["as expected", "turned around"])
def test_alerts_fire_when_they_should_and_only_then(right: bool, folder: Path) -> None:
    """Evaluated by promtool over two hours of each case's series; the opposite expectation fails for each alert."""
    tests = [
        _test(alert, series, fires=(kind == "fires") is right)
        for alert, cases in CASES.items()
        for kind in ("fires", "quiet")
        for series in cases[kind]
    ]
    (folder / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
    told = _promtool("test", "rules", "tests.yaml", folder=folder)
    failed = re.findall(r'ALERTS\{alertname=\\?"(\w+)', told)
    assert len(failed) == (0 if right else len(tests)), told
    assert set(failed) == (set() if right else set(CASES))
