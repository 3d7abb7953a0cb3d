"""The page in a real browser, and how the service hands it out.

The browser's server is not the service: the page's files are sent with the service's own headers, and POST
/v1/ask gets canned JSON of the shape that `Answer.as_json` gives out, so that hostile texts and failures can
be had at will, without a database and a model.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.testclient import TestClient

import answering
from answering.http.app import create_app
from resources.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WEB = Path(answering.__file__).parent / "web"
FILES = {"/": "index.html", "/page.css": "page.css", "/page.js": "page.js"}
HOSTILE = "<img src=x onerror=\"document.title='executed'\"><script>document.title='executed'</script>"
COVERAGE = {"items": 620, "text": "Covered: 620 pull requests, issues and releases of 12 repositories. Release 1."}


def citation(n: int, kind: str, ref: str, title: str, url: str = "https://github.com/") -> dict[str, Any]:
    return {"n": n, "kind": kind, "repo": "emberdb/emberdb", "ref": ref, "title": title, "url": url}


def canned(answer: str, *citations: dict[str, Any], mode: str = "extractive", abstained: bool = False) -> Any:
    return {
        "answer_id": "7d356410-770a-4f76-ad54-66f60c746721", "answer": answer, "mode": mode, "abstained": abstained,
        "release": 1, "coverage": COVERAGE, "citations": list(citations),
    }  # fmt: skip


@dataclass
class Service:
    """What the stand-in answers next, and what it was asked. gate: closed while a question shall stay open.

    came: released once for each question that has arrived.
    """

    url: str = ""
    reply: tuple[int, dict[str, Any]] = (200, canned("Nothing."))
    asked: list[dict[str, Any]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@pytest.fixture(scope="module")
def client() -> TestClient:
    """The real application, not started: its page needs neither model nor database."""
    return TestClient(create_app(Settings(_env_file=None)), "http://localhost")


@pytest.fixture
def service(client: TestClient) -> Iterator[Service]:
    state = Service()
    state.gate.set()
    headers = {path: client.get(path).headers for path in FILES}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in FILES:
                names = ("content-type", "content-security-policy", "x-content-type-options")
                sent = {name: headers[self.path][name] for name in names}
                self.send(200, (WEB / FILES[self.path]).read_bytes(), sent)
            elif self.path == "/readyz":
                ready = {"ready": True, "release": 1, "coverage": {"text": "Covered: 3 items."}, "error": None}
                self.send(200, json.dumps(ready).encode())
            else:
                self.send(404, b"{}")

        def do_POST(self) -> None:
            state.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            state.came.release()
            state.gate.wait(20)
            status, body = state.reply
            self.send(status, json.dumps(body).encode())

        def send(self, status: int, body: bytes, sent: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (sent or {"content-type": "application/json"}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    state.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
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


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    """The page, opened; what it does against its own policy, or throws, fails the test."""
    page = browser.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Security Policy" in message.text else None)
    page.goto(service.url)
    yield page
    page.close()
    assert errors == []


def ask(page: Page, question: str = "Who knows Rust?") -> None:
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")


def wait_text(page: Page, selector: str, text: str | re.Pattern[str]) -> None:
    page.locator(selector, has_text=text).wait_for()


@pytest.mark.parametrize("path", FILES)
def test_the_service_serves_the_page_under_a_strict_policy(client: TestClient, path: str) -> None:
    """Each file is sent as it is, with a policy that lets no inline script, inline style or foreign origin in."""
    response = client.get(path)
    assert response.content == (WEB / FILES[path]).read_bytes()
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "*" not in policy
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_files_need_nothing_inline_and_nothing_foreign() -> None:
    """No inline script, handler or style; no asset of another origin; no API that reads text as HTML."""
    html = (WEB / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", html) == []
    unwanted = re.compile(r"(?:src|href)=\"(?:https?:)?//|url\(|@import|innerHTML|outerHTML|insertAdjacentHTML")
    for name in FILES.values():
        text = (WEB / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert unwanted.findall(text) == []


def test_asking_shows_answer_and_sources(page: Page, service: Service) -> None:
    """Enter asks; markers lead to their sources; sources open in a new tab; mode and coverage are shown."""
    service.reply = (200, canned(
        "@aiko-fern authored 1 pull request about Rust [1].\nSee `Arena` [2][3], not [9].",
        citation(1, "pull_request", "1042", "Use a Rust arena", "https://github.com/emberdb/emberdb/pull/1042"),
        citation(2, "release", "v1.2", "v1.2"),
        citation(3, "commit", "3f2a91c0b1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6", "Add the arena"),
    ))  # fmt: skip
    ask(page)
    wait_text(page, "#answer strong", "@aiko-fern")
    assert service.asked == [{"question": "Who knows Rust?", "scope": {"repos": [], "since": None, "until": None}}]
    assert page.locator("#answer .mode").inner_text() == "Extractive"
    assert page.locator("#answer code").inner_text() == "Arena"
    assert page.locator("#answer a").all_inner_texts() == ["[1]", "[2]", "[3]"]
    assert "not [9]" in page.locator("#answer").inner_text()
    assert page.locator("#sources small").all_inner_texts() == [
        "Pull request · emberdb/emberdb#1042",
        "Release · emberdb/emberdb@v1.2",
        "Commit · emberdb/emberdb@3f2a91c",
    ]
    assert page.locator("#sources use").nth(2).get_attribute("href") == "#icon-commit"
    link = page.get_by_role("link", name="Use a Rust arena")
    assert link.get_attribute("href") == "https://github.com/emberdb/emberdb/pull/1042"
    assert link.get_attribute("target") == "_blank"
    assert link.get_attribute("rel") == "noopener noreferrer"
    assert page.locator("#coverage").inner_text() == COVERAGE["text"]
    page.get_by_role("link", name="Source 2").click()
    assert page.locator("#sources li:target .n").inner_text() == "2"


def test_texts_of_the_server_are_shown_and_not_executed(page: Page, service: Service) -> None:
    """HTML in question, answer, title and repository is text; an address that is not of the web is no link."""
    hostile = citation(1, HOSTILE, "1", HOSTILE, "javascript:document.title='executed'") | {"repo": HOSTILE}
    service.reply = (200, canned(f"{HOSTILE} [1]", hostile, mode=HOSTILE))
    ask(page, HOSTILE)
    wait_text(page, "#sources", HOSTILE)
    assert HOSTILE in page.locator("#answer").inner_text()
    assert page.locator("#asked").inner_text() == HOSTILE
    assert page.locator("main img, main script, #sources a").count() == 0
    assert page.title() == "StarSearch"
    service.reply = (400, {"detail": HOSTILE})
    ask(page)
    wait_text(page, "#error", HOSTILE)
    assert page.title() == "StarSearch"


def test_an_abstention_is_shown_as_such(page: Page, service: Service) -> None:
    """It is no error, has no sources, and its coverage is said once."""
    service.reply = (200, canned(f"I do not know. Nothing comes close. {COVERAGE['text']}", abstained=True))
    ask(page)
    wait_text(page, "#answer .mode", "Abstained")
    assert page.locator("#answer p").last.inner_text() == "I do not know. Nothing comes close."
    assert page.locator("#coverage").inner_text() == COVERAGE["text"]
    assert page.locator("#error").is_hidden()
    assert page.locator("#cited").is_hidden()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (503, {"detail": "The service is starting."}, "The service is starting."),
        (422, {"detail": "The request does not fit: scope.since: Input should be a date."}, "scope.since: Input"),
        (502, {}, "HTTP 502"),
    ],
)
def test_an_error_shows_the_servers_message(
    page: Page, service: Service, status: int, body: dict[str, Any], message: str
) -> None:
    """The message takes the place of the answer before, and goes when an answer comes."""
    ask(page)
    wait_text(page, "#answer", "Nothing.")
    right, service.reply = service.reply, (status, body)
    ask(page)
    wait_text(page, "#error", message)
    assert page.locator("#answer").inner_text() == ""
    service.reply = right
    ask(page)
    wait_text(page, "#answer", "Nothing.")
    assert page.locator("#error").is_hidden()


def test_filters_go_with_the_question(page: Page, service: Service) -> None:
    """Repositories are split at commas and spaces; dates the wrong way round are not sent."""
    page.locator("summary").click()
    page.get_by_label("Repositories").fill("emberdb/emberdb, petalworks/petal-ui")
    page.get_by_label("From").fill("2025-10-06")
    page.get_by_label("To", exact=True).fill("2025-10-01")
    ask(page)
    wait_text(page, "#error", "2025-10-06 is after 2025-10-01")
    assert service.asked == []
    page.get_by_label("To", exact=True).fill("2025-10-08")
    ask(page)
    wait_text(page, "#answer", "Nothing.")
    assert service.asked[0]["scope"] == {
        "repos": ["emberdb/emberdb", "petalworks/petal-ui"], "since": "2025-10-06", "until": "2025-10-08",
    }  # fmt: skip
    assert "emberdb/emberdb, petalworks/petal-ui from 2025-10-06 to 2025-10-08" in page.locator("summary").inner_text()


def test_keys_and_examples(page: Page, service: Service) -> None:
    """An example selects what to replace; Escape cancels, then clears; a slash goes to the question."""
    question = page.get_by_label("Question", exact=True)
    page.get_by_role("button", name="What changed around").click()
    page.keyboard.type("retries")
    assert question.input_value() == "What changed around retries?"
    service.gate.clear()
    page.keyboard.press("Enter")
    wait_text(page, "#ask", "Asking…")
    page.keyboard.press("Enter")
    assert service.came.acquire(timeout=10)
    page.keyboard.press("Escape")
    wait_text(page, "#ask", re.compile("^Ask$"))
    assert question.input_value() == "What changed around retries?"
    service.gate.set()
    page.keyboard.press("Enter")
    wait_text(page, "#answer", "Nothing.")
    assert len(service.asked) == 2
    page.keyboard.press("Escape")
    assert question.input_value() == ""
    assert page.locator("#answer").inner_text() == ""
    page.get_by_role("button", name="Ask").focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "question"
    assert question.input_value() == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, service: Service, scheme: Any) -> None:
    """At 375 px the page is as wide as the screen, before and after an answer with long words."""
    word = "unbreakable" * 20
    service.reply = (200, canned(f"{word} [1]", citation(1, "issue", "7", word)))
    page = browser.new_page(viewport={"width": 375, "height": 667}, color_scheme=scheme)
    page.goto(service.url)
    page.locator("summary").click()
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) == 375
    ask(page, word)
    wait_text(page, "#sources", word)
    assert page.evaluate(width) == 375
    page.close()
