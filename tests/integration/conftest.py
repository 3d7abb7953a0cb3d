"""The demo on the bundled sample, run once for all tests that look at it; a double of GitHub for each that asks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.git import Git
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
