"""What summaries have cost: a row a run, partition and version, counted in the transactions that store what came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from resources.kinds import KINDS
from resources.llm import Usage
from resources.postgres import Connection, Database, sql
from resources.prices import NOT_TOLD, Prices


@dataclass(frozen=True)
class Account:
    """Whose spending it is: one row of the ledger. run_id: '' outside of Dagster."""

    run_id: str
    asset: str
    partition: str
    model: str
    prompt_version: str
    prices: Prices = NOT_TOLD


def add(connection: Connection, account: Account, usage: Usage, *, items: int, failed: int) -> None:
    """Add what was asked and what came of it: `items` summaries, `failed` contents without one."""
    connection.execute(
        sql(__package__, "spend"),
        {
            "run_id": account.run_id,
            "asset": account.asset,
            "partition": account.partition,
            "model": account.model,
            "prompt_version": account.prompt_version,
            "items": items,
            "failed": failed,
            "requests": usage.requests,
            "retries": usage.retries,
            "tokens_in": usage.tokens_in,
            "tokens_out": usage.tokens_out,
            "seconds": usage.seconds,
            "cost": account.prices.cost(usage.tokens_in, usage.tokens_out),
        },
    )


@dataclass(frozen=True)
class Spent:
    """A sum over the ledger. kind: of the items; period: a day or month of the partitions, as text; seconds: in flight.

    cost: US dollars at the prices of the time, of the part that has any; None: none has. priced: share of the tokens
    that had prices.
    """

    kind: str
    period: str
    model: str
    prompt_version: str
    items: int
    failed: int
    requests: int
    retries: int
    tokens_in: int
    tokens_out: int
    seconds: float
    cost: float | None
    priced: float


def spent(database: Database, first: date | None, last: date | None, period: str, *, by_kind: bool) -> list[Spent]:
    """Sums by period (day, month or all), version and, where wanted, kind, of the partitions of these days.

    first, last: inclusive; None: no bound.
    """
    lengths = {"day": 10, "month": 7, "all": 0}
    rows = database.fetch_all(
        sql(__package__, "spent"),
        {
            "length": lengths[period],
            "by_kind": by_kind,
            "first": None if first is None else f"{first}",
            "last": None if last is None else f"{last}",
            "assets": [kind.summaries for kind in KINDS],
            "kinds": [kind.name for kind in KINDS],
        },
    )
    return [Spent(*row) for row in rows]
