"""The capture rate of the last days, drawn for the asset's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from resources.postgres import Database
from starsearch_assets.plots import markdown_image

DAYS = 60


def capture_rates(database: Database, until: date) -> list[tuple[date, float]]:
    """(day, capture rate) of the finished days up to `until`, oldest first, at most DAYS."""
    rows = database.fetch_all(
        "SELECT day, capture_rate FROM reconciliations WHERE day <= %s AND capture_rate IS NOT NULL"
        " AND finished_at IS NOT NULL ORDER BY day DESC LIMIT %s",
        [until, DAYS],
    )
    return [(day, rate) for day, rate in reversed(rows)]


def capture_plot(rates: Sequence[tuple[date, float]], low: float) -> str:
    """Share of what GitHub lists that events told of, by day, as a Markdown image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.4), dpi=80, layout="constrained")
    axes = figure.subplots()
    places = range(len(rates))
    axes.bar(places, [rate for _, rate in rates], color="#0969da")
    axes.axhline(low, color="#cf222e", linewidth=1, linestyle="--", label=f"lossy below {low:.0%}")
    shown = places[:: max(1, len(rates) // 6)]
    axes.set_xticks(shown, [f"{rates[place][0]:%d %b %Y}" for place in shown], fontsize=8)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
    axes.set_ylim(0, 1.05)
    axes.set_xlim(-0.6, max(len(rates), 7) - 0.4)
    axes.set_title("share of GitHub's own list that the events told of", fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    return markdown_image(figure, "capture rate by day")
