"""Measures that questions ask for, read by rules."""

from __future__ import annotations

import pytest

from answering.asked_measures import _OF_HEALTH
from answering.question import Intent, read_question
from answering.telling import MEASURES


@pytest.mark.parametrize(
    ("text", "measures"),
    [
        ("How fast are pull requests merged in a/b?", ["merge_times"]),
        ("How long does it take until a PR gets merged in a/b?", ["merge_times"]),
        ("time to merge of a/b", ["merge_times"]),
        ("Does a/b merge pull requests quickly?", ["merge_times"]),
        ("How long do pull requests stay open in a/b?", ["merge_times"]),
        ("Compare the merge times of a/b and c/d", ["merge_times"]),
        ("is a/b still alive", ["activity_trend"]),
        ("Is a/b still actively maintained?", ["activity_trend"]),
        ("Is this project abandoned?", ["activity_trend"]),
        ("How active is https://github.com/a/b?", ["activity_trend"]),
        ("Activity trend of a/b over the past 30 days", ["activity_trend"]),
        ("how often does a/b release", ["release_cadence"]),
        ("Does a/b publish releases regularly?", ["release_cadence"]),
        ("How many releases did a/b publish in 2025?", ["release_cadence"]),
        ("how long until a first response", ["response_times"]),
        ("How responsive are the maintainers of a/b?", ["response_times"]),
        ("How quickly do the maintainers of a/b respond to issues?", ["response_times"]),
        ("median time to first review in a/b", ["response_times"]),
        ("what share of PRs gets merged", ["merge_ratio"]),
        ("How many pull requests were merged in a/b last week?", ["merge_ratio"]),
        ("merge rate of a/b", ["merge_ratio"]),
        ("What percentage of PRs is rejected in a/b?", ["merge_ratio"]),
        ("pushes straight to main", ["unreviewed_pushes"]),
        ("Who pushes directly to master in a/b?", ["unreviewed_pushes"]),
        ("How many pushes bypass review in a/b?", ["unreviewed_pushes"]),
        ("new contributors", ["cohorts"]),
        ("Who are the new contributors of a/b last month?", ["cohorts"]),
        ("Who left a/b?", ["cohorts"]),
        ("contributor churn in a/b", ["cohorts"]),
        ("do stargazers come back to contribute", ["contributor_confidence"]),
        ("How many people who forked a/b contributed?", ["contributor_confidence"]),
        ("How are contributions distributed in a/b?", ["contributor_share"]),
        ("Who does most of the work in a/b?", ["contributor_share"]),
        ("Release cadence and time to merge of a/b", ["release_cadence", "merge_times"]),
        ("How healthy is a/b?", list(_OF_HEALTH)),
    ],
)
def test_measures_are_read(text: str, measures: list[str]) -> None:
    """Whatever words they are asked for in, in the order of the question; all of them exist."""
    question = read_question(text)
    assert (question.intent, list(question.measures)) == (Intent.MEASURE, measures)
    assert set(measures) <= set(MEASURES)


@pytest.mark.parametrize(
    "text",
    [
        "Why is the response time so high in a/b?",
        "How fast are pull requests about caching merged in a/b?",
        "Which PR improves the time to first response of the server?",
        "How often does the cache expire in a/b?",
        "Is the connection still alive after a timeout in a/b?",
        "How long until the first response arrives from the API server?",
        "Which release fixes the merge time chart?",
        "How do I push directly to main in a/b?",
        "Is there a new contributor guide in a/b?",
        "What is the response time of the search endpoint?",
        "What does the star rating contribute to the score?",
        "How quickly does the merge sort run?",
        "What merges to main break the build?",
        "Is the cache active?",
        "Release notes of a/b",
        "Which pull requests were merged in a/b?",
        "What “merge ratio” does the chart show?",
        "Who forked the parser?",
        "How frequently is the token refreshed?",
        "Do not merge on red",
    ],
)
def test_what_sounds_like_a_measure_and_is_about_something(text: str) -> None:
    """A measure counts whole repositories: who names a theme, or asks why or how to, gets a search."""
    question = read_question(text)
    assert question.measures == ()
    assert question.intent in (Intent.SEARCH, Intent.PEOPLE)


def test_measures_of_people_files_and_commits_are_none() -> None:
    """A login, a file or a commit decides: measures are of repositories."""
    assert read_question("How fast does @x merge pull requests in a/b?").intent is Intent.PERSON
    assert read_question("How often is src/a.py changed directly?").intent is Intent.CHANGES
    assert read_question("Was commit 3f2a91c pushed straight to main?").measures == ()


def test_people_of_a_repository_are_told_by_two_measures() -> None:
    """The lottery factor first, then everybody's share; by commits, where they are asked for, the factor is both."""
    assert read_question("Who are the top contributors of a/b?").measures == ("lottery_factor", "contributor_share")
    assert read_question("Who committed to a/b?").measures == ("lottery_factor",)
    assert read_question("bus factor of a/b").measures == ("lottery_factor",)


@pytest.mark.parametrize(
    "text",
    [
        "What changed in a/b last week?",
        "What's new in a/b since 2025-03-01?",
        "What happened in a/b between 2025-03-01 and 2025-04-01?",
        "Summarize a/b in March 2025",
        "Which pull requests were merged in a/b yesterday?",
        "Which issues were closed last month?",
    ],
)
def test_what_changed_in_a_time(text: str) -> None:
    """Changes of everything, or of some kinds, in a time."""
    assert read_question(text).intent is Intent.WHAT_CHANGED


@pytest.mark.parametrize(
    "text",
    [
        "What changed in a/b?",
        "What changed around caching last week?",
        "What changed between v1.2 and v1.3?",
        "What changed in commit 3f2a91c since yesterday?",
        "Which pull requests touched the parser in March 2025?",
    ],
)
def test_changes_of_something_are_searched(text: str) -> None:
    """A theme, or no time: a search."""
    assert read_question(text).intent is Intent.SEARCH
