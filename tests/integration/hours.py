"""Hour files with a few events, loaded; and what a load leaves."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from resources.gh_archive import GHArchive
from resources.postgres import Database
from starsearch_assets.events.load import HourResult, load_hour
from tests.factories import at, event, item, write_hour

HOUR = at("2025-03-01 07:00")
REAL_HOURS = [at("2015-01-01 03:00") + timedelta(hours=number) for number in range(3)]
Object = dict[str, Any]


def pull(event_id: int, time: str = "2025-03-01 07:10", **fields: Any) -> Object:
    """A pull request event."""
    return event(
        event_id, "PullRequestEvent", time, {"action": "opened", "pull_request": item(event_id, "A", **fields)}
    )


def push(event_id: int, time: str = "2025-03-01 07:20") -> Object:
    """An event that says nothing about any item."""
    return event(event_id, "PushEvent", time, {"push_id": event_id, "ref": "refs/heads/main"})


def fetched(database: Database, folder: Path, hour: datetime = HOUR) -> HourResult:
    """Load the folder's file of the hour."""
    with GHArchive(str(folder)).fetch(hour) as file:
        return load_hour(database, file)


def loaded(database: Database, folder: Path, *lines: Object | bytes, hour: datetime = HOUR) -> HourResult:
    """Write the hour's file and load it."""
    write_hour(folder, hour, lines)
    return fetched(database, folder, hour)


def event_ids(database: Database) -> list[int]:
    """Ids of all stored events, each as often as it is stored."""
    return [row[0] for row in database.fetch_all("SELECT event_id FROM events ORDER BY 1")]


def dirty(database: Database) -> dict[tuple[str, date], int]:
    """(kind, day) -> version."""
    return {(kind, day): version for kind, day, version in database.fetch_all("SELECT * FROM dirty_days")}


def ledger(database: Database, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of the ledger, oldest row first."""
    return database.fetch_all(f"SELECT {', '.join(columns)} FROM ingest_ledger ORDER BY source_id")
