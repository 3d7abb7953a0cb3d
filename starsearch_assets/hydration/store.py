"""Write what GitHub said of items: the same merge as for events, and how each look ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, TypeVar

import orjson

from resources.github_items import ItemKey, ItemState, RepositoryState
from resources.kinds import Kind
from resources.postgres import Connection, run_script, sql
from starsearch_assets.content.merge import merge_observed
from starsearch_assets.dirty import mark_days, mark_months
from starsearch_assets.hydration.fates import Gone, Moved

Value = TypeVar("Value")

API_EVENT = 0
"""The event id of what the API told: no event has it."""

_EVENT_TYPES = {"comment": "IssueCommentEvent", "review": "PullRequestReviewEvent"}


def store_items(
    connection: Connection, kind: Kind, found: Mapping[ItemKey, ItemState], fetched_at: datetime, run_id: str | None
) -> None:
    """Merge the items as observed at `fetched_at`; their days of activity stay as they are."""
    observe(connection, (row for key, item in _sorted(found) for row in _rows(key, item, fetched_at)))
    merge_observed(connection, kind)
    run_script(connection, sql(__package__, f"shown_{kind.table}"))
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
    months: list[tuple[str, date]] = []
    for key, fate in _sorted(fates):
        parameters = {"kind": kind.name, "repo_id": key.repo_id, "ref": str(key.number), "at": fetched_at}
        connection.execute(
            f"INSERT INTO {kind.table} (repo_id, number, gone_at) VALUES (%(repo_id)s, %(ref)s::bigint, %(at)s)"
            " ON CONFLICT (repo_id, number) DO UPDATE SET gone_at = excluded.gone_at",
            parameters,
        )
        months += connection.execute(
            "SELECT kind, date_trunc('month', max(day))::date FROM activity"
            " WHERE kind = %(kind)s AND repo_id = %(repo_id)s AND ref = %(ref)s GROUP BY kind",
            parameters,
        ).fetchall()
        if isinstance(fate, Moved):
            _move_days(connection, parameters, fate)
            notes.append((key, "moved", None, fate))
        else:
            notes.append((key, "deleted", fate.reason, None))
    mark_months(connection, months)
    _note(connection, kind, notes, fetched_at, run_id)


def saw_repositories(connection: Connection, seen: Iterable[RepositoryState], at: datetime) -> None:
    """Note that the repositories are there, and their present names.

    Everybody locks items before repositories, and those that are there before those that are hidden.
    """
    rows = sorted({(repository.repo_id, repository.full_name) for repository in seen})
    parameters = {"ids": [repo_id for repo_id, _ in rows], "names": [name for _, name in rows], "at": at}
    run_script(connection, sql(__package__, "saw_repositories"), parameters)


def observe(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Fill the temporary table `observed`; a row is a mapping of its columns, absent ones are NULL."""
    connection.execute(sql(__package__, "observed"))
    # One JSON document: orjson is done with it in a fifth of the time that COPY's rows take, and requests wait for it.
    connection.execute(
        "INSERT INTO observed SELECT * FROM json_populate_recordset(NULL::observed, %s::json)",
        [orjson.dumps(list(rows)).decode()],
    )


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
        "files": None if item.files is None else [plain_text(path) for path in item.files],
        "files_total": item.files_total,
        "commit_headlines": None if item.commits is None else [plain_text(headline) for headline in item.commits],
        "commits_total": item.commits_total,
    }
    for said in item.said:
        user = None if said.author is None else {
            "login": said.author.login, "type": "Bot" if said.author.is_bot else "User",
        }  # fmt: skip
        yield same | {
            "type": _EVENT_TYPES[said.source],
            "text_known": False,
            "said": {
                "id": said.comment_id,
                "body": plain_text(said.body),
                "user": user,
                "created_at": said.created_at,
            },
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
    rows = [
        (key.repo_id, str(key.number), status, reason, moved and moved.repo_id, moved and str(moved.number))
        for key, status, reason, moved in notes
    ]
    if not rows:
        return
    connection.execute(
        sql(__package__, "note"), [kind.name, fetched_at, run_id, *(list(column) for column in zip(*rows, strict=True))]
    )


def _move_days(connection: Connection, parameters: dict[str, Any], fate: Moved) -> None:
    """The item's days, under its new place, where that is tracked; they are asked for again there."""
    days = connection.execute(
        "INSERT INTO activity (kind, repo_id, ref, day)"
        " SELECT a.kind, r.repo_id, %(number)s::text, a.day FROM activity a, repositories r"
        " WHERE a.kind = %(kind)s AND a.repo_id = %(repo_id)s AND a.ref = %(ref)s AND r.repo_id = %(target)s"
        " ON CONFLICT DO NOTHING RETURNING day",
        parameters | {"number": fate.number, "target": fate.repo_id},
    ).fetchall()
    mark_days(connection, [(parameters["kind"], day) for (day,) in days])
