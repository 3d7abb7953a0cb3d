"""Rows as a table, for asset metadata in the Dagster UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg


def table(rows: Sequence[Mapping[str, Any]], otherwise: str) -> dg.MetadataValue[Any]:
    """The rows, or what is said where there are none: a table of Dagster has at least one."""
    if not rows:
        return dg.MetadataValue.text(otherwise)
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows])
