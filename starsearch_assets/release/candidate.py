"""A release candidate: the newest audited artifact of every month, measured together; not served, not decided yet."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from psycopg import sql as pgsql
from psycopg.types.json import Jsonb

from answering.releases import load_release
from resources.errors import ResourceError
from resources.postgres import Connection, Database, sql
from starsearch_assets import audits
from starsearch_assets.release.coverage import coverage_of
from starsearch_assets.release.quality import SpaceRecall, measure_release

ASSET = "release_candidate"

_LOCK = 0x57A25EA2CA  # any constant
_OF_MODEL = (
    "EXISTS (SELECT FROM release_artifacts r JOIN index_artifacts USING (artifact_id)"
    " JOIN embedding_spaces e USING (space_id) WHERE r.release_id = s.release_id AND e.model = %(model)s)"
)


class CandidateUnfinished(ResourceError):
    """A step was left out: the candidate was not measured, or not judged."""


@dataclass(frozen=True)
class Candidate:
    """A release of the newest artifacts. decided: it was published before, and nothing is newer."""

    release_id: int
    fingerprint: str
    artifacts: int
    items: int
    coverage: dict[str, Any]
    recall: tuple[SpaceRecall, ...]
    decided: bool


class _Artifact(NamedTuple):
    artifact_id: int
    space_id: int
    month: date
    table: str
    rows: int


def propose(
    database: Database, tools: Database, model: str, recall_floor: float, run_id: str | None = None
) -> Candidate | None:
    """The candidate of the newest audited artifacts of `model`'s spaces, with its recall and ef_search.

    The same artifacts as the last published release give that one. A candidate that a killed run left is taken up;
    one that newer artifacts have overtaken is refused. None: `model` has no audited artifact.
    """
    with database.transaction() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])  # one candidate of the same artifacts
        artifacts = _newest_artifacts(connection, model)
        if not artifacts:
            return None
        fingerprint = _fingerprint(artifacts)
        published = connection.execute(
            "SELECT release_id, fingerprint FROM search_releases WHERE status = 'published'"
            " ORDER BY release_id DESC LIMIT 1"
        ).fetchone()
        decided = published is not None and published[1] == fingerprint
        if published is not None and decided:
            release_id = int(published[0])
        else:
            release_id = _take_up(connection, model, fingerprint) or _insert(connection, artifacts, fingerprint, run_id)
    if not decided:
        _measure(database, tools, release_id, recall_floor)
    with database.transaction() as connection:
        candidate = read_candidate(connection, release_id)
        audits.record(connection, _audit(candidate, recall_floor), run_id)
    return candidate


def newest_candidate(connection: Connection, model: str) -> int | None:
    """Number of the measured candidate of `model` that waits for a decision; None: nothing waits.

    Raises:
        CandidateUnfinished: its recall was not measured yet.
    """
    row = connection.execute(
        "SELECT release_id, recall = '{}' FROM search_releases s"
        f" WHERE status = 'candidate' AND {_OF_MODEL} ORDER BY release_id DESC LIMIT 1",
        {"model": model},
    ).fetchone()
    if row is None:
        return None
    if row[1]:
        raise CandidateUnfinished(
            f"Release {row[0]} was not measured yet: materialize {ASSET} first, which takes it up where it was left."
        )
    return int(row[0])


def newest_release(connection: Connection, model: str) -> int | None:
    """Number of the last published release of `model`."""
    row = connection.execute(
        f"SELECT max(release_id) FROM search_releases s WHERE status = 'published' AND {_OF_MODEL}", {"model": model}
    ).fetchone()
    return None if row is None else row[0]


def undecided(connection: Connection, model: str) -> str | None:
    """Fingerprint of `model`'s newest audited artifacts if no release of them was published or refused; else None."""
    artifacts = _newest_artifacts(connection, model)
    if not artifacts:
        return None
    fingerprint = _fingerprint(artifacts)
    known = connection.execute(
        "SELECT FROM search_releases WHERE fingerprint = %s AND status <> 'candidate'", [fingerprint]
    ).fetchone()
    return fingerprint if known is None else None


def _newest_artifacts(connection: Connection, model: str) -> list[_Artifact]:
    rows = connection.execute(
        "SELECT DISTINCT ON (a.space_id, a.month) a.artifact_id, a.space_id, a.month, a.table_name, a.row_count"
        " FROM index_artifacts a JOIN embedding_spaces s USING (space_id)"
        " WHERE s.model = %s AND a.passed ORDER BY a.space_id, a.month, a.version DESC",
        [model],
    )
    return [_Artifact(*row) for row in rows]


def _fingerprint(artifacts: Sequence[_Artifact]) -> str:
    return hashlib.sha256(",".join(str(one.artifact_id) for one in artifacts).encode()).hexdigest()


def _take_up(connection: Connection, model: str, fingerprint: str) -> int | None:
    """The candidate that was left with these artifacts; those of other artifacts will not be decided any more."""
    row = connection.execute(
        "SELECT max(release_id) FROM search_releases WHERE status = 'candidate' AND fingerprint = %s", [fingerprint]
    ).fetchone()
    connection.execute(
        "UPDATE search_releases s SET status = 'refused', reason = 'newer indexes came before it was decided'"
        f" WHERE status = 'candidate' AND fingerprint <> %(fingerprint)s AND {_OF_MODEL}",
        {"model": model, "fingerprint": fingerprint},
    )
    return row[0] if row is not None else None


def _insert(connection: Connection, artifacts: Sequence[_Artifact], fingerprint: str, run_id: str | None) -> int:
    coverage = coverage_of(connection)
    shares = _document_shares(connection, [one.table for one in artifacts])
    row = connection.execute(
        "INSERT INTO search_releases (status, as_of, fingerprint, document_shares, coverage, run_id)"
        " VALUES ('candidate', %s, %s, %s, %s, %s) RETURNING release_id",
        [coverage["as_of"], fingerprint, Jsonb(shares), Jsonb(coverage), run_id],
    ).fetchone()
    assert row is not None
    release_id = int(row[0])
    connection.cursor().executemany(
        "INSERT INTO release_artifacts (release_id, artifact_id) VALUES (%s, %s)",
        [(release_id, one.artifact_id) for one in artifacts],
    )
    for _, months in itertools.groupby(artifacts, key=lambda one: one.space_id):
        for older, newer in itertools.combinations(months, 2):
            connection.execute(
                pgsql.SQL(sql(__package__, "superseded")).format(
                    release=pgsql.Literal(release_id),
                    older=pgsql.Literal(older.artifact_id),
                    older_table=pgsql.Identifier("artifacts", older.table),
                    newer_table=pgsql.Identifier("artifacts", newer.table),
                )
            )
    return release_id


def _document_shares(connection: Connection, tables: Sequence[str]) -> dict[str, int]:
    """How many documents of each origin (summary, previous_summary, extractive, source) are served."""
    shares: dict[str, int] = {}
    for table in tables:
        rows = connection.execute(
            pgsql.SQL("SELECT document_source, count(*) FROM {} GROUP BY 1").format(
                pgsql.Identifier("artifacts", table)
            )
        )
        for source, count in rows:
            shares[source] = shares.get(source, 0) + count
    return shares


def _measure(database: Database, tools: Database, release_id: int, floor: float) -> None:
    release = load_release(tools, release_id)
    recall = measure_release(tools, release, floor)
    chosen = {str(release.of_kind(one.kind)[0].space_id): one.ef_search for one in recall}
    database.execute(
        "UPDATE search_releases SET ef_search = %s, recall = %s WHERE release_id = %s AND status = 'candidate'",
        [Jsonb(chosen), Jsonb({one.kind: one.as_json() for one in recall}), release_id],
    )


def _audit(candidate: Candidate, floor: float) -> audits.Audit:
    return audits.Audit(
        ASSET,
        "",
        f"{candidate.release_id}",
        all(one.reaches(floor) for one in candidate.recall),
        {"release": candidate.release_id, "floor": floor, "recall": [one.row() for one in candidate.recall]},
    )


def read_candidate(connection: Connection, release_id: int) -> Candidate:
    """What is stored of a release."""
    row = connection.execute(
        "SELECT s.fingerprint, count(*), coalesce(sum(row_count), 0), s.coverage, s.recall, s.status <> 'candidate'"
        " FROM search_releases s JOIN release_artifacts USING (release_id) JOIN index_artifacts USING (artifact_id)"
        " WHERE release_id = %s GROUP BY s.release_id",
        [release_id],
    ).fetchone()
    assert row is not None
    fingerprint, artifacts, items, coverage, recall, decided = row
    spaces = tuple(SpaceRecall.from_json(kind, one) for kind, one in recall.items())
    return Candidate(release_id, fingerprint, artifacts, int(items), coverage, spaces, decided)
