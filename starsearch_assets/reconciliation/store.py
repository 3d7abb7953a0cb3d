"""Take in what GitHub lists for a day: counted against the events, and what they missed gets its activity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

from resources.github_updates import Change, Changes, NewRelease
from resources.kinds import ISSUE, KINDS, PULL_REQUEST, RELEASE, Kind
from resources.postgres import Connection, sql
from starsearch_assets.content.merge import merge_observed
from starsearch_assets.dirty import mark_days
from starsearch_assets.hydration.store import API_EVENT, observe, plain_text, saw_repositories

_TAG_LIMIT = 2000  # bytes, as for events: a tag is part of a key


@dataclass(frozen=True)
class Window:
    """A day in UTC, as [start, end)."""

    day: date
    start: datetime
    end: datetime

    @classmethod
    def of(cls, day: date) -> Self:
        """The window of `day`."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return cls(day, start, start + timedelta(days=1))

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def store_changes(connection: Connection, window: Window, changes: Mapping[int, Changes], at: datetime) -> None:
    """Merge what GitHub lists, add the days that events missed, and note each repository's counts."""
    known = _known(connection, window, list(changes))
    missed: dict[Kind, set[tuple[int, str]]] = {kind: set() for kind in KINDS}
    rows = []
    for repo_id, change in sorted(changes.items()):
        listed = [(kind, ref) for kind, ref in _of_the_day(change, window)]
        told = sum((repo_id, kind.name, ref) in known for kind, ref in listed)
        for kind, ref in listed:
            if (repo_id, kind.name, ref) not in known:
                missed[kind].add((repo_id, ref))
        rows.append((window.day, repo_id, len(listed), told, change.cut))
    for kind, lists in (
        (PULL_REQUEST, [(repo_id, one.pull_requests) for repo_id, one in sorted(changes.items())]),
        (ISSUE, [(repo_id, one.issues) for repo_id, one in sorted(changes.items())]),
    ):
        _merge_items(connection, kind, window, lists, at)
    _merge_releases(connection, window, [(repo_id, one.releases) for repo_id, one in sorted(changes.items())])
    for kind, items in missed.items():
        _add_days(connection, kind, window.day, items)
    connection.cursor().executemany(
        "INSERT INTO reconciled_repositories (day, repo_id, items, known, cut) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (day, repo_id) DO UPDATE SET items = excluded.items, known = excluded.known, cut = excluded.cut",
        rows,
    )
    saw_repositories(connection, {one.repository for one in changes.values()}, at)


def _known(connection: Connection, window: Window, repo_ids: list[int]) -> set[tuple[int, str, str]]:
    rows = connection.execute(
        sql(__package__, "known"),
        {
            "repo_ids": repo_ids,
            "start": window.start,
            "end": window.end,
            "event_types": sorted({name for kind in KINDS for name in kind.event_types}),
        },
    ).fetchall()
    return {(repo_id, kind, ref) for repo_id, kind, ref in rows}


def _of_the_day(changes: Changes, window: Window) -> Iterable[tuple[Kind, str]]:
    """Items created or last updated on the day."""
    for kind, listed in ((PULL_REQUEST, changes.pull_requests), (ISSUE, changes.issues)):
        for change in listed:
            if change.created_at in window or change.updated_at in window:
                yield kind, str(change.number)
    for release in _releases(changes.releases, window):
        yield RELEASE, release.tag


def _releases(releases: Iterable[NewRelease], window: Window) -> Iterable[NewRelease]:
    return (one for one in releases if one.published_at in window and len(one.tag.encode()) <= _TAG_LIMIT)


def _merge_items(
    connection: Connection, kind: Kind, window: Window, lists: Iterable[tuple[int, list[Change]]], at: datetime
) -> None:
    """Without texts: state, author and times. An item updated since it was hydrated will be hydrated again."""
    observe(
        connection,
        (
            {
                "repo_id": repo_id,
                "number": change.number,
                "observed_at": at,
                "active_at": change.updated_at,
                "event_id": API_EVENT,
                "text_known": False,
                "state": change.state,
                "closed_at": change.closed_at,
                "created_at": change.created_at,
                "merged_at": change.merged_at,
                "author_login": change.author and change.author.login,
                "author_typed_bot": change.author is not None and change.author.is_bot,
            }
            for repo_id, listed in lists
            for change in listed
            if change.created_at in window or change.updated_at in window
        ),
    )
    merge_observed(connection, kind)
    connection.execute("DROP TABLE observed")


def _merge_releases(connection: Connection, window: Window, lists: Iterable[tuple[int, list[NewRelease]]]) -> None:
    """As observed when they were published, so that any event about them is newer."""
    connection.execute(sql(__package__, "observed_releases"))
    with connection.cursor().copy(
        "COPY observed (repo_id, observed_at, event_id, tag, title, body, author_login, author_typed_bot, created_at,"
        " published_at, prerelease) FROM STDIN"
    ) as copy:
        for repo_id, releases in lists:
            for one in _releases(releases, window):
                copy.write_row(
                    (
                        repo_id, one.published_at, API_EVENT, plain_text(one.tag), plain_text(one.title),
                        plain_text(one.body), one.author, False, one.created_at, one.published_at, one.prerelease,
                    )
                )  # fmt: skip
    merge_observed(connection, RELEASE)
    connection.execute("DROP TABLE observed")


def _add_days(connection: Connection, kind: Kind, day: date, items: set[tuple[int, str]]) -> None:
    rows = sorted(items)
    added = connection.execute(
        "INSERT INTO activity (kind, repo_id, ref, day)"
        " SELECT %s, missed.*, %s FROM unnest(%s::bigint[], %s::text[]) missed ON CONFLICT DO NOTHING",
        [kind.name, day, [repo_id for repo_id, _ in rows], [ref for _, ref in rows]],
    ).rowcount
    if added:
        mark_days(connection, [(kind.name, day)])
