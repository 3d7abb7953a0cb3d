"""What changed in many repositories since a moment, as GitHub's GraphQL API lists it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from resources.github import GitHub
from resources.github_items import NotFound, Person, Query, RepositoryState, moment, person, repository_answer

REPOSITORIES_A_QUERY = 33
"""Three connections each: 99 of them cost one point."""
FIRST_PAGE, NEXT_PAGE = 10, 100
"""Pull requests and issues of a repository: in the query over many, and in each page after it."""
_RELEASES = 10
PAGES_A_REPOSITORY = 30
"""A repository with more changes than so many pages of 100 hold is cut there, and that is recorded."""


@dataclass(frozen=True)
class Change:
    """A pull request or issue as the list shows it: without its texts."""

    number: int
    state: str
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    merged_at: datetime | None
    author: Person | None


@dataclass(frozen=True)
class NewRelease:
    """A release, with its text."""

    tag: str
    title: str
    body: str
    author: str | None
    created_at: datetime
    published_at: datetime
    prerelease: bool


@dataclass
class Changes:
    """What changed in one repository. cut: there was more than is read."""

    repository: RepositoryState
    pull_requests: list[Change] = field(default_factory=list)
    issues: list[Change] = field(default_factory=list)
    releases: list[NewRelease] = field(default_factory=list)
    cut: bool = False


@dataclass(frozen=True)
class _List:
    """One list of a repository and how it is asked for. GitHub filters only issues by time."""

    field: str
    fragment: str
    filtered: bool

    def selection(self, size: int, since: datetime, after: str = "") -> str:
        arguments = f"first: {size}{after}, orderBy: {{field: UPDATED_AT, direction: DESC}}"
        if self.filtered:
            arguments += f', filterBy: {{since: "{since:%Y-%m-%dT%H:%M:%SZ}"}}'
        return f"{self.field}({arguments}) {{ ...{self.fragment} }}"


_PULL_REQUESTS = _List("pullRequests", "UpdatedPullRequests", filtered=False)
_ISSUES = _List("issues", "UpdatedIssues", filtered=True)


async def fetch_updates(
    github: GitHub, names: Sequence[str], since: datetime
) -> Mapping[str, Changes | NotFound | str]:
    """What was updated at or after `since` in each repository (owner/name); a text says why it could not be had."""
    query = Query("RepositoryFields", "UpdatedPullRequests", "UpdatedIssues", "NewReleases")
    releases = f"releases(first: {_RELEASES}, orderBy: {{field: CREATED_AT, direction: DESC}}) {{ ...NewReleases }}"
    for name in names:
        owner, _, short = name.partition("/")
        lists = f"{_PULL_REQUESTS.selection(FIRST_PAGE, since)} {_ISSUES.selection(FIRST_PAGE, since)}"
        query.repository(owner, short, f"...RepositoryFields {lists} {releases}")
    reply = await github.graphql(query.text(), query.variables, 1)
    answers: dict[str, Changes | NotFound | str] = {}
    for position, name in enumerate(names):
        state = repository_answer(reply, f"r{position}")
        if not isinstance(state, RepositoryState):
            answers[name] = state
            continue
        answers[name] = await _changes(github, name, state, reply.data[f"r{position}"], since)
    return answers


async def _changes(
    github: GitHub, name: str, state: RepositoryState, found: Mapping[str, Any], since: datetime
) -> Changes:
    changes = Changes(state)
    if state.private:
        return changes
    for one, into in ((_PULL_REQUESTS, changes.pull_requests), (_ISSUES, changes.issues)):
        page = found[one.field]
        pages = 1
        while _take(page, since, into):
            if pages == PAGES_A_REPOSITORY:
                changes.cut = True
                break
            page = await _next_page(github, name, one, page["pageInfo"]["endCursor"], since)
            pages += 1
    changes.releases.extend(
        _release(node)
        for node in found["releases"]["nodes"]
        if node is not None and node["publishedAt"] is not None and not node["isDraft"]
    )
    return changes


async def _next_page(github: GitHub, name: str, one: _List, cursor: str, since: datetime) -> Mapping[str, Any]:
    query = Query(one.fragment)
    owner, _, short = name.partition("/")
    query.repository(owner, short, one.selection(NEXT_PAGE, since, f', after: "{cursor}"'))
    page: Mapping[str, Any] = (await github.graphql(query.text(), query.variables, 1)).data["r0"][one.field]
    return page


def _take(page: Mapping[str, Any], since: datetime, into: list[Change]) -> bool:
    """Add the page's changes; whether the next page may hold more."""
    known = {change.number for change in into}
    for node in page["nodes"]:
        if node is None:
            continue
        change = _change(node)
        if change.updated_at < since:
            return False
        if change.number not in known:  # the list moves while it is read: an item can stand on two pages
            into.append(change)
    return bool(page["pageInfo"]["hasNextPage"])


def _change(node: Mapping[str, Any]) -> Change:
    created_at, updated_at = moment(node["createdAt"]), moment(node["updatedAt"])
    assert created_at is not None
    assert updated_at is not None
    return Change(
        node["number"],
        "open" if node["state"] == "OPEN" else "closed",
        created_at,
        updated_at,
        moment(node["closedAt"]),
        moment(node.get("mergedAt")),
        person(node["author"]),
    )


def _release(node: Mapping[str, Any]) -> NewRelease:
    created_at, published_at = moment(node["createdAt"]), moment(node["publishedAt"])
    assert created_at is not None
    assert published_at is not None
    return NewRelease(
        node["tagName"], node["name"] or "", node["description"] or "", (node["author"] or {}).get("login"),
        created_at, published_at, node["isPrerelease"],
    )  # fmt: skip
