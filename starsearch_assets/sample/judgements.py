"""The sample's judged queries: what people would ask of it, and which of its items answer.

They are written in `judgements.md`, in the catalogue's form: `### ` starts a query, and each line below it is one item
that answers, `grade kind:owner/name title`. A release is named by its tag, and a commit by the title of the pull
request that it brings in; a merge commit, which only repeats that title, gets grade 1. A query without a line has no
answer in the sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib import resources

from resources.kinds import COMMIT, PULL_REQUEST, RELEASE
from starsearch_assets.relevance.names import ItemName
from starsearch_assets.relevance.sets import JudgedQuery
from starsearch_assets.sample.catalogue import blocks
from starsearch_assets.sample.history import History
from starsearch_assets.sample.items import plan_items, plan_releases
from starsearch_assets.sample.story import tell_story

SET = "sample"
"""Name of the set that the demo writes."""

_REPEATS = 1

_Subject = tuple[str, str]
"""`kind:owner/name` and a title."""


def judged_queries(histories: Sequence[History]) -> tuple[JudgedQuery, ...]:
    """All queries, in the order of the file. histories: as `write_histories` gives them; without any, no commits.

    Raises:
        ValueError: a line is not in its form, or names what the sample does not hold.
    """
    text = resources.files("starsearch_assets.sample").joinpath("judgements.md").read_text(encoding="utf-8")
    subjects = _subjects(histories)
    queries = []
    for number, (_, query, lines) in enumerate(blocks(text), 1):
        grades: dict[ItemName, int] = {}
        for line in lines:
            grade, place, title = line.split(" ", 2)
            if place.startswith(f"{COMMIT.name}:") and not histories:
                continue
            if not (named := subjects.get((place, title))):
                raise ValueError(f"judgements.md, {query!r}: expected an item of the sample; came {line!r}")
            grades |= {name: min(int(grade), most) for name, most in named.items()}
        queries.append(JudgedQuery(f"q{number:03}", query, grades))
    return tuple(queries)


def _subjects(histories: Sequence[History]) -> Mapping[_Subject, dict[ItemName, int]]:
    """The items of every subject that has a text, each with the highest grade that it can have."""
    items, releases = plan_items(), plan_releases()
    tell_story(items, releases)  # decides what gets a text, and what is merged
    found: dict[_Subject, dict[ItemName, int]] = defaultdict(dict)

    def add(kind: str, repo: str, title: str, ref: str, most: int = 2) -> None:
        found[f"{kind}:{repo}", title][ItemName(kind, repo, ref)] = most

    for item in items:
        if item.has_text:
            add(item.kind, item.repository.name, item.title, str(item.number))
    for release in releases:
        add(RELEASE.name, release.repository.name, release.notes.tag, release.notes.tag)
    titles = {(item.kind, *item.ref): item.title for item in items}
    for history in histories:
        for commit, sha in zip(history.commits, history.shas, strict=True):
            if commit.pull_request is not None:
                title = titles[PULL_REQUEST.name, history.repo, commit.pull_request]
                add(COMMIT.name, history.repo, title, sha, _REPEATS if commit.is_merge else 2)
    return found
