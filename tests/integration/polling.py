"""Polling of a double of GitHub: settings that name both, polls that ran once, what the inbox and the feeds hold."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import SecretStr

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.polling.process import poll_once
from starsearch_assets.polling.session import Session
from tests.doubles.github import GitHubDouble, Limits, Repository
from tests.factories import Object, event
from tests.integration.content import track

NOW = datetime.now(UTC).replace(microsecond=0)
ROCKET, OTHER = (1001, "acme/rocket"), (2002, "else/where")
FEED = "repositories/1001"
UNLIMITED = Limits(hourly_requests=10**6, rest_points_a_minute=10**6)


def polling(settings: Settings, double: GitHubDouble, **fields: object) -> Settings:
    """Settings of a poller of the double."""
    values = {"github_token": SecretStr(double.token), "github_api_url": double.url} | fields
    return settings.model_copy(update=values)


def once(settings: Settings, double: GitHubDouble, **fields: object) -> tuple[Session, dict[str, str]]:
    """Poll what is due once; the session, and what was told of each feed."""
    told: dict[str, str] = {}
    session = asyncio.run(poll_once(polling(settings, double, **fields), told.__setitem__))
    return session, told


def polls(double: GitHubDouble, path: str = f"/{FEED}/events") -> int:
    """Requests for a feed."""
    return double.stats.requests[path]


def happen(
    double: GitHubDouble, first: int, count: int, repository: tuple[int, str] = (1001, "acme/rocket"), **fields: Any
) -> list[Object]:
    """So many events of a repository, one second apart up to now; published in the double."""
    events = []
    for number in range(first, first + count):
        time = NOW - timedelta(seconds=max(first + count - number, 0))
        payload = {"action": "started", "number": number}
        events.append(
            event(number, "WatchEvent", f"{time:%Y-%m-%d %H:%M:%S}", payload, repository=repository, **fields)
        )
    double.feeds.publish(*events)
    return events


def follow(database: Database, double: GitHubDouble, *repositories: tuple[int, str]) -> None:
    """Track repositories that are at GitHub too; polls of them may come at any time."""
    double.feeds.poll_interval = 0
    track(database, *repositories)
    for repo_id, name in repositories:
        owner, _, rest = name.partition("/")
        double.state.add(Repository(id=repo_id, owner=owner, name=rest))


def keys(database: Database) -> list[tuple[str, str, str]]:
    """(created_at, id, type) of every body in the inbox, in order, with repetitions."""
    rows = database.fetch_all("SELECT body FROM service.inbox WHERE source = 'events_api'")
    return sorted(key(orjson.loads(body)) for (body,) in rows)


def key(one: Object) -> tuple[str, str, str]:
    """What identifies an event."""
    return one["created_at"], one["id"], one["type"]


def gaps(database: Database) -> list[tuple[str, datetime, datetime]]:
    """What was noted as missed."""
    return database.fetch_all("SELECT feed, since, until FROM service.polling_gaps ORDER BY gap_id")  # type: ignore[return-value]


def feeds(database: Database) -> dict[str, tuple[Any, ...]]:
    """failures, absent and problem by feed."""
    rows = database.fetch_all("SELECT feed, failures, absent, problem FROM service.polling_feeds ORDER BY feed")
    return {row[0]: row[1:] for row in rows}


def due(database: Database) -> None:
    """As if the time of every feed had come."""
    database.execute(
        "UPDATE service.polling_feeds SET polled_at = polled_at - interval '2 days', next_at = now() - interval '1 s',"
        " poll_interval = 0"
    )
