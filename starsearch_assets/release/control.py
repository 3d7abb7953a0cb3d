"""Going back to an earlier release, resuming, and dropping what no kept release names."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
from psycopg import sql as pgsql

from resources.errors import NothingLoaded
from resources.postgres import Connection, Database
from starsearch_assets.embeddings.models import serving_model
from starsearch_assets.release.decide import activate

logger = logging.getLogger(__name__)

KEPT = 7
"""Published releases that are kept; the active one is kept whatever its age."""


@dataclass(frozen=True)
class ReleaseRow:
    """One release as `starsearch release list` shows it. bytes: of its artifacts, which releases share."""

    release_id: int
    status: str
    active: bool
    as_of: date | None
    created_at: datetime
    items: int
    bytes: int
    reason: str | None


def releases(database: Database) -> list[ReleaseRow]:
    """All releases that are kept, newest first."""
    rows = database.fetch_all(
        "SELECT s.release_id, s.status, coalesce(a.release_id = s.release_id, false), s.as_of, s.created_at,"
        " (SELECT coalesce(sum(row_count), 0)::bigint FROM release_artifacts JOIN index_artifacts USING (artifact_id)"
        "  WHERE release_id = s.release_id),"
        " (SELECT coalesce(sum(bytes), 0)::bigint FROM release_artifacts JOIN index_artifacts USING (artifact_id)"
        "  WHERE release_id = s.release_id), s.reason"
        " FROM search_releases s CROSS JOIN active_release a ORDER BY s.release_id DESC"
    )
    return [ReleaseRow(*row) for row in rows]


def activate_release(database: Database, release_id: int) -> None:
    """Serve release `release_id`, with its model, and pause automatic activation.

    Raises:
        NothingLoaded: there is no such release, or it never passed.
    """
    with database.transaction() as connection:
        row = connection.execute("SELECT status FROM search_releases WHERE release_id = %s", [release_id]).fetchone()
        if row is None or row[0] != "published":
            found = "it does not exist" if row is None else f"it was {row[0]}"
            raise NothingLoaded(
                f"Release {release_id} cannot be activated: {found}. `starsearch release list` shows those that can."
            )
        connection.execute("UPDATE active_release SET paused = true")
        activate(connection, release_id)


def resume(database: Database) -> int | None:
    """Let new releases become active again, and activate the newest published one of the model that serves."""
    with database.transaction() as connection:
        connection.execute("UPDATE active_release SET paused = false")
        row = connection.execute(
            "SELECT max(release_id) FROM search_releases s WHERE status = 'published' AND (%(model)s::text IS NULL"
            " OR EXISTS (SELECT FROM release_artifacts r JOIN index_artifacts USING (artifact_id)"
            "            JOIN embedding_spaces e USING (space_id)"
            "            WHERE r.release_id = s.release_id AND e.model = %(model)s))",
            {"model": serving_model(connection)},
        ).fetchone()
        newest = row[0] if row is not None else None
        if newest is not None:
            activate(connection, newest)
    return newest


@dataclass(frozen=True)
class Dropped:
    """An artifact that was dropped, and what it had cost."""

    table: str
    bytes: int
    build_seconds: float


def drop_unused(database: Database) -> list[Dropped]:
    """Forget releases past the seven kept, then drop artifacts that none names.

    The newest artifact of a month is kept, as it waits for a release. An artifact that a reader still
    holds is left for the next time.
    """
    with database.transaction() as connection:
        connection.execute(
            "DELETE FROM search_releases WHERE release_id NOT IN"
            " (SELECT release_id FROM search_releases WHERE status = 'published' ORDER BY release_id DESC LIMIT %s)"
            " AND release_id IS DISTINCT FROM (SELECT release_id FROM active_release)"
            " AND NOT (status <> 'published' AND created_at > now() - INTERVAL '7 days')",
            [KEPT],
        )
        unused = connection.execute(
            "SELECT artifact_id, table_name, bytes, build_seconds FROM index_artifacts a"
            " WHERE NOT EXISTS (SELECT FROM release_artifacts r WHERE r.artifact_id = a.artifact_id)"
            " AND version < (SELECT max(version) FROM index_artifacts n"
            "                WHERE n.space_id = a.space_id AND n.month = a.month AND n.passed)"
        ).fetchall()
    dropped = []
    for artifact_id, table, size, seconds in unused:
        try:
            with database.transaction() as connection:
                _drop(connection, artifact_id, table)
        except psycopg.errors.LockNotAvailable:
            logger.info("artifact in use, left for the next time", extra={"artifact": table})
            continue
        dropped.append(Dropped(table, size, seconds))
    return dropped


def _drop(connection: Connection, artifact_id: int, table: str) -> None:
    connection.execute("SET LOCAL lock_timeout TO '2s'")
    connection.execute("DELETE FROM index_artifacts WHERE artifact_id = %s", [artifact_id])
    connection.execute(pgsql.SQL("DROP TABLE IF EXISTS {}").format(pgsql.Identifier("artifacts", table)))
