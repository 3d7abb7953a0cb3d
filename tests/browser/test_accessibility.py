"""What a screen reader and weak eyes meet: axe-core finds no serious violation, in either scheme, wide and narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.pages import CARDS, Pages, answered, ask, wait_text

if TYPE_CHECKING:
    from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """Serious and critical ones: rule and elements."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {[node['html'] for node in one['nodes']]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 375])
def test_axe_finds_nothing_serious(pages: Pages, scheme: str, width: int) -> None:
    """Empty, answered, with a source open, with a dialog, and after an error."""
    page = pages.open(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.locator("#suggestions button").first.wait_for()
    assert violations(page) == []
    ask(page)
    answered(page)
    assert violations(page) == []
    for turns, question in enumerate(CARDS.values(), 2):
        ask(page, question)
        answered(page, turns)
    assert violations(page) == []
    page.locator(".mark").first.click()
    wait_text(page, "#lineage h3", "measure")
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.route("**/v1/ask", lambda route: route.abort())
    ask(page)
    wait_text(page, ".turn .error", "cannot be reached")
    assert violations(page) == []
