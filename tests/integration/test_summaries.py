"""Days of summaries on a real database, by extraction and by an LLM over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stamina

from resources.errors import LLMUnavailable
from resources.kinds import ISSUE, PULL_REQUEST
from resources.llm import LLM
from resources.postgres import Database
from starsearch_assets import audits
from starsearch_assets.summaries.process import summarize_day
from starsearch_assets.summaries.summarizers import LLMSummarizer
from tests.doubles.llm_server import LLMServer
from tests.integration.summaries import DAY, LATER, active, add, verdict
from tests.llm import asked, is_asked, summary_json


@pytest.fixture
def llm_server() -> Iterator[LLMServer]:
    with LLMServer(models=("one", "two")) as llm_server, stamina.set_testing(True, attempts=2):
        yield llm_server


@pytest.fixture
def summarizer(llm_server: LLMServer) -> LLMSummarizer:
    return LLMSummarizer(LLM(llm_server.url, "one", concurrency=2))


def rows(database: Database) -> list[Any]:
    """Everything that summarizing writes but its verdicts."""
    return [
        database.fetch_all(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        for table in ("summaries", "item_contents", "summary_failures")
    ]


def test_a_day_is_summarized_once(database: Database, llm_server: LLMServer, summarizer: LLMSummarizer) -> None:
    """Three items: three requests, three summaries and a passed verdict. Again: no request, not a row changed."""
    for number in (1, 2, 3):
        add(database, number, f"Body {number}.")
    first = summarize_day(database, PULL_REQUEST, DAY, summarizer, "run-1")
    assert (first.items, first.written, first.failed) == (3, 3, 0)
    assert first.usage.tokens_in > 0
    assert len(asked(llm_server)) == 3
    assert verdict(database).passed
    before = rows(database)
    again = summarize_day(database, PULL_REQUEST, DAY, summarizer, "run-2")
    assert (again.items, again.written, again.failed, again.usage.tokens_in) == (3, 0, 0, 0)
    assert rows(database) == before
    assert len(asked(llm_server)) == 3


def test_another_day_of_the_same_content_costs_nothing(
    database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """An item that is active on a second day, unchanged, is not paid for again."""
    add(database, 1, "Body.")
    summarize_day(database, PULL_REQUEST, DAY, summarizer)
    active(database, 1, LATER)
    assert summarize_day(database, PULL_REQUEST, LATER, summarizer).written == 0
    assert len(asked(llm_server)) == 1
    assert verdict(database, LATER).passed


def test_only_what_changed_is_paid_for(database: Database, llm_server: LLMServer, summarizer: LLMSummarizer) -> None:
    """A new body makes one new summary beside the old one; going back to the old body makes none."""
    add(database, 1, "First body.")
    add(database, 2, "Other body.")
    summarize_day(database, PULL_REQUEST, DAY, summarizer)
    add(database, 1, "Second body.")
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 1
    assert len(asked(llm_server)) == 3
    assert "Second body." in asked(llm_server)[-1].user
    assert database.fetch_value("SELECT count(*) FROM summaries") == 3
    newest = "SELECT content_hash FROM item_contents WHERE ref = '1' ORDER BY seen_at DESC LIMIT 1"
    second = database.fetch_value(newest)
    add(database, 1, "First body.")
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 0
    assert database.fetch_value(newest) != second
    assert len(asked(llm_server)) == 3


def test_what_people_said_and_labels_are_content(
    database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """A person's comment and a label change the content; a bot's comment and a deleted one do not."""
    add(database, 1, "Body.")
    summarize_day(database, PULL_REQUEST, DAY, summarizer)
    insert = "INSERT INTO comments VALUES (1, 'comment', %s, 'pull_request', '1', 'x', %s, %s, now(), now(), 1, %s)"
    database.execute(insert, [1, True, "Beep.", False])
    database.execute(insert, [2, False, "Gone.", True])
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 0
    database.execute(insert, [3, False, "I saw it too.", False])
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 1
    assert "Comment: I saw it too." in asked(llm_server)[-1].user
    database.execute("UPDATE pull_requests SET labels = '{bug}'")
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 1
    assert "labels: bug" in asked(llm_server)[-1].user


def test_items_of_the_same_content_share_a_summary(
    database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """Two items with the same text: one request, both covered."""
    add(database, 1, "Same.", title="Bump vite")
    add(database, 2, "Same.", title="Bump vite")
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 1
    assert len(asked(llm_server)) == 1
    assert verdict(database).passed
    assert database.fetch_value("SELECT count(*) FROM item_contents") == 2


def test_items_without_text_and_other_kinds_are_left_alone(
    database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """An item that no event gave text to is not summarized; neither are other kinds and other days."""
    add(database, 1, "Body.")
    add(database, 2, "Body two.", day=LATER)
    database.execute("INSERT INTO pull_requests (repo_id, number) VALUES (1, 3)")
    active(database, 3, DAY)
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).items == 1
    assert summarize_day(database, ISSUE, DAY, summarizer).items == 0
    assert len(asked(llm_server)) == 1


@pytest.mark.parametrize("what", ["model", "prompt_version"])
def test_a_new_version_stands_beside_the_old_one(
    what: str, database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """Another model or prompt: a new summary of every item; the old rows stay as they were."""
    for number in (1, 2):
        add(database, number, f"Body {number}.")
    summarize_day(database, PULL_REQUEST, DAY, summarizer)
    old, *_ = rows(database)
    newer = LLMSummarizer(LLM(llm_server.url, "two"))
    if what == "prompt_version":
        newer = LLMSummarizer(LLM(llm_server.url, "one"))
        newer.prompt_version = "summary-3"
    assert summarize_day(database, PULL_REQUEST, DAY, newer).written == 2
    new, *_ = rows(database)
    assert len(new) == 4
    assert all(row in new for row in old)
    assert verdict(database).passed


def test_failures_are_recorded_and_too_many_fail_the_audit(
    database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """Two of 20 items fail: recorded with their reasons, the others kept, the day does not pass. One: it does."""
    for number in range(1, 21):
        add(database, number, f"Body {number}.")
    llm_server.misbehave("empty choices", when=lambda request: "Title: Change 7\n" in request.user)
    llm_server.misbehave("400", when=lambda request: "Title: Change 8\n" in request.user)
    result = summarize_day(database, PULL_REQUEST, DAY, summarizer, "run-1")
    assert (result.written, result.failed) == (18, 2)
    failures = database.fetch_all("SELECT ref, reason, run_id FROM summary_failures ORDER BY ref")
    assert [(ref, run) for ref, _, run in failures] == [("7", "run-1"), ("8", "run-1")]
    assert "no text" in failures[0][1]
    assert "(400)" in failures[1][1]
    assert not verdict(database).passed
    assert verdict(database).details["without a current summary"] == 2
    llm_server.behave()
    llm_server.misbehave("empty choices", when=lambda request: "Title: Change 7\n" in request.user)
    before = len(asked(llm_server))
    result = summarize_day(database, PULL_REQUEST, DAY, summarizer, "run-2")
    assert (result.written, result.failed, len(asked(llm_server)) - before) == (1, 1, 3)
    assert database.fetch_all("SELECT ref FROM summary_failures") == [("7",)]
    assert verdict(database).passed


def test_an_llm_that_goes_down_keeps_what_is_done(
    database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """It raises, its summaries so far are kept and no verdict is given; a later run pays only for the rest."""
    for number in range(1, 9):
        add(database, number, f"Body {number}.")
    answered = {f"Title: Change {number}\n" for number in (1, 2, 3)}
    llm_server.misbehave(
        "503", when=lambda request: is_asked(request) and not any(title in request.user for title in answered)
    )
    with pytest.raises(LLMUnavailable, match=llm_server.url):
        summarize_day(database, PULL_REQUEST, DAY, summarizer)
    kept = database.fetch_value("SELECT count(*) FROM summaries")
    assert 1 <= kept <= 3
    assert database.fetch_value("SELECT count(*) FROM summary_failures") == 0
    assert audits.newest(database, "pull_request_summaries", [f"{DAY}"], "summaries_cover_items") == {}
    llm_server.behave()
    before = len(asked(llm_server))
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 8 - kept
    assert len(asked(llm_server)) - before == 8 - kept
    assert verdict(database).passed


def test_characters_that_postgres_refuses_do_not_stop_a_day(
    database: Database, llm_server: LLMServer, summarizer: LLMSummarizer
) -> None:
    """A model that writes U+0000 or half a surrogate pair: the summary is stored without them."""
    add(database, 1, "Body.")
    llm_server.reply = lambda request: summary_json("Fixes\x00 the \ud800leak.")
    assert summarize_day(database, PULL_REQUEST, DAY, summarizer).written == 1
    assert database.fetch_value("SELECT summary FROM summaries") == "Fixes the leak."
