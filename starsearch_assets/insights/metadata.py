"""What the UI shows of a day of contributions beside its sums."""

from __future__ import annotations

from datetime import date

import dagster as dg

from answering.insights.basis import DONE, TOTAL
from resources.postgres import Database, sql
from starsearch_assets.insights.plot import DRAWN, carried_plot, days_plot
from starsearch_assets.range_runs import Metadata
from starsearch_assets.tables import table

MOST = 10
DAYS = 60


def most_active_people(database: Database, day: date) -> Metadata:
    """Those who did most on the day, and who carries the projects that were busiest on it; bots left out."""
    sums = ", ".join(f"sum({one})::integer" for one in DONE)
    rows = database.fetch_all(
        f"SELECT person, r.name, sum({TOTAL})::integer, {sums} FROM published.contributor_days d"
        " JOIN repositories r USING (repo_id) WHERE day = %s AND NOT is_bot AND person <> ''"
        " GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %s",
        [day, MOST],
    )
    names = ("person", "repository", "contributions", *(one.replace("_", " ") for one in DONE))
    most_active = table([dict(zip(names, row, strict=True)) for row in rows], "nobody")
    query = sql(__package__, "carried").format(total=TOTAL)
    projects = database.fetch_all(query, {"day": day, "days": DAYS, "most": MOST})
    if not projects:
        return {"most active": most_active}
    plot = dg.MetadataValue.md(carried_plot(projects))
    return {"most active": most_active, f"who carries projects, the last {DAYS} days": plot}


def days_before(database: Database, day: date) -> Metadata:
    """A plot of the day and those before it."""
    sums = ", ".join(f"sum({one})::integer" for one in DRAWN)
    rows = database.fetch_all(
        f"SELECT day, {sums} FROM repository_days WHERE day <= %s AND day > %s::date - %s GROUP BY 1 ORDER BY 1",
        [day, day, DAYS],
    )
    if not rows:
        return {}
    days = [(row[0], dict(zip(DRAWN, row[1:], strict=True))) for row in rows]
    return {f"the last {DAYS} days": dg.MetadataValue.md(days_plot(days))}
