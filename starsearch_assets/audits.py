"""Verdicts on partitions. Downstream SQL reads passed partitions only; Dagster's checks report the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from resources.postgres import Connection, Database


@dataclass(frozen=True)
class Audit:
    """One verdict. `details`: the figures that it rests on, small enough for asset metadata; lists are tables.

    check_name: which of an asset's checks gave it; empty: its only one.
    """

    asset: str
    partition: str
    data_version: str
    passed: bool
    details: Mapping[str, Any]
    check_name: str = ""


def record(connection: Connection, audit: Audit, run_id: str | None) -> None:
    """Write the verdict; the same data judged again replaces its earlier verdict."""
    connection.execute(
        "INSERT INTO audits (asset, partition, check_name, data_version, passed, details, run_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (asset, partition, check_name, data_version) DO UPDATE SET passed = excluded.passed,"
        " details = excluded.details, run_id = excluded.run_id, audited_at = clock_timestamp()",
        [
            audit.asset,
            audit.partition,
            audit.check_name,
            audit.data_version,
            audit.passed,
            Jsonb(dict(audit.details)),
            run_id,
        ],
    )


def newest(database: Database, asset: str, partitions: list[str], check_name: str = "") -> dict[str, Audit]:
    """The newest verdict of one check on each of `partitions` that has one."""
    rows = database.fetch_all(
        "SELECT partition, data_version, passed, details FROM newest_audits"
        " WHERE asset = %s AND check_name = %s AND partition = ANY (%s)",
        [asset, check_name, partitions],
    )
    return {row[0]: Audit(asset, row[0], row[1], row[2], row[3], check_name) for row in rows}
