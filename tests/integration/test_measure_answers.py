"""Questions that measures and digests answer, over the demo: figures against SQL over what they are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from answering.ask import Answer, Answerer
from answering.compose import backed
from answering.errors import AnsweringError
from answering.evidence import Evidence
from answering.releases import load_release
from answering.retrieval import Scope
from answering.session import open_answerer
from answering.telling import MEASURES, measure
from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Connection, Database, Role, open_database
from resources.settings import Settings

REACT, EMBER = "remix-run/react-router", "emberdb/emberdb"
WINDOW = "from 2025-10-06 to 2025-10-08"
OF_REPO = "JOIN starsearch.repositories USING (repo_id) WHERE name = %(repo)s"


@pytest.fixture(scope="module")
def sql(demo) -> Iterator[Connection]:
    """The demo's database, as its owner sees it."""
    with psycopg.connect(EmbeddedPostgres(demo.home).url()) as connection:
        yield connection


@pytest.fixture(scope="module")
def asks(demo) -> Iterator[Answerer]:
    with open_answerer(Settings(_env_file=None, starsearch_home=demo.home)) as answerer:
        yield answerer


@pytest.fixture(scope="module")
def demo_tools(demo) -> Iterator[Database]:
    with open_database(Settings(_env_file=None, starsearch_home=demo.home), Role.TOOLS) as tools:
        yield tools


def one(answer: Answer) -> tuple[str, str, str, str]:
    """The one citation of an answer."""
    (citation,) = answer.citations
    return citation.kind, citation.ref, citation.repo, citation.url


PULLS = f"FROM starsearch.pull_requests {OF_REPO}"
EVENTS = "FROM starsearch.events WHERE repo_name = %(repo)s"


@pytest.mark.parametrize(
    ("question", "ref", "page", "query", "told"),
    [
        (
            "What share of the pull requests gets merged in {}?", "merge_ratio", "pulls?q=is%3Apr+is%3Aclosed",
            "SELECT count(*), count(merged_at), round(100.0 * count(merged_at) / count(*)),"
            f" count(*) - count(merged_at) {PULLS} AND closed_at IS NOT NULL",
            "Of {} pull requests of REPO that ended WINDOW, {} ({}%) ended in a merge and {} without one [1].",
        ),
        (
            "How fast are pull requests merged in {}?", "merge_times", "pulls?q=is%3Apr+is%3Amerged",
            "SELECT count(*), round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait)::numeric / 3600, 1),"
            " round(percentile_cont(0.9) WITHIN GROUP (ORDER BY wait)::numeric / 3600, 1)"
            f" FROM (SELECT extract(epoch FROM merged_at - created_at) AS wait {PULLS}"
            " AND merged_at IS NOT NULL) waits",
            "Of {} pull requests of REPO that were merged WINDOW, half were merged within {} hours of being opened and"
            " nine of ten within {} hours [1].",
        ),
        (
            "How often does {} release?", "release_cadence", "releases",
            "SELECT count(*), (SELECT tag FROM starsearch.releases newest WHERE newest.repo_id = min(releases.repo_id)"
            f" ORDER BY created_at DESC LIMIT 1) FROM starsearch.releases {OF_REPO}",
            "From 2025-10-06 to 2025-10-08, REPO published {} releases*The newest is {},",
        ),
        (
            "How many pushes go straight to main in {}?", "unreviewed_pushes", "commits",
            f"SELECT count(*) {EVENTS} AND type = 'PushEvent'"
            " AND payload ->> 'ref' IN ('refs/heads/main', 'refs/heads/master')",
            "Of {} pushes to main or master of REPO WINDOW, ",
        ),
        (
            "Do stargazers of {} come back to contribute?", "contributor_confidence", "stargazers",
            f"SELECT count(DISTINCT actor_login) {EVENTS} AND type IN ('WatchEvent', 'ForkEvent')",
            "Of {} people who first starred or forked REPO WINDOW, ",
        ),
        (
            "Is {} still alive?", "activity_trend", "pulse",
            "SELECT sum(done) FILTER (WHERE day = '2025-10-08'), sum(done) FILTER (WHERE day = '2025-10-07') FROM ("
            " SELECT day, commits + pull_requests_opened + pull_requests_merged + pull_requests_closed + reviews"
            f" + review_comments + issues_opened + issues_closed + comments + releases AS done"
            f" FROM starsearch.contributor_days {OF_REPO} AND NOT is_bot AND person <> '') days",
            "On 2025-10-08, REPO had {} contributions by people,* fewer than the {} on the day before [1].",
        ),
        (
            "Who are the new contributors of {}?", "cohorts", "graphs/contributors",
            f"SELECT count(DISTINCT person) FROM starsearch.contributor_days {OF_REPO} AND NOT is_bot"
            " AND person <> '' AND day = '2025-10-08'",
            "{} people contributed to REPO on 2025-10-08: ",
        ),
        (
            "How long until a first response in {}?", "response_times", "issues?q=sort%3Acomments-desc",
            "SELECT count(*), round(percentile_cont(0.5) WITHIN GROUP (ORDER BY wait)::numeric / 3600, 1) FROM ("
            " SELECT extract(epoch FROM min(c.created_at) - p.created_at) AS wait"
            " FROM starsearch.pull_requests p JOIN starsearch.repositories r USING (repo_id)"
            " JOIN starsearch.comments c ON c.repo_id = p.repo_id AND c.ref = p.number::text"
            "  AND c.kind = 'pull_request' AND NOT c.author_is_bot AND lower(c.author_login) <> lower(p.author_login)"
            " WHERE r.name = %(repo)s GROUP BY p.number, p.created_at) waits",
            "Of {} pull requests of REPO that got their first response WINDOW, half had it within {} hours",
        ),
    ],
)  # fmt: skip
def test_figures_are_those_of_the_tables(asks, sql, question, ref, page, query, told) -> None:
    """Each measure's sentence has what SQL over its sources gives, and is cited with the page to look it up."""
    row = sql.execute(query, {"repo": REACT}).fetchone()
    expected = told.format(*row).replace("WINDOW", WINDOW)
    answer = asks.ask(question.format(REACT))
    pattern = ".*".join(re.escape(part) for part in expected.replace("REPO", REACT).split("*"))
    assert re.search(pattern, answer.answer, re.DOTALL), (expected, answer.answer)
    assert one(answer) == ("measure", ref, REACT, f"https://github.com/{REACT}/{page}")


def test_shares_are_those_of_the_truth(asks, demo_tools, demo) -> None:
    """Who opened how many pull requests, after the lottery factor that has always answered this."""
    counts = demo.truth.lottery.counts
    answer = asks.ask(f"Who are the top contributors of {REACT}?")
    assert [one.ref for one in answer.citations] == ["lottery_factor", "contributor_share"]
    assert f"at least half of the {sum(count for _, count in counts)} pull requests" in answer.answer
    evidence = Evidence()
    scope, release = Scope(repos=(REACT,)), load_release(demo_tools)
    measure(demo_tools, release, "contributor_share", scope, evidence, by="pull_requests")
    assert (
        f"{len(counts)} people opened {sum(count for _, count in counts)} pull requests in {REACT}" in evidence.facts[0]
    )
    assert f"Most active: @{counts[0][0]} {counts[0][1]} (" in evidence.facts[1]


def test_all_releases_of_all_repositories(asks, demo) -> None:
    """No repository named: all that are tracked, together."""
    answer = asks.ask("How many releases were published?")
    number = demo.truth.items["release"]
    assert f"From {WINDOW[5:]}, all tracked repositories published {number} releases" in answer.answer
    assert answer.citations[0].title.startswith("Release cadence of all tracked repositories: ")


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("repos", [(REACT,), (REACT, EMBER), ()])
def test_every_sentence_is_cited_and_backed(demo_tools, name: str, repos: tuple[str, ...]) -> None:
    """An LLM that repeats a measure's sentences word for word is believed; several repositories count together."""
    evidence = Evidence()
    measure(demo_tools, load_release(demo_tools), name, Scope(repos=repos), evidence)
    (citation,) = evidence.citations
    assert citation.kind == "measure"
    assert 1 <= len(evidence.facts) <= 3
    for fact in evidence.facts:
        assert fact.endswith(" [1].")
        assert backed(fact, evidence)
    assert citation.repo == {0: "all tracked repositories", 1: REACT, 2: "2 repositories"}[len(repos)]
    assert f" of {citation.repo}: " in citation.title
    assert citation.url.startswith("https://github.com")


def test_what_cannot_be_measured_says_what_can(demo_tools) -> None:
    """Unknown measures, and sorts that a measure does not count apart."""
    release = load_release(demo_tools)
    with pytest.raises(AnsweringError, match="no measure 'stars': expected one of lottery_factor, "):
        measure(demo_tools, release, "stars", Scope(), Evidence())
    with pytest.raises(AnsweringError, match="only lottery_factor, contributor_share do"):
        measure(demo_tools, release, "merge_times", Scope(), Evidence(), by="commits")


@pytest.mark.parametrize(
    "question", ["How fast are pull requests merged in {}?", "What changed in {} last week?", "bus factor of {}"]
)
def test_an_unknown_repository_gets_a_helpful_no(asks, question: str) -> None:
    """Nothing is answered about others; it says what is near, and how to track it."""
    answer = asks.ask(question.format("emberdb/emberbd"))
    assert answer.abstained
    assert "emberdb/emberbd is not among the tracked repositories" in answer.answer
    assert "Did you mean emberdb/emberdb?" in answer.answer


def test_an_undefined_measure_says_why(asks) -> None:
    """No figure stands for unknown; which days were looked at is said."""
    answer = asks.ask(f"How often did {EMBER} release on 2025-10-08?")
    assert answer.abstained
    assert (
        f"The release cadence of {EMBER} is undefined: no release was published in this window. Only what was active"
        " on 2025-10-08 was looked at."
    ) in answer.answer


def test_repositories_are_compared_one_by_one(asks) -> None:
    """Several repositories count together, unless the question compares them."""
    assert [one.repo for one in asks.ask(f"Merge ratio of {REACT} and {EMBER}").citations] == ["2 repositories"]
    compared = asks.ask(f"Compare the merge ratio of {REACT} and {EMBER}")
    assert [one.repo for one in compared.citations] == [REACT, EMBER]


def test_a_time_narrows_a_measure(asks, sql) -> None:
    """Yesterday is the release's last day; only what was merged then is counted."""
    merged = sql.execute(
        f"SELECT count(*) {PULLS} AND merged_at >= '2025-10-08Z' AND merged_at < '2025-10-09Z'", {"repo": REACT}
    ).fetchone()[0]
    answer = asks.ask(f"How fast were pull requests merged in {REACT} yesterday?")
    assert answer.answer.startswith(f"Of {merged} pull requests of {REACT} that were merged on 2025-10-08, ")


def test_a_time_never_widens_the_scope(asks) -> None:
    """What the question and the request both allow is looked at; where that is nothing, it says so."""
    question = f"How many pull requests were merged in {REACT} since 2025-10-06?"
    held = asks.ask(question, Scope(until=date(2025, 10, 7)))
    assert "that ended on 2025-10-06" in held.answer
    outside = asks.ask("How fast are PRs merged in March 2025?", Scope(since=date(2025, 10, 7)))
    assert outside.abstained
    assert "asks for what was from 2025-03-01 to 2025-03-31, this request allows only" in outside.answer
    turned = asks.ask("How fast are PRs merged between 2025-10-08 and 2025-10-06?")
    assert "The times in the question leave no day" in turned.answer
    other = asks.ask(f"How fast are PRs merged in {EMBER}?", Scope(repos=(REACT,)))
    assert other.abstained
    assert f"This request's scope ({REACT}) leaves out {EMBER}." in other.answer


def test_a_time_narrows_a_search(asks) -> None:
    """Items without activity in the time are not found; the day is that of their latest activity."""
    assert not asks.ask("hydration mismatch since 2025-10-06").abstained
    before = asks.ask("hydration mismatch in 2024")
    assert before.abstained
    assert "Only what was active from 2024-01-01 to 2024-12-31 was looked at." in before.answer


def test_what_changed_in_a_time(asks, sql) -> None:
    """By kind, as many as the tables have, the newest first, each cited and of that day."""
    merged = sql.execute(
        f"SELECT number::text {PULLS} AND title IS NOT NULL AND merged_at >= '2025-10-07Z'"
        " AND merged_at < '2025-10-08Z' ORDER BY merged_at DESC", {"repo": REACT},
    ).fetchall()  # fmt: skip
    closed, released, made = (
        sql.execute(query, {"repo": REACT}).fetchone()[0]
        for query in (
            f"SELECT count(*) FROM starsearch.issues {OF_REPO} AND closed_at::date = '2025-10-07'",
            f"SELECT count(*) FROM starsearch.releases {OF_REPO} AND created_at::date = '2025-10-07'",
            f"SELECT count(*) FROM starsearch.commits {OF_REPO} AND parents < 2 AND committed_at::date = '2025-10-07'",
        )
    )
    answer = asks.ask(f"What changed in {REACT} on 2025-10-07?")
    lines = answer.answer.splitlines()
    assert lines[0].startswith(
        f"{len(merged)} pull requests were merged on 2025-10-07, the newest: {REACT}#{merged[0][0]} “"
    )
    assert lines[1].startswith(f"{closed} issue was closed on 2025-10-07: ")
    assert lines[2].startswith(f"{released} release was published on 2025-10-07: ")
    assert lines[3].startswith(f"{made} commits were made on 2025-10-07, in pull requests that were merged then [")
    cited = [one.ref for one in answer.citations if one.kind == "pull_request"]
    assert cited == [number for (number,) in merged[:5]]


def test_changes_of_one_kind_and_of_no_time(asks) -> None:
    """A kind that is named is the only one; without a change it says so."""
    answer = asks.ask(f"Which issues were closed in {EMBER} yesterday?")
    assert {one.kind for one in answer.citations} == {"issue"}
    nothing = asks.ask(f"What changed in {EMBER} in 2024?")
    assert nothing.abstained
    assert "No pull request was merged, no issue closed, and nothing released or committed." in nothing.answer
