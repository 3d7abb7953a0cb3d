"""One day of one kind: what its events, or its commits, say, merged into the content table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from resources.kinds import Kind
from resources.postgres import Connection, Database, retry_deadlocks, run_script, sql
from starsearch_assets import audits
from starsearch_assets.content import tracking
from starsearch_assets.content.merge import READERS, Reader, merge_observed
from starsearch_assets.forgetting_lock import hold_off_forgetting


@dataclass(frozen=True)
class DayResult:
    """active: items with activity on the day; unhydrated: those of them that GitHub still has and that lack text."""

    active: int
    unhydrated: int
    observations: int
    comments: int


@retry_deadlocks
def process_day(database: Database, kind: Kind, day: date, run_id: str | None = None) -> DayResult:
    """Merge what the source has of `day` (UTC) about items of `kind` in tracked repositories.

    Safe to repeat and in any order. Clears the day's dirty mark if nothing newer came meanwhile.
    """
    reader = READERS[kind]
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    parameters = {
        "kind": kind.name,
        "start": start,
        "end": start + timedelta(days=1),
        "event_types": list(kind.event_types),
        "day": day,
    }
    if kind.event_types:  # events also tell which repositories there are, and their names
        with database.transaction() as connection:
            tracking.meet_requests(connection, start, start + timedelta(days=1))
            run_script(connection, sql(__package__, "names"), parameters)
        tracking.choose_newest_names(database)
    with database.transaction() as connection:
        hold_off_forgetting(connection)
        dirty = connection.execute(
            "SELECT version FROM dirty_days WHERE kind = %(kind)s AND day = %(day)s", parameters
        ).fetchone()
        run_script(connection, sql(__package__, reader.observe), parameters)
        comments = merge_observed(connection, kind)
        connection.execute(
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
    connection: Connection, kind: Kind, day: date, reader: Reader, comments: int, run_id: str | None
) -> DayResult:
    """Every item that the source names on the day has its row; items without text are counted."""
    row = connection.execute(
        f"SELECT count(*), count(DISTINCT (repo_id, {reader.ref_column})) FROM observed"
    ).fetchone()
    stored = connection.execute(
        "SELECT count(i.ref), count(*) FILTER (WHERE i.hydrated_at IS NULL AND i.gone_at IS NULL),"
        " encode(sha256(convert_to(coalesce(string_agg(concat_ws('/', a.repo_id, a.ref, i.hydrated_event, i.state),"
        " ',' ORDER BY a.repo_id, a.ref), ''), 'UTF8')), 'hex')"
        " FROM activity a LEFT JOIN known_items i USING (kind, repo_id, ref) WHERE a.kind = %s AND a.day = %s",
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
            {
                f"items named by {kind.source.replace('_', ' ')}": named,
                "items with activity": found,
                "without text": unhydrated,
            },
        ),
        run_id,
    )
    return DayResult(found, unhydrated, observations, comments)
