"""What becomes of a candidate that was measured and judged: refused, published, or activated in one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from answering.releases import CHANNEL
from resources.postgres import Connection, Database
from starsearch_assets import audits
from starsearch_assets.embeddings.models import serve_model_of, serving_model
from starsearch_assets.release.candidate import CandidateUnfinished, read_candidate
from starsearch_assets.release.quality import SpaceRecall
from starsearch_assets.relevance.judging import ASSET as JUDGING

ASSET = "search_release"

Outcome = Literal["activated", "published", "refused", "unchanged", "empty"]


@dataclass(frozen=True)
class ReleaseResult:
    """What the run came to. published: passed, but activation is paused."""

    outcome: Outcome
    release_id: int | None
    reason: str
    artifacts: int = 0
    items: int = 0
    recall: tuple[SpaceRecall, ...] = ()
    coverage: dict[str, Any] | None = None


def decide(
    database: Database,
    release_id: int | None,
    model: str,
    recall_floor: float,
    run_id: str | None = None,
    *,
    switch: bool = False,
) -> ReleaseResult:
    """Decide over release `release_id`, a measured and judged candidate of `model`, and activate it if it is good.

    A refused one is kept with its reason, and the active release stays. One that was published before is left as it is.
    None: there is no release to decide over.

    switch: `model` was chosen to serve: activate also where activation is paused, and one that was published before.

    Raises:
        CandidateUnfinished: the judged queries were not run against it.
    """
    with database.transaction() as connection:
        result = (
            ReleaseResult("empty", None, f"no audited index of {model} waits for a release")
            if release_id is None
            else _decide(connection, release_id, model, recall_floor, switch=switch)
        )
        verdict = audits.Audit(
            ASSET,
            "",
            f"{result.release_id}",
            result.outcome != "refused",
            {"outcome": result.outcome, "release": result.release_id, "reason": result.reason, "items": result.items},
        )
        audits.record(connection, verdict, run_id)
        return result


def activate(connection: Connection, release_id: int) -> None:
    """Flip the one row that says which release is served, and tell those who listen. Its model serves from now on."""
    connection.execute("UPDATE active_release SET release_id = %s, activated_at = now()", [release_id])
    serve_model_of(connection, release_id)
    connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(release_id)])


def _decide(connection: Connection, release_id: int, model: str, floor: float, *, switch: bool) -> ReleaseResult:
    row = connection.execute(
        "SELECT status, reason FROM search_releases WHERE release_id = %s FOR UPDATE", [release_id]
    ).fetchone()
    assert row is not None
    if row[0] == "candidate":
        outcome, reason = _outcome(connection, release_id, model, floor, switch=switch)
        status = "refused" if outcome == "refused" else "published"
        connection.execute(
            "UPDATE search_releases SET status = %s, reason = %s WHERE release_id = %s", [status, reason, release_id]
        )
    elif row[0] == "refused":  # by newer indexes, or by a run at the same time
        outcome, reason = "refused", row[1]
    else:
        outcome, reason = "activated" if switch else "unchanged", "the same artifacts as the last release"
    if outcome == "activated":
        activate(connection, release_id)
    one = read_candidate(connection, release_id)
    return ReleaseResult(outcome, release_id, reason, one.artifacts, one.items, one.recall, one.coverage)


def _outcome(connection: Connection, release_id: int, model: str, floor: float, *, switch: bool) -> tuple[Outcome, str]:
    below = [one for one in read_candidate(connection, release_id).recall if not one.reaches(floor)]
    if below:
        return "refused", "; ".join(
            f"recall@10 of {one.kind} is {one.recall:.3f}, lower bound {one.lower_bound:.3f} < {floor}" for one in below
        )
    verdict = connection.execute(
        "SELECT passed, details ->> 'verdict' FROM audits WHERE asset = %s AND data_version = %s",
        [JUDGING, f"{release_id}"],
    ).fetchone()
    if verdict is None:
        raise CandidateUnfinished(
            f"Release {release_id} was not judged yet: materialize {JUDGING} first, which runs the judged queries"
            " against it, and passes where there are none."
        )
    passed, told = verdict
    if not passed:
        return "refused", told
    held_back = None if switch else _held_back(connection, model)
    return ("published", held_back) if held_back is not None else ("activated", f"all audits passed; {told}")


def _held_back(connection: Connection, model: str) -> str | None:
    """Why a release of `model` that passed is not activated by itself; None: it is."""
    paused = connection.execute("SELECT paused FROM active_release FOR UPDATE").fetchone()
    assert paused is not None
    if paused[0]:
        return "activation is paused: `starsearch release resume` continues it"
    serving = serving_model(connection)
    if serving not in (None, model):  # the switch came while this release was measured
        return f"{serving} serves by now: `starsearch spaces activate {model}` switches"
    return None
