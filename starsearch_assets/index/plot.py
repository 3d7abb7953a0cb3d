"""A small plot of recall@10 and latency by ef_search, for the asset's metadata in the Dagster UI."""

from __future__ import annotations

from starsearch_assets.index.recall import Recall
from starsearch_assets.plots import markdown_image


def recall_plot(recall: Recall, floor: float) -> str:
    """Markdown with an inline PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 2.6), dpi=80, layout="constrained")
    axes = figure.subplots()
    steps = sorted(recall.by_ef_search)
    values = [recall.by_ef_search[ef] for ef in steps]
    axes.plot(steps, values, marker="o", color="#0969da", label="recall@10")
    axes.axhline(floor, color="#cf222e", linewidth=1, linestyle="--", label=f"floor {floor:g}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(steps, [str(ef) for ef in steps])
    axes.minorticks_off()
    axes.set_ylim(min(0.8, floor, *values) - 0.02, 1.01)
    axes.set_xlabel("hnsw.ef_search")
    axes.set_ylabel("recall@10", color="#0969da")
    times = axes.twinx()
    for name, style in (("p50", ":"), ("p95", "-")):
        times.plot(
            steps, [getattr(recall.latency[ef], name) for ef in steps], marker=".", linewidth=1, linestyle=style,
            color="#9a6700", label=f"{name}, ms",
        )  # fmt: skip
    times.set_ylim(0, 1.3 * times.dataLim.ymax)
    times.set_ylabel("milliseconds a query", color="#9a6700")
    axes.set_title(f"{recall.queries} queries against exact search", fontsize=9)
    lines = [*axes.get_legend_handles_labels()[0], *times.get_legend_handles_labels()[0]]
    figure.legend(handles=lines, fontsize=7, ncols=len(lines), frameon=False, loc="outside lower center")
    return markdown_image(figure, "recall@10 and milliseconds a query by ef_search")
