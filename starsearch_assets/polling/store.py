"""The feeds in the database, in the role of the service: what a poll changes is committed as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg.rows import class_row

from resources import inbox
from resources.errors import SchemaVersionMismatch
from resources.github_events import FeedEvent
from resources.inbox import Arrival
from resources.postgres import Connection, Database
from starsearch_assets.polling.cursor import Cursor, times
from starsearch_assets.polling.lease import Lease
from starsearch_assets.polling.schedule import Feed
from starsearch_assets.polling.walk import Walk

_COLUMNS = "feed, etag, rate, poll_interval, planned, polled_at, next_at, failures, absent, paused"


@dataclass(frozen=True)
class Stored:
    """What came of a poll. events: new in the inbox; withheld: not public, or of someone who was forgotten."""

    events: int = 0
    withheld: int = 0
    gap: tuple[datetime, datetime] | None = None


@dataclass(frozen=True)
class _Row:
    feed: str
    etag: str | None
    rate: float | None
    poll_interval: float
    planned: float | None
    polled_at: datetime | None
    next_at: datetime | None
    failures: int
    absent: bool
    paused: bool

    def as_feed(self) -> Feed:
        polled_at = None if self.polled_at is None else self.polled_at.timestamp()
        not_before = 0.0
        if self.failures and self.next_at is not None:
            not_before = self.next_at.timestamp()
        elif polled_at is not None:
            not_before = polled_at + self.poll_interval
        return Feed(
            self.feed, self.rate, self.poll_interval, self.etag, polled_at, not_before, self.failures, self.absent,
            self.paused, self.planned or 0.0,
        )  # fmt: skip


def check_schema(database: Database) -> None:
    """Refuse a database that does not know of polling.

    Raises:
        SchemaVersionMismatch: it has to be migrated.
    """
    if database.fetch_value("SELECT to_regclass('service.polling_feeds')") is None:
        raise SchemaVersionMismatch(
            "The database's schema is older than this StarSearch: run `starsearch migrate` with the owner's"
            " DATABASE_URL."
        )


def load_feeds(database: Database) -> list[Feed]:
    """All feeds as they were left."""
    return _feeds(database, "TRUE")


def follow_changes(database: Database, lease: Lease) -> tuple[list[Feed], list[str]]:
    """Take in what is tracked now; returns the feeds that are new or changed, and the names of those that are gone."""
    changes = database.fetch_all(
        "SELECT coalesce(w.feed, f.feed), w.repo_id, w.paused FROM feeds_to_poll w FULL JOIN polling_feeds f"
        " ON f.feed = w.feed WHERE w.feed IS NULL OR f.feed IS NULL OR f.paused <> w.paused ORDER BY 1"
    )
    if not changes:
        return [], []
    wanted = [change for change in changes if change[2] is not None]
    gone = [feed for feed, _, paused in changes if paused is None]
    with lease.transaction() as connection:
        connection.cursor().executemany(
            "INSERT INTO polling_feeds (feed, repo_id, paused) VALUES (%s, %s, %s)"
            " ON CONFLICT (feed) DO UPDATE SET paused = excluded.paused",
            wanted,
        )
        connection.execute("DELETE FROM polling_feeds WHERE feed = ANY (%s)", [gone])
    return _feeds(database, "feed = ANY (%(names)s)", [feed for feed, _, _ in wanted]), gone


def load_cursor(database: Database, feed: str) -> Cursor:
    """What of a feed is known."""
    rows = database.fetch_all("SELECT known, newest_at, polled_at FROM polling_feeds WHERE feed = %s", [feed])
    return Cursor(*rows[0]) if rows else Cursor()


def store_walk(lease: Lease, feed: Feed, found: Walk, cursor: Cursor, now: datetime) -> Stored:
    """New events to the inbox, the cursor, the gap where there is one, and the feed's times: in one transaction."""
    gap = cursor.gap(found.offered, now) if found.whole else None
    with lease.transaction() as connection:
        public, withheld = _public(connection, found.new)
        updated = connection.execute(
            "UPDATE polling_feeds SET known = %s, newest_at = greatest(newest_at, %s), events = events + %s"
            " WHERE feed = %s RETURNING repo_id",
            [cursor.after(found.offered), max(times(found.offered), default=None), len(public), feed.name],
        ).fetchone()
        if updated is None:  # nobody follows it any more
            return Stored()
        _answered(connection, [feed])
        arrivals = [Arrival(inbox.EVENTS_API, one.body, {"feed": feed.name}, one.repo_id) for one in public]
        count = inbox.put(connection, arrivals) if arrivals else 0
        if gap is not None:
            connection.execute(
                "INSERT INTO polling_gaps (feed, repo_id, since, until) VALUES (%s, %s, %s, %s)",
                [feed.name, updated[0], *gap],
            )
    return Stored(count, withheld, gap)


def store_unchanged(lease: Lease, feed: Feed) -> None:
    """GitHub says that nothing is new."""
    with lease.transaction() as connection:
        _answered(connection, [feed])


def store_failure(lease: Lease, feed: Feed, problem: str) -> None:
    """It could not be read; the cursor stays."""
    with lease.transaction() as connection:
        connection.execute(
            "UPDATE polling_feeds SET failures = %s, problem = %s, absent = %s, next_at = %s WHERE feed = %s",
            [feed.failures, problem[:500], feed.absent, _moment(feed.next_at), feed.name],
        )


def store_plan(lease: Lease, feeds: Sequence[Feed]) -> None:
    """When each of them is due by the present plan."""
    if not feeds:
        return
    with lease.transaction() as connection:
        connection.execute(
            "UPDATE polling_feeds f SET planned = told.planned, next_at = told.next_at"
            " FROM unnest(%s::text[], %s::double precision[], %s::timestamptz[]) AS told (feed, planned, next_at)"
            " WHERE f.feed = told.feed",
            [
                [feed.name for feed in feeds],
                [feed.interval for feed in feeds],
                [_moment(feed.next_at) for feed in feeds],
            ],
        )


def _answered(connection: Connection, feeds: Iterable[Feed]) -> None:
    connection.cursor().executemany(
        "UPDATE polling_feeds SET etag = %s, rate = %s, poll_interval = %s, planned = %s, polled_at = %s, next_at = %s,"
        " failures = 0, problem = NULL, absent = false WHERE feed = %s",
        [
            (feed.etag, feed.rate, feed.floor, feed.interval, _moment(feed.polled_at), _moment(feed.next_at), feed.name)
            for feed in feeds
        ],
    )


def _public(connection: Connection, events: Sequence[FeedEvent]) -> tuple[list[FeedEvent], int]:
    """Without those that are not public, or of a repository or a person that was forgotten."""
    forgotten = set(
        connection.execute(
            "SELECT subject, subject_id FROM forgotten WHERE subject_id = ANY (%s)",
            [sorted({one for event in events for one in (event.repo_id, event.actor_id) if one is not None})],
        ).fetchall()
    )
    kept = [
        event
        for event in events
        if event.public
        and ("repository", event.repo_id) not in forgotten
        and ("person", event.actor_id) not in forgotten
    ]
    return kept, len(events) - len(kept)


def _feeds(database: Database, condition: str, names: Sequence[str] = ()) -> list[Feed]:
    with database.transaction() as connection, connection.cursor(row_factory=class_row(_Row)) as cursor:
        query = f"SELECT {_COLUMNS} FROM polling_feeds WHERE {condition} ORDER BY feed"
        return [row.as_feed() for row in cursor.execute(query, {"names": list(names)})]


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
