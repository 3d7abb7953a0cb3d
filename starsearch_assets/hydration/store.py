"""Write what GitHub said of items: the same merge as for events, and how each look ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from psycopg.types.json import Jsonb

from resources.github_items import ItemKey, ItemState, RepositoryState
from resources.kinds import PULL_REQUEST, Kind
from resources.postgres import Connection, sql
from starsearch_assets.content.merge import merge_observed
from starsearch_assets.hydration.fates import Gone, Moved

Value = TypeVar("Value")

API_EVENT = 0
"""The event id of what the API told: no event has it."""

_COLUMNS = (
    "repo_id, number, observed_at, active_at, event_id, type, said, text_known, title, body, author_login,"
    " author_typed_bot, created_at, state, closed_at, merged_at, merged_by, labels"
)
_EVENT_TYPES = {"comment": "IssueCommentEvent", "review": "PullRequestReviewEvent"}


def store_items(
    connection: Connection, kind: Kind, found: Mapping[ItemKey, ItemState], fetched_at: datetime, run_id: str | None
) -> None:
    """Merge the items as observed at `fetched_at`; their days of activity stay as they are."""
    observe(connection, (row for key, item in _sorted(found) for row in _rows(key, item, fetched_at)))
    merge_observed(connection, kind)
    keys = sorted((key.repo_id, key.number) for key in found)
    connection.cursor().executemany(
        f"UPDATE {kind.table} SET gone_at = NULL WHERE repo_id = %s AND number = %s AND gone_at IS NOT NULL", keys
    )
    if kind is PULL_REQUEST:
        connection.cursor().executemany(
            "UPDATE pull_requests SET files = %s, files_total = %s, files_observed_at = %s"
            " WHERE repo_id = %s AND number = %s AND coalesce(files_observed_at, '-infinity') < %s",
            [
                (
                    [plain_text(path) for path in item.files],
                    item.files_total,
                    fetched_at,
                    key.repo_id,
                    key.number,
                    fetched_at,
                )
                for key, item in _sorted(found)
                if item.files is not None
            ],
        )
    _note(connection, kind, [(key, "found", None, None) for key, _ in _sorted(found)], fetched_at, run_id)


def store_failures(
    connection: Connection, kind: Kind, failed: Mapping[ItemKey, str], fetched_at: datetime, run_id: str | None
) -> None:
    """Note what could not be had; the next run asks again."""
    _note(connection, kind, [(key, "failed", reason, None) for key, reason in failed.items()], fetched_at, run_id)


def store_fates(
    connection: Connection, kind: Kind, fates: Mapping[ItemKey, Gone | Moved], fetched_at: datetime, run_id: str | None
) -> None:
    """Items that are gone leave the index of their month; a moved one takes its days along, if its place is tracked."""
    notes: list[tuple[ItemKey, str, str | None, Moved | None]] = []
    for key, fate in _sorted(fates):
        parameters = {"kind": kind.name, "repo_id": key.repo_id, "ref": str(key.number), "at": fetched_at}
        connection.execute(
            f"INSERT INTO {kind.table} (repo_id, number, gone_at) VALUES (%(repo_id)s, %(ref)s::bigint, %(at)s)"
            " ON CONFLICT (repo_id, number) DO UPDATE SET gone_at = excluded.gone_at",
            parameters,
        )
        connection.execute(
            "INSERT INTO dirty_months (kind, month) SELECT kind, date_trunc('month', max(day))::date FROM activity"
            " WHERE kind = %(kind)s AND repo_id = %(repo_id)s AND ref = %(ref)s GROUP BY kind"
            " ON CONFLICT (kind, month) DO UPDATE SET version = nextval('dirty_version')",
            parameters,
        )
        if isinstance(fate, Moved):
            _move_days(connection, parameters, fate)
            notes.append((key, "moved", None, fate))
        else:
            notes.append((key, "deleted", fate.reason, None))
    _note(connection, kind, notes, fetched_at, run_id)


def saw_repositories(connection: Connection, seen: Iterable[RepositoryState], at: datetime) -> None:
    """Note that the repositories are there, and their present names.

    Everybody locks items before repositories, and those that are there before those that are hidden.
    """
    rows = sorted((repository.repo_id, repository.full_name, at, at) for repository in seen)
    cursor = connection.cursor()
    cursor.executemany(
        "UPDATE repositories SET seen_at = greatest(seen_at, %s),"
        " (hidden_as, hidden_since, hidden_at) = (NULL, NULL, NULL) WHERE repo_id = %s",
        [(at, repo_id) for repo_id, *_ in rows],
    )
    cursor.executemany(
        "INSERT INTO repository_names AS known (repo_id, name, first_seen, last_seen)"
        " SELECT repo_id, %s, %s, %s FROM repositories WHERE repo_id = %s"
        " ON CONFLICT (repo_id, name) DO UPDATE SET first_seen = least(known.first_seen, excluded.first_seen),"
        " last_seen = greatest(known.last_seen, excluded.last_seen)",
        [(name, first, last, repo_id) for repo_id, name, first, last in rows],
    )


def observe(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Fill the temporary table `observed`; a row is a mapping of its columns, absent ones are NULL."""
    connection.execute(sql(__package__, "observed"))
    names = _COLUMNS.split(", ")
    with connection.cursor().copy(f"COPY observed ({_COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row.get(name) for name in names])


def _sorted(found: Mapping[ItemKey, Value]) -> list[tuple[ItemKey, Value]]:
    """By the tables' key: whoever writes many rows locks them in the same order."""
    return sorted(found.items(), key=lambda one: (one[0].repo_id, one[0].number))


def _rows(key: ItemKey, item: ItemState, fetched_at: datetime) -> Iterable[Mapping[str, Any]]:
    same = {"repo_id": key.repo_id, "number": key.number, "observed_at": fetched_at, "event_id": API_EVENT}
    yield same | {
        "text_known": True,
        "title": plain_text(item.title),
        "body": plain_text(item.body),
        "author_login": item.author and item.author.login,
        "author_typed_bot": item.author is not None and item.author.is_bot,
        "created_at": item.created_at,
        "state": item.state,
        "closed_at": item.closed_at,
        "merged_at": item.merged_at,
        "merged_by": item.merged_by,
        "labels": [plain_text(label) for label in item.labels],
    }
    for said in item.said:
        user = None if said.author is None else {
            "login": said.author.login, "type": "Bot" if said.author.is_bot else "User",
        }  # fmt: skip
        yield same | {
            "type": _EVENT_TYPES[said.source],
            "text_known": False,
            "said": Jsonb(
                {
                    "id": said.comment_id,
                    "body": plain_text(said.body),
                    "user": user,
                    "created_at": said.created_at.isoformat(),
                }
            ),
        }


def plain_text(value: str) -> str:
    """The text as PostgreSQL takes it: U+0000 replaced by its escape."""
    return value.replace("\x00", "\\u0000")


def _note(
    connection: Connection,
    kind: Kind,
    notes: Iterable[tuple[ItemKey, str, str | None, Moved | None]],
    fetched_at: datetime,
    run_id: str | None,
) -> None:
    connection.cursor().executemany(
        "INSERT INTO hydrations (kind, repo_id, ref, status, fetched_at, reason, moved_repo_id, moved_ref, run_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (kind, repo_id, ref) DO UPDATE SET"
        " status = excluded.status, fetched_at = excluded.fetched_at, reason = excluded.reason,"
        " moved_repo_id = excluded.moved_repo_id, moved_ref = excluded.moved_ref, run_id = excluded.run_id"
        " WHERE hydrations.fetched_at <= excluded.fetched_at",
        [
            (
                kind.name, key.repo_id, str(key.number), status, fetched_at, reason,
                moved and moved.repo_id, moved and str(moved.number), run_id,
            )
            for key, status, reason, moved in notes
        ],
    )  # fmt: skip


def _move_days(connection: Connection, parameters: dict[str, Any], fate: Moved) -> None:
    """The item's days, under its new place, where that is tracked; they are asked for again there."""
    days = connection.execute(
        "INSERT INTO activity (kind, repo_id, ref, day)"
        " SELECT a.kind, r.repo_id, %(number)s::text, a.day FROM activity a, repositories r"
        " WHERE a.kind = %(kind)s AND a.repo_id = %(repo_id)s AND a.ref = %(ref)s AND r.repo_id = %(target)s"
        " ON CONFLICT DO NOTHING RETURNING day",
        parameters | {"number": fate.number, "target": fate.repo_id},
    ).fetchall()
    mark_days(connection, parameters["kind"], [day for (day,) in days])


def mark_days(connection: Connection, kind: str, days: Iterable[Any]) -> None:
    """Ask for the days' partitions of a kind again."""
    connection.cursor().executemany(
        "INSERT INTO dirty_days (kind, day) VALUES (%s, %s)"
        " ON CONFLICT (kind, day) DO UPDATE SET version = nextval('dirty_version')",
        [(kind, day) for day in sorted(days)],
    )
