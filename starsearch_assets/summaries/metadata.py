"""What the UI shows of a partition of summaries."""

from __future__ import annotations

import dagster as dg

from resources.prices import Prices
from starsearch_assets.range_runs import Metadata
from starsearch_assets.summaries.process import DayResult
from starsearch_assets.summaries.source import Summarizer

_CELL = 240


def summaries_metadata(result: DayResult, summarizer: Summarizer, prices: Prices) -> Metadata:
    """Counts, tokens, the estimated cost where there are prices, the version, and some of what was written."""
    usage = result.usage
    counts = {
        "dagster/partition_row_count": result.items,
        "written": result.written,
        "failed": result.failed,
        "given up": result.given_up,
        "requests": usage.requests,
        "retries": usage.retries,
        "tokens in": usage.tokens_in,
        "tokens out": usage.tokens_out,
    }
    metadata: dict[str, dg.MetadataValue] = {
        **{name: dg.MetadataValue.int(count) for name, count in counts.items()},
        "seconds in flight": dg.MetadataValue.float(round(usage.seconds, 2)),
        "model": dg.MetadataValue.text(summarizer.model),
        "prompt version": dg.MetadataValue.text(summarizer.prompt_version),
    }
    cost = prices.cost(usage.tokens_in, usage.tokens_out)
    if cost is not None and not summarizer.extractive:
        metadata["estimated cost"] = dg.MetadataValue.float(round(cost, 6))
    if result.examples:
        rows = "".join(f"| {_cell(title)} | {_cell(text)} |\n" for title, text in result.examples)
        metadata["examples"] = dg.MetadataValue.md(f"| title | summary |\n|---|---|\n{rows}")
    return metadata


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")[:_CELL]
