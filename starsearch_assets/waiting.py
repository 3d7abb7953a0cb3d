"""Partitions that cannot be finished yet through no fault of theirs, and when to ask for each again.

An hour file that its source does not have yet: the partition stays without a materialization. An API budget that is
used up: it is materialized with what came. Either way its run succeeds. An LLM server that is down: the run fails. A
sensor requests the partition again in time.
Nothing but this module touches the table `waiting_partitions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from resources.postgres import Connection, Database

FIRST_WAIT = timedelta(minutes=10)
LONGEST_WAIT = timedelta(hours=2)


@dataclass(frozen=True)
class Waiting:
    """A partition that waits. attempts: how often it was tried in vain; since: the first of these times."""

    asset: str
    partition: str
    not_before: datetime
    reason: str
    attempts: int
    since: datetime


def postpone(
    connection: Connection, asset: str, partition: str, not_before: datetime | None, reason: str, run_id: str | None
) -> datetime:
    """Note that a partition has to be asked for again, and return when.

    not_before: a time that the other side named; None: 10 minutes from now, twice as long after each attempt in
    vain, at most 2 hours.
    """
    row = connection.execute(
        "INSERT INTO waiting_partitions AS waiting (asset, partition, not_before, reason, run_id)"
        " VALUES (%(asset)s, %(partition)s, coalesce(%(not_before)s, clock_timestamp() + %(first)s), %(reason)s,"
        " %(run_id)s)"
        " ON CONFLICT (asset, partition) DO UPDATE SET attempts = waiting.attempts + 1, reason = excluded.reason,"
        " run_id = excluded.run_id, not_before = coalesce(%(not_before)s, clock_timestamp()"
        " + least(%(first)s * power(2, least(waiting.attempts, 30)), %(longest)s))"
        " RETURNING not_before",
        {
            "asset": asset, "partition": partition, "not_before": not_before, "reason": reason, "run_id": run_id,
            "first": FIRST_WAIT, "longest": LONGEST_WAIT,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    until: datetime = row[0]
    return until


def finished(connection: Connection, asset: str, partitions: Iterable[str]) -> None:
    """Note that nobody has to ask for these again."""
    connection.execute(
        "DELETE FROM waiting_partitions WHERE asset = %s AND partition = ANY (%s)", [asset, list(partitions)]
    )


def note_rest(
    database: Database, asset: str, partition: str, until: datetime | None, reason: str, run_id: str | None
) -> None:
    """Postpone what a partition left over to `until`; None: it left nothing, and nobody has to ask again."""
    with database.transaction() as connection:
        if until is None:
            finished(connection, asset, [partition])
        else:
            postpone(connection, asset, partition, until, reason, run_id)


def note_down(database: Database, asset: str, partitions: Iterable[str], reason: str, run_id: str | None) -> None:
    """Postpone what a run did not finish because a server is down."""
    with database.transaction() as connection:
        for partition in partitions:
            postpone(connection, asset, partition, None, reason, run_id)


def listing(database: Database, asset: str | None = None) -> list[Waiting]:
    """All that wait, or those of one asset, the next one first."""
    rows = database.fetch_all(
        "SELECT asset, partition, not_before, reason, attempts, since FROM waiting_partitions"
        " WHERE %(asset)s::text IS NULL OR asset = %(asset)s ORDER BY not_before, asset, partition",
        {"asset": asset},
    )
    return [Waiting(*row) for row in rows]


def due(database: Database, now: datetime | None = None) -> list[Waiting]:
    """Those whose time has come, longest overdue first."""
    now = now or datetime.now(UTC)
    return [one for one in listing(database) if one.not_before <= now]
