"""Relevance from release to release, for the asset's metadata in the Dagster UI."""

from __future__ import annotations

from collections.abc import Sequence

from starsearch_assets.plots import markdown_image
from starsearch_assets.relevance.evaluate import MODES
from starsearch_assets.relevance.measures import MEASURES
from starsearch_assets.relevance.store import Row

_COLORS = dict(zip(MODES, ("#8250df", "#9a6700", "#0969da", "#1a7f37"), strict=True))


def relevance_plot(rows: Sequence[Row]) -> str:
    """Markdown with an inline PNG: a row of panels a query set, a panel a measure, a line a mode."""
    from matplotlib.figure import Figure

    sets = sorted({row.query_set for row in rows})
    releases = sorted({row.release_id for row in rows})
    figure = Figure(figsize=(8.4, 2.1 * len(sets) + 0.5), dpi=80, layout="constrained")
    panels = figure.subplots(len(sets), len(MEASURES), sharex=True, sharey=True, squeeze=False)
    for line, query_set in enumerate(sets):
        for column, (field, name) in enumerate(MEASURES.items()):
            axes = panels[line][column]
            for mode in MODES:
                known = {
                    row.release_id: getattr(row, field)
                    for row in rows
                    if (row.query_set, row.mode) == (query_set, mode)
                }
                if known:
                    axes.plot([releases.index(one) for one in known], list(known.values()), marker="o", markersize=4,
                              linewidth=1.2, color=_COLORS[mode], label=mode)  # fmt: skip
            axes.set_title(f"{query_set}: {name}", fontsize=9)
            axes.grid(axis="y", color="#d0d7de", linewidth=0.6)
    step = -(-len(releases) // 12)
    for axes in panels[-1]:
        axes.set_xticks(range(0, len(releases), step), [f"{one}" for one in releases[::step]])
        axes.set_xlabel("release")
    panels[0][0].set_ylim(top=1.02)
    handles = {label: handle for row in panels for axes in row
               for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}  # fmt: skip
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(MODES), fontsize=8)
    return markdown_image(figure, "recall@10, MRR and nDCG@10 of the releases, by query set and mode")
