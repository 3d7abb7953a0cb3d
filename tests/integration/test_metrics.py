"""What Prometheus reads, over real HTTP: figures of what was done, few labels, and for whom they are."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from answering.keys import METRICS
from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import CHAT, LLMServer
from tests.integration.commands import ROOT, free_port
from tests.integration.faces import (
    ANYWHERE,
    QUESTION,
    answerable,
    answering,
    ask,
    browser,
    person,
    problem,
    proxied,
    serving,
    with_key,
)
from tests.integration.processes import until

Figures = dict[tuple[str, ...], float]


def told(url: str, **headers: str) -> Figures:
    """Each sample by its name and the values of its labels."""
    reply = httpx.get(f"{url}/metrics", headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


@pytest.fixture
def writer() -> Iterator[LLMServer]:
    """Of two sentences that it writes, one is backed by nothing."""
    with LLMServer(models=("first", "writer"), dimensions=16) as server:
        server.reply = lambda _: "Work on telescope mirrors is under way [1]. It costs 777 dollars [1]."
        yield server


@pytest.fixture
def asked(settings: Settings, database: Database, tools: Database, writer: LLMServer) -> Settings:
    """Settings of a service that answers with an LLM, one question at a time."""
    settings = answerable(settings, database, tools, writer)
    return settings.model_copy(
        update={"llm_base_url": writer.url, "answer_model": "writer", "answers_at_once": 1, "answer_cache": True}
    )


def test_answers_are_counted_by_mode_and_outcome(asked: Settings, writer: LLMServer) -> None:
    """With their time, sentences that were dropped, what the LLM read and wrote, and how often it was asked."""
    with answering(asked) as url, browser(url) as client:
        ask(client)
        before = told(url)
        asked_before = len(writer.chats)
        ask(client)
        assert len(writer.chats) == asked_before
        hits = told(url)
        assert ask(client, question="What is new in acme/elsewhere?")["abstained"]
        writer.misbehave("500", when=lambda request: request.path == CHAT)
        ask(client, question="What is new about mirrors?")
        after = told(url)
    assert before["starsearch_answers_total", "llm", "answered"] == 1
    assert before["starsearch_dropped_sentences_total",] == 1
    assert before["starsearch_llm_calls_total",] >= 1
    assert before["starsearch_llm_tokens_total", "in"] > before["starsearch_llm_tokens_total", "out"] > 0
    assert before["starsearch_answer_seconds_count", "llm"] == 1
    assert before["starsearch_answer_cache_hits_total",] == 0
    assert hits["starsearch_answer_cache_hits_total",] == 1
    for name in ("starsearch_llm_calls_total", "starsearch_dropped_sentences_total"):
        assert hits[name,] == before[name,]
    assert after["starsearch_answers_total", "extractive", "abstained"] == 1
    assert after["starsearch_answers_total", "degraded", "degraded"] == 1
    assert after["starsearch_requests_total", "POST", "/v1/ask", "200"] == 4
    assert after["starsearch_request_seconds_count", "/v1/ask"] == 4


def test_an_answer_that_fails_is_counted_as_such(asked: Settings, database: Database) -> None:
    """It has no mode."""
    with answering(asked) as url, browser(url) as client:
        database.execute("ALTER TABLE service.answers RENAME TO elsewhere")
        assert client.post("/v1/ask", json={"question": QUESTION}).status_code == 500
        assert told(url)["starsearch_answers_total", "none", "failed"] == 1


def test_load_is_told_while_it_lasts(asked: Settings, writer: LLMServer) -> None:
    """An open stream, the answer in progress and connections in use; whoever comes meanwhile is counted as refused."""
    go, came = threading.Event(), threading.Event()

    def reply(_: Any) -> str:
        came.set()
        assert go.wait(30)
        return "Work on telescope mirrors is under way [1]."

    writer.reply = reply
    with answering(asked) as url:
        body, headers = {"question": QUESTION}, {"Accept": "text/event-stream"}
        with httpx.stream("POST", f"{url}/v1/ask", json=body, headers=headers, timeout=60) as stream:
            assert came.wait(30)
            busy = told(url)
            assert httpx.post(f"{url}/v1/ask", json=body).status_code == 503
            go.set()
            assert "event: done" in stream.read().decode()
        until(lambda: told(url)["starsearch_open_streams",] == 0)
        idle = told(url)
    assert (busy["starsearch_open_streams",], busy["starsearch_answers_in_progress",]) == (1, 1)
    assert (idle["starsearch_answers_in_progress",], idle["starsearch_answers_refused_total",]) == (0, 1)
    assert idle["starsearch_requests_total", "POST", "none", "503"] == 1


def test_the_release_and_the_pools_are_told(asked: Settings, database: Database) -> None:
    """Number and age of what is served; connections by pool, and how many there may be."""
    with answering(asked) as url, browser(url) as client:
        ask(client)
        figures = told(url)
    assert figures["starsearch_release_number",] == database.fetch_value("SELECT release_id FROM active_release")
    age = database.fetch_value("SELECT extract(epoch FROM now() - created_at)::float8 FROM search_releases")
    assert 0 < figures["starsearch_release_age_seconds",] <= age
    for pool in ("tools", "answers", "service"):
        most = figures["starsearch_database_connections_max", pool]
        assert 0 <= figures["starsearch_database_connections_in_use", pool] <= most
        assert figures["starsearch_database_requests_waiting", pool] == 0


def test_labels_are_routes_and_never_what_was_asked_for(settings: Settings) -> None:
    """Whatever paths and methods strangers invent make no new series."""
    with serving(settings) as url, browser(url) as client:
        declared = set(client.get("/openapi.json").json()["paths"])
        for _ in range(2):
            client.get(f"/v1/threads/{uuid.uuid4()}")
            client.get(f"/nowhere/{uuid.uuid4()}")
            client.get(f"/s/{uuid.uuid4()}")
            client.request(f"X{uuid.uuid4().hex}", "/v1/threads")
        requests = [labels for name, *labels in told(url) if name == "starsearch_requests_total"]
    routes = {route for _, route, _ in requests}
    assert {"/v1/threads/{thread_id}", "/s/{share_id}", "none"} <= routes
    assert routes - declared <= {"none", "/s/{share_id}", "/openapi.json"}
    assert {method for method, _, _ in requests} <= {"GET", "POST", "other"}


def test_on_loopback_they_are_for_anybody_also_without_a_database(settings: Settings) -> None:
    """As anonymous use is; by a known name of the host, so that no rebinding page reads them."""
    away = SecretStr(f"postgresql://nobody@127.0.0.1:{free_port()}/none")
    alone = settings.model_copy(update={"service_database_url": away, "tools_database_url": away})
    with serving(alone) as url:
        assert told(url)["starsearch_open_streams",] == 0
        problem(httpx.get(f"{url}/metrics", headers={"Host": "evil.example"}), 421)


@pytest.mark.parametrize(
    ("host", "anonymous"), [(ANYWHERE, None), (ANYWHERE, True), ("127.0.0.1", False)], ids=["bound", "open", "closed"]
)
def test_elsewhere_they_need_a_key_made_for_them(
    settings: Settings, database: Database, host: str, anonymous: bool | None
) -> None:
    """A bearer token with the scope `metrics`, by whatever address Prometheus comes; no other key, no person."""
    with serving(proxied(settings).model_copy(update={"anonymous_access": anonymous}), host) as url:
        problem(httpx.get(f"{url}/metrics"), 401)
        with with_key(url, database) as everything, person(url, "ada@example.com") as ada:
            assert "scope metrics" in problem(everything.get("/metrics"), 403)
            assert "scope metrics" in problem(ada.get("/metrics"), 403)
        with with_key(url, database, METRICS) as prometheus:
            assert "scope threads" in problem(prometheus.get("/v1/threads"), 403)
            headers = {"Authorization": prometheus.headers["authorization"]}
            if host == ANYWHERE:
                headers["Host"] = "10.0.0.7:8080"
            assert told(url, **headers)["starsearch_open_streams",] == 0


def test_promtool_finds_nothing_to_say(asked: Settings) -> None:
    """Names, units and help as Prometheus' own tool wants them."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    with answering(asked) as url, browser(url) as client:
        ask(client)
        text = httpx.get(f"{url}/metrics").text
    checked = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_every_metric_is_documented(settings: Settings) -> None:
    """docs/operations.md has a row for each, and none that is not there."""
    page = (Path(ROOT) / "docs" / "operations.md").read_text()
    listed = set(re.findall(r"^\| `(starsearch_\w+)", page, re.MULTILINE))
    with serving(settings) as url:
        text = httpx.get(f"{url}/metrics").text
    served = set(re.findall(r"^# TYPE (starsearch_\w+)", text, re.MULTILINE))
    assert served | {"starsearch_release_number", "starsearch_release_age_seconds"} == listed
