"""GitHub's REST objects: a part of their fields, each with the name and type that GitHub gives it."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

from tests.doubles.github.connections import timestamp
from tests.doubles.github.node_ids import node_id
from tests.doubles.github.state import Account, Issue, PullRequest, Repository

SITE = "https://github.com"
GHOST = Account("ghost")


def user_object(account: Account | None, api: str) -> dict[str, Any]:
    """An account; a deleted one is the user "ghost". A bot's login ends in [bot] here."""
    account = account or GHOST
    login = f"{account.login}[bot]" if account.is_bot else account.login
    number = 10137 if account == GHOST else account.database_id
    return {
        "login": login,
        "id": number,
        "node_id": node_id(account.kind, number),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": f"{api}/users/{login}",
        "html_url": f"{SITE}/apps/{account.login}" if account.is_bot else f"{SITE}/{login}",
        "type": account.kind,
        "site_admin": False,
    }


def repository_object(repository: Repository, api: str) -> dict[str, Any]:
    """A repository."""
    name = repository.full_name
    opened = sum(item.state == "OPEN" and not item.deleted for item in list(repository.items.values()))
    return {
        "id": repository.id,
        "node_id": node_id("Repository", repository.id),
        "name": repository.name,
        "full_name": name,
        "private": repository.private,
        "owner": user_object(Account(repository.owner, is_organization=True), api),
        "html_url": f"{SITE}/{name}",
        "description": repository.description,
        "fork": False,
        "url": f"{api}/repos/{name}",
        "issues_url": f"{api}/repos/{name}/issues{{/number}}",
        "pulls_url": f"{api}/repos/{name}/pulls{{/number}}",
        "releases_url": f"{api}/repos/{name}/releases{{/id}}",
        "created_at": timestamp(repository.created_at),
        "updated_at": timestamp(repository.updated_at),
        "pushed_at": timestamp(repository.updated_at),
        "clone_url": f"{SITE}/{name}.git",
        "stargazers_count": 0,
        "language": None,
        "has_issues": True,
        "archived": repository.archived,
        "disabled": False,
        "open_issues_count": opened,
        "visibility": "private" if repository.private else "public",
        "default_branch": "main",
    }


def issue_object(item: Issue, api: str) -> dict[str, Any]:
    """An issue, or a pull request as an issue, with the key `pull_request`."""
    repository = f"{api}/repos/{item.repository.full_name}"
    url = f"{repository}/issues/{item.number}"
    word = "pull" if isinstance(item, PullRequest) else "issues"
    fields = {
        "url": url,
        "repository_url": repository,
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": f"{SITE}/{item.repository.full_name}/{word}/{item.number}",
        **_common(item, api),
        "comments": len(item.comments),
        "author_association": "NONE",
        "state_reason": "completed" if item.state != "OPEN" and not isinstance(item, PullRequest) else None,
    }
    if isinstance(item, PullRequest):
        fields["draft"] = item.draft
        fields["pull_request"] = {
            "url": f"{repository}/pulls/{item.number}",
            **_pages(item),
            "merged_at": _moment(item.merged_at),
        }
    return fields


def pull_request_object(item: PullRequest, api: str) -> dict[str, Any]:
    """A pull request on its own."""
    repository = f"{api}/repos/{item.repository.full_name}"
    return {
        "url": f"{repository}/pulls/{item.number}",
        **_pages(item),
        "issue_url": f"{repository}/issues/{item.number}",
        **_common(item, api),
        "merged_at": _moment(item.merged_at),
        "merge_commit_sha": _sha(item, "merge"),
        "requested_reviewers": [],
        "requested_teams": [],
        "draft": item.draft,
        "head": _branch(item, f"topic-{item.number}", api),
        "base": _branch(item, "main", api),
        "author_association": "NONE",
        "merged": item.state == "MERGED",
        "merged_by": None if item.state != "MERGED" else user_object(item.merged_by, api),
        "comments": len(item.comments),
        "review_comments": 0,
        "commits": len(item.commits),
        "additions": len(item.files),
        "deletions": 0,
        "changed_files": len(item.files),
    }


def _common(item: Issue, api: str) -> dict[str, Any]:
    repository = item.repository
    return {
        "id": item.database_id,
        "node_id": node_id(type(item).__name__, repository.id, item.database_id),
        "number": item.number,
        "title": item.title,
        "user": user_object(item.author, api),
        "labels": [_label(repository, name, api) for name in item.labels],
        "state": "open" if item.state == "OPEN" else "closed",
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "created_at": timestamp(item.created_at),
        "updated_at": timestamp(item.updated_at),
        "closed_at": _moment(item.closed_at),
        "active_lock_reason": None,
        "body": item.body,
    }


def _label(repository: Repository, name: str, api: str) -> dict[str, Any]:
    number = zlib.crc32(name.encode())
    return {
        "id": number,
        "node_id": node_id("Label", repository.id, number),
        "url": f"{api}/repos/{repository.full_name}/labels/{name}",
        "name": name,
        "color": "ededed",
        "default": False,
        "description": "",
    }


def _pages(item: PullRequest) -> dict[str, str]:
    page = f"{SITE}/{item.repository.full_name}/pull/{item.number}"
    return {"html_url": page, "diff_url": f"{page}.diff", "patch_url": f"{page}.patch"}


def _branch(item: PullRequest, ref: str, api: str) -> dict[str, Any]:
    repository = item.repository
    return {
        "label": f"{repository.owner}:{ref}",
        "ref": ref,
        "sha": _sha(item, ref),
        "user": user_object(Account(repository.owner, is_organization=True), api),
        "repo": repository_object(repository, api),
    }


def _sha(item: Issue, what: str) -> str:
    return hashlib.sha1(f"{item.database_id} {what}".encode(), usedforsecurity=False).hexdigest()


def _moment(value: Any) -> str | None:
    return None if value is None else timestamp(value)
