"""Partitions whose inputs changed: sensors request them, and processing clears only the version that it read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from resources.postgres import Connection


def mark_days(connection: Connection, days: Iterable[tuple[str, date]]) -> None:
    """Ask for the day's partition of each (kind, day), in the order in which everybody locks these rows."""
    _mark(connection, "dirty_days", "day", days)


def mark_months(connection: Connection, months: Iterable[tuple[str, date]]) -> None:
    """Ask for the index of each (kind, month)."""
    _mark(connection, "dirty_months", "month", months)


def _mark(connection: Connection, table: str, column: str, pairs: Iterable[tuple[str, date]]) -> None:
    connection.cursor().executemany(
        f"INSERT INTO {table} (kind, {column}) VALUES (%s, %s)"
        f" ON CONFLICT (kind, {column}) DO UPDATE SET version = nextval('dirty_version')",
        sorted(set(pairs)),
    )
