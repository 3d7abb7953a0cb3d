"""Commits by month, drawn for the asset's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from resources.postgres import Database
from starsearch_assets.plots import markdown_image

MONTHS = 36


def commits_by_month(database: Database, repo_ids: Sequence[int]) -> list[tuple[date, int, int]]:
    """(month, reachable commits, unreachable ones) of the newest months that have any, oldest first."""
    rows = database.fetch_all(
        "SELECT date_trunc('month', day)::date AS month, count(*) FILTER (WHERE unreachable_since IS NULL),"
        " count(unreachable_since) FROM git_commits WHERE repo_id = ANY (%s) GROUP BY month"
        " ORDER BY month DESC LIMIT %s",
        [list(repo_ids), MONTHS],
    )
    return [(month, reachable, unreachable) for month, reachable, unreachable in reversed(rows)]


def commits_plot(months: Sequence[tuple[date, int, int]]) -> str:
    """Commits by month, as a Markdown image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.4), dpi=80, layout="constrained")
    axes = figure.subplots()
    places = range(len(months))
    reachable = [count for _, count, _ in months]
    axes.bar(places, reachable, color="#0969da", label="on a branch")
    axes.bar(places, [count for _, _, count in months], bottom=reachable, color="#cf222e", label="on none any more")
    shown = places[:: max(1, len(months) // 6)]
    axes.set_xticks(shown, [f"{months[place][0]:%b %Y}" for place in shown], fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlim(-0.6, max(len(months), 7) - 0.4)
    axes.set_title("commits by month", fontsize=9)
    axes.legend(fontsize=8)
    return markdown_image(figure, "commits by month")
