"""What kustomize does not make: Secrets, and what charts and operators make. deploy/README.md says who."""

from __future__ import annotations

from typing import Any

from dagster_k8s import DagsterK8sJobConfig
from dagster_k8s.client import ApiClient
from dagster_k8s.job import construct_dagster_k8s_job

OUTSIDE_SECRETS: dict[str, set[str]] = {
    "starsearch-database": {"DATABASE_URL", "DAGSTER_DATABASE_URL"},
    "starsearch-service-database": {"SERVICE_DATABASE_URL", "TOOLS_DATABASE_URL"},
    "starsearch-github": {"GITHUB_TOKEN"},
    "starsearch-webhook": {"GITHUB_WEBHOOK_SECRET"},
    "starsearch-llm": {"LLM_API_KEY"},
    "starsearch-proxy": {"PROXY_SECRET"},
    "starsearch-metrics": {"API_KEY"},
    "dagster-postgresql": {"postgresql-password"},
    "huggingface": {"HF_TOKEN"},
    "oauth2-proxy": {"client-id", "client-secret", "cookie-secret"},
}
"""Name and keys, made by hand or by components/external-secrets."""

OUTSIDE_SERVICES = {"dagster-webserver", "dagster-webserver-read-only", "starsearch-postgres-rw"}


def _chart(component: str, name: str = "dagster") -> dict[str, str]:
    """The labels of the pods of Dagster's chart, installed as release `dagster`."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "dagster", "component": component}


def _launched(component: str) -> dict[str, str]:
    """The labels that Dagster's launcher and executor give to the pods that they make."""
    job: Any = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="starsearch:1", dagster_home="/opt/dagster"), args=[], job_name="one",
        component=component, labels={"dagster/job": "__ASSET_JOB", "dagster/run-id": "r"},
    )  # fmt: skip
    return dict(ApiClient().sanitize_for_serialization(job)["spec"]["template"]["metadata"]["labels"])


OUTSIDE_PODS: dict[str, dict[str, str]] = {
    "daemon": _chart("dagster-daemon"),
    "webserver": _chart("dagster-webserver"),
    "read-only": _chart("dagster-webserver-read-only"),
    "code": _chart("user-deployments", "dagster-user-deployments"),
    "run": _launched("run_worker"),
    "step": _launched("step_worker"),
    "postgres": {"cnpg.io/cluster": "starsearch-postgres", "cnpg.io/podRole": "instance"},
}
"""In our namespace, by role."""

OTHER_NAMESPACES: dict[str, tuple[str, dict[str, str]]] = {
    "dns": ("kube-system", {"k8s-app": "kube-dns"}),
    "ingress": ("ingress-nginx", {"app.kubernetes.io/name": "ingress-nginx"}),
    "prometheus": ("monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "keda": ("keda", {"app": "keda-operator"}),
    "cnpg-operator": ("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"}),
    "stranger": ("default", {"app.kubernetes.io/component": "service"}),
}
"""In other namespaces, by role: the namespace and the labels."""
