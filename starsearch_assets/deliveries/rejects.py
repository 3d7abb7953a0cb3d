"""Deliveries that could not be used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from resources.postgres import Database


@dataclass(frozen=True)
class RejectedDelivery:
    """One of them. delivery: the SHA-256 of its body, which stays in the inbox for INBOX_DAYS."""

    delivery: str
    event: str
    reason: str
    received_at: datetime


def listing(database: Database) -> list[RejectedDelivery]:
    """All of them, oldest first."""
    rows = database.fetch_all(
        "SELECT encode(sha256, 'hex'), event, reason, received_at FROM deliveries WHERE reason IS NOT NULL"
        " ORDER BY received_at, sha256"
    )
    return [RejectedDelivery(*row) for row in rows]
