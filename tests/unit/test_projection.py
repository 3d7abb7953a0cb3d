"""What is kept of a payload."""

from __future__ import annotations

from typing import Any

from starsearch_assets.events.projection import project
from tests.factories import comment, item, labels, slim, user


def test_everything_that_content_reads_is_kept() -> None:
    """Every path that the SQL of the content stage reads has the same value after the projection."""
    pull = item(
        1,
        "A",
        labels=labels("bug"),
        merged_by=user("eve"),
        merged_at="2025-03-01T10:00:00Z",
        pull_request={"url": "https://x", "merged_at": "2025-03-01T10:00:00Z"},
    )
    payload = {
        "action": "closed",
        "pull_request": pull,
        "issue": pull,
        "comment": comment(5, "hi"),
        "review": comment(6, "fine", submitted_at="2025-03-01T11:00:00Z"),
        "release": {
            "tag_name": "v1",
            "name": "One",
            "body": "notes",
            "author": user("rel[bot]"),
            "created_at": "2025-03-01T10:00:00Z",
            "published_at": "2025-03-01T11:00:00Z",
            "prerelease": False,
            "draft": False,
        },
    }
    kept = project(payload)
    in_items = (
        *("number", "title", "body", "state", "created_at", "closed_at", "merged_at"),
        *("user.login", "user.type", "merged_by.login", "pull_request.merged_at"),
    )
    paths = [f"{name}.{path}" for name in ("pull_request", "issue") for path in in_items]
    paths += [f"{name}.{path}" for name in ("comment", "review") for path in ("id", "body", "user.login", "user.type")]
    paths += ["comment.created_at", "review.submitted_at", "action", "release.author.login", "release.author.type"]
    paths += [f"release.{path}" for path in payload["release"] if path != "author"]  # type: ignore[attr-defined]
    assert {path: _at(kept, path) for path in paths} == {path: _at(payload, path) for path in paths}
    assert kept["pull_request"]["labels"] == [{"name": "bug"}]


def test_hypermedia_of_known_objects_is_dropped() -> None:
    """URLs and repository objects inside items, which are most of a fat event, are gone."""
    pull = item(1, "A", url="https://x", _links={"self": {"href": "https://x"}}, head={"ref": "b", "repo": {"id": 1}})
    kept = project({"pull_request": pull})["pull_request"]
    assert kept.keys() == pull.keys() - {"url", "_links"}
    assert kept["head"] == {"ref": "b"}
    assert kept["user"] == {"id": 7, "login": "ada", "type": "User"}


def test_slim_stubs_keep_what_identifies_them() -> None:
    """A slim pull request stays identifiable: number, id, and both refs."""
    kept = project({"action": "opened", "number": 3, "pull_request": slim(3)})
    assert kept["pull_request"]["number"] == 3
    assert kept["pull_request"]["head"] == {"ref": "main", "sha": "0" * 40}


def test_what_is_not_known_stays_as_it_came() -> None:
    """Fields and objects that GitHub adds tomorrow, and known names with another type, are kept whole."""
    payload = {
        "action": "created",
        "discussion": {"title": "New", "nested": {"deep": [1, {"x": None}]}},
        "pull_request": None,
        "issue": "a string",
        "release": [],
        "commits": ["not an object", {"sha": "a", "message": "m", "url": "https://x"}],
        "member": {"login": "eve", "id": 3, "type": "User", "avatar_url": "https://x"},
    }
    assert project(payload) == payload | {
        "member": {"login": "eve", "id": 3, "type": "User"},
    }


def test_odd_values_inside_known_objects_survive() -> None:
    """Null users, labels that are strings and an empty pull_request object do not fall."""
    issue = item(1, "A", user=None, labels=["bug", {"name": "x", "color": "y"}], pull_request={})
    assert project({"issue": issue})["issue"] == issue | {"labels": ["bug", {"name": "x"}]}


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[name]
    return value
