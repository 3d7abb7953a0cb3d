"""The inbox: one append-only table of what arrives from outside, as it came.

Who writes to it does nothing else with what came; assets read it hour by hour (UTC, by the time of arrival).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from psycopg.types.json import Jsonb

from resources.postgres import Connection, sql

Source = Literal["events_api", "webhook"]
EVENTS_API: Source = "events_api"
WEBHOOK: Source = "webhook"


@dataclass(frozen=True)
class Arrival:
    """One thing that came: an event of the Events API, or a webhook delivery.

    body: the raw bytes, whose SHA-256 is the key. headers: those that matter, by lower-case name. repo_id: whose it
    is, where that is known.
    """

    source: Source
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    repo_id: int | None = None


def put(connection: Connection, arrivals: Sequence[Arrival]) -> int:
    """Append what is new and ask for the hours of it; returns how many were new.

    In the caller's transaction, in the role of the service or the owner. What is there already (the same source and
    body) stays as it is. Writers of the same hour wait for one another's commit, so keep the transaction short.
    """
    row = connection.execute(
        sql(__package__, "inbox"),
        {
            "sources": [one.source for one in arrivals],
            "bodies": [one.body for one in arrivals],
            "headers": [Jsonb(dict(one.headers)) for one in arrivals],
            "repo_ids": [one.repo_id for one in arrivals],
        },
    ).fetchone()
    assert row is not None
    return int(row[0])
