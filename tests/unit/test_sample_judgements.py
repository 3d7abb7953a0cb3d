"""The sample's judged queries name what is there, and ask for it in words of their own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from resources.kinds import BY_NAME, COMMIT
from starsearch_assets.relevance.names import ItemName
from starsearch_assets.relevance.sets import JudgedQuery, read_set, write_set
from starsearch_assets.sample import History, write_histories
from starsearch_assets.sample.cast import REPOSITORIES
from starsearch_assets.sample.items import plan_items, plan_releases
from starsearch_assets.sample.judgements import SET, judged_queries
from starsearch_assets.sample.story import tell_story


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, ...]:
    """The sample's git repositories."""
    histories = write_histories(tmp_path_factory.mktemp("git"))
    assert histories is not None, "git is not installed"
    return histories


@pytest.fixture(scope="module")
def queries(histories: tuple[History, ...]) -> tuple[JudgedQuery, ...]:
    """Read once."""
    return judged_queries(histories)


@pytest.fixture(scope="module")
def titles(histories: tuple[History, ...]) -> dict[ItemName, str]:
    """Titles of all items that search can find; of commits as git tells them."""
    items, releases = plan_items(), plan_releases()
    tell_story(items, releases)
    found = {ItemName(one.kind, one.repository.name, str(one.number)): one.title for one in items if one.has_text}
    for one in releases:
        found[ItemName("release", one.repository.name, one.notes.tag)] = one.notes.tag
    for history in histories:
        log = subprocess.run(
            ["git", "log", "--format=%H %s", "main"], cwd=history.path, check=True, capture_output=True, text=True
        )
        for line in log.stdout.splitlines():
            sha, _, subject = line.partition(" ")
            found[ItemName(COMMIT.name, history.repo, sha)] = subject
    return found


def words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))


def test_there_are_enough_and_some_have_no_answer(queries: tuple[JudgedQuery, ...]) -> None:
    """Each is asked once; of all kinds and of all repositories; several items and both grades occur."""
    assert 60 <= len(queries) <= 100
    assert len({one.text for one in queries}) == len({one.query_id for one in queries}) == len(queries)
    assert 12 <= sum(not one.grades for one in queries) <= 20
    names = [name for one in queries for name in one.grades]
    assert {name.kind for name in names} == set(BY_NAME)
    assert {name.repo for name in names} == {one.name for one in REPOSITORIES}
    assert sum(len(one.grades) > 1 for one in queries) >= 20
    assert {grade for one in queries for grade in one.grades.values()} == {1, 2}


def test_every_judged_item_is_there(queries: tuple[JudgedQuery, ...], titles: dict[ItemName, str]) -> None:
    """And no answer is only half a one."""
    for one in queries:
        assert set(one.grades) <= set(titles), one.text
        assert not one.grades or max(one.grades.values()) == 2, one.text


def test_most_share_few_words_with_what_they_look_for(
    queries: tuple[JudgedQuery, ...], titles: dict[ItemName, str]
) -> None:
    """A query that repeats a title says nothing about search."""
    answered = [one for one in queries if one.grades]
    shares = [
        max(len(words(one.text) & words(titles[name])) for name in one.grades) / max(len(words(one.text)), 1)
        for one in answered
    ]
    assert sum(share < 0.4 for share in shares) >= 0.7 * len(answered)


def test_merge_commits_only_repeat(queries: tuple[JudgedQuery, ...], titles: dict[ItemName, str]) -> None:
    """A merge commit has its pull request's title and nothing else: it never is the whole answer."""
    merges = [
        grade
        for one in queries
        for name, grade in one.grades.items()
        if name.kind == COMMIT.name and titles[name].startswith("Merge pull request")
    ]
    assert merges
    assert set(merges) == {1}


def test_without_git_only_commits_are_missing(queries: tuple[JudgedQuery, ...]) -> None:
    """The same queries with the same grades of everything else."""
    without = judged_queries(())
    assert [(one.query_id, one.text) for one in without] == [(one.query_id, one.text) for one in queries]
    for one, full in zip(without, queries, strict=True):
        assert one.grades == {name: grade for name, grade in full.grades.items() if name.kind != COMMIT.name}


def test_they_are_a_set_in_trec_form(queries: tuple[JudgedQuery, ...], tmp_path: Path) -> None:
    """Written and read they are the same, those without an answer too."""
    write_set(tmp_path, SET, queries)
    assert read_set(tmp_path, SET).queries == queries
