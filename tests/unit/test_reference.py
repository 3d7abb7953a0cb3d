"""The API's reference: every route and shape of the OpenAPI document, as plain HTML under a strict policy."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from answering.http.app import create_app
from answering.http.reference import render
from resources.settings import Settings


class Body(BaseModel):
    """Has <u>fields</u>."""

    field: int = Field(3, ge=1, description="<s> at most `4 < 5`", alias="a<b")


@pytest.fixture(scope="module")
def client() -> TestClient:
    """The application, not started: its reference needs neither model nor database."""
    return TestClient(create_app(Settings(_env_file=None)), "http://localhost")


def test_every_route_and_shape_is_shown(client: TestClient) -> None:
    """What the document has; each link leads somewhere."""
    document, page = client.get("/openapi.json").json(), client.get("/docs").text
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b> {path}" in page
    for name, schema in document["components"]["schemas"].items():
        assert f'id="shape-{name}"' in page
        for field in schema.get("properties", {}):
            assert f"<code>{field}</code>" in page
    anchors = re.findall(r'href="#([^"]+)"', page)
    assert anchors
    assert set(anchors) <= set(re.findall(r'id="([^"]+)"', page))


def test_it_works_under_the_policy_of_the_page(client: TestClient) -> None:
    """No script, no inline style, no asset of another origin; and none is there that FastAPI would load from a CDN."""
    reply = client.get("/docs")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"<script|<style|\sstyle=|\son\w+=|https?://|src=", reply.text) == []
    assert client.get("/docs/reference.css").headers["content-type"].startswith("text/css")
    assert client.get("/redoc").status_code == 404


def test_texts_are_shown_and_not_read_as_html() -> None:
    """Also those of an application that is not ours."""
    app = FastAPI(title="<b>A & B</b>", summary="`<i>`")

    @app.post("/x/{y}", summary="<h1>Post</h1>")
    def post(y: str, body: Body, z: bool = False) -> list[str]:
        return [y, f"{body.field}", f"{z}"]

    page = render(app.openapi())
    assert re.findall(r"<b>A|<i>|<u>|<s>|<h1>Post|a<b", page) == []
    assert "<code>&lt;i&gt;</code>" in page
    assert "&lt;s&gt; at most <code>4 &lt; 5</code>" in page
    assert "integer, at least 1, default <code>3</code>" in page
    assert "list of string" in page
