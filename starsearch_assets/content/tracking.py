"""Which repositories are tracked: only those get content rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from resources.errors import ConfigurationError
from resources.kinds import KINDS
from resources.postgres import Connection, Database

_NAME = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Tracked:
    """How a request to track was met: found among the events, or waiting for the first event."""

    found: tuple[str, ...]
    waiting: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """What `track_busiest` took and what it left out."""

    repositories: int
    items: int
    left_out_repositories: int
    left_out_items: int


def add(database: Database, names: Sequence[str]) -> Tracked:
    """Track repositories by name, and ask for the days on which they already have events.

    Raises:
        ConfigurationError: a name that is not owner/name.
    """
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is not a repository: expected owner/name, as in psf/requests.")
    found, waiting = [], []
    with database.transaction() as connection:
        for name in names:
            # The newest repository of that name: names are taken over, ids are not.
            row = connection.execute(
                "SELECT repo_id, repo_name FROM events WHERE lower(repo_name) = lower(%s)"
                " ORDER BY created_at DESC LIMIT 1",
                [name],
            ).fetchone()
            if row is None:
                connection.execute("INSERT INTO repository_requests (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])
                waiting.append(name)
            else:
                connection.execute(
                    "INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", row
                )
                found.append(row[1])
        _mark_dirty(connection, found)
    return Tracked(tuple(found), tuple(waiting))


def remove(database: Database, name: str) -> bool:
    """Stop tracking a repository. Its rows stay until it is forgotten; False when it was not tracked."""
    with database.transaction() as connection:
        asked = connection.execute("DELETE FROM repository_requests WHERE lower(name) = lower(%s)", [name]).rowcount
        tracked = connection.execute("DELETE FROM repositories WHERE lower(name) = lower(%s)", [name]).rowcount
    return bool(asked or tracked)


def track_busiest(database: Database, max_items: int) -> Selection:
    """Track the repositories of all stored events, busiest first, up to `max_items` items together."""
    with database.transaction() as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE busy ON COMMIT DROP AS"
            " SELECT repo_id, (array_agg(repo_name ORDER BY created_at DESC))[1] AS name,"
            "   count(DISTINCT coalesce(payload #>> '{pull_request,number}', payload #>> '{issue,number}',"
            "                           payload #>> '{release,tag_name}')) AS items"
            " FROM events WHERE type = ANY (%s) GROUP BY repo_id",
            [sorted({event_type for kind in KINDS for event_type in kind.event_types})],
        )
        connection.execute("DELETE FROM busy WHERE items = 0")
        connection.execute(
            "WITH ranked AS (SELECT *, sum(items) OVER (ORDER BY items DESC, repo_id) AS running FROM busy)"
            " INSERT INTO repositories (repo_id, name) SELECT repo_id, name FROM ranked"
            " WHERE running <= %s ORDER BY repo_id ON CONFLICT DO NOTHING",
            [max_items],
        )
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE r.repo_id IS NOT NULL),"
            " coalesce(sum(items) FILTER (WHERE r.repo_id IS NOT NULL), 0)::bigint,"
            " count(*) FILTER (WHERE r.repo_id IS NULL),"
            " coalesce(sum(items) FILTER (WHERE r.repo_id IS NULL), 0)::bigint"
            " FROM busy LEFT JOIN repositories r USING (repo_id)"
        ).fetchone()
    assert row is not None
    return Selection(*row)


def _mark_dirty(connection: Connection, names: Sequence[str]) -> None:
    for kind in KINDS:
        connection.execute(
            "INSERT INTO dirty_days (kind, day)"
            " SELECT DISTINCT %s, (e.created_at AT TIME ZONE 'UTC')::date FROM events e"
            " JOIN repositories r USING (repo_id) WHERE r.name = ANY (%s) AND e.type = ANY (%s)"
            " ON CONFLICT (kind, day) DO UPDATE SET version = nextval('dirty_version')",
            [kind.name, list(names), list(kind.event_types)],
        )
