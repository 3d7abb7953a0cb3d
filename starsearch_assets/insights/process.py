"""One day of contributions, by person and by repository: from the day's events, webhook deliveries and commits.

Each thing that was done counts once, however often and by whatever way it was told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from answering.insights.basis import DONE
from resources.kinds import KINDS
from resources.postgres import Connection, Database, retry_deadlocks, run_script, sql
from starsearch_assets import audits
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.insights import audit
from starsearch_assets.insights.people import note_identities

CONTRIBUTORS = "contributor_days"
REPOSITORIES = "repository_days"

SEEN = ("stars", "forks", "pushes", "main_pushes", *DONE)
"""What repositories see."""

_LOCK = 0x57A25EA2D0  # any constant: one day after the other, as a person's first day is of all days


@dataclass(frozen=True)
class Counted:
    """What a day came to. rows: people, or repositories; totals: sums of the counts."""

    rows: int
    totals: dict[str, int]


@retry_deadlocks
def count_people(database: Database, day: date, run_id: str | None = None) -> Counted:
    """Count what everybody did on `day` (UTC). Safe to repeat, and in any order of days."""
    with database.transaction() as connection:
        parameters = _begin(connection, day, run_id)
        run_script(connection, sql(__package__, "contributions"), parameters)
        note_identities(connection, day)
        run_script(connection, sql(__package__, "people").format(counts=_counts(DONE), **_columns(DONE)), parameters)
        for verdict in audit.of_people(connection, CONTRIBUTORS, day, DONE):
            audits.record(connection, verdict, run_id)
        return _counted(connection, CONTRIBUTORS, day, DONE)


@retry_deadlocks
def count_repositories(database: Database, day: date, run_id: str | None = None) -> Counted:
    """Count what every tracked repository saw on `day` (UTC), after `count_people`. Safe to repeat, in any order."""
    with database.transaction() as connection:
        parameters = _begin(connection, day, run_id)
        sums = ", ".join(f"sum({one})::integer AS {one}" for one in DONE if one != "commits")
        script = sql(__package__, "repositories").format(
            sums=sums, or_0=", ".join(f"coalesce({one}, 0) AS {one}" for one in SEEN), **_columns(SEEN)
        )
        run_script(connection, sql(__package__, "told"), parameters)
        run_script(connection, script, parameters)
        for verdict in audit.of_repositories(connection, REPOSITORIES, day):
            audits.record(connection, verdict, run_id)
        return _counted(connection, REPOSITORIES, day, SEEN)


def _begin(connection: Connection, day: date, run_id: str | None) -> dict[str, Any]:
    """Wait for whoever counts another day; returns the parameters of the day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    parameters = {
        "day": day,
        "start": start,
        "end": start + timedelta(days=1),
        "types": sorted({one for kind in KINDS for one in kind.event_types}),
        "run_id": run_id,
    }
    hold_off_forgetting(connection)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    return parameters


def _counts(names: Sequence[str]) -> str:
    return ", ".join(f"(count(*) FILTER (WHERE c.what = '{one}'))::integer AS {one}" for one in names)


def _columns(names: Sequence[str]) -> dict[str, str]:
    return {
        "columns": ", ".join(names),
        "excluded": ", ".join(f"excluded.{one}" for one in names),
    }


def _counted(connection: Connection, table: str, day: date, names: Sequence[str]) -> Counted:
    sums = ", ".join(f"coalesce(sum({one}), 0)" for one in names)
    row = connection.execute(f"SELECT count(*), {sums} FROM {table} WHERE day = %s", [day]).fetchone()
    assert row is not None
    return Counted(row[0], dict(zip(names, map(int, row[1:]), strict=True)))
