"""What answers cost: of each, and of all of a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from answering.answer import Spending, spent_on_answers
from answering.ask import Answerer
from answering.session import open_answerer
from resources.llm import LLM
from resources.postgres import Database
from resources.prices import Prices
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer
from tests.integration.agents import QUESTION, THRESHOLD, World, open_world, searching
from tests.integration.commands import as_json, starsearch
from tests.integration.corpus import BagOfWords


@pytest.fixture
def world(database: Database, tools: Database, service: Database, llm_server: LLMServer) -> Iterator[World]:
    """Answers at 1 dollar a million tokens in and 3 out."""
    with open_world(database, tools, service, llm_server) as world:
        llm = LLM(llm_server.url, "test-model")
        world.answerer = Answerer(tools, service, BagOfWords(), THRESHOLD, llm, prices=Prices(1.0, 3.0))
        world.plan(searching())
        yield world
        llm.close()


def test_an_answer_tells_what_the_server_counted(world: World, database: Database, service: Database) -> None:
    """Over manager, specialist and composer; found again for the same question it tells what making it took."""
    answer = world.ask()
    spent = answer.spending
    assert answer.mode == "llm"
    assert spent.requests == len(world.asked)
    assert min(spent.tokens_in, spent.tokens_out) > 0
    assert spent.dollars == pytest.approx((spent.tokens_in + 3 * spent.tokens_out) / 1e6)
    again = world.ask()
    assert again.cached
    assert again.spending == spent
    assert spent_on_answers(database, None, None) == (1, spent)


def test_nothing_is_estimated_where_no_price_is_set(world: World, tools: Database, service: Database) -> None:
    """Tokens are counted, dollars unknown; an answer by rule costs nothing."""
    world.answerer._prices = Prices()
    assert world.ask().spending.dollars is None
    assert Answerer(tools, service, BagOfWords(), THRESHOLD).ask(QUESTION).spending == Spending()


def test_prices_come_from_the_settings_and_cost_adds_up(world: World, settings: Settings, database: Database) -> None:
    """`starsearch cost` tells of answers beside summaries."""
    with open_answerer(settings.model_copy(update={"llm_price_in": 2.0, "llm_price_out": 5.0})) as answerer:
        assert answerer._prices == Prices(2.0, 5.0)
    spent = world.ask().spending
    where = {"DATABASE_URL": settings.database_url.get_secret_value()}
    told = as_json(settings.home, "cost", **where)["answers"]
    assert told == {
        "count": 1, "requests": spent.requests, "tokens_in": spent.tokens_in, "tokens_out": spent.tokens_out,
        "dollars": pytest.approx(spent.dollars),
    }  # fmt: skip
    assert "Answers: 1 asked the LLM" in starsearch(settings.home, "cost", **where).stdout
    assert as_json(settings.home, "cost", "--to", "2020-01-01", **where)["answers"]["count"] == 0
