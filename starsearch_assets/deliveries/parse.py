"""One delivery of the inbox to one row of `deliveries`, or the reason why it cannot be one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.webhooks import EVENT_TYPES
from starsearch_assets.events.parse import BadLine, EventRow, build_row, read_object
from starsearch_assets.hydration.fates import Gone, Moved

_ACTION = re.compile(r"[a-z_]{1,100}")
_EARLIEST = datetime(2008, 1, 1, tzinfo=UTC)
_CLOCKS_DIFFER = timedelta(minutes=10)
_PARTS: Mapping[str, tuple[str, ...]] = {
    "pull_request": ("pull_request",),
    "issues": ("issue",),
    "issue_comment": ("issue", "comment"),
    "pull_request_review": ("pull_request", "review"),
    "pull_request_review_comment": ("pull_request", "comment"),
    "release": ("release",),
}
_FIRST = frozenset(("opened", "created", "submitted", "published", "released", "prereleased"))
_LAST = frozenset(("closed", "reopened", "deleted", "dismissed"))
_FILES_CHANGE = frozenset(("opened", "reopened", "synchronize"))
_RANK = 300_000  # microseconds; three ranks fit into a second


@dataclass(frozen=True)
class Delivery:
    """One delivery that can be used. `row` has its time of observation, its ids and its projected payload.

    item_at: of the state of its item; renewed: what the API has to be asked for may have changed. fate: what became
    of an issue that is in this repository no more.
    """

    event: str
    action: str | None
    row: EventRow
    repo_name: str
    item_at: datetime
    renewed: bool
    number: int | None
    fate: Gone | Moved | None


def parse_delivery(event: str, body: bytes, sha256: bytes, received_at: datetime) -> Delivery:
    """Read one delivery as GitHub sent it.

    Raises:
        BadLine: it cannot be used, and why.
    """
    payload, sanitized = read_object(body)
    if event not in EVENT_TYPES:
        raise BadLine(f"expected an event that is read, found {event[:100]!a}")
    for part in ("repository", *_PARTS.get(event, ())):
        if type(payload.get(part)) is not dict:
            raise BadLine(f"expected an object `{part}` in a {event} delivery, found none")
    action = payload.get("action")
    action = action if type(action) is str and _ACTION.fullmatch(action) else None
    number = _check_item(event, payload)
    item_at, observed_at = _times(event, action, payload, sha256, received_at)
    repository, sender = payload["repository"], payload.get("sender")
    repo_id = repository.get("id")
    if type(repo_id) is not int or not 0 < repo_id < 2**63:
        raise BadLine("expected a positive integer in repository.id")
    told = {
        "type": EVENT_TYPES[event],
        "created_at": observed_at.isoformat(),
        "repo": {"name": repository.get("full_name")},
        "actor": sender if type(sender) is dict else None,
        "payload": _kept(event, payload),
    }
    row = build_row(told, -1, repo_id, received_at, sanitized)
    return Delivery(
        event,
        action,
        row,
        repository["full_name"],
        item_at,
        _renewed(event, action, payload),
        number,
        _fate(event, action, payload, repo_id),
    )


def _check_item(event: str, payload: Mapping[str, Any]) -> int | None:
    """The number of the item that the delivery is about; releases have a tag instead."""
    parts = _PARTS.get(event)
    if parts is None:
        return None
    if parts[0] == "release":
        if type(payload["release"].get("tag_name")) is not str:
            raise BadLine("expected text in release.tag_name")
        return None
    number = payload[parts[0]].get("number")
    if type(number) is not int or not 0 < number < 10**18:
        raise BadLine(f"expected a positive integer in {parts[0]}.number")
    return number


def _times(
    event: str, action: str | None, payload: Mapping[str, Any], sha256: bytes, received_at: datetime
) -> tuple[datetime, datetime]:
    """When the item stood so, and when what is told happened: GitHub's own times, so that the order of arrival is none.

    GitHub tells whole seconds, in which several things happen when an item is opened or closed. The microseconds
    put what begins before what changes before what ends, and equals in the order of their digests: whoever comes last
    is the same in any order of arrival. What has no time of its own, or one that cannot be, has that of its arrival.
    """

    def github(*values: Any) -> datetime | None:
        times = [time for value in values if (time := _time(value, received_at)) is not None]
        return max(times) + fraction if times else None

    rank = 0 if action in _FIRST else 2 if action in _LAST else 1
    fraction = timedelta(microseconds=rank * _RANK + int.from_bytes(sha256[:4], "big") % _RANK)
    item_at = github(*_item_times(event, action, payload)) or received_at
    said = payload.get("comment") if "comment" in _PARTS.get(event, ()) else payload.get("review")
    if "review" not in _PARTS.get(event, ()) and "comment" not in _PARTS.get(event, ()):
        return item_at, item_at
    assert type(said) is dict
    if action == "deleted":  # it never comes back, and no field tells when it went
        return item_at, received_at
    if event == "pull_request_review":  # edits leave submitted_at as it is
        return item_at, github(
            said.get("submitted_at"), said.get("updated_at"), *_item_times(event, action, payload)
        ) or (received_at)
    return item_at, github(said.get("updated_at"), said.get("created_at")) or received_at


def _item_times(event: str, action: str | None, payload: Mapping[str, Any]) -> tuple[Any, ...]:
    parts = _PARTS.get(event)
    if parts is None:
        return (payload["repository"].get("pushed_at" if event == "push" else "updated_at"),)
    item = payload[parts[0]]
    if parts[0] == "release" and item.get("updated_at") is None:  # as it was before 2025
        return (item.get("published_at"), item.get("created_at")) if action in _FIRST else ()
    return (item.get("updated_at"),)


def _time(value: Any, received_at: datetime) -> datetime | None:
    """A time as GitHub writes it, if it can be one; pushes have seconds since 1970."""
    try:
        time = datetime.fromtimestamp(value, UTC) if type(value) is int else datetime.fromisoformat(value)
        time = time.astimezone(UTC).replace(microsecond=0) if time.tzinfo is not None else time
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return time if time.tzinfo is not None and _EARLIEST <= time <= received_at + _CLOCKS_DIFFER else None


def _kept(event: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What content is merged from. Of a push nothing that its commits say: they carry e-mail addresses."""
    if event == "push":
        commits = payload.get("commits")
        kept = {name: payload.get(name) for name in ("ref", "before", "created", "deleted", "forced")}
        return kept | {"head": payload.get("after"), "size": len(commits) if type(commits) is list else None}
    return {name: payload[name] for name in ("action", *_PARTS.get(event, ())) if name in payload}


def _renewed(event: str, action: str | None, payload: Mapping[str, Any]) -> bool:
    """Whether the API knows something new that no delivery tells: the changed files."""
    if event == "issues":
        return action == "opened"
    if event != "pull_request":
        return False
    changes = payload.get("changes")
    return action in _FILES_CHANGE or (action == "edited" and type(changes) is dict and "base" in changes)


def _fate(event: str, action: str | None, payload: Mapping[str, Any], repo_id: int) -> Gone | Moved | None:
    if event != "issues" or action not in ("deleted", "transferred"):
        return None
    if action == "deleted":
        return Gone("deleted, as a webhook delivery told")
    changes = payload.get("changes")
    changes = changes if type(changes) is dict else {}
    place, issue = changes.get("new_repository"), changes.get("new_issue")
    if type(place) is not dict or type(issue) is not dict or place.get("private") is not False:
        return Gone("transferred to where nobody sees it, as a webhook delivery told")
    target, number = place.get("id"), issue.get("number")
    if type(target) is not int or type(number) is not int or target == repo_id:
        return None
    return Moved(target, number)
