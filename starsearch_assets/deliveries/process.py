"""One hour of the inbox: its webhook deliveries into `deliveries`, and what they ask for at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from resources.github_items import ItemKey
from resources.inbox import WEBHOOK
from resources.kinds import ISSUE, KINDS
from resources.postgres import Connection, Database, retry_deadlocks, sql
from resources.webhooks import EVENT_HEADER, NEWS_HEADER, PRIVATE
from starsearch_assets import audits
from starsearch_assets.content import tracking
from starsearch_assets.deliveries.parse import Delivery, parse_delivery
from starsearch_assets.dirty import mark_days
from starsearch_assets.events.known import Forgotten
from starsearch_assets.events.parse import BadLine
from starsearch_assets.forgetting import forget_repository, note_hidden
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.hydration.store import store_fates
from starsearch_assets.partitions import hour_key

ASSET = "deliveries"
REJECTED_SHARE_LIMIT = 0.01
"""An hour of whose deliveries more than this share could not be used does not pass its audit."""

_ROWS, _BYTES = 1_000, 32 * 1024 * 1024  # of one chunk, which is one transaction
_COLUMNS = (
    "observed_at, event_id, type, repo_id, repo_name, actor_id, actor_login, payload,"
    " sha256, event, action, item_at, renewed, received_at, sanitized"
)


@dataclass
class HourResult:
    """What an hour came to.

    deliveries, rejected: rows of the hour, and those of them that could not be used. stored: rows that are new or
    changed; withheld: of repositories and persons that were forgotten; news: repositories that were hidden.
    """

    deliveries: int = 0
    rejected: int = 0
    stored: int = 0
    withheld: int = 0
    news: int = 0


@dataclass(frozen=True)
class _Arrived:
    """One delivery as it stands in the inbox."""

    received_at: datetime
    inbox_id: int
    sha256: bytes
    headers: Mapping[str, str]
    repo_id: int | None
    body: bytes

    @property
    def event(self) -> str:
        return self.headers.get(EVENT_HEADER, "")


@dataclass
class _Read:
    """A chunk, read. news: notes of ours."""

    usable: list[tuple[_Arrived, Delivery]] = field(default_factory=list)
    rejected: list[tuple[_Arrived, str]] = field(default_factory=list)
    news: list[_Arrived] = field(default_factory=list)


def read_hour(database: Database, hour: datetime, run_id: str | None = None) -> HourResult:
    """Read the deliveries that arrived in the hour and have no usable row yet.

    Chunks are committed as they are read, each with its dirty days; a run killed half way is completed by the next. The
    hour is no longer asked for if nothing came since it was read.
    """
    asked = database.fetch_value(
        "SELECT version FROM service.inbox_hours WHERE source = %s AND hour = %s", [WEBHOOK, hour]
    )
    result = HourResult()
    after, after_id = hour, 0
    while arrived := _chunk(database, hour, after, after_id):
        after, after_id = arrived[-1].received_at, arrived[-1].inbox_id
        read = _parse(arrived)
        result.news += len(read.news)
        _apply_news(database, read.news, run_id)
        stored, withheld = _store(database, read, run_id)
        result.stored += stored
        result.withheld += withheld
    if result.stored:
        tracking.choose_newest_names(database)
    _finish(database, hour, asked, result, run_id)
    return result


def _chunk(database: Database, hour: datetime, after: datetime, after_id: int) -> list[_Arrived]:
    window = {"start": hour, "end": hour + timedelta(hours=1), "after": after, "after_id": after_id}
    with database.transaction() as connection, connection.cursor(binary=True) as cursor:
        query = sql(__package__, "inbox_chunk")
        rows = cursor.execute(query, window | {"rows": _ROWS, "bytes": _BYTES}).fetchall()
    return [_Arrived(*row) for row in rows]


def _parse(arrived: Sequence[_Arrived]) -> _Read:
    read = _Read()
    for one in arrived:
        if NEWS_HEADER in one.headers:
            read.news.append(one)
            continue
        try:
            read.usable.append((one, parse_delivery(one.event, one.body, one.sha256, one.received_at)))
        except BadLine as reason:
            read.rejected.append((one, str(reason)))
    return read


def _apply_news(database: Database, news: Sequence[_Arrived], run_id: str | None) -> None:
    """A repository that turned private is forgotten at once; a deleted one when GitHub still hides it a day later.

    What GitHub has shown publicly since is not hidden any more. The news counts as read when all is done; nothing in
    its row tells whom it was about.
    """
    for one in news:
        note = orjson.loads(one.body)
        repo_id, hidden = int(note["repository"]), str(note["hidden"])
        with database.transaction() as connection:
            shown = connection.execute(
                "SELECT FROM repositories WHERE repo_id = %s AND seen_at > %s", [repo_id, one.received_at]
            ).fetchone()
            if shown is None:
                status = "private" if hidden == PRIVATE else "unavailable"
                note_hidden(connection, {repo_id: status}, one.received_at)
        if shown is None and hidden == PRIVATE:
            forget_repository(database, repo_id, "private")
        database.execute(
            "INSERT INTO deliveries (sha256, event, action, observed_at, received_at, run_id)"
            " VALUES (%s, 'repository', %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [one.sha256, hidden, one.received_at, one.received_at, run_id],
        )


@retry_deadlocks
def _store(database: Database, read: _Read, run_id: str | None) -> tuple[int, int]:
    """Write the rows of a chunk and what follows from those that are new; how many are new, and how many withheld."""
    with database.transaction() as connection:
        hold_off_forgetting(connection)
        forgotten = Forgotten(connection)
        usable = [(arrived, delivery) for arrived, delivery in read.usable if delivery.row not in forgotten]
        withheld = len(read.usable) - len(usable)
        connection.execute("CREATE TEMPORARY TABLE incoming (LIKE deliveries, event_id bigint) ON COMMIT DROP")
        with connection.cursor().copy(f"COPY incoming ({_COLUMNS}) FROM STDIN") as copy:
            for arrived, delivery in usable:
                copy.write(_line(arrived, delivery))
        tombstones = _tombstones(connection, [one.repo_id for one, _ in read.rejected])
        rejected = [(one, why) for one, why in read.rejected if one.repo_id not in tombstones]
        connection.cursor().executemany(
            "INSERT INTO incoming (sha256, event, repo_id, received_at, observed_at, renewed, reason)"
            " VALUES (%s, %s, %s, %s, %s, false, %s)",
            [(one.sha256, one.event, one.repo_id, one.received_at, one.received_at, why) for one, why in rejected],
        )
        rows = connection.execute(sql(__package__, "store"), {"run_id": run_id}).fetchall()
        stored = {bytes(sha256) for (sha256,) in rows}
        new = [delivery for arrived, delivery in usable if arrived.sha256 in stored]
        _follow(connection, new, stored, run_id)
    return len(stored), withheld


def _line(arrived: _Arrived, delivery: Delivery) -> bytes:
    """The row in COPY's text format; none of these fields has a character to be escaped."""
    fields = (
        f"\\\\x{arrived.sha256.hex()}",
        delivery.event,
        delivery.action or "\\N",
        delivery.item_at.isoformat(),
        delivery.renewed,
        arrived.received_at.isoformat(),
        delivery.row.sanitized or "\\N",
    )
    return delivery.row.copy + "".join(f"\t{one}" for one in fields).encode() + b"\n"


def _tombstones(connection: Connection, repo_ids: Sequence[int | None]) -> set[int | None]:
    query = "SELECT subject_id FROM tombstones WHERE subject = 'repository' AND subject_id = ANY (%s)"
    return {repo_id for (repo_id,) in connection.execute(query, [list(repo_ids)])} if repo_ids else set()


def _follow(connection: Connection, new: Sequence[Delivery], stored: set[bytes], run_id: str | None) -> None:
    """Names, days, fates and fetches that new deliveries ask for."""
    tracking.meet_deliveries(connection, {one.row.repo_id: one.repo_name for one in new})
    tracked = _tracked(connection, [one.row.repo_id for one in new])
    told = [one for one in new if one.row.repo_id in tracked]
    _store_fates(connection, told, run_id)
    connection.execute(sql(__package__, "names"), {"stored": list(stored)})
    mark_days(
        connection,
        {
            (kind.name, one.row.created_at.astimezone(UTC).date())
            for one in told
            for kind in KINDS
            if one.row.type in kind.event_types
        },
    )
    pushed = sorted({one.row.repo_id for one in new if one.event == "push"})
    connection.execute("UPDATE git_repositories SET requested_at = now() WHERE repo_id = ANY (%s)", [pushed])


def _tracked(connection: Connection, repo_ids: Sequence[int]) -> Mapping[int, str]:
    rows = connection.execute("SELECT repo_id, name FROM repositories WHERE repo_id = ANY (%s)", [list(repo_ids)])
    return dict(rows.fetchall())


def _store_fates(connection: Connection, told: Sequence[Delivery], run_id: str | None) -> None:
    """Issues that were deleted or transferred leave their place."""
    for one in told:
        if one.fate is not None and one.number is not None:
            key = ItemKey(one.row.repo_id, *_split(one.repo_name), one.number)
            store_fates(connection, ISSUE, {key: one.fate}, one.item_at, run_id)


def _split(name: str) -> tuple[str, str]:
    owner, _, rest = name.partition("/")
    return owner, rest


def _finish(database: Database, hour: datetime, asked: int | None, result: HourResult, run_id: str | None) -> None:
    """Audit the hour, and take its mark away in the version that was read."""
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT count(*), count(reason) FROM deliveries WHERE received_at >= %s AND received_at < %s",
            [hour, hour + timedelta(hours=1)],
        ).fetchone()
        assert row is not None
        result.deliveries, result.rejected = row
        passed = result.rejected <= REJECTED_SHARE_LIMIT * max(result.deliveries, 100)
        details: dict[str, Any] = {
            "deliveries": result.deliveries,
            "rejected": result.rejected,
            "share rejected": round(result.rejected / max(result.deliveries, 1), 4),
        }
        version = f"{result.deliveries}/{result.rejected}"
        audits.record(connection, audits.Audit(ASSET, hour_key(hour), version, passed, details), run_id)
        connection.execute(
            "DELETE FROM service.inbox_hours WHERE source = %s AND hour = %s AND version = %s", [WEBHOOK, hour, asked]
        )
