"""A release: the newest audited artifact of every month, judged together, then activated in one step."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace
from typing import Any, Literal

from psycopg import sql as pgsql
from psycopg.types.json import Jsonb

from answering.releases import CHANNEL, load_release
from resources.postgres import Connection, Database, sql
from starsearch_assets import audits
from starsearch_assets.embeddings.models import serve_model_of, serving_model
from starsearch_assets.release.quality import SpaceRecall, measure_release
from starsearch_assets.relevance.judging import Judging, judge_candidate
from starsearch_assets.relevance.verdict import Verdict

ASSET = "search_release"

Outcome = Literal["activated", "published", "refused", "unchanged", "empty"]


@dataclass(frozen=True)
class ReleaseResult:
    """What the run came to. published: passed, but activation is paused."""

    outcome: Outcome
    release_id: int | None
    reason: str
    artifacts: int
    items: int
    recall: tuple[SpaceRecall, ...]
    coverage: dict[str, Any]


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

    The same artifacts as the last published release make no new one. A refused candidate is kept with
    its reason; the active release stays as it is.

    switch: `model` was chosen to serve: the release is activated although activation may be paused, and also where the
    last published one is of the same artifacts.

    judging: how the judged queries are run; a candidate that loses relevance against the active release is refused.
    None: nothing is judged.
    """
    with database.transaction() as connection:
        artifacts = _newest_artifacts(connection, model)
        if not artifacts:
            return _report(
                connection, ReleaseResult("empty", None, f"no audited index of {model}", 0, 0, (), {}), run_id
            )
        fingerprint = hashlib.sha256(",".join(str(row[0]) for row in artifacts).encode()).hexdigest()
        same = connection.execute(
            "SELECT release_id, fingerprint FROM search_releases WHERE status = 'published'"
            " ORDER BY release_id DESC LIMIT 1"
        ).fetchone()
        coverage = _coverage(connection)
        items = sum(row[4] for row in artifacts)
        if same is not None and same[1] == fingerprint:
            unchanged = ReleaseResult(
                "unchanged", same[0], "the same artifacts as the last release", len(artifacts), items, (), coverage
            )
            if switch:
                activate(connection, same[0])
                unchanged = replace(unchanged, outcome="activated")
            return _report(connection, unchanged, run_id)
        release_id = _candidate(connection, artifacts, fingerprint, coverage, run_id)
    recall = measure_release(tools, load_release(tools, release_id), recall_floor)
    chosen = Jsonb({str(one.space_id): one.ef_search for one in recall})  # judged queries search with it
    database.execute("UPDATE search_releases SET ef_search = %s WHERE release_id = %s", [chosen, release_id])
    verdict = judge_candidate(database, tools, release_id, judging, run_id).verdict
    with database.transaction() as connection:
        held_back = None if switch else _held_back(connection, model)
        result = _decide(
            connection, release_id, recall, recall_floor, len(artifacts), items, coverage, held_back, verdict
        )
        return _report(connection, result, run_id)


def activate(connection: Connection, release_id: int) -> None:
    """Flip the one row that says which release is served, and tell those who listen. Its model serves from now on."""
    connection.execute("UPDATE active_release SET release_id = %s, activated_at = now()", [release_id])
    serve_model_of(connection, release_id)
    connection.execute("SELECT pg_notify(%s, %s)", [CHANNEL, str(release_id)])


def _newest_artifacts(connection: Connection, model: str) -> list[tuple[int, int, Any, str, int]]:
    return connection.execute(
        "SELECT DISTINCT ON (a.space_id, a.month) a.artifact_id, a.space_id, a.month, a.table_name, a.row_count"
        " FROM index_artifacts a JOIN embedding_spaces s USING (space_id)"
        " WHERE s.model = %s AND a.passed ORDER BY a.space_id, a.month, a.version DESC",
        [model],
    ).fetchall()


def _candidate(
    connection: Connection,
    artifacts: list[tuple[int, int, Any, str, int]],
    fingerprint: str,
    coverage: dict[str, Any],
    run_id: str | None,
) -> int:
    shares = _document_shares(connection, [row[3] for row in artifacts])
    row = connection.execute(
        "INSERT INTO search_releases (status, as_of, fingerprint, document_shares, coverage, run_id)"
        " VALUES ('candidate', %s, %s, %s, %s, %s) RETURNING release_id",
        [coverage["as_of"], fingerprint, Jsonb(shares), Jsonb(coverage), run_id],
    ).fetchone()
    assert row is not None
    release_id = int(row[0])
    connection.cursor().executemany(
        "INSERT INTO release_artifacts (release_id, artifact_id) VALUES (%s, %s)",
        [(release_id, artifact[0]) for artifact in artifacts],
    )
    by_space = itertools.groupby(artifacts, key=lambda artifact: artifact[1])
    for _, months in by_space:
        for older, newer in itertools.combinations(months, 2):
            connection.execute(
                pgsql.SQL(sql(__package__, "superseded")).format(
                    release=pgsql.Literal(release_id),
                    older=pgsql.Literal(older[0]),
                    older_table=pgsql.Identifier("artifacts", older[3]),
                    newer_table=pgsql.Identifier("artifacts", newer[3]),
                )
            )
    return release_id


def _document_shares(connection: Connection, tables: list[str]) -> dict[str, int]:
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


def _coverage(connection: Connection) -> dict[str, Any]:
    """What the release rests on: hours read and missed, repositories, items without text, the events' capture."""
    hours = connection.execute(
        "SELECT min(hour), max(hour), count(DISTINCT hour) FILTER (WHERE status = 'loaded' AND source = 'hour_file'),"
        " count(DISTINCT hour) FILTER (WHERE status = 'missing'),"
        " count(DISTINCT hour) FILTER (WHERE status = 'failed'),"
        " coalesce(sum(inserted) FILTER (WHERE status = 'loaded'), 0), coalesce(sum(rejected), 0),"
        " count(DISTINCT hour) FILTER (WHERE source = 'events_api' AND NOT EXISTS (SELECT FROM ingest_ledger file"
        "   WHERE file.hour = l.hour AND file.source = 'hour_file' AND file.status = 'loaded'))"
        " FROM ingest_ledger l"
    ).fetchone()
    content = connection.execute(
        "SELECT (SELECT count(*) FROM repositories), count(*) FILTER (WHERE hydrated_at IS NOT NULL),"
        " count(*) FILTER (WHERE hydrated_at IS NULL), (SELECT min(day) FROM activity), (SELECT max(day) FROM activity)"
        " FROM items"
    ).fetchone()
    cloned = connection.execute(
        "SELECT count(DISTINCT repo_id) FROM commits JOIN repositories USING (repo_id) WHERE gone_at IS NULL"
    ).fetchone()
    captured = connection.execute(
        "SELECT round(sum(known) / nullif(sum(items), 0)::numeric, 4)::float8 FROM reconciliations"
        " WHERE finished_at IS NOT NULL"
    ).fetchone()
    assert hours is not None and content is not None and captured is not None and cloned is not None
    first, last, loaded, missing, failed, events, rejected, live = hours
    repositories, with_text, without_text, since, as_of = content
    return {
        "first_hour": first and first.isoformat(),
        "last_hour": last and last.isoformat(),
        "hours_loaded": loaded,
        "hours_live": live,
        "hours_missing": missing,
        "hours_failed": failed,
        "events": int(events),
        "rejected": int(rejected),
        "repositories": repositories,
        "items": with_text,
        "items_without_text": without_text,
        "capture_rate": captured[0],
        "git_repositories": cloned[0],
        "since": since and since.isoformat(),
        "as_of": as_of and as_of.isoformat(),
    }


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


def _decide(
    connection: Connection,
    release_id: int,
    recall: tuple[SpaceRecall, ...],
    floor: float,
    artifacts: int,
    items: int,
    coverage: dict[str, Any],
    held_back: str | None,
    verdict: Verdict,
) -> ReleaseResult:
    kinds = {row[0]: row[1] for row in connection.execute("SELECT space_id, kind FROM embedding_spaces")}
    below = [one for one in recall if one.lower_bound < floor]
    if below:
        outcome: Outcome = "refused"
        reason = "; ".join(
            f"recall@10 of {kinds[one.space_id]} is {one.recall:.3f}, lower bound {one.lower_bound:.3f} < {floor}"
            for one in below
        )
    elif not verdict.passed:
        outcome, reason = "refused", verdict.reason
    elif held_back is not None:
        outcome, reason = "published", held_back
    else:
        outcome, reason = "activated", f"all audits passed; {verdict.reason}"
    connection.execute(
        "UPDATE search_releases SET status = %s, reason = %s, ef_search = %s, recall = %s WHERE release_id = %s",
        [
            "refused" if outcome == "refused" else "published",
            reason,
            Jsonb({str(one.space_id): one.ef_search for one in recall}),
            Jsonb(
                {
                    kinds[one.space_id]: {
                        "recall@10": one.recall, "lower_bound": one.lower_bound, "queries": one.queries,
                        "ef_search": one.ef_search,
                    }
                    for one in recall
                }
            ),
            release_id,
        ],
    )  # fmt: skip
    if outcome == "activated":
        activate(connection, release_id)
    return ReleaseResult(outcome, release_id, reason, artifacts, items, recall, coverage)


def _report(connection: Connection, result: ReleaseResult, run_id: str | None) -> ReleaseResult:
    audits.record(
        connection,
        audits.Audit(
            ASSET,
            "",
            f"{result.release_id}",
            result.outcome != "refused",
            {"outcome": result.outcome, "release": result.release_id, "reason": result.reason, "items": result.items},
        ),
        run_id,
    )
    return result
