"""What each measure is: the function that computes it, whose docstring holds formula and source."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from answering.insights import contributors, experts, projects
from answering.insights.basis import Insight

FUNCTIONS: dict[str, Callable[..., Insight[Any]]] = {
    "lottery_factor": contributors.lottery_factor,
    "commit_lottery_factor": contributors.lottery_factor,
    "contributor_share": contributors.contributor_share,
    "cohorts": contributors.cohorts,
    "contributor_confidence": contributors.contributor_confidence,
    "response_times": projects.response_times,
    "merge_times": projects.merge_times,
    "merge_ratio": projects.merge_ratio,
    "unreviewed_pushes": projects.unreviewed_pushes,
    "release_cadence": projects.release_cadence,
    "activity_trend": projects.activity_trend,
    experts.MEASURE: experts.experts,
}
"""`Insight.measure` -> the function that gives it."""


@dataclass(frozen=True)
class Definition:
    """tool: the function, with its module; text: what it counts, by which formula, after whom."""

    tool: str
    text: str


def definition_of(measure: str) -> Definition | None:
    """The definition of a measure; None where there is no such measure."""
    function = FUNCTIONS.get(measure)
    if function is None:
        return None
    return Definition(f"{function.__module__}.{function.__name__}", inspect.getdoc(function) or "")
