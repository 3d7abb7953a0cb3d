"""Repositories that GitHub hides are forgotten: physically, in every table and release, with a tombstone.

GitHub answers 404 for a private repository as for a deleted one, so a repository that it does not show is forgotten
when it stays hidden for a day; one that it calls private, or blocks for legal reasons, at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import psycopg
from psycopg import sql as pgsql

from resources.kinds import KINDS
from resources.postgres import Connection, Database, retry_deadlocks, sql
from starsearch_assets.dirty import mark_months
from starsearch_assets.forgetting_lock import hold_off_writers

CONFIRMED_AFTER = timedelta(days=1)
"""A repository that GitHub does not show is forgotten when it is still hidden so long after it was first found so."""

_TABLES = (
    *(kind.table for kind in KINDS),
    "comments",
    "activity",
    "hydrations",
    "summary_failures",
    "item_contents",
    "superseded",
    "reconciled_repositories",
    "git_commits",
    "git_refs",
    "git_ref_updates",
    "events",
    "deliveries",
    "contributor_days",
    "repository_days",
    "waits",
    "first_contributions",
    "first_interests",
    "unreviewed_pushes",
    "person_overrides",
    "git_identities",
    "same_people",
)
_INBOX = pgsql.Identifier("service", "inbox")


def note_hidden(connection: Connection, hidden: Mapping[int, str], at: datetime) -> None:
    """Note repositories (id -> unavailable, private or blocked) that GitHub did not show at `at`."""
    connection.cursor().executemany(
        "UPDATE repositories SET hidden_as = %s, hidden_at = greatest(hidden_at, %s),"
        " hidden_since = coalesce(hidden_since, %s) WHERE repo_id = %s",
        [(status, at, at, repo_id) for repo_id, status in sorted(hidden.items())],
    )


def forget_hidden(database: Database) -> list[int]:
    """Forget what is private, blocked, or hidden for long enough; returns the ids."""
    rows = database.fetch_all(
        "SELECT repo_id, hidden_as FROM repositories WHERE hidden_as IN ('private', 'blocked')"
        " OR (hidden_as = 'unavailable' AND hidden_at - hidden_since >= %s) ORDER BY repo_id",
        [CONFIRMED_AFTER],
    )
    for repo_id, reason in rows:
        forget_repository(database, repo_id, reason)
    return [repo_id for repo_id, _ in rows]


@retry_deadlocks
def forget_repository(database: Database, repo_id: int, reason: str) -> None:
    """Remove everything of a repository, and leave its id as a tombstone that every ingester obeys.

    The tombstone comes first and the tracked repository goes last, after its rows have left the disk: a killed run is
    completed by the next.
    """
    database.execute(
        "INSERT INTO tombstones (subject, subject_id, reason) VALUES ('repository', %s, %s) ON CONFLICT DO NOTHING",
        [repo_id, reason],
    )
    with database.transaction() as connection:
        hold_off_writers(connection)
        # First, because a run that writes commits holds this row; the clone, and then the row, go with the next run.
        connection.execute(
            "UPDATE git_repositories SET removed_at = coalesce(removed_at, now()), url = '', error = NULL"
            " WHERE repo_id = %s",
            [repo_id],
        )
        tables = _artifacts_and_vectors(connection)
        names = _names(connection, repo_id)
        months = connection.execute(
            "SELECT DISTINCT kind, date_trunc('month', day)::date FROM activity WHERE repo_id = %s", [repo_id]
        ).fetchall()
        # A summary is of a content; two items can share one.
        connection.execute(
            "DELETE FROM summaries s USING item_contents c WHERE c.repo_id = %(id)s AND c.content_hash = s.content_hash"
            " AND NOT EXISTS (SELECT FROM item_contents other"
            "                 WHERE other.content_hash = s.content_hash AND other.repo_id <> %(id)s)",
            {"id": repo_id},
        )
        connection.execute(
            "DELETE FROM sanitized_events s USING events e WHERE e.repo_id = %s"
            " AND (e.created_at, e.event_id, e.type) = (s.created_at, s.event_id, s.type)",
            [repo_id],
        )
        for name in names:
            connection.execute(
                "DELETE FROM rejected_events WHERE position(convert_to(%s, 'UTF8') IN raw) > 0", [f'"{name}"']
            )
        connection.execute(
            "DELETE FROM service.answers WHERE EXISTS (SELECT FROM jsonb_array_elements(citations) cited"
            " WHERE lower(cited ->> 'repo') = ANY (%(names)s)) OR EXISTS (SELECT FROM"
            " jsonb_array_elements(widgets) drawn, jsonb_array_elements_text(drawn -> 'repositories') shown"
            " WHERE lower(shown) = ANY (%(names)s))",
            {"names": [name.lower() for name in names]},
        )
        connection.execute(
            sql(__package__, "forget_examples"),
            [[name.lower() for name in names]],
        )
        for table in (*tables, *(pgsql.Identifier("starsearch", name) for name in _TABLES), _INBOX):
            connection.execute(pgsql.SQL("DELETE FROM {} WHERE repo_id = %s").format(table), [repo_id])
        for name in ("polling_feeds", "polling_gaps"):
            connection.execute(f"DELETE FROM service.{name} WHERE repo_id = %s", [repo_id])
        mark_months(connection, months)
        connection.execute("DELETE FROM repository_requests WHERE lower(name) = ANY (%s)", [[n.lower() for n in names]])
    _vacuum(database, tables)
    with database.transaction() as connection:
        connection.execute("DELETE FROM repository_names WHERE repo_id = %s", [repo_id])
        connection.execute("DELETE FROM repositories WHERE repo_id = %s", [repo_id])


def _artifacts_and_vectors(connection: Connection) -> list[pgsql.Identifier]:
    """Every table of vectors, served or not; they hold the documents too."""
    artifacts = connection.execute("SELECT table_name FROM index_artifacts ORDER BY artifact_id").fetchall()
    spaces = connection.execute("SELECT table_name FROM embedding_spaces ORDER BY space_id").fetchall()
    found = [pgsql.Identifier("artifacts", name) for (name,) in artifacts]
    return found + [pgsql.Identifier("starsearch", name) for (name,) in spaces]


def _names(connection: Connection, repo_id: int) -> list[str]:
    rows = connection.execute(
        "SELECT name FROM repository_names WHERE repo_id = %(id)s UNION SELECT name FROM repositories"
        " WHERE repo_id = %(id)s ORDER BY 1",
        {"id": repo_id},
    ).fetchall()
    return [name for (name,) in rows]


def _vacuum(database: Database, tables: list[pgsql.Identifier]) -> None:
    """Take the dead rows off the disk: an index artifact is never written again, so that nothing else would."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        for table in (*tables, *(pgsql.Identifier("starsearch", name) for name in ("events", "deliveries")), _INBOX):
            connection.execute(pgsql.SQL("VACUUM (SKIP_LOCKED) {}").format(table))
