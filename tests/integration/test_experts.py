"""People by topic over a real release: who counts for what, in which scope, and how answers and commands show it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from answering.ask import Answerer
from answering.errors import AnsweringError, ScopeError
from answering.insights.basis import Insight, Link
from answering.insights.experts import Expert, Experts
from answering.retrieval import Scope
from resources.kinds import COMMIT, ISSUE, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets.cli.insights_experts import experts
from starsearch_assets.embeddings.process import embed_day
from tests.integration.corpus import DAY, BagOfWords, Item, release_of
from tests.integration.demo import Demo
from tests.integration.git_commits import JANE, RAVI, commit, process
from tests.integration.vectors import FixedSummarizer

LONG_AGO = DAY - timedelta(days=180)
THRESHOLD = 0.6
ITEMS = (
    Item(1, "Rewrite the parser in Rust", author="Ada", state="merged"),
    Item(2, "Speed up the Rust parser", author="Ada", state="closed"),
    Item(3, "Port the lexer to Rust", author="bob", state="merged", day=LONG_AGO),
    Item(4, "Bump the Rust toolchain", author="renovate[bot]", is_bot=True, state="merged"),
    Item(5, "Rust build fails on Windows", author="cleo", kind=ISSUE),
    Item(6, "Style the buttons with Tailwind", author="cleo"),
    Item(7, "Tailwind colours for charts", author="bob", state="merged"),
    Item(8, "Move payments to a queue", author="dora", state="merged", repo=2, technologies=("Zig",),
         components=("Checkout-Form",)),
    Item(9, "Store sessions in Rust", author="dora", state="merged", repo=2),
)  # fmt: skip
MO, ADA = ("Mo", "mo@users.noreply.github.com"), ("Ada L", "ADA@users.noreply.github.com")
REPOSITORY = "acme/repo1"


@dataclass(frozen=True)
class World:
    answerer: Answerer
    database: Database

    def experts(self, *knows: str, interested: tuple[str, ...] = (), **scope: Any) -> Insight[Experts]:
        return self.answerer.experts(knows, interested, Scope(**scope))

    def ranking(self, *knows: str, **more: Any) -> list[Expert]:
        figures = self.experts(*knows, **more).figures
        return [] if figures is None else list(figures.people)

    def scores(self, *knows: str, **more: Any) -> dict[str, float]:
        return {one.person: round(one.score, 6) for one in self.ranking(*knows, **more)}


@pytest.fixture
def world(database: Database, tools: Database, service: Database) -> World:
    """Two repositories with pull requests, an issue that people spoke about, and commits of the first."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (1, 'acme/repo1'), (2, 'acme/repo2')")
    commit(database, 1, "Fix an overflow in the Rust lexer", JANE, repo_id=1, co_authors=(MO, RAVI))
    commit(database, 2, "Rewrite the parser in Rust (#1)", ADA, repo_id=1)
    commit(database, 3, "Merge branch rust\n\nRust", ADA, repo_id=1, parents=2)
    for day in process(database):
        assert embed_day(database, COMMIT, day, BagOfWords(), FixedSummarizer("none")).passed
    say(database, "bob", 1)
    say(database, "Bob", 2)
    say(database, "cleo", 3)
    say(database, "review[bot]", 4, is_bot=True)
    say(database, "late", 5, day=DAY + timedelta(days=1))
    release_of(database, tools, ITEMS, kinds=(COMMIT,))
    return World(Answerer(tools, service, BagOfWords(), THRESHOLD), database)


def say(database: Database, login: str, number: int, *, is_bot: bool = False, day: date = DAY) -> None:
    """A comment on issue 5."""
    database.execute(
        "INSERT INTO comments (repo_id, source, comment_id, kind, ref, author_login, author_is_bot, body, created_at,"
        " observed_at, event_id) VALUES (1, 'comment', %s, 'issue', '5', %s, %s, 'I see.', %s, %s, 1)",
        [number, login, is_bot, day, day],
    )


def test_who_knows_something(world: World) -> None:
    """Authors and co-authors of pull requests and commits, by what was merged and when; a landing commit, a merge, an
    issue, bots and names without a login count for nothing."""
    assert list(world.scores("Rust").items()) == [
        ("@Ada", 1.25),
        ("@dora", 1.0),
        ("@jane-doe", 1.0),
        ("@mo", 1.0),
        ("@bob", 0.5),
    ]
    ada = world.ranking("rust")[0]
    (work,) = ada.topics
    assert (work.authored, work.merged, work.discussed, work.newest) == (2, 1, 0, DAY)
    assert [hit.ref for hit in work.hits] == ["1", "2"]
    assert work.evidence[0] == Link("Rewrite the parser in Rust", f"https://github.com/{REPOSITORY}/pull/1")


def test_who_is_interested_in_something(world: World) -> None:
    """Items of all kinds, and what people spoke about for a quarter, once an item and however they write their login;
    who speaks after the release is not heard."""
    ranking = {one.person.lower(): one for one in world.ranking(interested=("Rust",))}
    scores = {person: one.score for person, one in ranking.items()}
    assert scores["@cleo"] == 0.5
    assert scores["@bob"] == 0.5 + 0.25 * 0.5
    assert "@late" not in scores
    assert not any("[bot]" in person for person in scores)
    (work,) = ranking["@bob"].topics
    assert (work.authored, work.merged, work.discussed, work.newest) == (1, 1, 1, DAY)


def test_who_knows_one_thing_and_is_interested_in_another(world: World) -> None:
    """Both are needed, and the geometric mean ranks; the evidence of both is there."""
    insight = world.experts("Tailwind", interested=("Rust",))
    assert insight.figures is not None
    people = insight.figures.people
    assert [(one.person, round(one.score, 6)) for one in people] == [
        ("@bob", round(sqrt(1 * 0.625), 6)),
        ("@cleo", round(sqrt(0.5 * 0.5), 6)),
    ]
    assert [[work.topic for work in one.topics] for one in people] == [["Tailwind", "Rust"]] * 2
    assert {link.url for link in insight.evidence} == {
        f"https://github.com/{REPOSITORY}/{path}" for path in ("pull/3", "pull/6", "pull/7", "issues/5")
    }
    assert world.ranking("Tailwind", "Rust")[0].person == "@bob"
    assert len(world.ranking("Tailwind", "Rust")) == 1


@pytest.mark.parametrize("topic", ["Zig", "zig", "checkout-form", "Checkout-Form"])
def test_what_a_summary_tags_counts(world: World, topic: str) -> None:
    """A technology or component that no word of the item names, in any case; part of its name is not it."""
    (one,) = world.ranking(topic)
    assert (one.person, [hit.ref for hit in one.topics[0].hits]) == ("@dora", ["8"])
    assert world.ranking(topic[:-1]) == []
    assert world.ranking(topic, repos=(REPOSITORY,)) == []


def test_the_scope_holds(world: World) -> None:
    """Repositories, days and kinds are held to before anything is ranked."""
    assert list(world.scores("Rust", repos=("acme/repo2",))) == ["@dora"]
    assert "@bob" not in world.scores("Rust", since=DAY)
    assert list(world.scores("Rust", until=DAY)) == ["@bob"]
    assert set(world.scores("Rust", kinds=(COMMIT.name,))) == {"@ADA", "@jane-doe", "@mo"}
    assert world.scores("Rust", kinds=(ISSUE.name,)) == {}
    assert set(world.scores(interested=("Rust",), kinds=(ISSUE.name,))) == {"@cleo", "@Bob"}
    with pytest.raises(ScopeError, match="no/such is not among the tracked"):
        world.experts("Rust", repos=("no/such",))
    with pytest.raises(ScopeError, match="empty"):
        world.experts("Rust", since=DAY, until=DAY)


def test_the_names_of_one_person_are_one_person(world: World) -> None:
    """A login of another in one repository, and a name everywhere: their work is added up, an item counts once."""
    world.database.execute(
        "INSERT INTO same_people VALUES (1, '@jane-doe', '@ada', 'override'), (0, 'Ravi K', '@ravi', 'override'),"
        " (2, '@bob', '@ada', 'override'), (0, '@mo', '@jane-doe', 'override')"
    )
    assert world.scores("Rust") == {"@Ada": 2.25, "@dora": 1.0, "@jane-doe": 1.0, "@ravi": 1.0, "@bob": 0.5}


def test_nobody_is_said_and_why(world: World) -> None:
    """Undefined, with what each topic has; an answer abstains with the same words."""
    insight = world.experts("Zig", interested=("Tailwind",))
    assert insight.figures is None
    assert insight.evidence == ()
    assert "Zig: 1 person in 1 item; Tailwind: 2 people in 2 items" in insight.undefined
    assert "12 items of release 1, as of 2025-10-06" in insight.undefined
    answer = world.answerer.ask("Who knows Fortran?")
    assert answer.abstained
    assert "Nobody in this scope has work that is about Fortran (Fortran: nobody in 0 items)" in answer.answer
    with pytest.raises(AnsweringError, match="at least one technology"):
        world.experts(" ", interested=("",))


def test_answers_tell_what_was_counted(world: World) -> None:
    """The rule-based answer has the measure's people in its order, each with its items cited."""
    answer = world.answerer.ask("Who knows Rust?")
    assert answer.answer.splitlines()[:3] == [
        "@Ada authored 2 pull requests about Rust [1][2].",
        "@dora authored 1 pull request about Rust [3].",
        "@jane-doe authored 1 commit about Rust [4].",
    ]
    assert [one.ref for one in answer.citations][:3] == ["1", "2", "9"]
    both = world.answerer.ask("Who knows Tailwind and is interested in Rust?").answer
    assert both.startswith(
        "@bob authored 1 pull request about Tailwind [1] and took part in 2 items about Rust [2][3]."
    )


def test_hostile_topics_find_nobody(world: World) -> None:
    """Patterns, quotes and placeholders are words like others."""
    for topic in ("((", "%s", "'; DROP TABLE x; --", "a|b", "\\", ".*", "{}", "x" * 2000):
        assert world.ranking(topic) == [], topic


def command(demo: Demo, *arguments: str) -> str:
    """What the command prints over the demo's home."""
    app = typer.Typer()
    app.command()(experts)
    variables = {"STARSEARCH_HOME": str(demo.home), "COLUMNS": "200"}
    result = CliRunner().invoke(app, list(arguments), env=variables, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_over_the_demo(demo: Demo) -> None:
    """People with what they did and links, as JSON and as a table; nobody is said; the sample's truth holds."""
    both = ("Tailwind", "--interested-in", "Rust")
    people = json.loads(command(demo, *both, "--json"))["figures"]["people"]
    assert {one["person"].lstrip("@") for one in people} == set(demo.truth.tailwind_and_rust)
    assert all(work["evidence"] for one in people for work in one["topics"])
    table = command(demo, *both)
    for one in people:
        assert one["person"] in table
        assert all(link["url"] in table for work in one["topics"] for link in work["evidence"])
    assert "Covered: " in table
    shortened = json.loads(command(demo, *both, "--limit", "1", "--json"))["figures"]["people"]
    assert shortened == people[:1]
    nobody = json.loads(command(demo, "Tailwind", "--repo", "emberdb/emberdb", "--json"))
    assert nobody["figures"] is None
    assert "Tailwind: nobody in 0 items" in nobody["undefined"]
    assert "Tailwind: nobody in 0 items" in command(demo, "Tailwind", "--repo", "emberdb/emberdb")
    ranking = json.loads(command(demo, "TypeScript", "--json"))["figures"]["people"]
    assert [one["person"].lstrip("@") for one in ranking[:3]] == [name for name, _ in demo.truth.typescript_ranking[:3]]


def test_where_no_word_finds_anything_the_nearest_count(database: Database, tools: Database, service: Database) -> None:
    """Those that name the topic, if only in a path, and no others; where none does, those that are near enough, nearest
    first."""
    items = [
        Item(1, "Keep comments", "in src/lexer.rs", author="ada"),
        Item(2, "Keep comments in src", author="bob"),
        Item(3, "Zig toolchain", author="cleo"),
        Item(4, "Zig toolchain notes of last year", author="dora"),
        Item(5, "Zig", "for the build of many other things", author="eve"),
    ]
    release_of(database, tools, items)
    world = World(Answerer(tools, service, BagOfWords(), THRESHOLD), database)
    (ada,) = world.ranking("Lexer")
    assert (ada.person, [hit.title for hit in ada.topics[0].hits]) == ("@ada", ["Keep comments"])
    ranking = world.ranking("Zig compiler toolchain")
    assert [one.person for one in ranking] == ["@cleo"]
    (hit,) = ranking[0].topics[0].hits
    assert hit.score == pytest.approx(2 / sqrt(6), abs=0.15)
    assert [len(one.topics) for one in world.ranking("Lexer", "Zig")] == []  # nobody knows both


def test_pull_requests_of_each_kind_are_found_beside_many_others(
    database: Database, tools: Database, service: Database
) -> None:
    """Many issues about a topic crowd out no pull request about it."""
    issues = [Item(n, f"Rust question {n}", author="asker", kind=ISSUE) for n in range(100, 480)]
    work = Item(1, "A long pull request on other things that names Rust at last", author="ada", kind=PULL_REQUEST)
    release_of(database, tools, [*issues, work])
    answerer = Answerer(tools, service, BagOfWords(), THRESHOLD)
    figures = answerer.experts([], ["Rust"]).figures
    assert figures is not None
    assert [one.person for one in figures.people] == ["@asker", "@ada"]
