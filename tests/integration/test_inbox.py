"""The inbox: append-only, one row a body, hours asked for."""

from __future__ import annotations

import hashlib

import psycopg
import pytest

from resources.inbox import EVENTS_API, WEBHOOK, Arrival, put
from resources.postgres import Database


def test_a_body_is_stored_once_per_source(service: Database) -> None:
    """The key is source and SHA-256 of the body: what came before is not stored again, also within one call."""
    body = b'{"id": "1", "text": "\xff\x00"}'
    arrivals = [
        Arrival(EVENTS_API, body, repo_id=7),
        Arrival(EVENTS_API, body, repo_id=7),
        Arrival(WEBHOOK, body, {"x-github-event": "issues"}, repo_id=7),
        Arrival(WEBHOOK, b"other"),
    ]
    with service.transaction() as connection:
        assert put(connection, arrivals) == 3
    with service.transaction() as connection:
        assert put(connection, arrivals) == 0
        assert put(connection, []) == 0
    rows = service.fetch_all("SELECT source, sha256, body, headers, repo_id FROM inbox ORDER BY inbox_id")
    assert sorted(map(repr, rows)) == sorted(
        map(
            repr,
            [
                ("events_api", hashlib.sha256(body).digest(), body, {}, 7),
                ("webhook", hashlib.sha256(body).digest(), body, {"x-github-event": "issues"}, 7),
                ("webhook", hashlib.sha256(b"other").digest(), b"other", {}, None),
            ],
        )
    )


def test_an_hour_is_asked_for_again_only_when_something_came(service: Database) -> None:
    """New rows bump the version of their hour, repeated ones do not."""
    hours = "SELECT source, version FROM inbox_hours ORDER BY source"
    with service.transaction() as connection:
        put(connection, [Arrival(EVENTS_API, b"a")])
    ((_, first),) = service.fetch_all(hours)
    with service.transaction() as connection:
        put(connection, [Arrival(EVENTS_API, b"a")])
    assert service.fetch_all(hours) == [("events_api", first)]
    with service.transaction() as connection:
        put(connection, [Arrival(EVENTS_API, b"b"), Arrival(WEBHOOK, b"b")])
    (events_api, webhook) = service.fetch_all(hours)
    assert events_api[1] > first
    assert webhook[0] == "webhook"


def test_the_service_can_neither_change_nor_delete(service: Database) -> None:
    """Append-only for whoever writes to it."""
    with service.transaction() as connection:
        put(connection, [Arrival(WEBHOOK, b"a")])
    for statement in ("UPDATE inbox SET body = 'b'", "DELETE FROM inbox"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute(statement)
