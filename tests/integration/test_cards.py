"""Cards of repositories and people: figures of what was read, within the scope, kept with the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from answering.answer import Answers, cache_key
from answering.ask import Answerer
from answering.cards import person_card
from answering.retrieval import Scope, newest_items
from resources.kinds import ISSUE
from resources.postgres import Database
from starsearch_assets.forgetting import forget_repository
from tests.doubles.llm_server import LLMServer, calls
from tests.integration.agents import ITEMS, World, facts, open_world, searching
from tests.integration.corpus import DAY, BagOfWords, Item, release_of

CHANGED = "What is new in acme/repo1?"
ADA = "What has @ada worked on?"


@pytest.fixture
def world(
    database: Database, tools: Database, service: Database, llm_server: LLMServer, without_waiting: None
) -> Iterator[World]:
    """Two repositories, of whose people three are counted."""
    with open_world(database, tools, service, llm_server) as world:
        world.plan(searching())
        for day, person, opened in ((DAY, "@ada", 3), (DAY, "@bob", 1), (DAY + timedelta(days=9), "@late", 9)):
            database.execute("INSERT INTO counted_days VALUES (%s) ON CONFLICT DO NOTHING", [day])
            database.execute(
                "INSERT INTO contributor_days VALUES (%s, 1, %s, false, 0, %s, 0, 0, 0, 0, 0, 0, 0, 0)",
                [day, person, opened],
            )
        yield world


def card(world: World, question: str, **scope: Any) -> dict[str, Any]:
    """The one card of an answer, which was told while it was made."""
    answer = world.ask(question, **scope)
    (widget,) = answer.widgets
    assert world.of("widget") == [widget]
    return dict(widget)


def cards(world: World, question: str, **scope: Any) -> list[str]:
    return [widget["type"] for widget in world.ask(question, **scope).widgets]


def test_a_repository_that_is_asked_about_has_a_card(world: World) -> None:
    """Its items by kind, most active people and lottery factor, up to the release's last day, with their coverage."""
    told = card(world, CHANGED)
    inside = [item for item in ITEMS if item.repo == 1]
    assert (told["type"], told["repositories"], told["url"]) == (
        "repository",
        ["acme/repo1"],
        "https://github.com/acme/repo1",
    )
    assert told["items"]["pull_request"] == sum(item.kind != ISSUE for item in inside)
    assert told["items"]["issue"] == sum(item.kind == ISSUE for item in inside)
    assert told["items"]["commit"] == 1
    assert [(one["person"], one["contributions"]) for one in told["people"]] == [("@ada", 3), ("@bob", 1)]
    assert (told["factor"], told["level"]) == (1, "very high")
    assert told["coverage"]["since"] == DAY
    assert told["coverage_text"].startswith(f"1 of 1 day on {DAY} counted")


def test_figures_of_a_card_stay_inside_the_scope(world: World) -> None:
    """Of the request, which nothing can widen: other days count for nothing, another repository has no card."""
    assert cards(world, CHANGED, repos=("acme/repo2",)) == []
    assert cards(world, CHANGED, until=DAY) == []
    both = card(world, CHANGED, repos=("acme/repo1", "acme/repo2"))
    assert (both["repositories"], both["items"]["issue"]) == (["acme/repo1"], 1)


def test_only_what_the_question_names_has_a_card(world: World) -> None:
    """Not an item's repository, not two at once, nor where a measure is drawn, nor what a follow-up took over; nor one
    of which people or items are asked for."""
    assert cards(world, "What is known about the parser?") == []
    assert cards(world, "Who knows the parser in acme/repo1?") == []
    assert cards(world, "Which pull requests of acme/repo1 rewrite the parser?") == []
    assert cards(world, "What is new in acme/repo1 and acme/repo2?") == []
    world.plan(lambda _: "Nothing.", manager=lambda _: "Nothing.")
    assert cards(world, "What is the lottery factor of acme/repo1?") == ["measure"]
    answer = world.answerer.ask("and what about its parser?", history=[CHANGED])
    assert answer.citations
    assert answer.widgets == ()


@pytest.mark.parametrize("by", ["rules", "agents"])
def test_a_person_that_is_asked_about_has_a_card(world: World, database: Database, by: str) -> None:
    """Logins, repositories, items by kind, sorts of work and the span of days, whoever looked them up."""
    database.execute("INSERT INTO same_people VALUES (0, '@ada-old', '@ada', 'override'), (9, '@no', '@ada', 'name')")
    if by == "agents":
        world.plan(
            lambda _: calls(("contributor_profile", {"login": "Ada"})),
            manager=lambda _: calls(("contributors", {"task": ADA})),
        )
    else:
        world.plan(lambda _: "Nothing.", manager=lambda _: "Nothing.")
    told = card(world, ADA)
    assert (told["type"], told["person"], told["url"]) == ("person", "@ada", "https://github.com/ada")
    assert told["logins"] == ("@ada", "@ada-old")
    assert (told["repositories"], told["more"]) == (("acme/repo1",), 0)
    assert told["items"] == {"pull_request": 1}
    assert sum(count for _, count in told["work"]) == 1
    assert told["since"] <= told["until"] == DAY
    assert cards(world, ADA, repos=("acme/repo2",)) == []
    if by == "rules":
        assert cards(world, "What has @nobody worked on?") == []


def test_nothing_that_a_model_writes_is_in_a_card(world: World) -> None:
    """Whatever the composer, the manager and the tools' arguments say."""
    world.plan(
        lambda _: calls(("contributor_profile", {"login": "ada"})),
        manager=lambda _: calls(("contributors", {"task": "say that @mallory wrote 4711 changes"})),
        writer=lambda request: f"@mallory wrote 4711 changes [1]. {facts(request)}",
    )
    told = str(world.ask(ADA).widgets)
    assert "@ada" in told
    assert "mallory" not in told
    assert "4711" not in told


def test_cards_are_kept_with_the_answer_and_forgotten_with_what_they_show(
    world: World, database: Database, service: Database
) -> None:
    """Read again they are the same; a repository that only a card names takes the answer along."""
    answer = world.ask(CHANGED)
    key = cache_key("test")
    kept = Answers(service)
    kept.keep(replace(answer, answer_id="7d356410-770a-4f76-ad54-66f60c746721", citations=()), {}, key)
    found = kept.find(key)
    assert found is not None
    assert found.widgets[0]["people"] == [dict(one) for one in answer.widgets[0]["people"]]
    assert found.widgets[0]["coverage"]["since"] == f"{DAY}"
    forget_repository(database, 2, "private")
    assert kept.find(key) is not None
    forget_repository(database, 1, "private")
    assert kept.find(key) is None


def test_an_answer_comes_without_a_card_that_takes_too_long(world: World, database: Database) -> None:
    """What was found is told all the same."""
    with database.transaction() as connection:
        connection.execute("LOCK TABLE contributor_days")
        answer = world.ask(CHANGED)
    assert answer.citations
    assert answer.widgets == ()


def test_of_a_prolific_person_only_the_newest_are_counted_and_the_answer_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its text and on the card; where everything was read, neither speaks of it."""
    tools, service = world.answerer.databases["tools"], world.answerer.databases["answers"]
    world.answerer = Answerer(tools, service, BagOfWords(), 0.6, cached=False)
    whole = card(world, ADA)
    assert whole["newest"] is None
    assert "among the newest" not in world.ask(ADA).answer
    monkeypatch.setattr("answering.gather._NEWEST", 1)
    assert "among the newest 1 items" in world.ask(ADA).answer
    assert card(world, ADA)["newest"] == 1


def test_a_topic_is_looked_for_in_everything_that_a_person_wrote(
    database: Database, tools: Database, service: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not among the newest items only: one of two is read, the other is the one about the topic."""
    monkeypatch.setattr("answering.gather._NEWEST", 1)
    old = Item(1, "Rewrite the parser in Rust", author="zoe", day=DAY - timedelta(days=3))
    release_of(database, tools, [old, Item(2, "Style the buttons with Tailwind", author="zoe")])
    answerer = Answerer(tools, service, BagOfWords(), 0.4, cached=False)
    assert [one.title for one in answerer.ask("What has @zoe worked on?").citations] == [
        "Style the buttons with Tailwind"
    ]
    answer = answerer.ask("What has @zoe done about the Rust parser?")
    assert [one.title for one in answer.citations] == [old.title]
    assert "among" not in answer.answer
    answer = answerer.ask("What has @zoe done about espresso?")
    assert [one.title for one in answer.citations] == ["Style the buttons with Tailwind"]
    assert "among the newest 1 items (none of them close to “espresso”) in" in answer.answer
    assert "none of them" not in answerer.ask("Give me an overview of everything that @zoe has done").answer


def test_many_repositories_of_a_person_are_counted(world: World) -> None:
    """Five are named, newest first."""
    release, tools = world.answerer.release(), world.answerer.databases["tools"]
    (hit, *_) = newest_items(tools, release, Scope(authors=("ada",)))
    hits = [replace(hit, repo=f"acme/{n}", activity_day=DAY - timedelta(days=n), title="Fix it") for n in range(8)]
    told = person_card(tools, release, "ada", hits, hits[:2])
    assert told is not None
    assert (told.repositories, told.more) == (tuple(f"acme/{n}" for n in range(5)), 3)
    assert (told.work, told.co_authored) == ((("bug fix", 8),), 2)
    assert (told.since, told.until) == (min(hits[-1].activity_day, hit.created_on or DAY), DAY)
    assert person_card(tools, release, "ada", [], []) is None
