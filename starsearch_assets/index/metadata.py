"""What the UI shows of a month's index artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from starsearch_assets.index.build import IndexResult
from starsearch_assets.index.cost import Costs
from starsearch_assets.index.plot import recall_plot

Metadata = dict[str, dg.MetadataValue[Any]]


def index_metadata(results: Sequence[IndexResult], recall_floor: float, costs: Costs) -> Metadata:
    """A table of the spaces, a plot a space, warnings, and what all artifacts of the kind cost.

    `dagster/partition_row_count` is of the space with most rows: spaces hold the same items.
    """
    there = [result for result in results if result.artifact_id is not None]
    metadata: Metadata = {
        "dagster/partition_row_count": dg.MetadataValue.int(max((result.rows for result in there), default=0)),
        "built": dg.MetadataValue.bool(any(result.built for result in there)),
        "build seconds": dg.MetadataValue.float(
            float(round(sum(result.build_seconds for result in there if result.built), 2))
        ),
        "artifacts": _spaces(there),
        "cost of all months": dg.MetadataValue.table([dg.TableRecord(row) for row in costs.rows()]),
    }
    if warnings := [f"{result.space.model}: {result.warning}" for result in there if result.warning]:
        metadata["warning"] = dg.MetadataValue.text("\n".join(warnings))
    for result in there:
        if result.recall is not None:
            name = f"recall of {result.space.model}" if len(there) > 1 else "recall plot"
            metadata[name] = dg.MetadataValue.md(recall_plot(result.recall, recall_floor))
            if result.seconds:
                label = "seconds by part" + (f" of {result.space.model}" if len(there) > 1 else "")
                metadata[label] = dg.MetadataValue.json(
                    {part: round(value, 2) for part, value in result.seconds.items()}
                )
    measured = [result.recall for result in there if result.recall is not None]
    if measured:
        metadata["recall@10"] = dg.MetadataValue.float(min(recall.best for recall in measured))
    return metadata


def _spaces(results: Sequence[IndexResult]) -> dg.MetadataValue[Any]:
    if not results:
        return dg.MetadataValue.text("none: no audited rows in this month")
    return dg.MetadataValue.table([dg.TableRecord(_row(result)) for result in results])


def _row(result: IndexResult) -> dict[str, str | int | float | bool | None]:
    recall = result.recall
    return {
        "model": result.space.model,
        "dimensions": result.space.dimensions,
        "artifact": result.table,
        "rows": result.rows,
        "built": result.built,
        "build seconds": round(result.build_seconds, 2),
        "bytes": result.bytes,
        "m": result.space.m,
        "ef_construction": result.space.ef_construction,
        "released": result.passed,
        **({f"recall@10 at {ef}": value for ef, value in recall.by_ef_search.items()} if recall else {}),
    }
