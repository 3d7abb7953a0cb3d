"""Verdicts on a day of contributions: what cannot be, and the events' own count of what they tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from resources.postgres import Connection, sql
from starsearch_assets import audits
from starsearch_assets.checks import Check

POSSIBLE, PEOPLE, SUMS, KNOWN = (
    "counts_are_possible",
    "bots_are_no_people",
    "sums_are_those_of_the_events",
    "who_did_it_is_known",
)
ABSURD = 5_000
"""Contributions of one person to one repository on one day that nobody makes who is no program."""

UNKNOWN = 0.05
"""Share of a day's contributions whose author may be unknown: ends of what began before anything was read."""

_EXAMPLES = 20
_TOLD = ("pull_requests_opened", "issues_opened", "comments", "stars")  # the columns of told.sql


def people_checks() -> tuple[Check, ...]:
    """The checks of `contributor_days`."""
    return (
        Check(POSSIBLE, f"No count is negative, no row empty, and nobody made more than {ABSURD:,} contributions."),
        Check(PEOPLE, "Whoever is called [bot] is marked as one."),
        Check(KNOWN, f"Of at most {UNKNOWN:.0%} nobody knows who did it.", dg.AssetCheckSeverity.WARN),
    )


def repository_checks() -> tuple[Check, ...]:
    """The checks of `repository_days`."""
    return (Check(SUMS, "Counted by another way from the events alone, it is no less: what they tell was counted."),)


def of_people(connection: Connection, asset: str, day: date, names: Sequence[str]) -> Iterator[audits.Audit]:
    """Verdicts on a day of `contributor_days`; the temporary table `contributions` holds what it was counted from."""
    total = " + ".join(names)
    rows = connection.execute(
        f"SELECT r.name, d.person, {total}, d.is_bot, {' OR '.join(f'{one} < 0' for one in names)}"
        " FROM contributor_days d JOIN repositories r USING (repo_id) WHERE day = %(day)s"
        f" AND (least({', '.join(names)}) < 0 OR {total} = 0 OR {total} > %(absurd)s OR person LIKE '%%[bot]')"
        " ORDER BY 1, 2",
        {"day": day, "absurd": ABSURD},
    ).fetchall()
    version = _version(connection, "contributor_days", day)
    impossible = [row for row in rows if row[4] or row[2] == 0 or (row[2] > ABSURD and not row[3])]
    disguised = [row for row in rows if row[1].endswith("[bot]") and not row[3]]
    for name, bad in ((POSSIBLE, impossible), (PEOPLE, disguised)):
        examples = [{"repository": row[0], "person": row[1], "contributions": row[2]} for row in bad[:_EXAMPLES]]
        yield audits.Audit(asset, f"{day}", version, not bad, {"rows": len(bad), "examples": examples}, name)
    counts = connection.execute("SELECT count(*), count(*) FILTER (WHERE who IS NULL) FROM contributions").fetchone()
    assert counts is not None
    done, unknown = counts
    details = {"contributions": done, "by nobody known": unknown}
    yield audits.Audit(asset, f"{day}", version, unknown <= UNKNOWN * done, details, KNOWN)


def of_repositories(
    connection: Connection, asset: str, day: date, parameters: Mapping[str, Any]
) -> Iterator[audits.Audit]:
    """The verdict on a day of `repository_days`: each sum is at least what the events alone tell of it.

    Deliveries and commits come on top, so that equality is asked for only of what events alone tell.
    """
    told = connection.execute(sql(__package__, "told"), parameters).fetchone()
    sums = ", ".join(f"coalesce(sum({one}), 0)" for one in _TOLD)
    counted = connection.execute(f"SELECT {sums} FROM repository_days WHERE day = %s", [day]).fetchone()
    assert told is not None and counted is not None
    table = [
        {"what": what, "told by events": times, "counted": int(ours)}
        for what, times, ours in zip(_TOLD, told, counted, strict=True)
    ]
    bad = [row for row in table if row["counted"] < row["told by events"]]
    details = {"less than told": len(bad), "sums": table}
    yield audits.Audit(asset, f"{day}", _version(connection, "repository_days", day), not bad, details, SUMS)


def _version(connection: Connection, table: str, day: date) -> str:
    row = connection.execute(
        f"SELECT coalesce(sum(hash_record_extended(d, 0)), 0) FROM {table} d WHERE day = %s", [day]
    ).fetchone()
    assert row is not None
    return str(row[0])
