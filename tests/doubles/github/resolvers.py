"""How the schema's fields read the double's state."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from graphql import GraphQLResolveInfo

from tests.doubles.github.analysis import Demand
from tests.doubles.github.connections import Connection, ServiceError, connection
from tests.doubles.github.limits import Budget
from tests.doubles.github.node_ids import node_id, read_node_id
from tests.doubles.github.state import Account, Comment, Issue, PullRequest, Release, Repository, Review, State

LARGEST_INT = 2**31 - 1
SITE = "https://github.com"
Poison = dict[tuple[str, int], Literal["502", "error"]]
Resolver = Callable[..., Any]


@dataclass
class Call:
    """One query under way, as graphql-core's context. bad_gateway: it has touched an item that answers with 502."""

    state: State
    budget: Budget
    demand: Demand
    login: str
    sees_private: bool
    follow_transfers: bool
    poison: Poison
    items_served: int = 0
    bad_gateway: bool = field(default=False, init=False)

    def visible(self, repository: Repository | None) -> Repository | None:
        """The repository, where this caller may see it."""
        if repository is None or repository.deleted or repository.legally_blocked:
            return None
        return repository if self.sees_private or not repository.private else None

    def serve(self, item: Issue) -> Issue | ServiceError:
        """Count an item; one that is poisoned spoils the query or its own place in the data."""
        poison = self.poison.get((item.repository.full_name, item.number)) if self.poison else None
        if poison == "502":
            self.bad_gateway = True
        if poison == "error":
            text = "Something went wrong while executing your query. Please include `{request_id}` when reporting "
            return ServiceError(None, text + "this issue.")
        self.items_served += 1
        return item


def type_name(value: Any, *_: Any) -> str:
    """The name of an object's type in the schema: interfaces and unions ask for it."""
    if isinstance(value, Account):
        return value.kind
    return {Comment: "IssueComment", Review: "PullRequestReview"}.get(type(value), type(value).__name__)


def _repository(_root: Any, info: GraphQLResolveInfo, *, owner: str, name: str, followRenames: bool) -> Repository:  # noqa: N803
    call: Call = info.context
    full_name = f"{owner}/{name}"
    found = call.visible(call.state.named(full_name))
    if found is None and followRenames:
        found = call.visible(call.state.formerly_named(full_name))
    if found is None:
        raise ServiceError("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")
    return found


def _item(kind: type[Issue] | None, words: str) -> Resolver:
    def resolve(repository: Repository, info: GraphQLResolveInfo, *, number: int) -> Issue | ServiceError:
        call: Call = info.context
        item = repository.items.get(number)
        if item is not None and item.transferred_to is not None and call.follow_transfers:
            item = call.state.moved(item)
            item = item if item is not None and call.visible(item.repository) else None
        if item is None or item.deleted or item.transferred_to or (kind is not None and type(item) is not kind):
            raise ServiceError("NOT_FOUND", f"Could not resolve to {words} with the number of {number}.")
        return call.serve(item)

    return resolve


_ITEM_KEYS: dict[str, Callable[[Issue], list[Any]]] = {
    "CREATED_AT": lambda item: [item.created_at.timestamp(), item.number],
    "UPDATED_AT": lambda item: [item.updated_at.timestamp(), item.number],
    "COMMENTS": lambda item: [len(item.comments), item.number],
}


def _items(kind: type[Issue]) -> Resolver:
    def resolve(repository: Repository, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
        filters = arguments.get("filterBy") or {}
        states = filters.get("states") or arguments.get("states")
        labels = filters.get("labels") or arguments.get("labels")
        since = filters.get("since")
        chosen = [
            item
            for item in list(repository.items.values())
            if type(item) is kind
            and not item.deleted
            and item.transferred_to is None
            and (states is None or item.state in states)
            and (labels is None or not set(labels).isdisjoint(item.labels))
            and (since is None or item.updated_at >= since)
        ]
        order = arguments.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
        descending = order["direction"] == "DESC"
        page = connection(info, chosen, _ITEM_KEYS[order["field"]], arguments, descending=descending)
        return page.change(info.context.serve)

    return resolve


def _releases(repository: Repository, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    order = arguments.get("orderBy") or {"field": "CREATED_AT", "direction": "ASC"}
    visible = [one for one in list(repository.releases) if not one.draft or info.context.sees_private]

    def key(release: Release) -> list[Any]:
        first = release.created_at.timestamp() if order["field"] == "CREATED_AT" else release.name or ""
        return [first, release.database_id]

    return connection(info, visible, key, arguments, descending=order["direction"] == "DESC")


def _belonging(item: Issue, what: list[Any]) -> list[Any]:
    """Comments or reviews, which know now whose they are: their ids say it."""
    for one in what:
        one.repository = item.repository
    return list(what)


def _reviews(item: PullRequest, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    states, author = arguments.get("states"), arguments.get("author")
    chosen = [
        one
        for one in _belonging(item, item.reviews)
        if (states is None or one.state in states)
        and (author is None or (one.author is not None and one.author.login == author))
    ]
    return connection(info, chosen, lambda one: [one.submitted_at.timestamp(), one.database_id], arguments)


def _comments(item: Issue, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    comments = _belonging(item, item.comments)
    return connection(info, comments, lambda one: [one.created_at.timestamp(), one.database_id], arguments)


def _labels(item: Issue, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    repository = item.repository.id
    labels = [{"name": name, "id": node_id("Label", repository, zlib.crc32(name.encode()))} for name in item.labels]
    return connection(info, labels, lambda one: [one["name"]], arguments)


def _files(item: PullRequest, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    return connection(info, [{"path": path} for path in item.files], lambda one: [one["path"]], arguments)


def _commits(item: PullRequest, info: GraphQLResolveInfo, **arguments: Any) -> Connection:
    commits = [{"place": place, "commit": {"messageHeadline": one}} for place, one in enumerate(item.commits)]
    return connection(info, commits, lambda one: [one["place"]], arguments)


def _node(call: Call, global_id: str) -> Any:
    missing = ServiceError("NOT_FOUND", f"Could not resolve to a node with the global id of '{global_id}'")
    read = read_node_id(global_id)
    if read is None:
        return missing
    kind, (repository_id, *inner) = read
    repository = call.visible(call.state.repositories.get(repository_id))
    if repository is None or (kind != "Repository" and not inner):
        return missing
    if kind == "Repository":
        return repository
    if kind == "Release":
        return next((one for one in list(repository.releases) if one.database_id == inner[0]), missing)
    items = (one for one in list(repository.items.values()) if one.database_id == inner[0])
    item = next((one for one in items if type(one).__name__ == kind), None)
    return missing if item is None or item.deleted or item.transferred_to else call.serve(item)


def _nodes(_root: Any, info: GraphQLResolveInfo, *, ids: Sequence[str]) -> list[Any]:
    if len(ids) > 100:
        message = f"You may not provide more than 100 node ids; you provided {len(ids)}."
        raise ServiceError("ARGUMENT_LIMIT", message)
    return [_node(info.context, one) for one in ids]


def _rate_limit(_root: Any, info: GraphQLResolveInfo, **_arguments: Any) -> dict[str, Any]:
    call: Call = info.context
    budget = call.budget.as_json()
    reset_at = budget.pop("reset")
    return {**budget, "cost": call.demand.cost, "nodeCount": call.demand.nodes, "resetAt": reset_at}


def _id(*inner: str) -> Resolver:
    def resolve(source: Any, _info: GraphQLResolveInfo) -> str:
        outer = [source.repository.id] if inner else []
        number = source.database_id if inner or isinstance(source, Account) else source.id
        return node_id(type_name(source), *outer, number)

    return resolve


def _int(name: str) -> Resolver:
    def resolve(source: Any, _info: GraphQLResolveInfo) -> int | None:
        value = getattr(source, name)
        return value if value <= LARGEST_INT else None

    return resolve


def attribute(field_name: str) -> Resolver:
    """Reads the attribute of the same name in Python's spelling."""
    name = re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", field_name)
    return lambda source, _info, **_arguments: getattr(source, name)


def _get(read: Callable[[Any], Any]) -> Resolver:
    return lambda source, _info, **_arguments: read(source)


def _path(item: Issue) -> str:
    word = "pull" if isinstance(item, PullRequest) else "issues"
    return f"/{item.repository.full_name}/{word}/{item.number}"


_ACCOUNT: dict[str, Resolver] = {
    "avatarUrl": _get(lambda one: f"https://avatars.githubusercontent.com/u/{one.database_id}?v=4"),
    "id": _id(),
    "resourcePath": _get(lambda one: f"/apps/{one.login}" if one.is_bot else f"/{one.login}"),
    "url": _get(lambda one: f"{SITE}/apps/{one.login}" if one.is_bot else f"{SITE}/{one.login}"),
}
_STORED: dict[str, Resolver] = {
    "body": _get(lambda one: one.body or ""),
    "databaseId": _int("database_id"),
    "fullDatabaseId": attribute("databaseId"),
    "id": _id("repository"),
}
_ITEM: dict[str, Resolver] = {
    **_STORED,
    "closed": _get(lambda one: one.state != "OPEN"),
    "comments": _comments,
    "labels": _labels,
    "resourcePath": _get(_path),
    "url": _get(lambda one: SITE + _path(one)),
}
_RESOLVERS: dict[str, dict[str, Resolver]] = {
    "Query": {
        "node": lambda _root, info, *, id: _node(info.context, id),  # noqa: A006 - GitHub's name
        "nodes": _nodes,
        "rateLimit": _rate_limit,
        "repository": _repository,
        "viewer": lambda _root, info: Account(info.context.login),
    },
    "User": _ACCOUNT,
    "Bot": _ACCOUNT,
    "Organization": _ACCOUNT,
    "Repository": {
        "databaseId": _int("id"),
        "id": _id(),
        "isArchived": attribute("archived"),
        "isPrivate": attribute("private"),
        "issue": _item(Issue, "an Issue"),
        "issueOrPullRequest": _item(None, "an issue or pull request"),
        "issues": _items(Issue),
        "nameWithOwner": attribute("fullName"),
        "owner": _get(lambda one: Account(one.owner, is_organization=True)),
        "pullRequest": _item(PullRequest, "a PullRequest"),
        "pullRequests": _items(PullRequest),
        "releases": _releases,
        "resourcePath": _get(lambda one: f"/{one.full_name}"),
        "url": _get(lambda one: f"{SITE}/{one.full_name}"),
        "visibility": _get(lambda one: "PRIVATE" if one.private else "PUBLIC"),
    },
    "Issue": _ITEM,
    "PullRequest": {
        **_ITEM,
        "changedFiles": _get(lambda one: len(one.files)),
        "commits": _commits,
        "files": _files,
        "isDraft": attribute("draft"),
        "merged": _get(lambda one: one.state == "MERGED"),
        "reviews": _reviews,
    },
    "PullRequestReview": {**_STORED, "createdAt": attribute("submittedAt")},
    "IssueComment": _STORED,
    "Release": {
        "databaseId": _int("database_id"),
        "description": attribute("body"),
        "id": _id("repository"),
        "isDraft": attribute("draft"),
        "isPrerelease": attribute("prerelease"),
        "resourcePath": _get(lambda one: f"/{one.repository.full_name}/releases/tag/{one.tag}"),
        "tagName": attribute("tag"),
        "updatedAt": attribute("createdAt"),
        "url": _get(lambda one: f"{SITE}/{one.repository.full_name}/releases/tag/{one.tag}"),
    },
}
# Their values are mappings with GitHub's own names.
_MAPPINGS = re.compile(r"Edge$|^(Commit|Label|PageInfo|PullRequestChangedFile|PullRequestCommit|RateLimit)$")


def resolver(type_name: str, field_name: str) -> Resolver:
    """How a field of a type reads its value."""
    if own := _RESOLVERS.get(type_name, {}).get(field_name):
        return own
    if _MAPPINGS.search(type_name):
        return lambda source, _info: source[field_name]
    if type_name.endswith("Connection"):
        return lambda source, _info: getattr(source, field_name)
    return attribute(field_name)
