"""Two browsers, by the page and by every route with the page's own fetch: each has its own threads, and no other's."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import httpx

from answering.http.app import create_app
from answering.keys import create_key
from resources.postgres import open_database
from resources.settings import Settings
from tests.browser.pages import LOTTERY, Pages, answered, ask, wait_text
from tests.integration.demo import Demo
from tests.integration.processes import until
from tests.integration.serving import serving
from tests.integration.test_threads import BODIES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FETCH = """async ([method, path, body]) => {
    const headers = body === null ? {} : {"Content-Type": "application/json"};
    const sent = body === null ? undefined : JSON.stringify(body);
    const reply = await fetch(path, {method, headers, body: sent});
    return [reply.status, await reply.text()];
}"""


def fetch(page: Page, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """Status and text of a request that a script of the page sends: with its cookies and its origin."""
    status, text = page.evaluate(FETCH, [method.upper(), path, body])
    return status, text


class Somebody:
    """A browser with a thread of its own, asked on the page."""

    def __init__(self, pages: Pages) -> None:
        self.page = pages.open()
        ask(self.page)
        answered(self.page)
        self.thread = self.page.url.partition("#")[2]
        assert uuid.UUID(self.thread)
        self.message = self.snapshot()["messages"][1]["message_id"]

    def snapshot(self) -> Any:
        """The thread as its owner sees it."""
        return self.page.evaluate("async (path) => (await fetch(path)).json()", f"/v1/threads/{self.thread}")


def test_neither_sees_the_others_threads(pages: Pages, url: str) -> None:
    """Neither in the list, nor by its address, nor by any route that takes an id; nothing changes by trying."""
    one, other = Somebody(pages), Somebody(pages)
    before = [one.snapshot(), other.snapshot()]
    paths = httpx.get(f"{url}/openapi.json").json()["paths"]
    routes = [(method, path) for path, methods in paths.items() for method in methods
              if "{thread_id}" in path or "{message_id}" in path]  # fmt: skip
    assert len(routes) >= 6
    for mine, theirs in ((one, other), (other, one)):
        for method, path in routes:
            told = []
            for thread, message in ((theirs.thread, theirs.message), (str(uuid.uuid4()), str(uuid.uuid4()))):
                address = path.format(thread_id=thread, message_id=message)
                status, text = fetch(mine.page, method, address, BODIES.get((method, path)))
                assert status == 404, (method, path)
                told.append(text.partition('"request_id"')[0].replace(thread, "…").replace(message, "…"))
            assert told[0] == told[1], (method, path)
        assert fetch(mine.page, "POST", "/v1/ask", {"question": LOTTERY, "thread_id": theirs.thread})[0] == 404
        listed = fetch(mine.page, "GET", "/v1/threads")[1]
        assert mine.thread in listed
        assert theirs.thread not in listed
        assert fetch(mine.page, "GET", f"/v1/threads?before={theirs.thread}") == (200, '{"threads":[]}')
        mine.page.reload()
        answered(mine.page)
        mine.page.locator(".thread").wait_for()
        assert mine.page.locator(".thread").count() == 1
    assert [one.snapshot(), other.snapshot()] == before
    for mine, theirs in ((one, other), (other, one)):
        mine.page.goto(f"{url}/#{theirs.thread}")
        mine.page.reload()
        wait_text(mine.page, "#error", "There is no thread")
        assert mine.page.locator(".turn").count() == 0


def test_a_link_is_all_that_a_reader_needs(browser: Browser, demo: Demo) -> None:
    """Where nobody is answered without a key: the thread, its sources and where they come from."""
    settings = Settings(_env_file=None, starsearch_home=demo.home, database_url=None, anonymous_access=False)
    with open_database(settings) as database:
        key = create_key(database, "a browser")
    with serving(create_app(settings)) as url:
        until(lambda: httpx.get(f"{url}/readyz").is_success, 180)
        pages = Pages(browser, url)
        page = pages.open()
        page.get_by_role("button", name="Use a key").click()
        page.get_by_role("textbox", name="Key").fill(key)
        page.keyboard.press("Enter")
        page.locator("#sign").wait_for(state="hidden")
        ask(page)
        answered(page)
        page.get_by_role("button", name="Share").click()
        page.locator("#sharing[open]").wait_for()
        reader = pages.open(page.locator("#link").input_value().removeprefix(url))
        answered(reader)
        reader.locator(".mark").first.click()
        wait_text(reader, "#lineage h3", "measure")
        wait_text(reader, "#lineage dd", "half")
        assert reader.locator("#lineage .error").count() == 0
        assert fetch(reader, "GET", "/v1/threads")[0] == 401
        assert fetch(reader, "POST", "/v1/ask", {"question": LOTTERY})[0] == 401
        pages.close()
        assert pages.errors == []


def test_a_shared_link_is_read_by_both_until_it_is_taken_back(pages: Pages, url: str) -> None:
    """On the page, with its sources' lineage, and by the API; afterwards by neither, its owner included."""
    owner, reader = Somebody(pages), Somebody(pages)
    owner.page.get_by_role("button", name="Share").click()
    owner.page.locator("#sharing[open]").wait_for()
    link = owner.page.locator("#link").input_value()
    owner.page.get_by_role("button", name="Done").click()
    shared = f"/v1/shared/{link.rpartition('/')[2]}"
    mine = owner.page.url
    for somebody in (owner, reader):
        somebody.page.goto(link)
        answered(somebody.page)
        assert somebody.page.locator(".turn h2").inner_text() == LOTTERY
        somebody.page.locator(".mark").first.click()
        wait_text(somebody.page, "#lineage h3", "measure")
        somebody.page.get_by_role("button", name="Close").click()
        status, text = fetch(somebody.page, "GET", shared)
        assert status == 200
        assert owner.thread not in text
    owner.page.goto(mine)
    answered(owner.page)
    owner.page.get_by_role("button", name="Shared").click()
    owner.page.get_by_role("button", name="Stop sharing").click()
    wait_text(owner.page, "#share", re.compile("^Share$"))
    for somebody in (owner, reader):
        assert fetch(somebody.page, "GET", shared)[0] == 404
        somebody.page.goto(link)
        wait_text(somebody.page, "#error", "Nothing is shared under this link")
        assert somebody.page.locator(".turn").count() == 0
