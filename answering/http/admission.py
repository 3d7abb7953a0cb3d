"""What becomes of a signed delivery, by its event and the head of its body. Nothing of a private repository is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from resources.inbox import WEBHOOK, Arrival
from resources.webhooks import DELETED, EVENT_HEADER, EVENT_TYPES, NEWS_HEADER, PRIVATE

_BIGINT = 2**63


@dataclass(frozen=True)
class Admission:
    """How a delivery is answered and counted, and what of it goes to the inbox.

    if_tracked: the repository that has to be tracked for the arrival to be of interest; None: none has to.
    """

    status: int
    outcome: Literal["accepted", "pong", "ignored", "private", "malformed"]
    message: str
    arrival: Arrival | None = None
    if_tracked: int | None = None


class _Head(msgspec.Struct):
    """The part of a payload that is looked at here; the rest stays unread."""

    action: Any = None
    repository: Any = None


_head = msgspec.json.Decoder(_Head)


def admit(event: str, headers: Mapping[str, str], body: bytes) -> Admission:
    """Decide on one delivery whose signature is right. headers: those to be kept."""
    head = _read(body)
    if head is None:
        return _malformed("Expected a JSON object as body; set the webhook's content type to application/json.")
    if event == "ping":
        return Admission(200, "pong", "The webhook works: deliveries with this signature are accepted.")
    if event not in EVENT_TYPES:
        return Admission(202, "ignored", f"Nothing is read from {event} events; no need to send them.")
    repository = head.repository
    if not isinstance(repository, dict):
        return _malformed(f"Expected an object `repository` in a {event} delivery.")
    repo_id = repository.get("id")
    if type(repo_id) is not int or not 0 < repo_id < _BIGINT:
        return _malformed("Expected a positive integer in repository.id.")
    public = repository.get("private") is False and repository.get("visibility", "public") == "public"
    hidden = _hidden(event, head.action, public=public)
    if hidden is not None:
        return Admission(202, "accepted", "The repository will be forgotten.", _news(hidden, repo_id, body))
    if not public:
        message = "Only public repositories are read: nothing of this delivery was stored. Remove the webhook there."
        return Admission(403, "private", message, _news(PRIVATE, repo_id, body), repo_id)
    arrival = Arrival(WEBHOOK, body, {EVENT_HEADER: event, **headers}, repo_id)
    return Admission(202, "accepted", "Stored; it is read soon.", arrival)


def _read(body: bytes) -> _Head | None:
    """The head of a JSON object; None: it is none. Characters that are no Unicode text are no reason to refuse."""
    try:
        return _head.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    try:
        value = json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return _Head(value.get("action"), value.get("repository")) if isinstance(value, dict) else None


def _hidden(event: str, action: Any, *, public: bool) -> str | None:
    """How the repository is hidden from now on, where that is what the delivery tells."""
    if event != "repository":
        return None
    if action == "privatized":
        return PRIVATE
    return DELETED if action == "deleted" and public else None


def _news(hidden: str, repo_id: int, body: bytes) -> Arrival:
    """A note of our own: which repository, and the digest of what told it, so that news is new once.

    It has no repo_id of its own in the inbox, because it must outlive what it asks to be deleted.
    """
    note = {"repository": repo_id, "hidden": hidden, "delivery": hashlib.sha256(body).hexdigest()}
    return Arrival(WEBHOOK, json.dumps(note).encode(), {EVENT_HEADER: "repository", NEWS_HEADER: hidden})


def _malformed(message: str) -> Admission:
    return Admission(400, "malformed", message)
