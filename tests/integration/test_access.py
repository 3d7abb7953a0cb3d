"""Who is let in, by what, and what for: over real HTTP and a real database."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from answering.http.access import is_open, needed_scopes
from answering.http.app import create_app
from answering.keys import SCOPES, KeyRefused, create_key, list_keys, revoke_key
from resources.errors import ConfigurationError
from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer
from tests.integration.commands import starsearch
from tests.integration.faces import (
    ANYWHERE,
    IDENTITY,
    QUESTION,
    SECRET,
    answering,
    ask,
    browser,
    new_thread,
    own_release,
    person,
    problem,
    proxied,
    serving,
    with_key,
)


def session(client: httpx.Client) -> Any:
    reply = client.get("/v1/session")
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    """A service that is reached from everywhere: without a key it answers nobody."""
    with serving(proxied(settings), ANYWHERE) as url:
        yield url


def test_every_route_is_closed_to_strangers_but_those_named_here(url: str) -> None:
    """The routes come from the OpenAPI document, so that a new one is closed, or has to be named."""
    document = httpx.get(f"{url}/openapi.json").json()
    opened = set()
    for path, methods in document["paths"].items():
        address = re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
        for method in methods:
            reply = httpx.request(method, f"{url}{address}", json={} if method in ("post", "patch") else None)
            if reply.status_code != 401:
                opened.add(path)
            else:
                assert reply.headers["www-authenticate"] == "Bearer"
                told = reply.json()
                assert "starsearch keys create" in (told["error"]["message"] if "error" in told else told["detail"])
    shared = "/v1/shared/{share_id}"
    lineage = f"{shared}/answers/{{answer_id}}/lineage"
    assert opened == {"/healthz", "/readyz", "/v1/session", shared, lineage, "/webhooks/github"}


def test_every_route_needs_a_scope_that_is_named(url: str, database: Database) -> None:
    """A key with one scope is told which other one a route needs; a route that nobody named needs all."""
    document = httpx.get(f"{url}/openapi.json").json()
    with with_key(url, database, "mcp") as client:
        for path in document["paths"]:
            address, needed = re.sub(r"\{\w+\}", str(uuid.uuid4()), path), needed_scopes(path)
            assert is_open(path) or needed != SCOPES, f"{path} is in no list of answering/http/access.py"
            if not is_open(path) and needed and needed != ("mcp",):
                reply = client.get(address)
                assert reply.status_code == 403, path
                assert f"scope {needed[0]}" in reply.text, path
    assert needed_scopes("/v1/threads-of-everybody") == SCOPES
    assert needed_scopes("/v1/new") == SCOPES


def test_a_thread_of_a_question_needs_its_scope(settings: Settings, database: Database) -> None:
    """A key that may only ask is told so; asking alone it may."""
    with (
        LLMServer(models=("first",), dimensions=16) as server,
        answering(own_release(settings, server)) as url,
        with_key(url, database, "ask") as client,
    ):
        ask(client)
        reply = client.post("/v1/ask", json={"question": QUESTION, "thread_id": str(uuid.uuid4())})
        assert "scope threads" in problem(reply, 403)


def test_anonymous_use_follows_the_address_of_the_service(settings: Settings) -> None:
    """Bound to loopback, without a setting, it is allowed; else not; the setting decides over both."""
    for host, told, expected in (
        ("127.0.0.1", None, True),
        ("::1", None, True),
        ("localhost", None, True),
        (ANYWHERE, None, False),
        ("::", None, False),
        ("10.1.2.3", None, False),
        (ANYWHERE, True, True),
        ("127.0.0.1", False, False),
    ):
        with serving(settings.model_copy(update={"anonymous_access": told}), host) as url, browser(url) as client:
            found = session(client)
            assert found["anonymous_allowed"] is expected, (host, told)
            assert found["scopes"] == (sorted(SCOPES) if expected else [])
            assert client.get("/v1/threads").status_code == (200 if expected else 401)


def test_what_a_proxy_forwards_for_changes_nothing(url: str) -> None:
    """Who connects, or says to come from loopback, is a stranger all the same."""
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host"):
        with browser(url, **{name: "127.0.0.1"}) as client:
            assert client.get("/v1/threads").status_code == 401


def test_keys_open_until_they_are_revoked_or_expire(url: str, database: Database) -> None:
    """From the next request on, with the reason; a key that was never made is unknown."""
    with with_key(url, database) as client:
        assert session(client)["identity"] == "key"
        key = client.headers["authorization"].removeprefix("Bearer ")
        assert revoke_key(database, key) == key[:11]
        assert "was revoked" in problem(client.get("/v1/threads"), 401)
    with with_key(url, database, last_day=datetime.now(UTC).date()) as client:
        assert client.get("/v1/threads").status_code == 200
        database.execute("UPDATE service.api_keys SET expires_at = now() WHERE revoked_at IS NULL")
        assert "has expired" in problem(client.get("/v1/threads"), 401)
    for wrong in ("ss_" + "x" * 43, "ss_", "x", key.upper(), key[:-1]):
        with browser(url, Authorization=f"Bearer {wrong}") as client:
            assert client.get("/v1/threads").status_code == 401, wrong


def test_a_wrong_key_is_refused_where_none_is_needed(settings: Settings) -> None:
    """It is not read as no key; what is no key of ours at all (clients that have to send something) is."""
    with serving(settings) as url:
        with browser(url, Authorization="Bearer ss_unknown") as client:
            assert "not known" in problem(client.get("/v1/threads"), 401)
        with browser(url, Authorization="Bearer none") as client:
            assert client.get("/v1/threads").status_code == 200


def test_a_key_is_stored_only_as_its_digest(settings: Settings, database: Database, service: Database) -> None:
    """Nothing in the database gives it back, and the service can make none."""
    key = create_key(database, "laptop", ["ask"])
    stored = database.fetch_value("SELECT api_keys::text FROM service.api_keys")
    assert key not in stored
    assert key[11:] not in stored
    for statement in (
        "INSERT INTO api_keys (name, prefix, sha256, scopes) VALUES ('x', 'ss_x', 'x', '{ask}')",
        "UPDATE api_keys SET scopes = '{ask,search,threads,mcp}'",
        "DELETE FROM api_keys",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(statement)


def test_keys_that_cannot_be_made_or_told_apart_are_refused(database: Database) -> None:
    """Unknown scopes, days that are over, no name; a beginning that fits several keys, or none."""
    for name, more in (
        ("x", {"scopes": ["admin"]}),
        ("x", {"last_day": datetime.now(UTC).date() - timedelta(days=1)}),
        (" ", {}),
    ):
        with pytest.raises(KeyRefused):
            create_key(database, name, **more)
    create_key(database, "one")
    create_key(database, "two")
    for beginning in ("ss_", "", "ss_nobody", "%"):
        with pytest.raises(KeyRefused):
            revoke_key(database, beginning)
    assert [key.state for key in list_keys(database)] == ["active", "active"]


def test_keys_on_the_command_line(settings: Settings, database: Database) -> None:
    """`create` prints the key alone on standard output, `list` its beginning and limits, `revoke` ends it."""
    home, there = settings.home, {"DATABASE_URL": settings.database_url.get_secret_value()}
    end = (datetime.now(UTC) + timedelta(days=9)).date()
    made = starsearch(
        home, "keys", "create", "laptop", "--scope", "ask", "--scope", "search", "--rate", "30/min",
        "--tokens-per-day", "5000", "--expires", f"{end}", **there,
    )  # fmt: skip
    key = made.stdout.strip()
    assert re.fullmatch(r"ss_[\w-]{43}", key)
    (told,) = json.loads(starsearch(home, "keys", "list", "--json", **there).stdout)
    assert told["prefix"] == key[:11]
    assert (told["name"], told["scopes"], told["state"]) == ("laptop", ["ask", "search"], "active")
    assert (told["per_minute"], told["tokens_per_day"]) == (30, 5000)
    assert told["expires_at"].startswith(f"{end + timedelta(days=1)}T00:00:00")
    assert key[:11] in starsearch(home, "keys", "list", **there).stdout
    assert "is revoked" in starsearch(home, "keys", "revoke", key[:11], **there).stdout
    assert json.loads(starsearch(home, "keys", "list", "--json", **there).stdout)[0]["state"] == "revoked"
    for wrong in (("--rate", "many"), ("--scope", "admin"), ("--expires", "soon"), ("--expires", "2020-01-01")):
        assert starsearch(home, "keys", "create", "x", *wrong, check=False, **there).returncode != 0, wrong
    assert len(list_keys(database)) == 1


def test_a_session_stands_for_a_key(url: str, database: Database) -> None:
    """A cookie that scripts and other sites do not get; it ends with the key, by itself, or when it is given back."""
    key = create_key(database, "page", ["ask", "threads"])
    with browser(url) as client:
        assert session(client) == {"identity": "anonymous", "name": "", "scopes": [], "anonymous_allowed": False}
        begun = client.post("/v1/session", json={"key": key})
        assert begun.json()["identity"] == "key"
        cookie = begun.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Max-Age=43200" in cookie
        assert "Secure" not in cookie
        assert key not in cookie
        token = client.cookies["starsearch_session"]
        assert token not in str(database.fetch_all("SELECT browser_sessions::text FROM service.browser_sessions"))
        assert session(client)["scopes"] == ["ask", "threads"]
        thread = new_thread(client)
        with browser(url, Authorization=f"Bearer {key}") as same:
            assert same.get(f"/v1/threads/{thread}").status_code == 200
        assert client.delete("/v1/session").status_code == 204
        client.cookies.set("starsearch_session", token)
        assert session(client)["identity"] == "anonymous"
        client.cookies.clear()
        assert "Secure" in client.post(
            "/v1/session", json={"key": key}, headers={"X-Forwarded-Proto": "https"}
        ).headers["set-cookie"]  # fmt: skip
        client.cookies.clear()
        client.post("/v1/session", json={"key": key})
        revoke_key(database, key)
        assert client.get("/v1/threads").status_code == 401
        assert session(client)["identity"] == "anonymous"
        refused = client.post("/v1/session", json={"key": "ss_wrong"})
        assert "not known" in problem(refused, 401)
        assert "set-cookie" not in refused.headers


def test_a_session_ends_by_itself(url: str, database: Database) -> None:
    """After its time, whatever the browser still sends."""
    with browser(url) as client:
        client.post("/v1/session", json={"key": create_key(database, "page")})
        database.execute("UPDATE service.browser_sessions SET expires_at = now()")
        assert client.get("/v1/threads").status_code == 401


def test_an_identity_counts_with_the_proxys_secret_only(url: str, settings: Settings) -> None:
    """Forged without it, with another one, or twice: refused. Where no proxy is configured the header is nothing."""
    with person(url, "ada@example.com") as client:
        assert (session(client)["identity"], session(client)["name"]) == ("proxy", "ada@example.com")
    for headers in (
        {IDENTITY: "ada@example.com"},
        {IDENTITY: "ada@example.com", "X-Proxy-Secret": "guessed"},
        {IDENTITY: "ada@example.com", "X-Proxy-Secret": ""},
        {IDENTITY: "a" * 400, "X-Proxy-Secret": SECRET},
    ):
        reply = httpx.get(f"{url}/v1/threads", headers=headers)
        assert IDENTITY in problem(reply, 401)
        assert SECRET not in reply.text
    twice = [(IDENTITY, "ada@example.com"), (IDENTITY, "eve@example.com"), ("X-Proxy-Secret", SECRET)]
    assert httpx.get(f"{url}/v1/threads", headers=twice).status_code == 401
    with serving(settings) as other, person(other, "ada@example.com") as client:
        assert session(client)["identity"] == "anonymous"


@pytest.mark.parametrize("secret", [None, "short"])
def test_an_identity_header_without_a_secret_does_not_start(settings: Settings, secret: str | None) -> None:
    """The error names the setting."""
    told = {"identity_header": IDENTITY, "proxy_secret": secret and SecretStr(secret)}
    with pytest.raises(ConfigurationError, match="PROXY_SECRET"):
        create_app(settings.model_copy(update=told))
