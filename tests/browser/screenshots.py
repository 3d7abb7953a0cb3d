"""Pictures of the page, to be looked at: `python -m tests.browser.screenshots DIR`, over the home that STARSEARCH_HOME
names, where `starsearch demo` has run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from answering.http.app import create_app
from resources.settings import load_settings
from tests.browser.pages import CARDS, LOTTERY, Pages, answered, answers, ask, done, stream, wait_text
from tests.doubles.llm_server import Latency, LLMServer
from tests.integration.agents import facts
from tests.integration.processes import until
from tests.integration.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

PHONE = {"width": 390, "height": 800}


def take(pages: Pages, folder: Path) -> None:
    """Empty, answered, cards, lineage, abstention, error, dialogs; wide and on a phone, light and dark."""

    def keep(page: Page, name: str) -> None:
        _keep(page, folder, name)

    page = pages.open()
    page.locator("#suggestions button").first.wait_for()
    keep(page, "empty")
    ask(page)
    answered(page)
    keep(page, "lottery")
    ask(page, "Who knows TypeScript?")
    answered(page, 2)
    keep(page, "answered")
    page.locator(".turn").nth(1).locator(".mark").first.click()
    wait_text(page, "#lineage h3", "source event")
    keep(page, "lineage")
    page.keyboard.press("Escape")
    ask(page, "What is the airspeed of an unladen swallow?")
    answered(page, 3)
    keep(page, "abstention")
    page.get_by_role("button", name="Share").click()
    page.locator("#sharing[open]").wait_for()
    keep(page, "sharing")
    page.get_by_role("button", name="Done").click()
    answers(page, stream(("delta", {"text": "The parser was rewritten in Rust [1]. It is"})))
    ask(page, "Who rewrote the parser?")
    wait_text(page, ".turn .error", "broke off")
    keep(page, "error")
    for scheme in ("light", "dark"):
        phone = pages.open(viewport=PHONE, color_scheme=scheme)
        phone.locator("#suggestions button").first.wait_for()
        keep(phone, f"phone-{scheme}-empty")
        ask(phone, LOTTERY)
        answered(phone)
        keep(phone, f"phone-{scheme}-lottery")
        for turns, (name, question) in enumerate(CARDS.items(), 2):
            ask(phone, question)
            answered(phone, turns)
            keep(phone, f"phone-{scheme}-{name}")
    for scheme in ("light", "dark"):
        for name, question in CARDS.items():
            wide = pages.open(color_scheme=scheme)
            ask(wide, question)
            answered(wide)
            keep(wide, f"{scheme}-{name}")
    dark = pages.open(color_scheme="dark")
    answers(dark, stream(("status", {"text": "Looking in what was read."})))
    ask(dark)
    wait_text(dark, ".turn .error", "broke off")
    dark.unroute("**/v1/ask")
    answers(dark, stream(done("It was rewritten.", mode="degraded", note="A note.")))
    ask(dark)
    answered(dark, 2)
    keep(dark, "dark-degraded")


def take_streaming(pages: Pages, folder: Path) -> None:
    """In the middle of an answer, light and on a dark phone."""
    for name, options in (("streaming", {}), ("phone-dark-streaming", {"viewport": PHONE, "color_scheme": "dark"})):
        page = pages.open(**options)
        page.locator("#suggestions button").first.wait_for()
        ask(page, CARDS["person"])
        wait_text(page, ".busy .turn .text", "[2]")
        _keep(page, folder, name)


def _keep(page: Page, folder: Path, name: str) -> None:
    page.screenshot(path=folder / f"{name}.png")
    print(folder / f"{name}.png")


def main(folder: Path) -> None:
    """Start the service and the browser, and take all."""
    from playwright.sync_api import sync_playwright

    folder.mkdir(parents=True, exist_ok=True)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    settings, errors = load_settings(), list[str]()
    with LLMServer(models=("writer",), latency=Latency(token_rate=15.0)) as server, sync_playwright() as playwright:
        server.reply = lambda request: "I am ready." if "`ready`" in request.user else facts(request)
        slow = settings.model_copy(update={"llm_base_url": server.url, "answer_model": "writer", "answer_cache": False})
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for chosen, taking in ((settings, take), (slow, take_streaming)):
            with serving(create_app(chosen)) as url:
                until(lambda url=url: httpx.get(f"{url}/readyz").is_success, 180)
                pages = Pages(browser, url)
                taking(pages, folder)
                pages.close()
                errors += pages.errors
        browser.close()
    sys.exit("\n".join(errors) or 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
