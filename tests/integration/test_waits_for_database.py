"""The service may start before what it needs is there: in a cluster nobody orders pods."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from psycopg import sql

from answering.http import background, create_app
from resources.embedded_postgres import EmbeddedPostgres
from resources.settings import Settings
from tests.integration.serving import serving
from tests.llm_double import soon


@contextmanager
def _away(server: EmbeddedPostgres, settings: Settings) -> Iterator[None]:
    """The database does not exist yet."""
    assert settings.database_url is not None
    name = urlsplit(settings.database_url.get_secret_value()).path.lstrip("/")
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    here, away = sql.Identifier(name), sql.Identifier(f"{name}_away")
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(rename.format(here, away))
        yield
        connection.execute(rename.format(away, here))


def test_the_service_becomes_ready_when_the_database_is_there(
    server: EmbeddedPostgres, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is missing, tries again, and needs the roles of the service and of the tools only."""
    monkeypatch.setattr(background, "_AGAIN_SECONDS", 0.05)
    alone = settings.model_copy(update={"database_url": settings.service_database_url})
    with ExitStack() as stack:
        away = stack.enter_context(ExitStack())
        away.enter_context(_away(server, settings))
        url = stack.enter_context(serving(create_app(alone)))
        assert httpx.get(f"{url}/healthz").status_code == 200
        assert soon(lambda: "does not exist" in str(httpx.get(f"{url}/readyz").json()["error"]))
        away.close()
        assert any(soon(lambda: httpx.get(f"{url}/readyz").status_code == 200) for _ in range(6))
        assert httpx.get(f"{url}/readyz").json()["error"] is None
