"""What the internet reaches: the page and the API of the service, and nothing that is for the cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from answering.http import create_app
from answering.http.app import _STATIC
from resources.settings import load_settings
from tests.kubernetes.rendering import OVERLAYS, Manifest, named, of_kind, overlay, with_components

INSIDE = {"/healthz", "/readyz", "/metrics"}


def _routed(ingress: Manifest, path: str) -> bool:
    """As https://kubernetes.io/docs/concepts/services-networking/ingress/#path-types says."""
    (rule,) = ingress["spec"]["rules"]
    parts = path.rstrip("/").split("/")
    for one in rule["http"]["paths"]:
        prefix = one["path"].rstrip("/").split("/")
        if path == one["path"] or (one["pathType"] == "Prefix" and parts[: len(prefix)] == prefix):
            return True
    return False


def test_every_route_of_the_service_is_reached_but_those_for_the_cluster(tmp_path: Path) -> None:
    """A new route that the Ingress does not know fails here."""
    ingress = named(overlay("gpu-daemonset"), "Ingress", "starsearch")
    app = create_app(load_settings(starsearch_home=tmp_path))
    routes = {*app.openapi()["paths"], *(path for path, _, _ in _STATIC), "/docs", "/openapi.json", "/mcp"}
    assert len(routes) > 25
    assert {path for path in routes if not _routed(ingress, path)} == INSIDE & routes
    assert not any(_routed(ingress, path) for path in INSIDE)


def test_the_name_on_the_internet_is_one_that_the_service_knows() -> None:
    """Otherwise it would refuse every request with 421."""
    objects = overlay("gpu-daemonset")
    (rule,) = named(objects, "Ingress", "starsearch")["spec"]["rules"]
    (tls,) = named(objects, "Ingress", "starsearch")["spec"]["tls"]
    allowed = named(objects, "ConfigMap", "starsearch-settings")["data"]["ALLOWED_HOSTS"].split()
    assert tls["hosts"] == [rule["host"]]
    assert allowed == ["starsearch-service", rule["host"]]


@pytest.mark.parametrize("name", OVERLAYS)
def test_dagsters_ui_is_not_on_the_internet(name: str) -> None:
    """It has no authentication."""
    assert "dagster-webserver" not in str(of_kind(overlay(name), "Ingress"))


def test_the_ui_behind_a_login_is_read_only_and_linked(tmp_path: Path) -> None:
    """The proxy leads to the read-only webserver, and answers link to the proxy's address."""
    objects = with_components(tmp_path, "gpu-daemonset", ["oauth2-proxy"])
    told = named(objects, "ConfigMap", "oauth2-proxy")["data"]
    (rule,) = named(objects, "Ingress", "oauth2-proxy")["spec"]["rules"]
    assert told["OAUTH2_PROXY_UPSTREAMS"] == "http://dagster-webserver-read-only:3000"
    assert told["OAUTH2_PROXY_REDIRECT_URL"] == f"https://{rule['host']}/oauth2/callback"
    assert named(objects, "ConfigMap", "starsearch-settings")["data"]["DAGSTER_UI_URL"] == f"https://{rule['host']}"
