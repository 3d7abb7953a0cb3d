"""What polling is doing, and what it missed: for the sensor, `doctor` and `status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from resources.postgres import Database


@dataclass(frozen=True)
class PollingState:
    """feeds: those that are polled. unseen: never answered yet; behind: later than planned by more than an interval and
    a minute; failing: not answered the last time; absent: GitHub has no such feed. gaps: (feed, since, until), newest
    first, that nobody has reconciled.
    """

    feeds: int
    unseen: int
    behind: int
    failing: int
    absent: int
    last_poll: datetime | None
    gaps: tuple[tuple[str, datetime, datetime], ...]


def gap_days(database: Database, now: datetime) -> list[tuple[str, int]]:
    """(day, newest gap) of the days that are over, and have to be reconciled for a gap; newest first."""
    return database.fetch_all(
        "SELECT day::text, max(gap_id) FROM service.open_gap_days WHERE day < %s GROUP BY day ORDER BY day DESC",
        [now.astimezone(UTC).date()],
    )


def polling_state(database: Database, now: datetime) -> PollingState:
    """As it is now."""
    ((feeds, unseen, behind, failing, absent, last_poll),) = database.fetch_all(
        "SELECT count(*), count(*) FILTER (WHERE polled_at IS NULL AND failures = 0),"
        " count(*) FILTER (WHERE polled_at IS NOT NULL AND NOT absent AND %(now)s > next_at"
        "   + (coalesce(planned, 0) + 60) * interval '1 second'),"
        " count(*) FILTER (WHERE failures > 0 AND NOT absent), count(*) FILTER (WHERE absent), max(polled_at)"
        " FROM service.polling_feeds WHERE NOT paused",
        {"now": now},
    )
    gaps = database.fetch_all(
        "SELECT feed, since, until FROM service.open_gap_days GROUP BY gap_id, feed, since, until ORDER BY gap_id DESC"
    )
    return PollingState(feeds, unseen, behind, failing, absent, last_poll, tuple((f, s, u) for f, s, u in gaps))
