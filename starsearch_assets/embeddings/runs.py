"""The checks of `*_embeddings` as Dagster shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import dagster as dg

from resources.kinds import Kind
from resources.postgres import Database
from starsearch_assets.checks import Check, log_verdicts
from starsearch_assets.embeddings.quality import VECTOR_CHECKS


def vector_checks() -> list[Check]:
    """One check each of what is promised; what only a person can weigh warns."""
    return [
        Check(one.name, one.description, dg.AssetCheckSeverity.ERROR if one.strict else dg.AssetCheckSeverity.WARN)
        for one in VECTOR_CHECKS
    ]


def vector_judge(context: dg.AssetExecutionContext, database: Database, kind: Kind) -> Callable[[Sequence[str]], None]:
    """Tells the verdicts on the days that a run finished, where others failed and the checks' steps are skipped."""

    def judge(keys: Sequence[str]) -> None:
        for check in vector_checks():
            log_verdicts(context, database, kind.embeddings, check.name, keys, check.name, check.severity)

    return judge
