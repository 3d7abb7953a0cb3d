"""The table `relevance`: one row a release, set and mode, kept for as long as figures are compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from resources.postgres import Connection, Database
from starsearch_assets.relevance.evaluate import MODES, Evaluation

RELEASES_SHOWN = 30


@dataclass(frozen=True)
class Row:
    """How well one release finds what one set asks for. queries: those with an answer in the release."""

    release_id: int
    query_set: str
    set_version: str
    mode: str
    model: str
    queries: int
    recall: float
    mrr: float
    ndcg: float
    measured_at: datetime


def store(connection: Connection, evaluations: Iterable[Evaluation], run_id: str | None) -> None:
    """Write the figures of what could be measured; those of the same release, set and mode are replaced."""
    for one in evaluations:
        if not one.outcomes:  # no query has an answer there: that is no relevance of 0
            continue
        scores = one.scores
        connection.execute(
            'INSERT INTO relevance (release_id, query_set, set_version, mode, model, queries, "recall@10", mrr,'
            ' "ndcg@10", run_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)'
            " ON CONFLICT (release_id, query_set, mode) DO UPDATE SET set_version = excluded.set_version,"
            " model = excluded.model, queries = excluded.queries,"
            ' "recall@10" = excluded."recall@10", mrr = excluded.mrr, "ndcg@10" = excluded."ndcg@10",'
            " run_id = excluded.run_id, measured_at = now()",
            [
                one.release_id, one.query_set.name, one.query_set.version, one.mode, one.model, len(one.outcomes),
                scores.recall, scores.mrr, scores.ndcg, run_id,
            ],
        )  # fmt: skip


def history(database: Database, releases: int = RELEASES_SHOWN) -> list[Row]:
    """The figures of the newest `releases` that were measured, oldest first; sets by name, modes as they build up."""
    rows = database.fetch_all(
        'SELECT release_id, query_set, set_version, mode, model, queries, "recall@10", mrr, "ndcg@10", measured_at'
        " FROM relevance WHERE release_id IN (SELECT DISTINCT release_id FROM relevance ORDER BY 1 DESC LIMIT %s)"
        " ORDER BY release_id, query_set, array_position(%s::text[], mode)",
        [releases, list(MODES)],
    )
    return [Row(*row) for row in rows]
