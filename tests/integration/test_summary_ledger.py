"""What summaries cost is counted where they are stored, and `starsearch cost` tells it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path

import pytest

from resources.errors import LLMUnavailable
from resources.kinds import ISSUE, PULL_REQUEST
from resources.llm import Usage
from resources.postgres import Database
from resources.prices import Prices
from resources.settings import Settings
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.summaries.process import summarize_day
from starsearch_assets.summaries.source import Failure, Outcome, Source, Store, Summary
from tests.integration.commands import as_json, starsearch
from tests.integration.summaries import DAY, LATER, active, add, add_many, usage, verdict

PRICES = Prices(2.0, 10.0)
COST = Usage(requests=1, tokens_in=1000, tokens_out=100, seconds=0.5)


class Fixed:
    """A summarizer whose outcomes a test decides by title, in batches of three."""

    model, prompt_version, extractive = "one", "summary-1", False

    def __init__(self, **outcomes: Outcome | LLMUnavailable) -> None:
        self.outcomes = outcomes
        self.asked: list[str] = []
        self.before_storing: Callable[[], None] = lambda: None

    def summarize(self, sources: Iterable[Source], store: Store, limit: Callable[[], int] | None = None) -> None:
        one = iter(sources)
        while batch := list(itertools.islice(one, 3)):
            self.before_storing()
            store(list(self._outcomes(batch)))

    def _outcomes(self, batch: Iterable[Source]) -> Iterator[tuple[Source, Outcome]]:
        for source in batch:
            self.asked.append(source.title)
            outcome = self.outcomes.get(source.title.replace(" ", "_"), Summary(f"About {source.title}.", usage=COST))
            if isinstance(outcome, LLMUnavailable):
                raise outcome
            yield source, outcome


NO = Failure("It said nothing.", Usage(requests=2, retries=1, tokens_in=500, seconds=1.0))


def test_everything_that_a_summary_tells_is_stored(database: Database) -> None:
    """Change type, technologies, components and visibility come with the text, and what it cost."""
    told = Summary("Text.", "feature", ("redis",), ("zig",), ("cache", "ui"), True, COST)
    add(database, 1, "Body.")
    summarize_day(database, PULL_REQUEST, DAY, Fixed(Change_1=told), "run-1")
    assert database.fetch_all(
        "SELECT summary, change_type, technologies, other_technologies, components, user_visible, tokens_in,"
        " tokens_out, run_id, extractive, withheld FROM summaries"
    ) == [("Text.", "feature", ["redis"], ["zig"], ["cache", "ui"], True, 1000, 100, "run-1", False, False)]


def test_a_run_counts_what_it_asked_and_a_replay_adds_nothing(database: Database) -> None:
    """Requests, retries, tokens and cost of summaries and of failures; each run and day has a row of its own."""
    add_many(database, 8)
    first = summarize_day(database, PULL_REQUEST, DAY, Fixed(Change_8=NO), "run-1", prices=PRICES)
    assert (first.written, first.failed, first.usage) == (7, 1, Usage(9, 1, 7500, 700, 4.5))
    expected = ("run-1", f"{DAY}", 7, 1, 9, 1, 7500, 700, pytest.approx(0.022))
    assert usage(database) == [expected]
    again = Fixed()
    summarize_day(database, PULL_REQUEST, DAY, again, "run-2", prices=PRICES)
    assert again.asked == ["Change 8"]
    summarize_day(database, PULL_REQUEST, DAY, Fixed(), "run-3", prices=PRICES)
    assert usage(database) == [expected, ("run-2", f"{DAY}", 1, 0, 1, 0, 1000, 100, pytest.approx(0.003))]


def test_what_an_interrupted_run_spent_stays(database: Database) -> None:
    """The batches before the server went down are in the ledger; without prices the cost is unknown, not nothing."""
    add_many(database, 8)
    with pytest.raises(LLMUnavailable):
        summarize_day(database, PULL_REQUEST, DAY, Fixed(Change_5=LLMUnavailable("down")), "run-1")
    assert usage(database) == [("run-1", f"{DAY}", 3, 0, 3, 0, 3000, 300, None)]
    assert database.fetch_value("SELECT count(*) FROM summaries") == 3


def test_extractive_summaries_have_no_ledger(database: Database) -> None:
    """Nobody was asked, so there is no row."""
    add(database, 1, "Body.")
    fixed = Fixed()
    fixed.extractive = True
    assert summarize_day(database, PULL_REQUEST, DAY, fixed, "run-1", prices=PRICES).written == 1
    assert usage(database) == []


def test_what_failed_in_three_runs_is_not_asked_for_again(database: Database) -> None:
    """A run asks once, also where two of its days have the content. After three it costs nothing, and counts as
    missing, until somebody asks for it; when it succeeds nothing is left of its failures."""
    add(database, 1, "Body.")
    active(database, 1, LATER)
    failing = Fixed(Change_1=NO)
    attempts = "SELECT attempts FROM summary_failures"
    for number in (1, 2, 3):
        both = [summarize_day(database, PULL_REQUEST, day, failing, f"run-{number}") for day in (DAY, LATER)]
        assert [(one.failed, one.given_up) for one in both] == [(1, 0), (0, 1)]
        assert database.fetch_value(attempts) == number
    given_up = summarize_day(database, PULL_REQUEST, DAY, failing, "run-4")
    assert (given_up.failed, given_up.given_up, len(failing.asked)) == (0, 1, 3)
    assert not verdict(database).passed
    assert verdict(database).details["without a current summary"] == 1
    other = Fixed(Change_1=NO)
    other.prompt_version = "summary-2"
    assert summarize_day(database, PULL_REQUEST, DAY, other, "run-5").failed == 1
    asked = summarize_day(database, PULL_REQUEST, DAY, Fixed(), "run-6", retry_failures=True)
    assert (asked.written, asked.given_up) == (1, 0)
    assert database.fetch_all("SELECT prompt_version FROM summary_failures") == [("summary-2",)]
    assert verdict(database).passed


def test_a_summary_of_a_repository_that_is_forgotten_meanwhile_is_not_stored(database: Database) -> None:
    """Neither is a failure; what it cost is counted. A content that another repository has, too, keeps its summary."""
    add(database, 1, "Own.", repo_id=1)
    add(database, 2, "Shared.", repo_id=1, title="Shared")
    add(database, 3, "No.", repo_id=1)
    add(database, 9, "Shared.", repo_id=2, title="Shared", day=LATER)
    summarize_day(database, PULL_REQUEST, LATER, fixed := Fixed(Shared=NO), "run-0")
    fixed = Fixed(Change_3=NO)
    fixed.before_storing = lambda: forget_repository(database, 1, "private")
    result = summarize_day(database, PULL_REQUEST, DAY, fixed, "run-1")
    assert sorted(fixed.asked) == ["Change 1", "Change 3", "Shared"]
    assert (result.written, result.failed) == (1, 0)
    assert database.fetch_all("SELECT summary FROM summaries") == [("About Shared.",)]
    assert database.fetch_all("SELECT repo_id FROM item_contents") == [(2,)]
    assert database.fetch_value("SELECT count(*) FROM summary_failures") == 0
    assert usage(database)[-1][:6] == ("run-1", f"{DAY}", 1, 0, 4, 1)


def test_an_item_that_changes_while_its_day_is_summarized_is_summarized_as_it_is(database: Database) -> None:
    """Its new text is asked for and remembered, once; the day's verdict is about what the items have at its end."""
    add_many(database, 500)
    fixed = Fixed()

    def change() -> None:
        if len(fixed.asked) == 0:
            add(database, 500, "Newer.")
            add(database, 499, "Newer.", title="Change 500")
            database.execute("UPDATE pull_requests SET title = 'Change 500' WHERE number = 499")

    fixed.before_storing = change
    result = summarize_day(database, PULL_REQUEST, DAY, fixed, "run-1")
    assert (result.items, result.written, fixed.asked.count("Change 500")) == (500, 499, 1)
    assert verdict(database).details["without a current summary"] == 0
    assert summarize_day(database, PULL_REQUEST, DAY, fixed, "run-2").written == 0


def test_a_content_is_asked_for_while_any_of_its_items_is_there(database: Database) -> None:
    """The first of two equal items is gone when its text is read: the other one's is."""

    class Slow(Fixed):
        """Something happens before the first text is taken."""

        def summarize(self, sources: Iterable[Source], store: Store, limit: Callable[[], int] | None = None) -> None:
            database.execute("UPDATE pull_requests SET gone_at = now() WHERE number IN (1, 3)")
            super().summarize(sources, store, limit)

    for number in (1, 2):
        add(database, number, "Same.", title="Same")
    add(database, 3, "Gone.")
    slow = Slow()
    assert summarize_day(database, PULL_REQUEST, DAY, slow, "run-1").written == 1
    assert slow.asked == ["Same"]


@pytest.fixture
def spending(database: Database) -> None:
    """Three days of two months: the first without prices."""
    days = (date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 1))
    for number, day in enumerate(days, 1):
        add(database, number, f"Body {number}.", day)
        summarize_day(
            database, PULL_REQUEST, day, Fixed(), f"run-{number}", prices=PRICES if number > 1 else Prices()
        )  # fmt: skip
    database.execute("INSERT INTO llm_usage (run_id, asset, partition, model, prompt_version, items, requests)"
                     " VALUES ('run-4', %s, '2026-02-01', 'one', 'summary-1', 1, 1)", [ISSUE.summaries])  # fmt: skip


@pytest.mark.usefixtures("spending")
def test_cost_tells_what_was_spent(settings: Settings, tmp_path: Path) -> None:
    """By month, by day for few days, by kind where wanted; JSON has the same figures, and the hosted price's."""
    url = settings.database_url.get_secret_value()  # type: ignore[union-attr]

    def told(*options: str) -> list[tuple[object, ...]]:
        rows = as_json(tmp_path, "cost", *options, DATABASE_URL=url)["spent"]
        return [(row["period"], row["kind"], row["items"], row["cost"]) for row in rows]

    one = pytest.approx(0.003)
    assert told() == [("2026-01", "", 2, one), ("2026-02", "", 2, one)]
    assert told("--from", "2026-01-31", "--to", "2026-02-01") == [
        ("2026-01-31", "", 1, one),
        ("2026-02-01", "", 2, one),
    ]
    assert told("--from", "2026-02-01", "--by-kind") == [
        ("2026-02", "issue", 1, None), ("2026-02", "pull_request", 1, one),
    ]  # fmt: skip
    total = as_json(tmp_path, "cost", DATABASE_URL=url)["total"]
    assert [(row["requests"], row["tokens_in"], row["seconds"]) for row in total] == [(4, 3000, 1.5)]
    assert total[0]["hosted"] == pytest.approx(3000 * 0.15e-6 + 300 * 0.6e-6)
    shown = starsearch(tmp_path, "cost", DATABASE_URL=url).stdout
    assert "$0.0060" in shown
    assert "A part was spent while no prices were set" in shown
    assert "40,000 repositories of 190 words a day" in shown
    assert "$1.52 a day" in shown


def test_cost_of_nothing_says_so(settings: Settings, tmp_path: Path) -> None:
    """Without an LLM, with one that was not asked yet, and for days that do not follow one another."""
    url = settings.database_url.get_secret_value()  # type: ignore[union-attr]
    assert "extractive" in starsearch(tmp_path, "cost", DATABASE_URL=url).stdout
    configured = {"DATABASE_URL": url, "LLM_BASE_URL": "http://127.0.0.1:1/v1", "SUMMARY_MODEL": "one",
                  "LLM_PRICE_IN": "0.07", "LLM_PRICE_OUT": "0.2"}  # fmt: skip
    shown = starsearch(tmp_path, "cost", **configured).stdout
    assert "no summary was asked of the LLM yet" in shown
    assert "at LLM_PRICE_IN ($0.07) $0.7093 a day" in shown
    wrong = starsearch(tmp_path, "cost", "--from", "2026-02-01", "--to", "2026-01-01", check=False, DATABASE_URL=url)
    assert wrong.returncode == 2
    assert "lies before" in wrong.stderr
