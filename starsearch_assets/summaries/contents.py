"""The contents of a day's items: read, hashed and remembered, with memory for their hashes only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from resources.kinds import Kind
from resources.postgres import Connection, Database, retry_deadlocks, sql
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.summaries.source import Source

_BATCH = 250
_CHOSEN = "AND (a.repo_id, a.ref) IN (SELECT * FROM unnest(%(repo_ids)s::bigint[], %(refs)s::text[]))"


class Item(NamedTuple):
    """An item of a day under the hash of everything that its summary may rest on."""

    repo_id: int
    ref: str
    content_hash: bytes


@retry_deadlocks
def read_day(database: Database, kind: Kind, day: date, run_id: str | None = None) -> list[Item]:
    """The items of `kind` active on `day` that have text, each one's content remembered as its current one."""
    items: list[Item] = []
    with database.transaction() as connection:
        hold_off_forgetting(connection)  # or the contents of a repository forgotten meanwhile would stay
        with connection.cursor(name="sources") as cursor:
            cursor.execute(_query(""), {"kind": kind.name, "day": day})
            while rows := cursor.fetchmany(_BATCH):
                read = [_item(kind, row)[0] for row in rows]
                _remember(connection, kind, read, run_id)
                items += read
    return items


@retry_deadlocks
def read_again(
    database: Database, kind: Kind, day: date, items: Sequence[Item], run_id: str | None = None
) -> list[tuple[Item, Source]]:
    """The sources of some of a day's items as they are now: what changed meanwhile comes under its new hash and is
    remembered; what is gone does not come."""
    chosen = {"repo_ids": [item.repo_id for item in items], "refs": [item.ref for item in items]}
    known = set(items)
    with database.transaction() as connection:
        hold_off_forgetting(connection)
        # Not prepared: a plan for any number of items would read the whole day.
        query = connection.execute(_query(_CHOSEN), {"kind": kind.name, "day": day, **chosen}, prepare=False)
        read = [_item(kind, row) for row in query]
        _remember(connection, kind, [item for item, _ in read if item not in known], run_id)
    return read


def still_held(connection: Connection, kind: Kind, items: Sequence[Item]) -> set[bytes]:
    """Hashes of `items` that are still the content of an item: forgetting a repository takes them away.

    Right until the transaction ends where it holds off forgetting.
    """
    held = {
        content_hash
        for (content_hash,) in connection.execute(
            "SELECT content_hash FROM item_contents JOIN unnest(%s::bigint[], %s::text[], %s::bytea[])"
            " AS wanted (repo_id, ref, content_hash) USING (repo_id, ref, content_hash) WHERE kind = %s",
            [*map(list, zip(*items, strict=True)), kind.name] if items else [[], [], [], kind.name],
        )
    }
    lost = [item.content_hash for item in items if item.content_hash not in held]
    if lost:  # seldom; another repository's item may have the same content
        held.update(
            row[0]
            for row in connection.execute(
                "SELECT DISTINCT content_hash FROM item_contents WHERE content_hash = ANY (%s)", [lost]
            )
        )
    return held


def _query(chosen: str) -> str:
    return sql(__package__, "sources").replace("-- {chosen}", chosen)


def _item(kind: Kind, row: Sequence[Any]) -> tuple[Item, Source]:
    repo_id, ref, title, body, labels, paths, paths_total, commits, reviews, comments = row
    source = Source(
        kind.label, title, body, tuple(labels), tuple(paths), paths_total, tuple(reviews), tuple(comments),
        tuple(commits),
    )  # fmt: skip
    return Item(repo_id, ref, source.content_hash), source


def _remember(connection: Connection, kind: Kind, items: Sequence[Item], run_id: str | None) -> None:
    """Make each item's content its current one, where it is not already."""
    if not items:
        return
    connection.execute(
        sql(__package__, "remember"),
        {
            "kind": kind.name,
            "run_id": run_id,
            "repo_ids": [item.repo_id for item in items],
            "refs": [item.ref for item in items],
            "hashes": [item.content_hash for item in items],
        },
    )
