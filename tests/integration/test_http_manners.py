"""Hosts, origins, errors, ids and logs, over real HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient

from answering.http.app import create_app
from resources.postgres import Database
from resources.settings import Settings
from tests.integration.commands import ROOT, command, environment, free_port
from tests.integration.faces import (
    ANYWHERE,
    IDENTITY,
    SECRET,
    browser,
    new_thread,
    person,
    problem,
    proxied,
    serving,
    with_key,
)
from tests.integration.webhooks import service as service_process


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """A service that is reached from everywhere: without a key it answers nobody."""
    with serving(proxied(settings), ANYWHERE) as url:
        yield url


def test_only_known_names_of_the_host_are_answered(settings: Settings) -> None:
    """Rebinding: a page of another name that leads to loopback gets nothing; probes come by address."""
    with serving(settings.model_copy(update={"allowed_hosts": "search.example.com"})) as url:
        port = url.rpartition(":")[2]
        for host in (f"localhost:{port}", "LOCALHOST", f"127.0.0.1:{port}", f"[::1]:{port}", "search.example.com:443"):
            assert httpx.get(f"{url}/v1/threads", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.7", "",
                     "localhost@evil.test", "localhost:port", "search.example.com.evil.test"):  # fmt: skip
            for path in ("/", "/v1/threads", "/page.js", "/openapi.json", "/v1/shared/x"):
                assert "ALLOWED_HOSTS" in problem(httpx.get(f"{url}{path}", headers={"Host": host}), 421), host
            assert httpx.get(f"{url}/healthz", headers={"Host": host}).status_code == 200
            assert httpx.get(f"{url}/readyz", headers={"Host": host}).status_code in (200, 503)


def test_pages_of_other_sites_change_nothing(settings: Settings) -> None:
    """By Origin, and by what the browser says of the site; one's own page, allowed ones and programs may."""
    with serving(settings.model_copy(update={"allowed_origins": "https://chat.example.com"})) as url:
        port = url.rpartition(":")[2]

        def post(**headers: str) -> httpx.Response:
            return httpx.post(
                f"{url}/v1/threads", json={}, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )

        for allowed in (
            {},
            {"Origin": url, "Sec_Fetch_Site": "same-origin"},
            {"Origin": f"https://localhost:{port}", "Host": f"localhost:{port}"},
            {"Origin": "https://localhost", "Host": "localhost"},
            {"Origin": "https://chat.example.com", "Sec_Fetch_Site": "cross-site"},
        ):
            assert post(**allowed).status_code == 201, allowed
        for forged in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Origin": f"http://localhost:{port}"},
            {"Origin": "https://chat.example.com.evil.example"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Origin": url, "Sec_Fetch_Site": "cross-site"},
            {"Origin": "http://[broken"},
        ):
            assert "ALLOWED_ORIGINS" in problem(post(**forged), 403), forged
        preflight = {"Origin": "https://chat.example.com", "Access-Control-Request-Method": "POST"}
        assert httpx.options(f"{url}/v1/ask", headers=preflight).status_code == 200
        preflight["Origin"] = "https://evil.example"
        assert "access-control-allow-origin" not in httpx.options(f"{url}/v1/ask", headers=preflight).headers


def test_errors_are_problems_and_openais_on_its_routes(settings: Settings) -> None:
    """One shape everywhere, also for routes and methods that are not there; OpenAI's clients get theirs."""
    with serving(settings, ANYWHERE) as url:
        problem(httpx.get(f"{url}/nowhere"), 401)
        told = httpx.post(f"{url}/v1/chat/completions", json={}).json()["error"]
        assert set(told) == {"message", "type", "param", "code"}
        assert told["type"] == "authentication_error"
        assert httpx.get(f"{url}/v1/models/x").json()["error"]["message"]
    with serving(settings) as url:
        problem(httpx.get(f"{url}/nowhere"), 404)
        assert "PUT" in problem(httpx.put(f"{url}/v1/ask"), 405)
        assert "question" in problem(httpx.post(f"{url}/v1/ask", json={}), 422)
        assert "limit" in problem(httpx.get(f"{url}/v1/threads?limit=many"), 422)
        broken = httpx.post(f"{url}/v1/ask", content=b"{", headers={"Content-Type": "application/json"})
        problem(broken, 422)
        assert httpx.get(f"{url}/v1/models/none").json()["error"]["code"] == "model_not_found"


def test_what_nobody_foresaw_is_a_problem_too(settings: Settings) -> None:
    """A 500 with the request's id and nothing of the inside."""
    app = create_app(settings)

    def broken() -> None:
        raise RuntimeError("the inside")

    app.get("/v1/answers/broken")(broken)
    reply = TestClient(app, "http://localhost").get("/v1/answers/broken")
    assert "log says why" in problem(reply, 500)
    assert "inside" not in reply.text


def test_every_answer_has_its_ids(url: str) -> None:
    """A harmless id of the client's is kept, another one replaced; the trace goes on where there is one."""
    trace = uuid.uuid4().hex
    for told, kept in (("abc-123_X", True), ("a b", False), ("x" * 65, False), ("{}", False)):
        reply = httpx.get(
            f"{url}/healthz", headers={"X-Request-ID": told, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        )
        assert (reply.headers["x-request-id"] == told) is kept
        assert reply.headers["x-trace-id"] == trace
    for wrong in ("", "00-1-2-3", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{trace}-00f067aa0ba902b7-01"):
        found = httpx.get(f"{url}/", headers={"traceparent": wrong}).headers["x-trace-id"]
        assert re.fullmatch("[0-9a-f]{32}", found)
        assert found not in (trace, "0" * 32)
    assert httpx.get(f"{url}/v1/threads").headers["x-request-id"] != httpx.get(f"{url}/").headers["x-request-id"]


def test_a_line_a_request_and_no_secret_in_it(settings: Settings, database: Database) -> None:
    """Method, route, status, time, size, who, and both ids, as JSON; no key, cookie, question, title or path."""
    with service_process(settings, IDENTITY_HEADER=IDENTITY, PROXY_SECRET=SECRET) as running:
        with with_key(running.url, database) as client:
            key = client.headers["authorization"].removeprefix("Bearer ")
            thread = new_thread(client, title="a private title")
            share = client.post(f"/v1/threads/{thread}/share").json()["share_id"]
            client.get(f"/v1/shared/{share}", headers={"X-Request-ID": "mine-1"})
            client.post("/v1/ask", json={"question": "a private question"})
            client.get("/v1/search", params={"q": "a private search"})
        with browser(running.url) as client:
            client.post("/v1/session", json={"key": key})
            token = client.cookies["starsearch_session"]
            client.get("/v1/nowhere/private-path")
        with person(running.url, "ada@example.com") as client:
            client.get("/v1/threads")
        running.stop()
        lines = [json.loads(line) for line in running.log.splitlines() if line.startswith('{"method"')]
        for secret in (key, key[11:], token, share, thread, SECRET, "private", "ada@example.com"):
            assert secret not in running.log, secret
    told = {(line["method"], line["route"], line["status"]): line for line in lines}
    one = told["GET", "/v1/shared/{share_id}", 200]
    assert set(one) == {"method", "route", "status", "ms", "bytes", "caller", "request_id", "trace_id"}
    assert (one["request_id"], one["caller"]) == ("mine-1", f"key:{key[:11]}")
    assert one["bytes"] > 0
    assert told["POST", "/v1/threads", 201]
    assert told["POST", "/v1/ask", 503]
    assert told["GET", None, 404]["caller"] == f"key:{key[:11]}"
    assert told["GET", "/v1/threads", 200]["caller"] == "proxy"


def test_serving_to_everybody_says_that_nobody_is_answered(settings: Settings) -> None:
    """At start, with what to do about it."""
    home, port = settings.home, str(free_port())
    there = {name: getattr(settings, name.lower()).get_secret_value() for name in
             ("DATABASE_URL", "SERVICE_DATABASE_URL", "TOOLS_DATABASE_URL")}  # fmt: skip
    process = subprocess.Popen(
        command(home, "serve", "--host", ANYWHERE, "--port", port), cwd=ROOT, env=environment(home, **there),
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    told = process.stderr.readline()
    process.kill()
    process.wait()
    assert "starsearch keys create" in told
    assert "ANONYMOUS_ACCESS" in told
