"""Fixtures: a real PostgreSQL for the session, a database of its own for every test, real data where it is."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import stamina

from resources.embedded_postgres import DATABASE, OWNER, EmbeddedPostgres
from resources.postgres import Database, Role, open_database
from resources.schema import migrate
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_numbers = itertools.count()

for _name in Settings.model_fields:  # the developer's own settings must not reach a test
    os.environ.pop(_name.upper(), None)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """The session's embedded PostgreSQL, with the migrations applied to its template database.

    Not in pytest's own folder: that is closed to the user as whom the server runs when root runs the tests.
    """
    folder = Path(tempfile.mkdtemp(prefix="starsearch-tests-"))
    server = EmbeddedPostgres(folder)
    migrate(server.url())
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh(server: EmbeddedPostgres, home: Path) -> Iterator[Settings]:
    """Settings that name a fresh, migrated database, and a home."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {DATABASE} OWNER {OWNER}")
    yield Settings(
        _env_file=None,
        starsearch_home=home,
        database_url=server.url(database=name),
        service_database_url=server.url(Role.SERVICE.value, name),
        tools_database_url=server.url(Role.TOOLS.value, name),
    )
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(server: EmbeddedPostgres, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a fresh, migrated database; the home is empty."""
    with fresh(server, tmp_path / "home") as settings:
        yield settings


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The test's database as owner."""
    with open_database(settings) as database:
        yield database


@pytest.fixture
def tools(settings: Settings) -> Iterator[Database]:
    """The test's database as the read-only role that answers use."""
    with open_database(settings, Role.TOOLS) as database:
        yield database


@pytest.fixture
def service(settings: Settings) -> Iterator[Database]:
    """The test's database as the service."""
    with open_database(settings, Role.SERVICE) as database:
        yield database


@pytest.fixture
def llm_server() -> Iterator[LLMServer]:
    """A simulated vLLM with its embeddings, over HTTP."""
    with LLMServer() as llm_server:
        yield llm_server


@pytest.fixture
def without_waiting() -> Iterator[None]:
    """Two attempts a request and no pause between them."""
    with stamina.set_testing(True, attempts=2):
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real GitHub data beside the checkout; tests that need it are skipped, saying so, where it is not."""
    if not REAL_DATA.is_dir():
        pytest.skip("no real GitHub data beside the checkout (../shared/data)")
    return REAL_DATA
