"""What the days up to one saw, and who carries projects, for the assets' metadata in the Dagster UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from answering.insights.contributors import smallest_majority
from starsearch_assets.plots import markdown_image

DRAWN = {
    "commits": "#8250df",
    "pull_requests_opened": "#0969da",
    "pull_requests_merged": "#1a7f37",
    "issues_opened": "#cf222e",
    "reviews": "#bc4c00",
    "comments": "#9a6700",
}
"""Columns that are drawn, with their colours."""

_TICKS = 7


def days_plot(days: Sequence[tuple[date, Mapping[str, int]]]) -> str:
    """Markdown with an inline PNG: a line a column of `DRAWN`, over the days that were counted, oldest first."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 2.8), dpi=80, layout="constrained")
    axes = figure.subplots()
    places = [day.toordinal() for day, _ in days]
    for name, color in DRAWN.items():
        axes.plot(places, [counts[name] for _, counts in days], marker="o", markersize=3, linewidth=1.2, color=color,
                  label=name.replace("_", " "))  # fmt: skip
    ticks = days[:: -(-len(days) // _TICKS)]
    axes.set_xticks([day.toordinal() for day, _ in ticks], [f"{day:%d %b %y}" for day, _ in ticks], fontsize=8)
    if len(places) == 1:
        axes.set_xlim(places[0] - 1, places[0] + 1)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#d0d7de", linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=len(DRAWN), fontsize=7)
    return markdown_image(figure, "Commits, pull requests, issues, reviews and comments by day")


def carried_plot(projects: Sequence[tuple[str, Sequence[int]]]) -> str:
    """Markdown with an inline PNG: a bar a repository, a part a person, most first; those who make half are dark.

    projects: name, and the counts of its people.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 0.9 + 0.3 * len(projects)), dpi=80, layout="constrained")
    axes = figure.subplots()
    for place, (_, counts) in enumerate(reversed(projects)):
        ordered, total = sorted(counts, reverse=True), sum(counts)
        factor, left = smallest_majority(ordered), 0.0
        for number, count in enumerate(ordered):
            axes.barh(place, count / total, left=left, height=0.66, edgecolor="white", linewidth=0.6,
                      color="#0969da" if number < factor else "#b6d4f5")  # fmt: skip
            left += count / total
        axes.text(1.01, place, f"{factor} of {len(ordered)}", va="center", fontsize=8)
    axes.axvline(0.5, color="#57606a", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(projects)), [name for name, _ in reversed(projects)], fontsize=8)
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.tick_params(axis="x", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("people who together make half are dark", fontsize=8, loc="left")
    return markdown_image(figure, "Each project's contributions by person: those who make half are dark")
