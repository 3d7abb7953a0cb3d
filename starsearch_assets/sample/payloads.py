"""The JSON objects of the Events API, in the shape before 2025-10-07 (fat) and since (slim).

Shapes follow https://docs.github.com/en/rest/using-the-rest-api/github-event-types and what hour files
hold. Objects are built anew for every event, from the item's state at that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TypeAlias

from starsearch_assets.sample import prose
from starsearch_assets.sample.cast import PEOPLE, Person, Repository
from starsearch_assets.sample.clock import digest, draw, stamp
from starsearch_assets.sample.items import Item, Release

Json: TypeAlias = "str | int | bool | Mapping[str, Json] | Sequence[Json] | None"
Object: TypeAlias = dict[str, Json]

_API = "https://api.github.com"
_WEB = "https://github.com"


def actor(login: str) -> Object:
    """The `actor` or `org` object of an event."""
    person = PEOPLE[login]
    base: Object = {"id": person.id, "login": login}
    if person.type != "Organization":
        base["display_login"] = login.removesuffix("[bot]")
    kind = "orgs" if person.type == "Organization" else "users"
    return base | {"gravatar_id": "", "url": f"{_API}/{kind}/{login}", "avatar_url": _avatar(person)}


@cache
def user(login: str) -> Mapping[str, Json]:
    """A user object as it stands inside of payloads."""
    person = PEOPLE[login]
    name = login.replace("[", "%5B").replace("]", "%5D")
    page = f"{_WEB}/apps/{login.removesuffix('[bot]')}" if person.type == "Bot" else f"{_WEB}/{login}"
    return {
        "login": login,
        "id": person.id,
        "node_id": f"U_{person.id:x}",
        "avatar_url": f"{_avatar(person)}v=4",
        "gravatar_id": "",
        "url": f"{_API}/users/{name}",
        "html_url": page,
        "type": person.type,
        "user_view_type": "public",
        "site_admin": False,
    }


def pull_request_stub(item: Item, at: datetime) -> Object:
    """What is left of a pull request in slim events: exactly base, head, id, number and url."""
    name = item.repository.name_at(at)
    return {
        "url": f"{_API}/repos/{name}/pulls/{item.number}",
        "id": item.id,
        "number": item.number,
        "head": {
            "ref": item.branch,
            "sha": item.head_sha,
            "repo": _repo_stub(*_head_repository(item, name)),
        },
        "base": {"ref": "main", "sha": item.base_sha, "repo": _repo_stub(item.repository.id, name)},
    }


def pull_request_full(item: Item, at: datetime, *, complete: bool) -> Object:
    """A fat pull request; `complete` is the form of PullRequestEvent, with sizes and `merged`."""
    name = item.repository.name_at(at)
    api, page = f"{_API}/repos/{name}", f"{_WEB}/{name}/pull/{item.number}"
    merged = item.state == "merged"
    result: Object = {
        "url": f"{api}/pulls/{item.number}",
        "id": item.id,
        "node_id": f"PR_{item.id:x}",
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": f"{api}/issues/{item.number}",
        "number": item.number,
        "state": "open" if item.state == "open" else "closed",
        "locked": False,
        "title": item.title,
        "user": user(item.author),
        "body": item.body,
        "created_at": stamp(item.opened_at),
        "updated_at": stamp(item.updated_at or at),
        "closed_at": stamp(item.closed_at) if item.closed_at else None,
        "merged_at": stamp(item.closed_at) if merged and item.closed_at else None,
        "merge_commit_sha": item.merge_sha,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "labels": _labels(item, name),
        "draft": False,
        "comments_url": f"{api}/issues/{item.number}/comments",
        "statuses_url": f"{api}/statuses/{item.head_sha}",
        "head": _side(item, *_head_repository(item, name), item.branch, item.head_sha),
        "base": _side(item, item.repository.id, name, "main", item.base_sha),
        "author_association": association(item.repository, item.author),
        "auto_merge": None,
        "active_lock_reason": None,
    }
    if complete:
        result |= {
            "merged": merged,
            "mergeable": None,
            "rebaseable": None,
            "mergeable_state": "unknown",
            "merged_by": user(item.merged_by) if item.merged_by else None,
            "comments": item.comments,
            "review_comments": item.review_comments,
            "maintainer_can_modify": item.from_fork,
            "commits": 1 + draw(4, item.key, "commits"),
            "additions": 4 + draw(420, item.key, "additions"),
            "deletions": draw(180, item.key, "deletions"),
            "changed_files": 1 + draw(14, item.key, "files"),
        }
    return result


def issue(item: Item, at: datetime, *, slim: bool) -> Object:
    """An issue object; that of a pull request carries `pull_request` and keeps its text when slim."""
    name = item.repository.name_at(at)
    api = f"{_API}/repos/{name}/issues/{item.number}"
    page = f"{_WEB}/{name}/{'pull' if item.is_pull_request else 'issues'}/{item.number}"
    result: Object = {
        "url": api,
        "repository_url": f"{_API}/repos/{name}",
        "labels_url": f"{api}/labels{{/name}}",
        "comments_url": f"{api}/comments",
        "events_url": f"{api}/events",
        "html_url": page,
        "id": item.issue_id,
        "node_id": f"{'PR' if item.is_pull_request else 'I'}_{item.issue_id:x}",
        "number": item.number,
        "title": item.title,
        "user": user(item.author),
        "labels": _labels(item, name),
        "state": "open" if item.state == "open" else "closed",
        "locked": False,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": item.comments,
        "created_at": stamp(item.opened_at),
        "updated_at": stamp(item.updated_at or at),
        "closed_at": stamp(item.closed_at) if item.closed_at else None,
        "active_lock_reason": None,
        "body": item.body,
        "performed_via_github_app": None,
        "state_reason": None if item.is_pull_request or item.state == "open" else "completed",
    }
    if not slim:
        result["author_association"] = association(item.repository, item.author)
    if item.is_pull_request:
        merged = item.state == "merged" and item.closed_at
        result["draft"] = False
        result["pull_request"] = {
            "url": f"{_API}/repos/{name}/pulls/{item.number}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "merged_at": stamp(item.closed_at) if merged and item.closed_at else None,
        }
    return result


def comment(item: Item, login: str, body: str, at: datetime, *, slim: bool) -> Object:
    """A comment below an issue or a pull request."""
    name = item.repository.name_at(at)
    number = 3_370_000_000 + draw(40_000_000, item.key, login, stamp(at))
    page = f"{_WEB}/{name}/{'pull' if item.is_pull_request else 'issues'}/{item.number}"
    result: Object = {
        "url": f"{_API}/repos/{name}/issues/comments/{number}",
        "html_url": f"{page}#issuecomment-{number}",
        "issue_url": f"{_API}/repos/{name}/issues/{item.number}",
        "id": number,
        "node_id": f"IC_{number:x}",
        "user": user(login),
        "created_at": stamp(at),
        "updated_at": stamp(at),
        "body": body,
        "performed_via_github_app": None,
    }
    if not slim:
        result["author_association"] = association(item.repository, login)
    return result


def review(item: Item, login: str, number: int, at: datetime, *, slim: bool) -> Object:
    """A review of a pull request."""
    state, body = prose.review(item.repository, item.entry, item.key, "review", number)
    page = f"{_WEB}/{item.repository.name_at(at)}/pull/{item.number}"
    result: Object = {
        "id": number,
        "node_id": f"PRR_{number:x}",
        "user": user(login),
        "body": body,
        "commit_id": item.head_sha,
        "submitted_at": stamp(at),
        "state": state,
        "html_url": f"{page}#pullrequestreview-{number}",
        "pull_request_url": f"{_API}/repos/{item.repository.name_at(at)}/pulls/{item.number}",
    }
    if not slim:
        result["author_association"] = association(item.repository, login)
    return result


def review_comment(item: Item, login: str, review_id: int, number: int, at: datetime, *, slim: bool) -> Object:
    """A comment on a line of a pull request's diff."""
    body, hunk, line = prose.review_comment(item.repository, item.entry, item.key, "remark", number)
    name = item.repository.name_at(at)
    result: Object = {
        "url": f"{_API}/repos/{name}/pulls/comments/{number}",
        "pull_request_review_id": review_id,
        "id": number,
        "node_id": f"PRRC_{number:x}",
        "diff_hunk": hunk,
        "path": prose.path_of(item.repository, item.entry),
        "commit_id": item.head_sha,
        "original_commit_id": item.head_sha,
        "user": user(login),
        "body": body,
        "created_at": stamp(at),
        "updated_at": stamp(at),
        "html_url": f"{_WEB}/{name}/pull/{item.number}#discussion_r{number}",
        "pull_request_url": f"{_API}/repos/{name}/pulls/{item.number}",
        "start_line": None,
        "line": line,
        "side": "RIGHT",
        "subject_type": "line",
    }
    if not slim:
        result["author_association"] = association(item.repository, login)
    return result


def release(planned: Release) -> Object:
    """A published release."""
    name, tag = planned.repository.name_at(planned.published_at), planned.notes.tag
    return {
        "url": f"{_API}/repos/{name}/releases/{planned.id}",
        "html_url": f"{_WEB}/{name}/releases/tag/{tag}",
        "id": planned.id,
        "author": user(planned.author),
        "node_id": f"RE_{planned.id:x}",
        "tag_name": tag,
        "target_commitish": "main",
        "name": tag,
        "draft": False,
        "prerelease": False,
        "created_at": stamp(planned.published_at),
        "published_at": stamp(planned.published_at),
        "assets": [],
        "tarball_url": f"{_API}/repos/{name}/tarball/{tag}",
        "zipball_url": f"{_API}/repos/{name}/zipball/{tag}",
        "body": planned.notes.notes,
        "short_description_html": None,
        "is_short_description_html_truncated": False,
    }


def push(
    repository: Repository,
    login: str,
    ref: str,
    messages: Sequence[str],
    at: datetime,
    head: str,
    *,
    slim: bool,
) -> Object:
    """A push; slim ones have exactly before, head, push_id, ref and repository_id."""
    shas = [digest(head, position) for position in range(len(messages) - 1)] + [head]
    result: Object = {
        "repository_id": repository.id,
        "push_id": 27_260_000_000 + draw(90_000_000, repository.id, head, ref),
        "ref": f"refs/heads/{ref}",
        "head": head,
        "before": digest(head, "before"),
    }
    if not slim:
        commits: list[Json] = [
            {
                "sha": sha,
                "author": {"email": f"{PEOPLE[login].id}+{login}@users.noreply.github.com", "name": login},
                "message": message,
                "distinct": True,
                "url": f"{_API}/repos/{repository.name_at(at)}/commits/{sha}",
            }
            for sha, message in zip(shas, messages, strict=True)
        ]
        result |= {"size": len(commits), "distinct_size": len(commits), "commits": commits}
    return result


def ref_change(repository: Repository, ref: str, kind: str, *, created: bool, slim: bool) -> Object:
    """The payload of a CreateEvent or a DeleteEvent; slim ones carry `full_ref`."""
    result: Object = {"ref": ref, "ref_type": kind, "pusher_type": "user"}
    if slim:
        result["full_ref"] = f"refs/{'tags' if kind == 'tag' else 'heads'}/{ref}"
    if created:
        result |= {"master_branch": "main", "description": repository.description}
    return result


def fork(repository: Repository, login: str, at: datetime) -> Object:
    """The new repository of a ForkEvent."""
    name = repository.name_at(at).split("/")[1]
    return _repository(fork_id(repository, login), f"{login}/{name}", login, repository, at, is_fork=True)


def fork_id(repository: Repository, login: str) -> int:
    """The repository id of a person's fork."""
    return 1_070_000_000 + draw(9_000_000, "fork", repository.id, login)


def association(repository: Repository, login: str) -> str:
    """How a person relates to a repository."""
    if login in repository.team:
        return "MEMBER"
    return "CONTRIBUTOR" if login in repository.rotation or PEOPLE[login].type == "Bot" else "NONE"


def _avatar(person: Person) -> str:
    return f"https://avatars.githubusercontent.com/u/{person.id}?"


def _head_repository(item: Item, name: str) -> tuple[int, str]:
    if item.from_fork:
        return fork_id(item.repository, item.author), f"{item.author}/{name.split('/')[1]}"
    return item.repository.id, name


def _repo_stub(repo_id: int, name: str) -> Object:
    return {"id": repo_id, "url": f"{_API}/repos/{name}", "name": name.split("/")[1]}


def _side(item: Item, repo_id: int, name: str, ref: str, sha: str) -> Object:
    owner = name.split("/")[0]
    return {
        "label": f"{owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": user(owner),
        "repo": _repository(repo_id, name, owner, item.repository, None, is_fork=repo_id != item.repository.id),
    }


def _repository(
    repo_id: int, name: str, owner: str, source: Repository, at: datetime | None, *, is_fork: bool
) -> Object:
    result: Object = {
        "id": repo_id,
        "node_id": f"R_{repo_id:x}",
        "name": name.split("/")[1],
        "full_name": name,
        "private": False,
        "owner": user(owner),
        "html_url": f"{_WEB}/{name}",
        "description": source.description,
        "fork": is_fork,
        "url": f"{_API}/repos/{name}",
        "language": source.language,
        "default_branch": "main",
        "visibility": "public",
        "archived": False,
    }
    if at is not None:
        result |= {"created_at": stamp(at), "pushed_at": stamp(at), "public": True}
    return result


def _labels(item: Item, name: str) -> list[Json]:
    return [
        {
            "id": 7_000_000_000 + draw(900_000_000, item.repository.id, label),
            "node_id": f"LA_{digest(item.repository.id, label)[:12]}",
            "url": f"{_API}/repos/{name}/labels/{label.replace(' ', '%20')}",
            "name": label,
            "color": digest(label)[:6],
            "default": label in ("bug", "documentation", "enhancement", "question"),
            "description": None,
        }
        for label in item.labels
    ]
