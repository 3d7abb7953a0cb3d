"""One day of one kind: what its events say, merged into the content table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import psycopg

from resources.kinds import ISSUE, PULL_REQUEST, RELEASE, Kind
from resources.postgres import Connection, Database, sql
from starsearch_assets import audits
from starsearch_assets.content import tracking

_NAMES_LOCK = 0x57A25EA2C6  # any constant: one process at a time chooses the newest names


@dataclass(frozen=True)
class _Reader:
    """Which SQL reads a kind. `merge` holds what merge_items.sql leaves open for the kind."""

    observe: str
    merge_file: str
    ref_column: str
    columns: str = ""
    values: str = ""
    updates: str = ""


_READERS = {
    PULL_REQUEST: _Reader(
        "observe_items",
        "merge_items",
        "number",
        columns=", merged_at, merged_by",
        values=", c.merged_at, c.merged_by",
        updates=(
            ", merged_at = least(known.merged_at, excluded.merged_at),"
            " merged_by = least(known.merged_by, excluded.merged_by)"
        ),
    ),
    ISSUE: _Reader("observe_items", "merge_items", "number"),
    RELEASE: _Reader("observe_releases", "merge_releases", "tag"),
}


@dataclass(frozen=True)
class DayResult:
    """active: items with activity on the day; unhydrated: those of them without title and body."""

    active: int
    unhydrated: int
    observations: int
    comments: int


def process_day(database: Database, kind: Kind, day: date, run_id: str | None = None) -> DayResult:
    """Merge what the events of `day` (UTC) say about items of `kind` in tracked repositories.

    Safe to repeat and in any order. Clears the day's dirty mark if no newer events came meanwhile.
    """
    reader = _READERS[kind]
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    parameters = {
        "kind": kind.name,
        "start": start,
        "end": start + timedelta(days=1),
        "event_types": list(kind.event_types),
        "day": day,
    }
    with database.transaction() as connection:
        tracking.meet_requests(connection, start, start + timedelta(days=1))
        _run(connection, sql(__package__, "names"), parameters)
    with database.transaction() as connection:
        _run(connection, sql(__package__, "newest_names"), {"lock": _NAMES_LOCK})
    with database.transaction() as connection:
        dirty = connection.execute(
            "SELECT version FROM dirty_days WHERE kind = %(kind)s AND day = %(day)s", parameters
        ).fetchone()
        _run(connection, sql(__package__, reader.observe), parameters)
        merge = sql(__package__, reader.merge_file).format(
            table=kind.table,
            merge_columns=reader.columns,
            merge_values=reader.values,
            merge_updates=reader.updates,
        )
        _run(connection, merge, parameters)
        comments = _run(connection, sql(__package__, "merge_comments").format(ref=reader.ref_column), parameters)
        _run(
            connection,
            "INSERT INTO activity (kind, repo_id, ref, day)"
            f" SELECT DISTINCT %(kind)s, repo_id, {reader.ref_column}::text, %(day)s::date FROM observed"
            " ON CONFLICT DO NOTHING",
            parameters,
        )
        result = _audit(connection, kind, day, reader, comments, run_id)
        if dirty is not None:
            connection.execute(
                "DELETE FROM dirty_days WHERE kind = %s AND day = %s AND version = %s", [kind.name, day, dirty[0]]
            )
    return result


def _audit(
    connection: Connection, kind: Kind, day: date, reader: _Reader, comments: int, run_id: str | None
) -> DayResult:
    """Every item that an event of the day names has its row; items without text are counted."""
    row = connection.execute(
        f"SELECT count(*), count(DISTINCT (repo_id, {reader.ref_column})) FROM observed"
    ).fetchone()
    stored = connection.execute(
        "SELECT count(i.ref), count(*) FILTER (WHERE i.hydrated_at IS NULL),"
        " encode(sha256(convert_to(coalesce(string_agg(concat_ws('/', a.repo_id, a.ref, i.hydrated_event, i.state),"
        " ',' ORDER BY a.repo_id, a.ref), ''), 'UTF8')), 'hex')"
        " FROM activity a LEFT JOIN items i USING (kind, repo_id, ref) WHERE a.kind = %s AND a.day = %s",
        [kind.name, day],
    ).fetchone()
    assert row is not None
    assert stored is not None
    observations, named = row
    found, unhydrated, version = stored
    audits.record(
        connection,
        audits.Audit(
            kind.table,
            f"{day}",
            version,
            found >= named,
            {"items named by events": named, "items with activity": found, "without text": unhydrated},
        ),
        run_id,
    )
    return DayResult(found, unhydrated, observations, comments)


def _run(connection: Connection, statement: str, parameters: dict[str, object]) -> int:
    """Run a file of statements with values bound on the client: PostgreSQL binds only single ones."""
    return psycopg.ClientCursor(connection).execute(statement, parameters).rowcount
