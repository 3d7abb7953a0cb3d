"""The three steps of a release at once: the newest artifacts measured, judged, and decided over."""

from __future__ import annotations

from resources.postgres import Database
from starsearch_assets.release.candidate import propose
from starsearch_assets.release.decide import ReleaseResult, decide
from starsearch_assets.relevance.judging import Judging, judge_candidate


def publish(
    database: Database,
    tools: Database,
    model: str,
    recall_floor: float,
    run_id: str | None = None,
    *,
    switch: bool = False,
    judging: Judging | None = None,
) -> ReleaseResult:
    """Make a release of the newest audited artifacts of `model`'s spaces and activate it if it is good.

    switch: as `decide` has it. judging: how the judged queries are run; None: nothing is judged.
    """
    candidate = propose(database, tools, model, recall_floor, run_id)
    if candidate is not None and not candidate.decided:
        judge_candidate(database, tools, candidate.release_id, judging, run_id)
    release_id = None if candidate is None else candidate.release_id
    return decide(database, release_id, model, recall_floor, run_id, switch=switch)
