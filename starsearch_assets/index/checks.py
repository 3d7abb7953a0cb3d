"""The checks of `*_index`, as the UI names them."""

from __future__ import annotations

import dagster as dg

from starsearch_assets.checks import Check
from starsearch_assets.index.verdicts import BROKEN, ENOUGH, SOUND


def index_checks() -> tuple[Check, ...]:
    """Both verdicts on a month; only the first keeps an artifact out of releases."""
    return (
        Check(SOUND, f"Every index of the month finds at least {BROKEN:.0%} of what exact search finds."),
        Check(ENOUGH, "recall@10 against exact search reaches the floor.", dg.AssetCheckSeverity.WARN),
    )
