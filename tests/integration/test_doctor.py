"""`doctor` on what answers are made with."""

from __future__ import annotations

from typing import Any

import pytest

from resources.settings import Settings
from starsearch_assets.doctor import examine
from tests.doubles.search_server import SearchServer

FOUND = {"title": "Git", "url": "https://git-scm.com/", "content": "A version control system"}


@pytest.mark.parametrize(
    ("misbehaviour", "results", "answer_model", "level", "told"),
    [
        (None, [FOUND], "test-model", "ok", "answers"),
        (None, [FOUND], None, "warn", "ANSWER_MODEL"),
        (None, [], "test-model", "warn", "finds nothing"),
        ("403", [FOUND], "test-model", "bad", "search.formats"),
    ],
)
def test_doctor_asks_the_search_server(
    settings: Settings, misbehaviour: Any, results: list[Any], answer_model: str | None, level: str, told: str
) -> None:
    """One that answers, one that nobody asks, one without engines, and one that gives out no JSON."""
    with SearchServer(results) as server:
        if misbehaviour:
            server.misbehave(misbehaviour, times=9)
        asking = settings.model_copy(update={"web_search_url": server.url, "answer_model": answer_model})
        (finding,) = (one for one in examine(asking) if one.subject == "web search")
    assert finding.level == level
    assert told in finding.message


def test_doctor_says_that_the_web_is_not_searched(settings: Settings) -> None:
    """Off unless configured."""
    (finding,) = (one for one in examine(settings) if one.subject == "web search")
    assert (finding.level, finding.message) == ("ok", "off (WEB_SEARCH_URL)")
