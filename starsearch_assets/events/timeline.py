"""The timeline format, in which GH Archive's hours before 2015 are: events without ids, in other shapes.

An object is turned into what GitHub's Events API would have said, as far as it says it. What it does not say
stays unknown: the actor's id, the titles of issues, the bodies of comments.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import datetime
from typing import Any

from starsearch_assets.events.parse import EventRow, build_row, parse_line, read_object

_SLASHED_DATE = re.compile(r"(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d) ([+-]\d{4})")
_NUMBER = re.compile(r"/(issues|pull)/(\d{1,18})(?:#|$)")

Object = dict[str, Any]


class TimelineParser:
    """Parses the lines of one file, in any order; identical lines are events of their own."""

    def __init__(self, now: datetime, *, careful: bool = False) -> None:
        self._now, self._careful = now, careful
        self._seen: Counter[bytes] = Counter()

    def __call__(self, raw: bytes) -> EventRow:
        """Parse one line; one that has an `id` is an ordinary event.

        Raises:
            BadLine: not JSON, or not an event.
        """
        digest = hashlib.sha256(raw.strip()).digest()
        self._seen[digest] += 1
        event, sanitized = read_object(raw)
        if "id" in event:
            return parse_line(raw, self._now, careful=self._careful)
        shaped = _events_api_shape(event)
        event_id = _derived_id(digest + b"%d" % self._seen[digest])
        return build_row(shaped, event_id, shaped["repo"]["id"], self._now, sanitized)


def derived_repository_id(name: str) -> int:
    """The negative id of a repository of which nothing but its name is known; GitHub ignores case."""
    return _derived_id(hashlib.sha256(name.lower().encode("utf-8", "replace")).digest())


def _events_api_shape(event: Object) -> Object:
    """The object as the Events API would have written it, without its id."""
    created_at = event.get("created_at")
    if type(created_at) is str:
        created_at = _SLASHED_DATE.sub(r"\1-\2-\3T\4\5", created_at)
    return {
        "type": event.get("type"),
        "created_at": created_at,
        "actor": {"login": _login(event)},
        "repo": _repository(event.get("repository")),
        "payload": _payload(event),
    }


def _login(event: Object) -> str | None:
    actor = event.get("actor")
    if type(actor) is not dict:
        attributes = event.get("actor_attributes")
        actor = {"login": actor} if type(actor) is str else attributes if type(attributes) is dict else {}
    login = actor.get("login")
    return login if type(login) is str else None


def _repository(repository: Any) -> Object:
    """Id and name; an event without repository (a gist, a follow) has 0 and "/", as in GitHub's Events API.

    Repositories had no id in the timeline before 2013: theirs is derived from the name, negative, and so never
    that of another.
    """
    if type(repository) is not dict:
        return {"id": 0, "name": "/"}
    name = f"{_text(repository.get('owner'))}/{_text(repository.get('name'))}"
    repo_id = repository.get("id")
    if type(repo_id) is not int or not 0 <= repo_id < 2**63:
        repo_id = derived_repository_id(name)
    return {"id": repo_id, "name": name}


def _payload(event: Object) -> Any:
    payload = event.get("payload")
    if payload is None:
        return {}
    if type(payload) is not dict:
        return payload  # whoever builds the row refuses it
    match event.get("type"):
        case "IssuesEvent":
            return _with_issue(payload)
        case "IssueCommentEvent":
            return _with_comment(payload, _text(event.get("url")))
        case "PullRequestReviewCommentEvent":
            return _with_pull_request(payload, _text(event.get("url")))
        case "PushEvent":
            return _without_addresses(payload)
        case "FollowEvent":
            target = payload.get("target")
            return payload | {"target": _cut(target, "id", "login")} if type(target) is dict else payload
    return payload


def _with_issue(payload: Object) -> Object:
    """{action, issue: its id, number} to {action, issue: {id, number}}."""
    if type(payload.get("issue")) is not int:
        return payload
    kept = {name: value for name, value in payload.items() if name != "number"}
    return kept | {"issue": {"id": payload["issue"], "number": payload.get("number")}}


def _with_comment(payload: Object, url: str) -> Object:
    """{issue_id, comment_id} to {issue: {id, number}, comment: {id}}; the number stands in the event's URL."""
    number = _NUMBER.search(url)
    if type(payload.get("issue_id")) is not int or number is None:
        return payload
    kept = {name: value for name, value in payload.items() if name not in ("issue_id", "comment_id")}
    issue: Object = {"id": payload["issue_id"], "number": int(number[2])}
    if number[1] == "pull":
        issue["pull_request"] = {}
    return kept | {"issue": issue, "comment": {"id": payload.get("comment_id")}}


def _with_pull_request(payload: Object, url: str) -> Object:
    """The number of the pull request under review stands in the event's URL only."""
    number = _NUMBER.search(url)
    if "pull_request" in payload or number is None:
        return payload
    return payload | {"pull_request": {"number": int(number[2])}}


def _without_addresses(payload: Object) -> Object:
    """The commits [sha, e-mail address, message, name, distinct] with only what follows the @ of the addresses."""
    shas = payload.get("shas")
    if type(shas) is not list:
        return payload
    return payload | {"shas": [_without_address(one) if type(one) is list else one for one in shas]}


def _without_address(commit: list[Any]) -> list[Any]:
    if len(commit) < 2:
        return commit
    _, at, domain = _text(commit[1]).rpartition("@")
    return [commit[0], domain if at else "", *commit[2:]]


def _cut(value: Object, *fields: str) -> Object:
    return {name: value[name] for name in fields if name in value}


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _derived_id(digest: bytes) -> int:
    """A negative 64-bit integer, from -2^63 to -1."""
    return -1 - (int.from_bytes(hashlib.sha256(digest).digest()[:8], "big") >> 1)
