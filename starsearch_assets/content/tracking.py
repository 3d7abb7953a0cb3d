"""Which repositories are tracked: only those get content rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from resources.errors import ConfigurationError
from resources.kinds import KINDS
from resources.postgres import Connection, Database, run_script, sql

_NAMES_LOCK = 0x57A25EA2C6  # any constant: one process at a time chooses the newest names
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}/[A-Za-z0-9._-]{1,100}")


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
    found: dict[int, str] = {}
    waiting = []
    with database.transaction() as connection:
        for name in names:
            # The newest repository of that name: names are taken over, ids are not.
            row = connection.execute(
                "SELECT repo_id, repo_name FROM events WHERE lower(repo_name) = lower(%s)"
                " ORDER BY created_at DESC, event_id DESC LIMIT 1",
                [name],
            ).fetchone()
            if row is None:
                connection.execute("INSERT INTO repository_requests (name) VALUES (%s) ON CONFLICT DO NOTHING", [name])
                waiting.append(name)
            else:
                connection.execute(
                    "INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", row
                )
                connection.execute("DELETE FROM repository_requests WHERE lower(name) = lower(%s)", [name])
                found[row[0]] = row[1]
        _mark_dirty(connection, list(found))
    return Tracked(tuple(found.values()), tuple(waiting))


def meet_requests(connection: Connection, start: datetime, end: datetime) -> None:
    """Track the repositories that were asked for and that an event of [start, end) names.

    All their days are asked for: a repository may have events under an earlier name, and days that were
    processed while nobody tracked it.
    """
    if connection.execute("SELECT FROM repository_requests LIMIT 1").fetchone() is None:
        return
    window = {"start": start, "end": end}
    tracked = connection.execute(sql(__package__, "asked"), window).fetchall()
    connection.execute(
        "DELETE FROM repository_requests q WHERE EXISTS (SELECT FROM events e"
        " WHERE lower(e.repo_name) = lower(q.name) AND e.created_at >= %(start)s AND e.created_at < %(end)s)",
        window,
    )
    _mark_dirty(connection, [row[0] for row in tracked])


def remove(database: Database, name: str) -> bool:
    """Stop tracking a repository: its months' indexes are asked for again, without it.

    Its rows stay until it is forgotten. False when it was not tracked.
    """
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO dirty_months (kind, month)"
            " SELECT DISTINCT kind, date_trunc('month', day)::date FROM activity JOIN repositories USING (repo_id)"
            " WHERE lower(name) = lower(%s)"
            " ON CONFLICT (kind, month) DO UPDATE SET version = nextval('dirty_version')",
            [name],
        )
        asked = connection.execute("DELETE FROM repository_requests WHERE lower(name) = lower(%s)", [name]).rowcount
        tracked = connection.execute("DELETE FROM repositories WHERE lower(name) = lower(%s)", [name]).rowcount
    return bool(asked or tracked)


def choose_newest_names(database: Database) -> None:
    """Call every tracked repository by the newest name that anyone saw it under."""
    with database.transaction() as connection:
        run_script(connection, sql(__package__, "newest_names"), {"lock": _NAMES_LOCK})


def track_busiest(database: Database, max_items: int) -> Selection:
    """Track the repositories of all stored events, busiest first, as long as `max_items` items hold them.

    A repository that is too big for what is left is passed over; the smaller ones after it still fit.
    """
    with database.transaction() as connection:
        busy = connection.execute(
            "SELECT repo_id, (array_agg(repo_name ORDER BY created_at DESC, event_id DESC))[1],"
            "   count(DISTINCT coalesce(payload #>> '{pull_request,number}', payload #>> '{issue,number}',"
            "                           'tag ' || (payload #>> '{release,tag_name}'))) AS items"
            " FROM events WHERE type = ANY (%s) GROUP BY repo_id ORDER BY items DESC, repo_id",
            [sorted({event_type for kind in KINDS for event_type in kind.event_types})],
        ).fetchall()
        already = {row[0] for row in connection.execute("SELECT repo_id FROM repositories").fetchall()}
        left = max_items - sum(items for repo_id, _, items in busy if repo_id in already)
        chosen = []
        for repo_id, name, items in busy:
            if repo_id not in already and 0 < items <= left:
                chosen.append((repo_id, name))
                left -= items
        connection.cursor().executemany(
            "INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", sorted(chosen)
        )
        _mark_dirty(connection, [repo_id for repo_id, _ in chosen])
    taken = already.union(repo_id for repo_id, _ in chosen)
    sizes = [(repo_id in taken, items) for repo_id, _, items in busy if items]
    return Selection(
        sum(kept for kept, _ in sizes),
        sum(items for kept, items in sizes if kept),
        sum(not kept for kept, _ in sizes),
        sum(items for kept, items in sizes if not kept),
    )


def _mark_dirty(connection: Connection, repo_ids: Sequence[int]) -> None:
    """Ask for every day on which one of the repositories has events of a kind."""
    for kind in sorted(KINDS, key=lambda kind: kind.name):  # the order in which loads lock these rows
        connection.execute(
            "INSERT INTO dirty_days (kind, day)"
            " SELECT DISTINCT %s, (created_at AT TIME ZONE 'UTC')::date AS day FROM events"
            " WHERE repo_id = ANY (%s) AND type = ANY (%s) ORDER BY day"
            " ON CONFLICT (kind, day) DO UPDATE SET version = nextval('dirty_version')",
            [kind.name, list(repo_ids), list(kind.event_types)],
        )
