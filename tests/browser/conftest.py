"""A browser, and the service over a finished demo."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from answering.http.app import create_app
from resources.settings import Settings
from tests.browser.pages import Pages
from tests.integration.conftest import demo as demo  # the fixture
from tests.integration.demo import Demo
from tests.integration.processes import until
from tests.integration.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, where it is installed. While it is open an event loop runs in this thread: no test without it may."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is on the PATH")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(browser: Browser, demo: Demo) -> Iterator[str]:
    """Where the service answers. It is not started where there is no browser."""
    settings = Settings(_env_file=None, starsearch_home=demo.home, database_url=None)
    with serving(create_app(settings)) as url:
        until(lambda: httpx.get(f"{url}/readyz").is_success, 180)  # torch is read from disk
        yield url


@pytest.fixture
def pages(browser: Browser, url: str) -> Iterator[Pages]:
    """Browsers of strangers to each other; what a page does against its own policy, or throws, fails the test."""
    pages = Pages(browser, url)
    yield pages
    pages.close()
    assert pages.errors == []
