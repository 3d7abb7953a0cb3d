"""The double's REST API: which repository or item a path names, and GitHub's answer to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from tests.doubles.github import replies
from tests.doubles.github.replies import Reply
from tests.doubles.github.rest_objects import issue_object, pull_request_object, repository_object
from tests.doubles.github.state import Issue, PullRequest, Repository, State

_REPOSITORY = re.compile(r"/(?:repos/(?P<full_name>[^/]+/[^/]+)|repositories/(?P<id>\d+))(?P<rest>/.*)?")
_OWNED = re.compile(r"/(orgs|users)/([^/]+)/repos")
_ITEM = re.compile(r"/(issues|pulls)/(\d+)")
_ISSUE_KEYS = {
    "created": lambda item: (item.created_at, item.number),
    "updated": lambda item: (item.updated_at, item.number),
    "comments": lambda item: (len(item.comments), item.number),
}


@dataclass(frozen=True)
class RestCaller:
    """Who asks: the base URL that links carry, and whether private repositories may be seen."""

    api: str
    sees_private: bool


def rest_reply(state: State, path: str, query: dict[str, str], caller: RestCaller) -> tuple[Reply, int]:
    """The honest answer to a GET, and how many issues and pull requests are in it."""
    if match := _OWNED.fullmatch(path):
        return _owned(state, match, query, caller), 0
    match = _REPOSITORY.fullmatch(path)
    if match is None:
        return replies.not_found(), 0
    rest = match["rest"] or ""
    if match["id"]:
        repository = state.repositories.get(int(match["id"]))
    else:
        repository = state.named(match["full_name"])
        if repository is None or repository.deleted:
            repository = _visible(state.formerly_named(match["full_name"]), caller)
            if repository is not None:
                return replies.moved_permanently(f"{caller.api}/repositories/{repository.id}{rest}"), 0
    repository = _visible(repository, caller)
    if repository is None:
        return replies.not_found(), 0
    if repository.legally_blocked:
        return replies.legally_blocked(), 0
    return _within(repository, rest, query, caller)


def poisoned_item(state: State, path: str) -> tuple[str, int] | None:
    """The (full name, number) of the one item that a path names."""
    match = _REPOSITORY.fullmatch(path)
    item = _ITEM.fullmatch(match["rest"] or "") if match else None
    if match is None or item is None:
        return None
    repository = state.repositories.get(int(match["id"])) if match["id"] else state.named(match["full_name"])
    return None if repository is None else (repository.full_name, int(item[2]))


def _visible(repository: Repository | None, caller: RestCaller) -> Repository | None:
    if repository is None or repository.deleted or (repository.private and not caller.sees_private):
        return None
    return repository


def _owned(state: State, match: re.Match[str], query: dict[str, str], caller: RestCaller) -> Reply:
    """The public repositories of an owner; it is an organization unless it is among the state's users."""
    kind, owner = match[1], match[2].lower()
    known = {one.owner.lower() for one in state.repositories.values()} | state.users
    if owner not in known or (kind == "orgs") == (owner in state.users):
        return replies.not_found()
    visible = [
        one
        for one in list(state.repositories.values())
        if one.owner.lower() == owner and not one.private and _visible(one, caller) is not None
    ]
    size, page = min(int(query.get("per_page", "30")), 100), max(int(query.get("page", "1")), 1)
    return Reply(body=[repository_object(one, caller.api) for one in visible[(page - 1) * size : page * size]])


def _within(repository: Repository, rest: str, query: dict[str, str], caller: RestCaller) -> tuple[Reply, int]:
    if rest == "":
        return Reply(body=repository_object(repository, caller.api)), 0
    if rest == "/issues":
        return _issues(repository, query, caller)
    if match := _ITEM.fullmatch(rest):
        item = repository.items.get(int(match[2]))
        reply = _issue(item, caller) if match[1] == "issues" else _pull_request(item, caller)
        return reply, int(reply.status == 200)
    return replies.not_found(), 0


def _issue(item: Issue | None, caller: RestCaller) -> Reply:
    if item is not None and item.transferred_to is not None:
        repository_id, number = item.transferred_to
        return replies.moved_permanently(f"{caller.api}/repositories/{repository_id}/issues/{number}")
    if item is None or (item.deleted and isinstance(item, PullRequest)):
        return replies.not_found()
    return replies.gone() if item.deleted else Reply(body=issue_object(item, caller.api))


def _pull_request(item: Issue | None, caller: RestCaller) -> Reply:
    if not isinstance(item, PullRequest) or item.deleted or item.transferred_to is not None:
        return replies.not_found()
    return Reply(body=pull_request_object(item, caller.api))


def _issues(repository: Repository, query: dict[str, str], caller: RestCaller) -> tuple[Reply, int]:
    """Issues and pull requests, newest first unless asked otherwise, with GitHub's Link header."""
    try:
        since = datetime.fromisoformat(query["since"]) if "since" in query else None
        size, page = min(int(query.get("per_page", "30")), 100), max(int(query.get("page", "1")), 1)
        key = _ISSUE_KEYS[query.get("sort", "created")]
    except (ValueError, KeyError):
        return replies.unprocessable(), 0
    state = query.get("state", "open")
    chosen = [
        item
        for item in list(repository.items.values())
        if not item.deleted
        and item.transferred_to is None
        and (state == "all" or (item.state == "OPEN") == (state == "open"))
        and (since is None or item.updated_at >= since)
    ]
    chosen.sort(key=key, reverse=query.get("direction", "desc") == "desc")
    here = chosen[(page - 1) * size : page * size]
    reply = Reply(body=[issue_object(item, caller.api) for item in here])
    return replace(reply, headers=_links(repository, query, caller, page, -(-len(chosen) // size))), len(here)


def _links(repository: Repository, query: dict[str, str], caller: RestCaller, page: int, last: int) -> dict[str, str]:
    """As GitHub writes them: the repository by its id, and only pages that exist."""
    pages: dict[str, Any] = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    absent = {"prev", "first"} if page == 1 else set()
    absent |= {"next", "last"} if page >= last else set()
    base = f"{caller.api}/repositories/{repository.id}/issues"
    links = [
        f'<{base}?{urlencode({**query, "page": number})}>; rel="{rel}"'
        for rel, number in pages.items()
        if rel not in absent
    ]
    return {"Link": ", ".join(links)} if links else {}
