"""A small plot of recall@10 by ef_search, for the asset's metadata in the Dagster UI."""

from __future__ import annotations

from starsearch_assets.index.recall import Recall
from starsearch_assets.plots import markdown_image


def recall_plot(recall: Recall, floor: float) -> str:
    """Markdown with an inline PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 2.4), dpi=80, layout="constrained")
    axes = figure.subplots()
    values = sorted(recall.by_ef_search.items())
    axes.plot([ef for ef, _ in values], [value for _, value in values], marker="o", color="#0969da")
    axes.axhline(floor, color="#cf222e", linewidth=1, linestyle="--", label=f"floor {floor}")
    axes.set_xscale("log", base=2)
    axes.set_xticks([ef for ef, _ in values], [str(ef) for ef, _ in values])
    axes.set_ylim(min(0.8, floor, *(value for _, value in values)) - 0.02, 1.01)
    axes.set_xlabel("hnsw.ef_search")
    axes.set_ylabel("recall@10")
    axes.set_title(f"{recall.queries} queries against exact search", fontsize=9)
    axes.legend(fontsize=8, loc="lower right")
    return markdown_image(figure, "recall@10 by ef_search")
