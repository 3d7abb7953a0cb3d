"""POST /webhooks/github as GitHub and strangers meet it: over HTTP, a real service, a real database."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from resources.postgres import Database
from resources.settings import Settings
from tests.factories import REPOSITORY, item
from tests.integration.content import track
from tests.integration.webhooks import (
    SECRET,
    Service,
    delivery,
    encoded,
    headers,
    inbox,
    outcomes,
    process_dirty,
    read_all,
    real_deliveries,
    service,
    signed,
    waited_for,
)

HELLO_WORLD = (186853002, "Codertocat/Hello-World")


@pytest.fixture
def running(settings: Settings) -> Iterator[Service]:
    """A service with a secret, and a small limit of size."""
    with service(settings, WEBHOOK_MAX_BYTES="100000") as running:
        yield running


def opened(number: int = 1, title: str = "An issue", **fields: Any) -> dict[str, Any]:
    return delivery("opened", issue=item(number, title, updated_at="2025-11-01T10:00:00Z") | fields)


def counted(database: Database, event: str, outcome: str, times: int = 1) -> bool:
    """Whether the counter comes to stand there: it is written soon after the answer."""
    return waited_for(lambda: outcomes(database).get((event, outcome)) == times)


def test_every_real_payload_has_its_answer_and_its_rows(
    settings: Settings, database: Database, real_data: Path
) -> None:
    """All 91: what is read is stored and ends in content, what is not is acknowledged, what is private is refused."""
    track(database, HELLO_WORLD)
    answers: dict[str, int] = {}
    payloads = real_deliveries(real_data)
    with service(settings) as running:
        for name, (event, body) in payloads.items():
            reply = running.deliver(event, body)
            answers[name] = reply.status_code
            media_type = "application/json" if reply.status_code < 400 else "application/problem+json"
            assert reply.headers["content-type"] == media_type
        running.stop()
    refused = {name for name, status in answers.items() if status == 403}
    assert refused == {"issues.transferred.payload.json"}
    assert set(answers.values()) == {202, 403}
    bodies = {body for _, (event, body) in payloads.items() if event != "discussion"}
    private = payloads["issues.transferred.payload.json"][1]
    assert {bytes(body) for body, _, _ in inbox(database)} == bodies - {private}
    counts = outcomes(database)
    assert counts["discussion", "ignored"] == sum(event == "discussion" for event, _ in payloads.values())
    assert counts["issues", "private"] == 1
    assert sum(n for (_, outcome), n in counts.items() if outcome == "accepted") == len(answers) - 1 - 14
    result = read_all(database)
    assert (result.deliveries, result.rejected) == (len(bodies) - 1, 0)
    process_dirty(database)
    assert database.fetch_all("SELECT number, title, state FROM pull_requests") == [
        (2, "Update the README with new information.", "closed")
    ]
    # Issue 1 was deleted; the payloads about issue 2 say that it is a pull request.
    assert database.fetch_all("SELECT number, title, gone_at IS NOT NULL FROM issues ORDER BY 1") == [
        (1, "Spelling error in the README file", True),
    ]
    assert database.fetch_all(
        "SELECT source, comment_id, kind, ref, author_login, deleted FROM comments ORDER BY 1"
    ) == [
        ("comment", 492700400, "issue", "1", "Codertocat", True),
        ("review", 237895671, "pull_request", "2", "Codertocat", False),
        ("review_comment", 284312630, "pull_request", "2", "Codertocat", True),
    ]
    assert database.fetch_value("SELECT count(*) FROM events") == 0
    assert database.fetch_value("SELECT count(*) FROM deliveries WHERE payload::text ~ '@'") == 0


def test_ping_is_answered_and_stores_nothing(running: Service, database: Database) -> None:
    """What GitHub sends when a webhook is set up."""
    assert running.deliver("ping", {"zen": "Keep it logically awesome.", "hook_id": 1}).status_code == 200
    assert counted(database, "ping", "pong")
    assert inbox(database) == []


def test_what_github_did_not_sign_is_refused(running: Service, database: Database) -> None:
    """401 and what to do; nothing of it is stored, and the counters name no event that a stranger chose."""
    body = encoded(opened())
    signatures = [
        None,
        "",
        "sha256=",
        "sha256=zz" + "0" * 62,
        "sha1=" + "0" * 40,
        "sha256=" + "0" * 64,
        "sha256=" + "0" * 65,
        "sha256=\xe9" + "0" * 63,
        signed(body, "another secret"),
        signed(body + b" "),
        signed(body).upper(),
    ]
    for signature in signatures:
        told = headers("issues", body, x_hub_signature_256=signature)
        sent = {name: value.encode("latin-1") for name, value in told.items()}
        reply = httpx.post(f"{running.url}/webhooks/github", content=body, headers=sent)
        assert reply.status_code == 401, signature
        assert "secret" in reply.json()["detail"]
    assert waited_for(lambda: sum(outcomes(database).values()) == len(signatures))
    assert outcomes(database) == {("-", "unsigned"): 8, ("-", "wrong_signature"): 3}
    assert inbox(database) == []
    assert SECRET not in running.log


def test_two_secrets_hold_while_one_takes_the_others_place(settings: Settings, database: Database) -> None:
    """Separated by a space; a third is wrong."""
    with service(settings, GITHUB_WEBHOOK_SECRET="older newer") as running:
        for number, (secret, status) in enumerate((("older", 202), ("newer", 202), ("older newer", 401)), 1):
            body = encoded(opened(number))
            assert running.deliver("issues", body, x_hub_signature_256=signed(body, secret)).status_code == status
    assert len(inbox(database)) == 2


def test_without_a_secret_nothing_is_accepted(settings: Settings, database: Database) -> None:
    """503 names the setting."""
    with service(settings, GITHUB_WEBHOOK_SECRET="") as running:
        reply = running.deliver("issues", opened())
    assert reply.status_code == 503
    assert "GITHUB_WEBHOOK_SECRET" in reply.json()["detail"]
    assert inbox(database) == []


def test_a_form_is_refused_with_what_to_do(running: Service, database: Database) -> None:
    """GitHub's other content type; the message says where to change it."""
    body = b"payload=%7B%7D"
    reply = running.deliver("issues", body, content_type="application/x-www-form-urlencoded")
    assert reply.status_code == 415
    assert "application/json" in reply.json()["detail"]
    assert counted(database, "-", "content_type")


def test_a_signed_body_that_is_no_delivery_is_refused(running: Service, database: Database) -> None:
    """400 with what was expected."""
    bodies = [
        ("issues", b"not JSON"),
        ("issues", b""),
        ("issues", b"[]"),
        ("issues", b"{} {}"),
        ("issues", b"[" * 10_000),
        ("issues", b'{"action": "opened"}'),
        ("issues", b'{"repository": {"id": "7", "private": false}}'),
        ("issues", b'{"repository": {"id": 99999999999999999999, "private": false}}'),
        ("no event!", b"{}"),
        ("", b"{}"),
    ]
    for event, body in bodies:
        reply = running.deliver(event, body)
        assert reply.status_code == 400, (event, body)
        assert "Expected" in reply.json()["detail"]
    assert waited_for(lambda: outcomes(database) == {("issues", "malformed"): 8, ("-", "malformed"): 2})
    assert inbox(database) == []


def test_odd_characters_are_stored_as_they_came(running: Service, database: Database) -> None:
    """U+0000, lone surrogates and bytes that are no UTF-8 are the asset's to read."""
    track(database)
    told = encoded(opened(title="NUL \0 here"))
    bodies = [
        told,
        told.replace(b"NUL", rb"\ud83d"),
        told.replace(b"NUL", b"\xff\xfe").replace(b'"full_name"', b'"description":"\\ud83d","full_name"'),
    ]
    assert [running.deliver("issues", body).status_code for body in bodies] == [202] * 3
    assert [bytes(body) for body, _, _ in inbox(database)] == bodies
    assert read_all(database).rejected == 0
    process_dirty(database)
    assert "\\u0000 here" in database.fetch_value("SELECT title FROM issues")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused_while_it_is_read(
    running: Service, database: Database, chunked: bool
) -> None:
    """413, also where no length was told and the body would never end; the service goes on."""
    body = encoded(opened(body="x" * 200_000))
    sent = headers("issues", body)
    with socket.create_connection(("127.0.0.1", running.port), timeout=30) as client:
        lines = [f"{name}: {value}" for name, value in sent.items()]
        lines.append("transfer-encoding: chunked" if chunked else f"content-length: {len(body)}")
        client.sendall(("POST /webhooks/github HTTP/1.1\r\nhost: x\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode())
        if chunked:
            for _ in range(100000 // 0x2000 + 1):  # just above: what came after the answer would reset the connection
                client.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        reply = client.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 413")
    assert b"WEBHOOK_MAX_BYTES" in reply
    assert running.deliver("issues", opened()).status_code == 202
    assert len(inbox(database)) == 1


def test_a_chunked_body_is_as_good_as_one_with_a_length(running: Service, database: Database) -> None:
    """The signature is over the body, however it is cut."""
    body = encoded(opened())
    pieces = (body[start : start + 7] for start in range(0, len(body), 7))
    reply = httpx.post(f"{running.url}/webhooks/github", content=pieces, headers=headers("issues", body))
    assert reply.status_code == 202
    assert [bytes(one) for one, _, _ in inbox(database)] == [body]


def test_a_body_that_does_not_come_ends_the_request(running: Service, database: Database) -> None:
    """A client that sends a byte now and then is told 408 and let go."""
    body = encoded(opened())
    with socket.create_connection(("127.0.0.1", running.port), timeout=60) as client:
        lines = [f"{name}: {value}" for name, value in headers("issues", body).items()]
        lines.append(f"content-length: {len(body)}")
        client.sendall(("POST /webhooks/github HTTP/1.1\r\nhost: x\r\n" + "\r\n".join(lines) + "\r\n\r\n{").encode())
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 408")
    assert counted(database, "-", "too_slow")


def test_nothing_of_a_private_repository_is_kept(running: Service, database: Database) -> None:
    """403, counted; no table of ours has a word of it."""
    hidden = [{"private": True}, {"visibility": "internal"}, {"private": None, "visibility": None}]
    for number, said in enumerate(hidden):
        body = opened(number, title="Xyzzy, the secret plan")
        body["repository"] = body["repository"] | {"full_name": "acme/xyzzy"} | said
        assert running.deliver("issues", body).status_code == 403
    assert counted(database, "issues", "private", 3)
    tables = database.fetch_all(
        "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables"
        " WHERE table_schema IN ('starsearch', 'artifacts', 'service') AND table_type = 'BASE TABLE'"
    )
    for (table,) in tables:
        found = database.fetch_value(f"SELECT count(*) FROM {table} one WHERE one::text ~* 'xyzzy|78797a7a79'")
        assert found == 0, table
    assert inbox(database) == []


def test_news_of_privacy_keeps_the_id_only(running: Service, database: Database) -> None:
    """`privatized` of any repository, and anything that shows a tracked one private: what to forget, not what it is."""
    track(database)
    body = delivery("privatized", (2002, "acme/xyzzy"), private=True)
    assert running.deliver("repository", body).status_code == 202
    assert running.deliver("issues", opened() | delivery("opened", private=True)).status_code == 403
    assert running.deliver("issues", opened() | delivery("opened", (3003, "no/body"), private=True)).status_code == 403
    told = [json.loads(bytes(one)) for one, _, _ in inbox(database)]
    assert [(one["repository"], one["hidden"]) for one in told] == [(2002, "private"), (REPOSITORY[0], "private")]
    assert all(set(one) == {"repository", "hidden", "delivery"} for one in told)


def test_unknown_events_are_acknowledged_and_counted(running: Service, database: Database) -> None:
    """GitHub must not think that they failed."""
    assert running.deliver("deployment_status", delivery("created")).status_code == 202
    assert counted(database, "deployment_status", "ignored")
    assert inbox(database) == []


def test_a_redelivery_is_one_row(running: Service, database: Database) -> None:
    """The same body again, also under another delivery id, is acknowledged and changes nothing."""
    body = encoded(opened())
    assert running.deliver("issues", body).status_code == 202
    before = inbox(database)
    assert running.deliver("issues", body, x_github_delivery="other").status_code == 202
    assert inbox(database) == before
    ((stored, kept, repo_id),) = before
    assert hashlib.sha256(bytes(stored)).digest() == database.fetch_value("SELECT sha256 FROM service.inbox")
    assert kept == {"x-github-event": "issues", "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
    assert repo_id == REPOSITORY[0]
