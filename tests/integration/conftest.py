"""The demo on the bundled sample, run once for all tests that look at it; a double of GitHub for each that asks."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from resources.embedded_postgres import DATABASE, OWNER, EmbeddedPostgres
from resources.git import Git
from resources.settings import Settings
from starsearch_assets.sample import write_sample
from tests.doubles.github import GitHubDouble, github_double
from tests.git_remotes import Remote
from tests.integration.commands import starsearch
from tests.integration.demo import Demo


@pytest.fixture(scope="session")
def demo() -> Iterator[Demo]:
    """`starsearch demo` in an empty home."""
    home = Path(tempfile.mkdtemp(prefix="starsearch-demo-"))
    with github_double() as double:  # a token is there, and is not used: the sample is invented
        result = starsearch(home, "demo", GITHUB_TOKEN=double.token, GITHUB_API_URL=double.url)
        asked = [request.path for request in double.requests]
    truth = write_sample(home / "truth")
    yield Demo(home, result.stdout, truth, asked)
    starsearch(home, "down")
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """A running double of GitHub."""
    with github_double() as running:
        yield running


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    """An empty git repository whose server can leave file contents out."""
    return Remote(tmp_path / "remotes" / "rocket.git")


@pytest.fixture
def client(tmp_path: Path) -> Git:
    """git with a cache of the test's own."""
    return Git(tmp_path / "cache", seconds=60)


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> ForkServerContext:
    """Processes that start at once: what the test's module imports is imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([request.module.__name__])
    return context


@pytest.fixture
def undisturbed(server: EmbeddedPostgres, settings: Settings) -> Iterator[Settings]:
    """A second database."""
    name = f"{settings.database_url.get_secret_value().rpartition('/')[2].partition('?')[0]}_undisturbed"
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {DATABASE} OWNER {OWNER}")
    yield settings.model_copy(update={"database_url": SecretStr(server.url(database=name))})
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
