"""Verdicts on a day of contributions: what cannot be, what is missing, and the events' own count of what they tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg

from resources.postgres import Connection, sql
from starsearch_assets import audits
from starsearch_assets.checks import Check
from starsearch_assets.insights.people import merge_verdict

POSSIBLE, PEOPLE, SHARES, KNOWN, COMPLETE, MERGES, SUMS = (
    "counts_are_possible",
    "bots_are_no_people",
    "shares_sum_to_one",
    "who_did_it_is_known",
    "days_are_complete",
    "merges_are_reviewable",
    "sums_are_those_of_the_events",
)
ABSURD = 5_000
"""Contributions of one person to one repository on one day that nobody makes who is no program."""

UNKNOWN = 0.05
"""Share of a day's contributions whose author may be unknown: ends of what began before anything was read."""

_TOLD = ("pull_requests_opened", "issues_opened", "comments", "stars", "pushes")
"""What events tell without the help of anything that was stored before."""

_EXAMPLES = 20


def people_checks() -> tuple[Check, ...]:
    """The checks of `contributor_days`."""
    warn = dg.AssetCheckSeverity.WARN
    return (
        Check(POSSIBLE, f"No count is negative, no row empty, and nobody made more than {ABSURD:,} contributions."),
        Check(PEOPLE, "Whoever is called [bot], or is known as a program, is marked as one."),
        Check(SHARES, "Names that readers see merged add up to what was counted: a repository's shares sum to 1."),
        Check(KNOWN, f"Of at most {UNKNOWN:.0%} nobody knows who did it.", warn),
        Check(COMPLETE, "Of a day with events, all 24 hours were read.", warn),
        Check(MERGES, "Names that count as one person are listed; nobody stands for too many by rule.", warn),
    )  # fmt: skip


def repository_checks() -> tuple[Check, ...]:
    """The checks of `repository_days`."""
    return (Check(SUMS, "Counted by another way from the events alone, it is no less: what they tell was counted."),)


def of_people(connection: Connection, asset: str, day: date, names: Sequence[str]) -> Iterator[audits.Audit]:
    """Verdicts on a day of `contributor_days`."""
    total = " + ".join(names)
    version = _version(connection, asset, day)

    def verdict(name: str, passed: bool, **details: object) -> audits.Audit:
        return audits.Audit(asset, f"{day}", version, passed, details, name)

    rows = connection.execute(
        f"SELECT r.name, d.person, {total}, d.is_bot, {' OR '.join(f'{one} < 0' for one in names)},"
        " published.is_bot_name(d.person)"
        " FROM contributor_days d JOIN repositories r USING (repo_id) WHERE day = %(day)s"
        f" AND (least({', '.join(names)}) < 0 OR {total} = 0 OR {total} > %(absurd)s OR published.is_bot_name(person))"
        " AND person <> '' ORDER BY 1, 2",
        {"day": day, "absurd": ABSURD},
    ).fetchall()
    impossible = [row for row in rows if row[4] or row[2] == 0 or (row[2] > ABSURD and not row[3])]
    disguised = [row for row in rows if row[5] and not row[3]]
    for name, bad in ((POSSIBLE, impossible), (PEOPLE, disguised)):
        examples = [{"repository": row[0], "person": row[1], "contributions": row[2]} for row in bad[:_EXAMPLES]]
        yield verdict(name, not bad, rows=len(bad), examples=examples)
    wrong = connection.execute(sql(__package__, "shares").format(total=total), [day, day]).fetchall()
    examples = [dict(zip(("repository", "sum of shares"), row, strict=True)) for row in wrong[:_EXAMPLES]]
    yield verdict(SHARES, not wrong, repositories=len(wrong), examples=examples)
    done, unknown = _one(
        connection,
        f"SELECT coalesce(sum({total}), 0), coalesce(sum({total}) FILTER (WHERE person = ''), 0)"
        " FROM contributor_days WHERE day = %s",
        day,
    )
    yield verdict(KNOWN, unknown <= float(done) * UNKNOWN, contributions=int(done), **{"by nobody known": int(unknown)})
    hours, read = _one(
        connection,
        "SELECT count(*), count(*) FILTER (WHERE is_read) FROM published.hours"
        " WHERE (hour AT TIME ZONE 'UTC')::date = %s",
        day,
    )
    missing = 24 - read if hours else 0
    yield verdict(COMPLETE, not missing, **{"hours read": read, "hours missing": missing})
    reviewable, merges = merge_verdict(connection, day)
    yield audits.Audit(asset, f"{day}", version, reviewable, merges, MERGES)


def of_repositories(connection: Connection, asset: str, day: date) -> Iterator[audits.Audit]:
    """The verdict on a day of `repository_days`: what was counted is at least what the events alone (`told`) tell.

    Deliveries and commits come on top, so that equality is asked for only of what events alone tell.
    """
    sums = ", ".join(
        f"coalesce(sum(t.{one}), 0)::bigint AS {one}, coalesce(sum(d.{one}), 0)::bigint AS {one}_counted,"
        f" count(*) FILTER (WHERE coalesce(d.{one}, 0) < t.{one}) AS {one}_less"
        for one in _TOLD
    )
    each = ", ".join(f"('{one.replace('_', ' ')}', {one}, {one}_counted, {one}_less)" for one in _TOLD)
    rows = connection.execute(sql(__package__, "told_sums").format(sums=sums, each=each), [day]).fetchall()
    table = [
        dict(zip(("what", "told by events", "counted", "repositories with less"), row, strict=True)) for row in rows
    ]
    bad = [row for row in table if row["repositories with less"]]
    details = {"less than told": len(bad), "sums": table}
    yield audits.Audit(asset, f"{day}", _version(connection, asset, day), not bad, details, SUMS)


def _version(connection: Connection, table: str, day: date) -> str:
    query = f"SELECT coalesce(sum(hash_record_extended(d, 0)), 0) FROM {table} d WHERE day = %s"
    return str(_one(connection, query, day)[0])


def _one(connection: Connection, query: str, day: date) -> tuple[int, ...]:
    row = connection.execute(query, [day]).fetchone()
    assert row is not None
    return row
