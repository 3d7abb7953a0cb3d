"""The page in a real browser, over the real service and a finished demo.

Hostile texts and failures are put in the way of the browser, in the service's own shapes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

import answering
from tests.browser.pages import CARDS, LOTTERY, Pages, answered, answers, ask, citation, done, stream, wait_text

WEB = Path(answering.__file__).parent / "web"
SCRIPTS = ("page.js", "api.js", "answer.js", "widgets.js", "threads.js")
FILES = {"/": "index.html", "/page.css": "page.css", **{f"/js/{name}": name for name in SCRIPTS}}
HOSTILE = "<img src=x onerror=\"document.title='executed'\"><script>document.title='executed'</script>"


@pytest.mark.parametrize("path", FILES)
def test_the_service_serves_the_page_under_a_strict_policy(url: str, path: str) -> None:
    """Each file is sent as it is, with a policy that lets no inline script, inline style or foreign origin in."""
    response = httpx.get(url + path)
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


def test_a_suggestion_is_asked_and_its_source_followed_to_the_runs(pages: Pages) -> None:
    """What the data can answer is offered; the answer is drawn, cited, and traced down to its definition or event."""
    page = pages.open()
    page.locator("#suggestions button").first.wait_for()
    page.get_by_role("button", name=LOTTERY).click()
    answered(page)
    assert page.locator(".turn h2").inner_text() == LOTTERY
    assert page.locator(".text").inner_text().startswith("The lottery factor of emberdb/emberdb is 2 (high risk)")
    assert page.locator(".widget .half").count() == 2
    assert page.locator(".mode").inner_text() == "Extractive"
    assert page.locator("#coverage").inner_text().startswith("Covered: ")
    page.get_by_role("button", name="Source 1").first.click()
    wait_text(page, "#lineage h3", "measure")
    wait_text(page, "#lineage dd", "half")
    page.get_by_role("button", name="Close").click()
    ask(page, "Who knows TypeScript?")
    answered(page, 2)
    page.locator(".turn").nth(1).locator(".mark").first.click()
    wait_text(page, "#lineage h3", "source event")
    told = page.locator("#lineage").inner_text()
    assert "all-MiniLM-L6-v2" in told
    assert re.search(r"Dagster run\n[0-9a-f-]{36}", told)


def test_a_thread_is_rated_shared_reloaded_renamed_and_deleted(pages: Pages) -> None:
    """Everything of a thread survives a reload; its link shows it to a stranger until it is taken back."""
    page = pages.open()
    ask(page)
    answered(page)
    page.get_by_role("button", name="Not helpful").click()
    page.locator("#why textarea").fill("Too few days.")
    page.get_by_role("button", name="Send").click()
    wait_text(page, ".feedback", "Thank you.")
    page.get_by_role("button", name="Share").click()
    page.locator("#sharing[open]").wait_for()
    link = page.locator("#link").input_value()
    page.get_by_role("button", name="Done").click()
    stranger = pages.open(link.removeprefix(pages.url))
    answered(stranger)
    assert stranger.locator(".turn h2").inner_text() == LOTTERY
    assert stranger.locator(".widget").count() == 1
    assert stranger.locator("#form, #side, .feedback").filter(visible=True).count() == 0
    page.reload()
    answered(page)
    assert page.get_by_role("button", name="Not helpful").get_attribute("aria-pressed") == "true"
    assert page.locator(".widget").count() == 1
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("Title").fill("Bus factors")
    page.keyboard.press("Enter")
    wait_text(page, ".thread", "Bus factors")
    page.get_by_role("button", name="Shared").click()
    page.get_by_role("button", name="Stop sharing").click()
    wait_text(page, "#share", re.compile("^Share$"))
    stranger.reload()
    wait_text(stranger, "#error", "Nothing is shared under this link")
    other = pages.open("/#" + page.url.partition("#")[2])
    wait_text(other, "#error", "There is no thread")
    page.get_by_role("button", name="Delete").click()
    page.locator("#deleting").get_by_role("button", name="Delete").click()
    page.locator("#start").wait_for()
    wait_text(page, "#none", "Nothing was asked yet.")
    assert page.locator(".thread").count() == 0


def test_texts_of_the_server_are_shown_and_not_executed(pages: Pages) -> None:
    """HTML in question, answer, title and repository is text; an address that is not of the web is no link."""
    page = pages.open()
    hostile = citation(1, HOSTILE, "1", HOSTILE, "javascript:document.title='executed'") | {"repo": HOSTILE}
    figures = {HOSTILE: HOSTILE, "people": [{"person": HOSTILE, "contributions": 1, "share": 1}]}
    coverage = {"since": None, "until": None}
    widget = {"measure": HOSTILE, "repositories": [HOSTILE], "n": 1, "coverage": coverage, "figures": figures}
    repository = {
        "type": "repository", "repositories": [HOSTILE], "url": "javascript:document.title='executed'",
        "items": {"issue": HOSTILE}, "people": figures["people"], "factor": HOSTILE, "level": HOSTILE,
        "coverage": coverage, "coverage_text": HOSTILE,
    }  # fmt: skip
    person = {
        "type": "person", "person": HOSTILE, "url": "data:text/html,x", "logins": ["@x", HOSTILE], "items": {},
        "co_authored": HOSTILE, "work": [[HOSTILE, HOSTILE]], "repositories": [HOSTILE], "more": HOSTILE,
        "since": HOSTILE, "until": HOSTILE,
    }  # fmt: skip
    widgets = [widget, repository, person]
    last = done(f"{HOSTILE} [1]", hostile, mode=HOSTILE, widgets=widgets, note=HOSTILE)
    answers(page, stream(("status", {"text": HOSTILE}), ("delta", {"text": HOSTILE}), last))
    ask(page, HOSTILE)
    wait_text(page, ".sources", HOSTILE)
    assert HOSTILE in page.locator(".text").inner_text()
    assert page.locator(".turn h2").inner_text() == HOSTILE
    assert page.locator("main img, main script, .sources a, .widget a").count() == 0
    assert page.locator(".card").count() == 2
    assert page.locator(".card figcaption strong").all_inner_texts() == [HOSTILE, HOSTILE]
    page.unroute("**/v1/ask")
    answers(page, json.dumps({"detail": HOSTILE}), 400, "application/problem+json")
    ask(page)
    wait_text(page, ".turn .error", HOSTILE)
    assert page.title() == "StarSearch"


def test_what_is_asked_about_has_a_card_beside_the_text(pages: Pages) -> None:
    """Of a repository and of a person, drawn from what was found; a reload draws them again."""
    page = pages.open()
    ask(page, CARDS["repository"])
    answered(page)
    told = page.get_by_role("figure", name="emberdb/emberdb")
    assert re.search(r"pull requests\s+32", told.inner_text())
    assert re.search(r"lottery factor\s+2\s+high risk", told.inner_text())
    assert told.locator(".bars li").count() == 5
    assert "3 of 3 days" in told.locator(".rests").inner_text()
    assert told.get_by_role("link").get_attribute("href") == "https://github.com/emberdb/emberdb"
    ask(page, CARDS["person"])
    answered(page, 2)
    person = page.get_by_role("figure", name="@linnea-strom")
    assert "skylark-ops/nimbus-operator, mossgate/lantern-ci" in person.inner_text()
    before = page.locator(".card").all_inner_texts()
    page.reload()
    answered(page, 2)
    assert page.locator(".card").all_inner_texts() == before


def test_an_answer_grows_and_its_markers_wait_for_their_sources(pages: Pages) -> None:
    """Lists, code and strong words are set; a marker without a source stays text; a stream that breaks off says so."""
    page = pages.open()
    text = "Two things:\n- `Arena` [1]\n- **fast** [9]"
    answers(page, stream(("delta", {"text": text}), done(text, citation(1, "commit", "3f2a91c0b1d2", "Add the arena"))))
    ask(page)
    answered(page)
    assert page.locator(".text li").all_inner_texts() == ["Arena [1]", "fast [9]"]
    assert page.locator(".text .mark").all_inner_texts() == ["[1]"]
    assert page.locator(".sources small").inner_text() == "Commit · emberdb/emberdb@3f2a91c"
    page.unroute("**/v1/ask")
    answers(page, stream(("delta", {"text": "It was"})))
    ask(page, "And then?")
    wait_text(page, ".turn .error", "broke off")


def test_an_abstention_is_shown_as_such(pages: Pages) -> None:
    """It is no error, has no sources, and says what is covered once."""
    page = pages.open()
    ask(page, "What is the airspeed of an unladen swallow?")
    answered(page)
    assert page.locator(".mode").inner_text() == "Abstained"
    assert "Covered:" not in page.locator(".text").inner_text()
    assert page.locator(".cited, .turn .error").filter(visible=True).count() == 0


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (503, {"detail": "The service is starting."}, "The service is starting."),
        (422, {"detail": "The request does not fit: scope.since: Input should be a date."}, "scope.since: Input"),
        (502, {}, "HTTP 502"),
    ],
)
def test_an_error_shows_the_servers_message(pages: Pages, status: int, body: dict[str, Any], message: str) -> None:
    """The question is kept, so that it can be asked again."""
    page = pages.open()
    answers(page, json.dumps(body), status, "application/problem+json")
    ask(page)
    wait_text(page, ".turn .error", message)
    assert page.get_by_label("Question", exact=True).input_value() == LOTTERY


def test_filters_go_with_the_question(pages: Pages) -> None:
    """Repositories are split at commas and spaces; dates that leave no day are not sent."""
    page = pages.open()
    asked = answers(page, stream(done("Nothing.")))
    page.locator("#narrowed").click()
    page.get_by_label("Repositories").fill("emberdb/emberdb, petalworks/petal-ui")
    page.get_by_label("From").fill("2025-10-06")
    page.get_by_label("Until", exact=True).fill("2025-10-01")
    ask(page)
    wait_text(page, "#error", "2025-10-01 is not after 2025-10-06")
    assert asked == []
    page.get_by_label("Until", exact=True).fill("2025-10-08")
    ask(page)
    answered(page)
    assert asked[0]["scope"] == {
        "repos": ["emberdb/emberdb", "petalworks/petal-ui"], "since": "2025-10-06", "until": "2025-10-08",
    }  # fmt: skip
    assert (
        "emberdb/emberdb, petalworks/petal-ui from 2025-10-06 until 2025-10-08"
        in page.locator("#narrowed").inner_text()
    )


def test_the_keyboard_is_enough(pages: Pages) -> None:
    """A slash goes to the question, Escape stops the answer, and closes a source."""
    page = pages.open()
    page.route("**/v1/ask", lambda _: None)  # it never answers
    ask(page)
    wait_text(page, "#ask", "Stop")
    page.keyboard.press("Escape")
    wait_text(page, ".doing", "Stopped.")
    wait_text(page, "#ask", "Ask")
    page.unroute("**/v1/ask")
    page.get_by_role("button", name="New thread").focus()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "question"
    assert page.get_by_label("Question", exact=True).input_value() == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(pages: Pages, scheme: str) -> None:
    """At 375 px the page is as wide as the screen, with long words, a chart and the list of threads."""
    word = "unbreakable" * 20
    page = pages.open(viewport={"width": 375, "height": 667}, color_scheme=scheme)
    width = "document.documentElement.scrollWidth"
    page.locator("#narrowed").click()
    assert page.evaluate(width) == 375
    ask(page)
    answered(page)
    assert page.evaluate(width) == 375
    for turns, question in enumerate(CARDS.values(), 2):
        ask(page, question)
        answered(page, turns)
        assert page.evaluate(width) == 375
    answers(page, stream(done(f"{word} [1]", citation(1, "issue", "7", word))))
    ask(page, word)
    answered(page, 4)
    assert page.evaluate(width) == 375
    page.get_by_role("button", name="Threads").click()
    assert page.locator("#side").is_visible()
    assert page.evaluate(width) == 375
