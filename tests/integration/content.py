"""Events of items as they stand in hour files, stored and merged into content; and what the content tables hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from resources.kinds import KINDS, Kind
from resources.postgres import Database
from starsearch_assets.content.process import process_day
from tests.factories import REPOSITORY, event, user, write_hour
from tests.integration.hours import Object, fetched

TABLES = ("pull_requests", "issues", "releases", "comments", "activity", "repository_names")


def store(database: Database, events: Iterable[Object], folder: Path) -> None:
    """Load the events as the hour files of their hours."""
    hours: dict[datetime, list[Object]] = {}
    for one in events:
        time = datetime.fromisoformat(one["created_at"])
        hours.setdefault(time.replace(minute=0, second=0, microsecond=0), []).append(one)
    for hour, lines in hours.items():
        write_hour(folder, hour, lines)
        fetched(database, folder, hour)


def track(database: Database, *repositories: tuple[int, str]) -> None:
    """Track without asking for days."""
    for repository in repositories or (REPOSITORY,):
        database.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, %s)", repository)


def days(database: Database) -> list[date]:
    """All days that have events."""
    return [row[0] for row in database.fetch_all("SELECT DISTINCT created_at::date FROM events ORDER BY 1")]


def process(database: Database, kinds: Sequence[Kind] = KINDS) -> None:
    """Process all days in their natural order."""
    for day in days(database):
        for kind in kinds:
            process_day(database, kind, day)


def row(database: Database, table: str, columns: str, number: object = 1) -> tuple[Any, ...]:
    """Columns of the one item."""
    key = "tag" if table == "releases" else "number"
    rows = database.fetch_all(f"SELECT {columns} FROM {table} WHERE {key} = %s", [number])
    assert len(rows) == 1
    return rows[0]


def content(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every content table, and the tracked repositories."""
    tables = {table: database.fetch_all(f"SELECT * FROM {table} ORDER BY {table}::text") for table in TABLES}
    return tables | {"repositories": database.fetch_all("SELECT repo_id, name FROM repositories ORDER BY 1")}


def pr(event_id: int, time: str, action: str, thing: Object, **more: Any) -> Object:
    return event(event_id, "PullRequestEvent", time, {"action": action, "number": 1, "pull_request": thing}, **more)


def issues(event_id: int, time: str, action: str, thing: Object, **more: Any) -> Object:
    return event(event_id, "IssuesEvent", time, {"action": action, "issue": thing}, **more)


def said(event_id: int, time: str, thing: Object, words: Object, action: str = "created") -> Object:
    return event(event_id, "IssueCommentEvent", time, {"action": action, "issue": thing, "comment": words}, actor="bob")


def published(event_id: int, time: str, tag: str, **fields: Any) -> Object:
    release = {
        "tag_name": tag,
        "name": f"Release {tag}",
        "body": "notes",
        "author": user("rel[bot]"),
        "draft": False,
        "prerelease": False,
        "created_at": "2025-03-01T00:00:00Z",
        "published_at": "2025-03-01T01:00:00Z",
    }
    return event(event_id, "ReleaseEvent", time, {"action": "published", "release": release | fields})
