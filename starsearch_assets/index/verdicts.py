"""The verdicts on a month's index artifacts: whether they can be searched, and whether they find enough."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from resources.kinds import Kind
from resources.postgres import Connection
from starsearch_assets import audits
from starsearch_assets.index.recall import Recall

SOUND = "index_is_sound"
"""Every index of the month finds at least BROKEN of what exact search finds; one that does not is in no release."""
ENOUGH = "recall_is_enough"
"""Every index of the month reaches RECALL_FLOOR; a warning, as a release measures and refuses for itself."""
BROKEN = 0.5


@dataclass(frozen=True)
class Judged:
    """An artifact of one space, or that it has none, with what was measured."""

    model: str
    artifact_id: int | None
    rows: int
    recall: Recall | None


def is_sound(recall: Recall) -> bool:
    """Whether a release may take an artifact: ef_search makes up for a lean index, but not for a broken one."""
    return recall.best >= BROKEN


def record(
    connection: Connection, kind: Kind, month: date, results: Sequence[Judged], floor: float, run_id: str | None
) -> None:
    """Write both verdicts on the month, each over all spaces."""
    measured = [(result, result.recall) for result in results if result.recall is not None]
    version = ",".join(str(result.artifact_id) for result, _ in measured)
    details = {
        "rows": sum(result.rows for result, _ in measured),
        "spaces": [
            {"model": result.model, "rows": result.rows, "queries": recall.queries, "recall@10": recall.best}
            for result, recall in measured
        ],
    }
    if measured:
        details["recall@10"] = min(recall.best for _, recall in measured)
    for name, passed in (
        (SOUND, all(is_sound(recall) for _, recall in measured)),
        (ENOUGH, all(recall.best >= floor for _, recall in measured)),
    ):
        data_version = hashlib.sha256(version.encode()).hexdigest()[:16] if version else "empty"
        audits.record(connection, audits.Audit(kind.index, f"{month}", data_version, passed, details, name), run_id)
