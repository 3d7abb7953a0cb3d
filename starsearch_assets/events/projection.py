"""Which parts of an event's payload are kept.

A fat event is mostly hypermedia: forty URLs a repository object, repeated three times. Objects of a
known shape are cut down to the fields below; everything else, also what GitHub adds tomorrow, is kept
as it came.
"""

from __future__ import annotations

from typing import Any, Final

_ACTOR: Final = ("id", "login", "type")
_REF: Final = ("label", "ref", "sha")

# Field -> how it is cut: a tuple keeps these fields of an object (or of each object in a list).
_NESTED: Final[dict[str, tuple[str, ...]]] = {
    "user": _ACTOR,
    "author": _ACTOR,
    "merged_by": _ACTOR,
    "assignee": _ACTOR,
    "member": _ACTOR,
    "assignees": _ACTOR,
    "requested_reviewers": _ACTOR,
    "head": _REF,
    "base": _REF,
    "labels": ("name",),
    "milestone": ("number", "title"),
    "pull_request": ("merged_at",),
}

_ITEM: Final = frozenset(
    (
        "id", "number", "title", "body", "state", "state_reason", "draft", "locked", "user", "labels",
        "assignees", "milestone", "created_at", "updated_at", "closed_at", "merged_at", "merged", "merged_by",
        "author_association", "comments", "review_comments", "commits", "additions", "deletions",
        "changed_files", "head", "base", "pull_request", "requested_reviewers",
    )
)  # fmt: skip
_COMMENT: Final = frozenset(
    (
        "id", "body", "user", "created_at", "updated_at", "submitted_at", "state", "path", "commit_id",
        "author_association", "in_reply_to_id", "pull_request_review_id",
    )
)  # fmt: skip
_RELEASE: Final = frozenset(
    (
        "id", "tag_name", "name", "body", "draft", "prerelease", "author", "target_commitish",
        "created_at", "published_at",
    )
)  # fmt: skip
_FORKEE: Final = frozenset(("id", "full_name", "name", "private", "fork", "created_at"))

_OBJECTS: Final[dict[str, frozenset[str]]] = {
    "pull_request": _ITEM,
    "issue": _ITEM,
    "comment": _COMMENT,
    "review": _COMMENT,
    "release": _RELEASE,
    "forkee": _FORKEE,
    "member": frozenset(_ACTOR),
}


def project(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with objects of known shape cut to the fields that StarSearch reads."""
    if _OBJECTS.keys().isdisjoint(payload):
        return payload
    kept: dict[str, Any] = {}
    for name, value in payload.items():
        if name in _OBJECTS and type(value) is dict:
            kept[name] = _cut(value, _OBJECTS[name])
        else:
            kept[name] = value
    return kept


def _cut(value: dict[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    kept = {name: value[name] for name in fields if name in value}
    for name in _NESTED.keys() & kept.keys():
        nested, inner = _NESTED[name], kept[name]
        if type(inner) is dict:
            kept[name] = {key: inner[key] for key in nested if key in inner}
        elif type(inner) is list and inner:
            kept[name] = [
                {key: one[key] for key in nested if key in one} if type(one) is dict else one for one in inner
            ]
    return kept
