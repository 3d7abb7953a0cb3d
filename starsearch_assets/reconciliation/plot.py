"""The capture rate of the last days, drawn for the asset's metadata."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import date

from resources.postgres import Database

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
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 2.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.bar([day for day, _ in rates], [rate for _, rate in rates], width=0.8, color="#4c72b0")  # type: ignore[arg-type]
    axes.axhline(low, color="#c44e52", linestyle="--", linewidth=1, label=f"lossy below {low:.0%}")
    axes.set_ylim(0, 1.05)
    axes.set_ylabel("capture rate")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    locator = AutoDateLocator(minticks=1, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.legend(loc="lower left", frameon=False)
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return f"![capture rate by day](data:image/png;base64,{base64.b64encode(image.getvalue()).decode()})"
