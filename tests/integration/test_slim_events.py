"""Every event of events_api/slim parses into what its author could see on GitHub."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets.content import tracking
from starsearch_assets.content.process import process_day
from tests.factories import at, write_hour
from tests.integration.hours import fetched

HOUR = at("2026-08-22 00:00")
Object = dict[str, Any]
Key = tuple[str, int, str]


@pytest.fixture
def feed(real_data: Path) -> dict[Key, Object]:
    """All distinct events of 133 polls and of a page of December 2025, as they came first."""
    slim = real_data / "events_api" / "slim"
    with gzip.open(slim / "polls.jsonl.gz") as file:
        told = [one for poll in map(json.loads, file) for one in poll["events"]]
    told += json.loads((slim / "page-2025-12.json").read_bytes())
    events: dict[Key, Object] = {}
    for one in told:
        events.setdefault((one["created_at"], int(one["id"]), one["type"]), one)
    assert len(events) == 647 + 99
    return events


@pytest.fixture
def stored(database: Database, tmp_path: Path, feed: dict[Key, Object]) -> Database:
    """A database that has loaded them from one file."""
    write_hour(tmp_path, HOUR, feed.values())
    result = fetched(database, tmp_path, HOUR)
    assert (result.events, result.inserted, result.rejected, result.sanitized) == (746, 746, 0, 0)
    return database


def test_every_event_is_stored_as_it_was_told(stored: Database, feed: dict[Key, Object]) -> None:
    """Type, time, actor and repository in their columns; number, action, ref and head in the payload."""
    rows = stored.fetch_all(
        "SELECT created_at, event_id, type, actor_id, actor_login, repo_id, repo_name, payload FROM events"
    )
    found = {(f"{row[0]:%Y-%m-%dT%H:%M:%SZ}", row[1], row[2]): row[3:] for row in rows}
    assert found.keys() == feed.keys()
    for key, one in feed.items():
        actor_id, login, repo_id, name, payload = found[key]
        said = one["payload"]
        assert (actor_id, login) == (one["actor"]["id"], one["actor"]["login"])
        assert (repo_id, name) == (one["repo"]["id"], one["repo"]["name"])
        for field in ("action", "number", "ref", "ref_type", "head", "before", "push_id"):
            assert payload.get(field) == said.get(field)
        for item in ("pull_request", "issue"):
            if item in said:
                assert payload[item]["number"] == said[item]["number"]
        for end in ("head", "base"):
            if end in said.get("pull_request", {}):
                assert payload["pull_request"][end]["sha"] == said["pull_request"][end]["sha"]
        for field in ("comment", "issue"):
            if field in said:
                assert payload[field]["body"] == said[field]["body"]


def test_pushes_show_who_moved_which_ref(stored: Database, feed: dict[Key, Object]) -> None:
    """All 589 pushes, without the commits that slim events no longer list."""
    pushes = stored.fetch_all("SELECT event_id, actor_login, repo_id, ref, before, head, size, commits FROM pushes")
    assert sorted(pushes) == sorted(
        (number, one["actor"]["login"], one["repo"]["id"], one["payload"]["ref"], one["payload"]["before"],
         one["payload"]["head"], None, None)
        for (_, number, kind), one in feed.items() if kind == "PushEvent"
    )  # fmt: skip
    assert len(pushes) == 529 + 60


def test_content_says_what_the_events_say(stored: Database, feed: dict[Key, Object]) -> None:
    """State from opened, closed and merged; author; text and labels of issues; the words of comments."""
    tracking.add(stored, sorted({one["repo"]["name"] for one in feed.values()}))
    for day in sorted({at(key[0][:10]).date() for key in feed}):
        for kind in (PULL_REQUEST, ISSUE):
            process_day(stored, kind, day)
    pulls = {
        (repo_id, number): rest
        for repo_id, number, *rest in stored.fetch_all(
            "SELECT repo_id, number, state, author_login, merged_at, merged_by, hydrated_at FROM pull_requests"
        )
    }
    told: dict[tuple[int, int], list[Object]] = {}
    for _, one in sorted(feed.items(), key=lambda pair: pair[0]):
        said = one["payload"].get("pull_request") or one["payload"].get("issue", {})
        if one["type"] == "PullRequestEvent" or "pull_request" in said:
            told.setdefault((one["repo"]["id"], said["number"]), []).append(one)
    assert told.keys() == pulls.keys()
    for key, events in told.items():
        state, author, merged_at, merged_by, hydrated_at = pulls[key]
        actions = {one["payload"]["action"]: one for one in events if one["type"] == "PullRequestEvent"}
        comments = [one["payload"]["issue"] for one in events if one["type"] == "IssueCommentEvent"]
        last = events[-1]["payload"]
        of_actions = {"opened": "open", "merged": "closed"}
        assert state == (last["issue"]["state"] if "issue" in last else of_actions[last["action"]])
        opened, merged = actions.get("opened"), actions.get("merged")
        authors = {opened["actor"]["login"]} if opened else set()
        authors |= {issue["user"]["login"] for issue in comments}
        assert {author} == (authors or {None})
        if merged:
            assert (merged_at, merged_by) == (at(merged["created_at"].rstrip("Z")), merged["actor"]["login"])
        assert (hydrated_at is not None) == bool(comments)  # a comment's event has the title, a slim one has not
    issues = {
        (repo_id, number): rest
        for kind in ("issues", "pull_requests")
        for repo_id, number, *rest in stored.fetch_all(
            f"SELECT repo_id, number, title, body, author_login, state, labels FROM {kind}"
            " WHERE hydrated_at IS NOT NULL"
        )
    }
    rows = stored.fetch_all("SELECT comment_id, author_login, body FROM comments")
    said_there = {comment_id: (author, body) for comment_id, author, body in rows}
    seen = 0
    for (_, _, kind), one in feed.items():
        if kind not in ("IssuesEvent", "IssueCommentEvent"):
            continue
        seen += 1
        issue = one["payload"]["issue"]
        title, body, author, state, labels = issues[one["repo"]["id"], issue["number"]]
        assert (title, body, author, state) == (issue["title"], issue["body"], issue["user"]["login"], issue["state"])
        assert labels == sorted(label["name"] for label in issue["labels"])
        if kind == "IssueCommentEvent":
            said = one["payload"]["comment"]
            assert said_there[said["id"]] == (said["user"]["login"], said["body"][:4000])
    assert seen == 11
