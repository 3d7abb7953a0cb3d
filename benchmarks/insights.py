"""Measures over a year of contributions, for one repository and for a scope of a thousand."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from answering.insights import contributors, projects
from answering.retrieval import Scope
from benchmarks.report import Report, timed
from benchmarks.server import KeptHome, kept_home
from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Database, Role, open_database

ROWS = 5_000_000
REPOSITORIES, PEOPLE = 40_000, 200_000
FIRST_DAY, DAYS = date(2025, 1, 1), 365
SKEW = 0.6
"""Of contributors by repository, rank by rank. Three real hours of 2015 give 0.33; whole days are more skewed."""

FORMAT = 1
"""Of what is filled in: raise it with every change, so that no kept database of another one is measured."""

SHARED_BUFFERS = "4GB"
"""What a server of 16 GiB has by PostgreSQL's own advice, a quarter: the year fits."""

ONE_MS, THOUSAND_MS = 50.0, 500.0
_ONES, _THOUSANDS = 40, 24

_MEASURES: dict[str, Callable[..., Any]] = {
    "lottery factor": contributors.lottery_factor,
    "share": contributors.contributor_share,
    "cohorts": contributors.cohorts,
    "response times": projects.response_times,
    "merge times": projects.merge_times,
    "merge ratio": projects.merge_ratio,
    "unreviewed pushes": projects.unreviewed_pushes,
    "confidence": contributors.contributor_confidence,
    "release cadence": projects.release_cadence,
    "trend": projects.activity_trend,
}

# A repository's people are a window of all people, wider for the busier; days come one after the other, as they do.
_FILL = """
INSERT INTO contributor_days
SELECT %(day)s, repo_id, person, random() < 0.03, (random() * 3)::integer, (random() < 0.3)::integer,
       (random() < 0.25)::integer, (random() < 0.05)::integer, (random() * 2)::integer, (random() * 2)::integer,
       (random() < 0.2)::integer, (random() < 0.15)::integer, (random() * 4)::integer, (random() < 0.01)::integer, 'run'
FROM (SELECT repo_id, '@person-' || (repo_id * 7919 + floor(width * random() ^ 2)::bigint) %% %(people)s AS person
      FROM (SELECT 1 + floor(%(repositories)s * random() ^ (1 / (1 - %(skew)s::float8)))::bigint AS repo_id
            FROM generate_series(1, %(rows)s)) drawn
      CROSS JOIN LATERAL (SELECT 3 + %(repositories)s / (10.0 + repo_id) AS width) wide) told
ON CONFLICT DO NOTHING
"""

_DERIVED = (
    "INSERT INTO counted_days SELECT DISTINCT day FROM contributor_days",
    "INSERT INTO first_contributions SELECT repo_id, person, min(day) FROM contributor_days GROUP BY 1, 2",
    "INSERT INTO repository_days SELECT day, repo_id, (random() * 5)::integer, (random() * 2)::integer, 4, 3,"
    " sum(commits), sum(pull_requests_opened), sum(pull_requests_merged), sum(pull_requests_closed), sum(reviews),"
    " sum(review_comments), sum(issues_opened), sum(issues_closed), sum(comments), sum(releases), 'run'"
    " FROM contributor_days GROUP BY 1, 2",
    "INSERT INTO waits SELECT repo_id, what, day, number, (random() * 900000)::bigint FROM repository_days"
    " CROSS JOIN LATERAL (VALUES ('merge', pull_requests_merged), ('pull_request_answer', pull_requests_opened),"
    " ('issue_answer', issues_opened)) AS of (what, times) CROSS JOIN generate_series(1, times) AS number"
    " ORDER BY day, repo_id",
    "INSERT INTO first_interests SELECT DISTINCT ON (repo_id, person) repo_id, person, 'star', day"
    " FROM contributor_days WHERE random() < 0.05 ON CONFLICT DO NOTHING",
    "INSERT INTO unreviewed_pushes SELECT repo_id, day, day, 1, '@person-1', false, 'main', 'abc' FROM repository_days",
    "INSERT INTO same_people SELECT repo_id, person, person || '-merged', 'name' FROM first_contributions"
    " WHERE random() < 0.01",
)


def run(rows: int | None = None, keep: Path | None = None) -> Report:
    """p95 of each measure over the whole year, through the tools role, coverage and evidence included.

    Single repositories are drawn by their rows, as people ask about the busy ones; the thousand at random.
    """
    rows = rows or ROWS
    report = Report(f"insights: a year of {rows:,} rows drawn, {REPOSITORIES:,} repositories")
    with kept_home(keep, f"insights-{FORMAT}-{rows}") as home:
        home.configure(shared_buffers=SHARED_BUFFERS)
        report.note(f"shared_buffers = {SHARED_BUFFERS}")
        if not home.filled:
            with open_database(home.settings) as database:
                _fill(home, database, rows)
            home.mark_filled()
        with open_database(home.settings, Role.TOOLS) as tools:
            _measure(report, tools)
    return report


def _measure(report: Report, tools: Database) -> None:
    ((stored, busiest),) = tools.fetch_all("SELECT count(*), count(*) FILTER (WHERE repo_id = 1) FROM contributor_days")
    report.note(f"{stored:,} rows of contributor_days, {busiest:,} of them of the busiest repository")
    chance = random.Random(7)
    drawn = tools.fetch_all(
        "SELECT r.name FROM contributor_days JOIN repositories r USING (repo_id)"
        " ORDER BY hashtext(person || repo_id || day) LIMIT %s", [_ONES],
    )  # fmt: skip
    ones = [Scope(repos=(name,)) for (name,) in drawn]
    names = [f"owner-{number}/name" for number in range(1, REPOSITORIES + 1)]
    thousands = [Scope(repos=tuple(chance.sample(names, 1000))) for _ in range(_THOUSANDS)]
    worst: dict[str, float] = {}
    report.row("p95 (median), ms", "one repository", "a thousand", "")
    for name, measure in _MEASURES.items():
        cells = []
        for which, scopes in (("one", ones), ("a thousand", thousands)):
            seconds = [_seconds(measure, tools, scope) for scope in [scopes[0], *scopes]][1:]
            p95 = float(np.percentile(seconds, 95)) * 1000
            worst[which] = max(worst.get(which, 0.0), p95)
            cells.append(f"{p95:.1f} ({float(np.median(seconds)) * 1000:.1f})")
        report.row(name, *cells, "")
    report.verdict("slowest measure of one repository, p95", worst["one"], "<=", ONE_MS, " ms")
    report.verdict("slowest measure of a thousand, p95", worst["a thousand"], "<=", THOUSAND_MS, " ms")


def _seconds(measure: Callable[..., Any], tools: Database, scope: Scope) -> float:
    with timed() as timer:
        measure(tools, scope)
    return timer.seconds


def _fill(home: KeptHome, database: Database, rows: int) -> None:
    database.execute("SELECT setseed(0.5)")
    database.execute(
        "INSERT INTO repositories (repo_id, name) SELECT n, 'owner-' || n || '/name' FROM generate_series(1, %s) n",
        [REPOSITORIES],
    )
    for number in range(DAYS):
        database.execute(_FILL, {
            "day": FIRST_DAY + timedelta(days=number), "rows": rows // DAYS, "people": PEOPLE,
            "repositories": REPOSITORIES, "skew": SKEW,
        })  # fmt: skip
    for statement in _DERIVED:
        database.execute(statement)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    with psycopg.connect(EmbeddedPostgres(home.folder).url(role="postgres"), autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # what was filled in is written now, and not while measures read
