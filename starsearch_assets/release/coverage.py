"""What a release rests on: hours read and missed, repositories, items, and how much of GitHub's own count that is."""

from __future__ import annotations

from typing import Any

from resources.postgres import Connection


def coverage_of(connection: Connection) -> dict[str, Any]:
    """What the release rests on: hours read and missed, repositories, items without text, the events' capture."""
    hours = connection.execute(
        "SELECT min(hour), max(hour), count(DISTINCT hour) FILTER (WHERE status = 'loaded' AND source = 'hour_file'),"
        " count(DISTINCT hour) FILTER (WHERE status = 'missing'),"
        " count(DISTINCT hour) FILTER (WHERE status = 'failed'),"
        " coalesce(sum(inserted) FILTER (WHERE status = 'loaded'), 0), coalesce(sum(rejected), 0),"
        " count(DISTINCT hour) FILTER (WHERE source = 'events_api' AND NOT EXISTS (SELECT FROM ingest_ledger file"
        "   WHERE file.hour = l.hour AND file.source = 'hour_file' AND file.status = 'loaded'))"
        " FROM ingest_ledger l"
    ).fetchone()
    content = connection.execute(
        "SELECT (SELECT count(*) FROM repositories), count(*) FILTER (WHERE hydrated_at IS NOT NULL),"
        " count(*) FILTER (WHERE hydrated_at IS NULL), (SELECT min(day) FROM activity), (SELECT max(day) FROM activity)"
        " FROM items"
    ).fetchone()
    cloned = connection.execute(
        "SELECT count(DISTINCT repo_id) FROM commits JOIN repositories USING (repo_id) WHERE gone_at IS NULL"
    ).fetchone()
    captured = connection.execute(
        "SELECT round(sum(known) / nullif(sum(items), 0)::numeric, 4)::float8 FROM reconciliations"
        " WHERE finished_at IS NOT NULL"
    ).fetchone()
    assert hours is not None and content is not None and captured is not None and cloned is not None
    first, last, loaded, missing, failed, events, rejected, live = hours
    repositories, with_text, without_text, since, as_of = content
    return {
        "first_hour": first and first.isoformat(),
        "last_hour": last and last.isoformat(),
        "hours_loaded": loaded,
        "hours_live": live,
        "hours_missing": missing,
        "hours_failed": failed,
        "events": int(events),
        "rejected": int(rejected),
        "repositories": repositories,
        "items": with_text,
        "items_without_text": without_text,
        "capture_rate": captured[0],
        "git_repositories": cloned[0],
        "since": since and since.isoformat(),
        "as_of": as_of and as_of.isoformat(),
    }
