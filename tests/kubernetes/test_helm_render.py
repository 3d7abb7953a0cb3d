"""Charts rendered by Helm with our values, where Helm is installed and CHARTS names a folder with unpacked charts.

Nothing is fetched: `helm pull CHART --repo … --version … --untar -d "$CHARTS"` puts one there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.kubernetes.charts import HELM_VALUES, INSTALLED, chart
from tests.kubernetes.outside import OTHER_NAMESPACES, OUTSIDE_PODS, OUTSIDE_SERVICES
from tests.kubernetes.rendering import Manifest, named, of_kind
from tests.kubernetes.validation import VERSIONS

pytestmark = pytest.mark.files_only
CHARTS = os.environ.get("CHARTS")


def _render(name: str, environment: str) -> list[Manifest]:
    """The objects of one installation; skips where the chart, in its pinned version, or Helm is missing."""
    if CHARTS is None or shutil.which("helm") is None:
        pytest.skip("charts are rendered where helm is installed and CHARTS names a folder with them")
    one = chart(name)
    folder = Path(CHARTS) / one["chart"]
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    found = yaml.safe_load((folder / "Chart.yaml").read_text())["version"]
    if found.lstrip("v") != one["version"].lstrip("v"):
        pytest.skip(f"{folder} has version {found}, {one['version']} is pinned")
    files = [HELM_VALUES / place / f"{name}.yaml" for place in ("base", environment)]
    command = ["helm", "template", name, str(folder), "--namespace", one["namespace"], "--kube-version", VERSIONS[0]]
    command += ["--api-versions", "monitoring.coreos.com/v1"]
    command += [argument for path in files if path.exists() for argument in ("--values", str(path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.mark.parametrize(("name", "environment"), INSTALLED)
def test_a_chart_renders(name: str, environment: str) -> None:
    """Its own schema, where it has one, takes the values; no Secret with a value of ours comes of it."""
    objects = _render(name, environment)
    assert objects
    ours = [
        one["metadata"]["name"]
        for one in of_kind(objects, "Secret")
        if one["metadata"].get("namespace") == "starsearch"
    ]
    assert ours == []


def test_postgres_is_the_cluster_that_policies_know() -> None:
    """By its name they know its pods and its Service; it has replicas and an archive, and superusers stay out."""
    objects = _render("starsearch-postgres", "gpu-daemonset")
    (cluster,) = of_kind(objects, "Cluster")
    assert cluster["metadata"]["name"] == OUTSIDE_PODS["postgres"]["cnpg.io/cluster"]
    assert f"{cluster['metadata']['name']}-rw" in OUTSIDE_SERVICES
    assert cluster["spec"]["instances"] == 3 and cluster["spec"]["enableSuperuserAccess"] is False
    assert [one["isWALArchiver"] for one in cluster["spec"]["plugins"]] == [True]
    assert of_kind(objects, "ScheduledBackup") and named(objects, "ObjectStore", "starsearch-postgres-backups")
    owners = {one["spec"]["name"]: one["spec"]["owner"] for one in of_kind(objects, "Database")}
    assert owners == {"starsearch": "starsearch_owner", "dagster": "starsearch_owner"}


@pytest.mark.parametrize(("name", "role"), [("cloudnative-pg", "cnpg-operator"), ("ingress-nginx", "ingress")])
def test_pods_of_others_have_the_labels_that_policies_know(name: str, role: str) -> None:
    """In the namespace where policies look for them."""
    namespace, labels = OTHER_NAMESPACES[role]
    assert chart(name)["namespace"] == namespace
    pods = [
        one["spec"]["template"]["metadata"]["labels"] for one in of_kind(_render(name, "gpu-daemonset"), "Deployment")
    ]
    assert pods and all(labels.items() <= pod.items() for pod in pods)
