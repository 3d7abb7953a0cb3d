"""What each source brought last, how far it lags, how much it captures, and what is missing of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resources.kinds import GIT_HISTORY, KINDS
from resources.postgres import Database
from starsearch_assets import waiting
from starsearch_assets.events.assets import EVENTS
from starsearch_assets.polling.state import polling_state
from starsearch_assets.reconciliation.process import ASSET as RECONCILIATION

_SHOWN = 3
_CAPTURE_DAYS = 7


@dataclass(frozen=True)
class SourceStatus:
    """One source. lag: from the end of the newest hour or day that it brought to now; missing: what and why.

    counts: of what came, where the source is one that sends by itself.
    """

    name: str
    last_success: datetime | None
    lag: timedelta | None
    capture_rate: float | None = None
    missing: str = ""
    counts: str = ""

    def as_text(self, now: datetime) -> str:
        """One line for people."""
        if self.last_success is None:
            return self.missing or self.counts or "nothing yet"
        parts = [f"last success {_ago(now - self.last_success)} ago"]
        if self.lag is not None:
            parts.append(f"lag {_ago(self.lag)}")
        if self.capture_rate is not None:
            parts.append(f"capture rate {self.capture_rate:.1%} of what GitHub lists")
        if self.counts:
            parts.append(self.counts)
        parts.append(self.missing or "nothing missing")
        return "; ".join(parts)


def source_statuses(database: Database, now: datetime | None = None) -> Iterator[SourceStatus]:
    """Every source that brought something or should have: hour files by URL, hydration by kind, reconciliation, git."""
    now = now or datetime.now(UTC)
    yield from _hour_files(database, now)
    for kind in KINDS:
        if kind.hydrated:
            yield _hydration(database, kind.name, kind.table, kind.hydration)
    yield from _webhooks(database)
    yield _reconciliation(database, now)
    yield from _git(database, now)
    yield from _polling(database, now)


def _hour_files(database: Database, now: datetime) -> Iterator[SourceStatus]:
    rows = database.fetch_all(
        "SELECT regexp_replace(url, '/[^/]*$', '') AS base, max(loaded_at) FILTER (WHERE status = 'loaded'),"
        " max(hour) FILTER (WHERE status = 'loaded'),"
        " avg(capture_rate) FILTER (WHERE hour > %(now)s - %(days)s * interval '1 day'),"
        " array_agg(hour ORDER BY hour) FILTER (WHERE status = 'missing'),"
        " array_agg(hour ORDER BY hour) FILTER (WHERE status = 'failed')"
        " FROM ingest_ledger WHERE source = 'hour_file' GROUP BY base ORDER BY max(loaded_at) DESC",
        {"now": now, "days": _CAPTURE_DAYS},
    )
    gaps = _gaps(database)
    late = [one.partition for one in waiting.listing(database, EVENTS)]
    for position, (base, loaded_at, newest, capture, absent, failed) in enumerate(rows):
        missing = [
            _listed("missing at the source", [f"{hour:%Y-%m-%d %H:00}" for hour in absent or ()]),
            _listed("failed", [f"{hour:%Y-%m-%d %H:00}" for hour in failed or ()]),
        ]
        if position == 0:  # what nobody asked for yet, and what is waited for, is the newest source's to bring
            missing += [
                _listed("between the first and the newest never read", [f"{hour:%Y-%m-%d %H:00}" for hour in gaps]),
                _listed("waited for", late),
            ]
        lag = None if newest is None else now - newest - timedelta(hours=1)
        yield SourceStatus(f"hour files {base}", loaded_at, lag, capture, "; ".join(filter(None, missing)))


def _gaps(database: Database) -> list[datetime]:
    rows = database.fetch_all(
        "SELECT hours.hour FROM (SELECT min(hour) AS first, max(hour) AS last FROM ingest_ledger"
        "                        WHERE status = 'loaded' AND source = 'hour_file') seen,"
        " generate_series(first, last, interval '1 hour') hours (hour)"
        " WHERE NOT EXISTS (SELECT FROM ingest_ledger l WHERE l.hour = hours.hour"
        "                   AND l.source = 'hour_file') ORDER BY 1"
    )
    return [row[0] for row in rows]


def _hydration(database: Database, kind: str, table: str, asset: str) -> SourceStatus:
    ((newest, failed),) = database.fetch_all(
        "SELECT max(fetched_at) FILTER (WHERE status = 'found'), count(*) FILTER (WHERE status = 'failed')"
        " FROM hydrations WHERE kind = %s",
        [kind],
    )
    without = database.fetch_value(
        f"SELECT count(*) FROM {table} i JOIN repositories r USING (repo_id)"
        " WHERE i.hydrated_at IS NULL AND i.gone_at IS NULL"
    )
    left = [one.partition for one in waiting.listing(database, asset)]
    missing = [
        f"{without:,} items without text" if without else "",
        f"{failed:,} failed the last time" if failed else "",
        _listed("days wait for the hourly budget", left),
    ]
    return SourceStatus(asset, newest, None, None, "; ".join(filter(None, missing)))


def _webhooks(database: Database) -> Iterator[SourceStatus]:
    """Deliveries of webhooks, once somebody sent one: how requests ended, and what of them was not read."""
    rows = database.fetch_all(
        "SELECT outcome, sum(count)::bigint, max(last_at) FROM service.webhook_counts"
        " GROUP BY outcome ORDER BY 2 DESC, 1"
    )
    if not rows:
        return
    rejected = database.fetch_value("SELECT count(*) FROM deliveries WHERE reason IS NOT NULL")
    unread = database.fetch_all("SELECT hour FROM service.inbox_hours WHERE source = 'webhook' ORDER BY hour")
    missing = [
        f"{rejected:,} could not be used (`starsearch rejected list`)" if rejected else "",
        _listed("hours not read yet", [f"{hour:%Y-%m-%d %H:00}" for (hour,) in unread]),
    ]
    newest = max((at for outcome, _, at in rows if outcome == "accepted"), default=None)
    counts = ", ".join(f"{count:,} {outcome.replace('_', ' ')}" for outcome, count, _ in rows)
    yield SourceStatus("webhooks", newest, None, None, "; ".join(filter(None, missing)), counts)


def _reconciliation(database: Database, now: datetime) -> SourceStatus:
    rows = database.fetch_all(
        "SELECT day, finished_at, items, known FROM reconciliations WHERE finished_at IS NOT NULL ORDER BY day DESC"
    )
    left = [one.partition for one in waiting.listing(database, RECONCILIATION)]
    if not rows:
        return SourceStatus(RECONCILIATION, None, None, None, _listed("days wait for the hourly budget", left))
    newest, oldest = rows[0][0], rows[-1][0]
    recent = [row for row in rows if row[0] > newest - timedelta(days=_CAPTURE_DAYS)]
    items = sum(row[2] for row in recent)
    capture = sum(row[3] for row in recent) / items if items else None
    done = {row[0] for row in rows}
    skipped = [day for day in (oldest + timedelta(days=n) for n in range((newest - oldest).days)) if day not in done]
    missing = [
        _listed("days never reconciled", [f"{day}" for day in skipped]),
        _listed("days wait for the hourly budget", left),
    ]
    ended = datetime(newest.year, newest.month, newest.day, tzinfo=UTC) + timedelta(days=1)
    last = max(row[1] for row in rows)
    return SourceStatus(RECONCILIATION, last, now - ended, capture, "; ".join(filter(None, missing)))


def _git(database: Database, now: datetime) -> Iterator[SourceStatus]:
    """Of the opted-in repositories, if there are any. lag: of the one that was fetched longest ago."""
    ((count, newest, oldest, size, never),) = database.fetch_all(
        "SELECT count(*), max(fetched_at), min(fetched_at), coalesce(sum(bytes), 0)::bigint,"
        " count(*) FILTER (WHERE fetched_at IS NULL) FROM git_repositories WHERE removed_at IS NULL"
    )
    if not count:
        return
    failing = database.fetch_all(
        "SELECT coalesce(r.name, g.repo_id::text) FROM git_repositories g LEFT JOIN repositories r USING (repo_id)"
        " WHERE g.error IS NOT NULL AND g.removed_at IS NULL ORDER BY g.failures DESC, 1"
    )
    missing = [
        _listed("failed the last time", [name for (name,) in failing]),
        f"{never:,} never fetched" if never else "",
    ]
    name = f"{GIT_HISTORY} of {count:,} repositories, {size / 1e6:,.1f} MB of clones"
    yield SourceStatus(name, newest, oldest and now - oldest, None, "; ".join(filter(None, missing)))


def _polling(database: Database, now: datetime) -> Iterator[SourceStatus]:
    state = polling_state(database, now)
    if not state.feeds or (state.last_poll is None and not state.failing and not state.absent):
        return  # nobody polls here
    missing = [
        f"{state.behind:,} of {state.feeds:,} feeds behind their plan" if state.behind else "",
        f"{state.unseen:,} of {state.feeds:,} feeds not polled yet" if state.unseen else "",
        f"{state.failing:,} feeds failed the last time" if state.failing else "",
        f"{state.absent:,} feeds that GitHub does not have" if state.absent else "",
        _listed("gaps to be reconciled", [f"{feed} {since:%Y-%m-%d %H:%M}" for feed, since, _ in state.gaps]),
    ]
    lag = None if state.last_poll is None else now - state.last_poll
    yield SourceStatus("events api", state.last_poll, lag, None, "; ".join(filter(None, missing)))


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return f"{len(names):,} {what} ({shown})"


def _ago(duration: timedelta) -> str:
    minutes = int(max(duration, timedelta(0)).total_seconds() // 60)
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60):,} days"
