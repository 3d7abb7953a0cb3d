"""Pull requests, issues and repositories as GitHub's GraphQL API shows them, many a query."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

from resources.github import GitHub, Reply
from resources.github_limits import NODES_A_QUERY
from resources.kinds import ISSUE, PULL_REQUEST, Kind

ITEMS_A_QUERY = 49
"""49 pull requests cost 2 points, one more 3; 100 with their texts have answered 502."""
REPOSITORIES_A_QUERY = 100

_CONNECTIONS = {PULL_REQUEST.name: 5, ISSUE.name: 2}
_NODES = {PULL_REQUEST.name: 170, ISSUE.name: 40}
assert ITEMS_A_QUERY * max(_NODES.values()) <= NODES_A_QUERY
_FIELDS = {PULL_REQUEST.name: ("pullRequest", "PullRequestFields"), ISSUE.name: ("issue", "IssueFields")}


@dataclass(frozen=True)
class ItemKey:
    """A pull request or an issue, under the repository's name of the moment."""

    repo_id: int
    owner: str
    name: str
    number: int


@dataclass(frozen=True)
class Person:
    """Who wrote something. A bot's login ends in [bot], as events have it."""

    login: str
    is_bot: bool


@dataclass(frozen=True)
class Said:
    """A comment or a review. source: `comment` or `review`."""

    source: str
    comment_id: int
    body: str
    author: Person | None
    created_at: datetime


@dataclass(frozen=True)
class RepositoryState:
    """A repository as GitHub shows it now."""

    repo_id: int
    full_name: str
    private: bool


@dataclass(frozen=True)
class ItemState:
    """A pull request or an issue as GitHub shows it now.

    files: at most the first 100 changed paths. commits: headlines of at most the last 20, oldest first; GitHub cuts
    a long one and ends it in an ellipsis. Both are None where GitHub does not tell them, as of every issue.
    """

    repository: RepositoryState
    number: int
    title: str
    body: str
    state: str
    created_at: datetime
    closed_at: datetime | None
    merged_at: datetime | None
    merged_by: str | None
    author: Person | None
    labels: tuple[str, ...]
    files: tuple[str, ...] | None
    files_total: int | None
    commits: tuple[str, ...] | None
    commits_total: int | None
    said: tuple[Said, ...]


@dataclass(frozen=True)
class NotFound:
    """GitHub has no such thing, or none that this token may see. whole_repository: nor its repository."""

    whole_repository: bool


ItemAnswer = ItemState | NotFound
RepositoryAnswer = RepositoryState | NotFound


def points_of_items(kind: Kind, items: int) -> int:
    """What a query for so many items costs: its connections by hundreds, rounded, at least 1."""
    return max(1, int(items * _CONNECTIONS[kind.name] / 100 + 0.5))


async def fetch_items(github: GitHub, kind: Kind, keys: Sequence[ItemKey]) -> Mapping[ItemKey, ItemAnswer | str]:
    """Ask for items of one kind; a text says why one could not be had this time."""
    field, fragment = _FIELDS[kind.name]
    by_repository: dict[tuple[str, str], list[ItemKey]] = {}
    for key in keys:
        by_repository.setdefault((key.owner, key.name), []).append(key)
    query = Query(fragment, "RepositoryFields")
    for owner, name in by_repository:
        numbers = " ".join(
            f"i{key.number}: {field}(number: {key.number}) {{ ...{fragment} }}" for key in by_repository[owner, name]
        )
        query.repository(owner, name, f"...RepositoryFields {numbers}")
    reply = await github.graphql(query.text(), query.variables, points_of_items(kind, len(keys)))
    answers: dict[ItemKey, ItemAnswer | str] = {}
    for position, group in enumerate(by_repository.values()):
        for key in group:
            answers[key] = _item(reply, f"r{position}", f"i{key.number}")
    return answers


async def fetch_repositories(github: GitHub, names: Sequence[str]) -> Mapping[str, RepositoryAnswer | str]:
    """Resolve owner/name; a former name leads to the repository as it is called now."""
    query = Query("RepositoryFields")
    for name in names:
        owner, _, short = name.partition("/")
        query.repository(owner, short, "...RepositoryFields")
    reply = await github.graphql(query.text(), query.variables, 1)
    return {name: repository_answer(reply, f"r{position}") for position, name in enumerate(names)}


def repository_answer(reply: Reply, alias: str) -> RepositoryAnswer | str:
    """The repository under `alias`, or why it is not there."""
    found = reply.data.get(alias)
    if found is not None:
        return _repository(found)
    return _missing(reply, (alias,), whole_repository=True)


class Query:
    """A query over several repositories: alias rN is the N-th, names travel as variables."""

    def __init__(self, *fragments: str) -> None:
        self.variables: dict[str, str] = {}
        self._fragments = fragments
        self._parts: list[str] = []

    def repository(self, owner: str, name: str, selection: str) -> None:
        """Add a repository and what is asked of it."""
        number = len(self._parts)
        self.variables |= {f"o{number}": owner, f"n{number}": name}
        self._parts.append(f"r{number}: repository(owner: $o{number}, name: $n{number}) {{ {selection} }}")

    def text(self) -> str:
        """The GraphQL document."""
        declared = ", ".join(f"${name}: String!" for name in self.variables)
        fragments = "\n".join(_fragments()[name] for name in self._fragments)
        return f"query Ask({declared}) {{\n" + "\n".join(self._parts) + f"\n}}\n{fragments}"


def person(actor: Mapping[str, Any] | None) -> Person | None:
    """An Actor; GraphQL leaves the [bot] of a bot's login out. None: the account is gone."""
    if actor is None:
        return None
    login, is_bot = actor["login"], actor.get("__typename") == "Bot"
    return Person(f"{login}[bot]" if is_bot and not login.endswith("[bot]") else login, is_bot)


def moment(value: str | None) -> datetime | None:
    """A DateTime scalar."""
    return None if value is None else datetime.fromisoformat(value)


def _item(reply: Reply, repository: str, alias: str) -> ItemAnswer | str:
    outer = reply.data.get(repository)
    if outer is None:
        return _missing(reply, (repository,), whole_repository=True)
    found = outer.get(alias)
    if found is None:
        return _missing(reply, (repository, alias), whole_repository=False)
    files, commits, merger = found.get("files"), found.get("commits"), person(found.get("mergedBy"))
    created_at = moment(found["createdAt"])
    assert created_at is not None
    return ItemState(
        repository=_repository(found["repository"]),
        number=found["number"],
        title=found["title"],
        body=found["body"],
        state="open" if found["state"] == "OPEN" else "closed",
        created_at=created_at,
        closed_at=moment(found["closedAt"]),
        merged_at=moment(found.get("mergedAt")),
        merged_by=None if merger is None else merger.login,
        author=person(found["author"]),
        labels=tuple(sorted(node["name"] for node in _nodes(found["labels"]))),
        files=None if files is None else tuple(node["path"] for node in _nodes(files)),
        files_total=None if files is None else files["totalCount"],
        commits=None if commits is None else tuple(node["commit"]["messageHeadline"] for node in _nodes(commits)),
        commits_total=None if commits is None else commits["totalCount"],
        said=(*_said("comment", found["comments"], "createdAt"), *_said("review", found.get("reviews"), "submittedAt")),
    )


def _said(source: str, connection: Mapping[str, Any] | None, time: str) -> list[Said]:
    return [
        Said(source, int(node["fullDatabaseId"]), node["body"], person(node["author"]), at)
        for node in _nodes(connection)
        if node["fullDatabaseId"] is not None and (at := moment(node[time])) is not None  # None: a pending review
    ]


def _nodes(connection: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """A connection's nodes; GitHub puts null where it could not load one."""
    return [node for node in (connection or {}).get("nodes") or () if node is not None]


def _repository(found: Mapping[str, Any]) -> RepositoryState:
    return RepositoryState(found["databaseId"], found["nameWithOwner"], found["isPrivate"])


def _missing(reply: Reply, path: tuple[str, ...], *, whole_repository: bool) -> NotFound | str:
    for error in reply.errors:
        if error.path[: len(path)] == path:
            return NotFound(whole_repository) if error.type == "NOT_FOUND" else error.message or error.type
    return "GitHub answered null and no error"


@functools.cache
def _fragments() -> dict[str, str]:
    """The fragments of github_queries/, by name."""
    found: dict[str, str] = {}
    for file in files("resources").joinpath("github_queries").iterdir():
        for part in file.read_text(encoding="utf-8").split("fragment ")[1:]:
            found[part.split(None, 1)[0]] = f"fragment {part.strip()}"
    return found
