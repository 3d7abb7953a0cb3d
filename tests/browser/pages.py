"""Pages of the service in browsers that know nothing of each other, and what people do there."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Route

LOTTERY = "What is the lottery factor of emberdb/emberdb?"
CARDS = {"repository": "What changed in emberdb/emberdb last week?", "person": "What has @linnea-strom worked on?"}
"""Questions whose answers have a card of that sort."""


class Pages:
    """Opens pages. errors: what they threw, and what their policy forbade."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser, self.url, self.errors = browser, url, list[str]()
        self._contexts: list[BrowserContext] = []

    def open(self, path: str = "/", **options: Any) -> Page:
        """A page in a browser of its own. options: of the browser, as Playwright has them."""
        context = self._browser.new_context(**{"viewport": {"width": 1200, "height": 850}, **options})
        self._contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if "Security Policy" in said.text else None)
        page.goto(self.url + path)
        return page

    def close(self) -> None:
        """All of them."""
        for context in self._contexts:
            context.close()


def ask(page: Page, question: str = LOTTERY) -> None:
    """Type and press Enter."""
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")


def answered(page: Page, turns: int = 1) -> None:
    """Wait until so many questions have their answer."""
    page.locator(".turn .how").nth(turns - 1).wait_for()


def wait_text(page: Page, selector: str, text: str | re.Pattern[str]) -> None:
    """Wait for text in an element."""
    page.locator(selector, has_text=text).first.wait_for()


def stream(*events: tuple[str, dict[str, Any]]) -> str:
    """Events as POST /v1/ask sends them."""
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)


def answers(page: Page, body: str, status: int = 200, media_type: str = "text/event-stream") -> list[dict[str, Any]]:
    """From now on questions of this page get this reply. Returns what is asked, as it comes."""
    asked: list[dict[str, Any]] = []

    def reply(route: Route) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(status=status, body=body, content_type=media_type)

    page.route("**/v1/ask", reply)
    return asked


def done(answer: str, *citations: dict[str, Any], **more: Any) -> tuple[str, dict[str, Any]]:
    """The last event of an answer."""
    return "done", {
        "answer_id": "7d356410-770a-4f76-ad54-66f60c746721", "answer": answer, "mode": "extractive", "abstained": False,
        "release": 1, "coverage": {"text": "Covered: 620 items. Release 1."}, "citations": list(citations),
        "dropped": 0, "cached": False, "widgets": [], "note": None, "thread_id": None, "message_id": None, **more,
    }  # fmt: skip


def citation(n: int, kind: str, ref: str, title: str, url: str = "https://github.com/") -> dict[str, Any]:
    """A source."""
    return {"n": n, "kind": kind, "repo": "emberdb/emberdb", "ref": ref, "title": title, "url": url}
