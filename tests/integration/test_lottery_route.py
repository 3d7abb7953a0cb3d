"""GET /v1/repos/{owner}/{name}/lottery-factor: the agents' measure over real HTTP, for programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from answering.insights.contributors import lottery_factor
from answering.insights.definitions import definition_of
from answering.retrieval import Scope
from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.llm_server import LLMServer
from tests.integration.faces import ANYWHERE, answerable, answering, browser, problem, serving, with_key
from tests.integration.spaces import FIRST

OPENED = {"@ada": 5, "@bob": 3, "@cleo": 1}


@pytest.fixture
def client(settings: Settings, database: Database, tools: Database) -> Iterator[httpx.Client]:
    """Of a service over one day of acme/web, which was called old/site; another day is beyond the release."""
    with LLMServer(models=("first",), dimensions=16) as server:
        settings = answerable(settings, database, tools, server)
        for day, people in ((FIRST, OPENED), (FIRST + timedelta(days=9), {"@late": 100})):
            database.execute("INSERT INTO counted_days VALUES (%s)", [day])
            for person, number in people.items():
                database.execute(
                    "INSERT INTO contributor_days VALUES (%s, 1, %s, false, 0, %s, 0, 0, 0, 0, 0, 0, 0, 0)",
                    [day, person, number],
                )
        database.execute("INSERT INTO repository_names VALUES (1, 'old/site', '2020-01-01', '2020-02-01')")
        with answering(settings) as url, browser(url) as client:
            yield client


def factor(client: httpx.Client, repository: str = "acme/web", **parameters: Any) -> Any:
    reply = client.get(f"/v1/repos/{repository}/lottery-factor", params=parameters)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_the_measure_comes_with_all_that_it_rests_on(client: httpx.Client, tools: Database) -> None:
    """Factor, level and shares as the tool computes them up to the release's last day; window, coverage, definition."""
    told = factor(client)
    same = lottery_factor(tools, Scope(repos=("acme/web",)), as_of=FIRST)
    assert same.figures is not None
    assert (told["factor"], told["level"], told["total"]) == (1, "very high", 9)
    assert told["factor"] == same.figures.factor
    assert [(one["person"], one["contributions"]) for one in told["people"]] == list(OPENED.items())
    assert sum(one["share"] for one in told["people"]) == pytest.approx(1)
    assert told["window"] == {"since": f"{FIRST}", "until": f"{FIRST + timedelta(days=1)}"}
    assert told["as_of"] == f"{FIRST}"
    assert told["coverage"]["text"] == same.coverage.text()
    definition = definition_of("lottery_factor")
    assert definition is not None
    assert told["definition"] == {"tool": definition.tool, "text": definition.text}
    assert told["evidence"][0]["url"].startswith("https://github.com/acme/web/pulls?")
    assert (told["repository"], told["note"], told["undefined"]) == ("acme/web", None, None)


def test_what_is_undefined_says_why(client: httpx.Client) -> None:
    """No commit was counted, or no day: neither is an error, and neither is zero."""
    for parameters in ({"by": "commits"}, {"until": f"{FIRST - timedelta(days=9)}"}):
        told = factor(client, **parameters)
        assert (told["factor"], told["level"], told["total"], told["people"]) == (None, None, None, [])
        assert told["undefined"]
        assert told["coverage"]["text"]


def test_an_earlier_name_is_followed(client: httpx.Client) -> None:
    """And said, whatever its case."""
    told = factor(client, "Old/Site")
    assert (told["repository"], told["factor"]) == ("acme/web", 1)
    assert told["note"] == "Old/Site is called acme/web today."


@pytest.mark.parametrize("asked", ["acme/wob", "acme/webs", "acmee/web"])
def test_a_name_that_is_near_is_offered_and_not_taken(client: httpx.Client, asked: str) -> None:
    """Figures of another repository than the one that was asked for would be wrong ones."""
    detail = problem(client.get(f"/v1/repos/{asked}/lottery-factor"), 404)
    assert "acme/web" in detail
    assert asked in detail


def test_a_single_slip_in_a_long_name_is_not_taken_either(client: httpx.Client, database: Database) -> None:
    """Answers take it for what was meant, and say so; a program is told to ask again."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (2, 'orchard/parcelpost')")
    detail = problem(client.get("/v1/repos/orchard/parcelpots/lottery-factor"), 404)
    assert detail == "orchard/parcelpots is not tracked. Did you mean orchard/parcelpost?"


def test_what_cannot_be_used_is_refused(client: httpx.Client) -> None:
    """A name that nothing is near to, a window without a day, and values that are none."""
    assert "not among the tracked" in problem(client.get("/v1/repos/zzz/qqqqqqq/lottery-factor"), 404)
    empty = {"since": f"{FIRST}", "until": f"{FIRST}"}
    assert "empty" in problem(client.get("/v1/repos/acme/web/lottery-factor", params=empty), 400)
    problem(client.get("/v1/repos/acme/web/lottery-factor", params={"by": "stars"}), 422)
    problem(client.get("/v1/repos/%00/%00/lottery-factor"), 404)


def test_it_needs_the_scope_of_searches(settings: Settings, database: Database) -> None:
    """Without a release there is nothing to count up to."""
    with serving(settings, ANYWHERE) as url:
        with with_key(url, database, "ask") as client:
            assert "scope search" in problem(client.get("/v1/repos/acme/web/lottery-factor"), 403)
        with with_key(url, database, "search") as client:
            assert "elease" in problem(client.get("/v1/repos/acme/web/lottery-factor"), 503)
