"""Where a citation comes from: release -> artifact -> vector -> summary -> content -> source event, or fetch of git.

The trace is copied into the answer, so that it outlives the releases and Dagster's event log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from psycopg import sql as pgsql

from answering.evidence import Evidence
from answering.insights.basis import Insight
from answering.insights.definitions import definition_of
from answering.releases import Artifact, Release
from answering.retrieval import Hit
from answering.retrieval.hits import in_statement
from resources.postgres import PLANNED_ONCE, Connection, Cursor, Database, as_array

_API, _DELIVERY = 0, -1
_TOLD_BY = {_API: "GitHub's API", _DELIVERY: "a webhook delivery"}
"""Who observed, by the event id of the observation where no event did."""


_STEPS = (
    "index_artifact",
    "embedding",
    "summary",
    "content",
    "source_event",
    "webhook_delivery",
    "git_fetch",
    "web_search",
)
_MEASURED = ("measure", "tool", "definition", "window", "as_of", "repository", "coverage", "rests_on")


def trace(tools: Database, release: Release, evidence: Evidence) -> dict[str, Any]:
    """Citation number -> each step that led to it, with the Dagster run that wrote it."""
    with tools.transaction() as connection, connection.pipeline():  # all is asked for before any of it is waited for
        connection.execute(PLANNED_ONCE)
        items = _ask_items(connection, release, evidence.items)
        fetches, events = _ask_fetches(connection, evidence.items), _ask_events(connection, evidence.items)
        served_by = connection.execute(
            "SELECT run_id FROM published.search_releases WHERE release_id = %s", [release.release_id]
        ).fetchone()
        made = {n: _item(release, evidence.items[n], row) for n, *row in items}
        made |= {n: made[n] | _fetch(evidence.items[n], row) for n, *row in fetches}
        made |= {n: made[n] | _event(connection, evidence.items[n], row) for n, *row in events}
    traced: dict[str, Any] = {str(n): one for n, one in made.items()}
    for citation in evidence.citations:
        insight = evidence.measures.get(citation.n)
        if insight is not None:
            traced[str(citation.n)] = {"repository": citation.repo, **_measure(release, insight)}
    for number, query in evidence.pages.items():
        url = evidence.citations[number - 1].url
        traced[str(number)] = {"web_search": {"query": query, "url": url, "at": datetime.now(UTC).isoformat()}}
    served = {"release": release.release_id, "release_run": served_by[0] if served_by else None}
    return {n: served | one for n, one in traced.items()}


def steps(traced: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A citation's trace as a list, from what was served down to where it came from.

    Each has `step`, its name, and `run`, the Dagster run that wrote it; None where none did, or none is known.
    """
    release = {"step": "release", "release": traced.get("release"), "run": traced.get("release_run")}
    if "measure" in traced:
        return [release, {"step": "measure", "run": None, **{name: traced.get(name) for name in _MEASURED}}]
    made = {name: traced[name] for name in _STEPS if traced.get(name)}
    if made.get("source_event", {}).get("id") is None:  # the text came another way
        made.pop("source_event", None)
    return [release, *({"step": name, **values} for name, values in made.items())]


def _measure(release: Release, insight: Insight[Any]) -> dict[str, Any]:
    """By which function a figure was computed, what that counts, and over which days."""
    definition, told = definition_of(insight.measure), _plain(asdict(insight.coverage))
    return {
        "measure": insight.measure, "tool": definition and definition.tool,
        "definition": definition and definition.text, "window": {"since": told["since"], "until": told["until"]},
        "as_of": release.as_of and release.as_of.isoformat(), "coverage": release.coverage, "rests_on": told,
    }  # fmt: skip


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Days as text."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def _artifact(release: Release, hit: Hit) -> Artifact:
    return next(one for one in release.artifacts if one.artifact_id == hit.artifact_id)


def _asked(hits: Mapping[int, Hit]) -> dict[str, Any]:
    """Parameters of `_ASKED`, as many as there are hits."""
    return {
        "numbers": as_array(hits),
        "kinds": as_array(hit.kind for hit in hits.values()),
        "artifacts": as_array(hit.artifact_id for hit in hits.values()),
        "repos": as_array(hit.repo_id for hit in hits.values()),
        "refs": as_array(hit.ref for hit in hits.values()),
    }


_ASKED = (
    "WITH asked AS (SELECT * FROM unnest(%(numbers)s::int[], %(kinds)s::text[], %(artifacts)s::bigint[],"
    " %(repos)s::bigint[], %(refs)s::text[]) AS hits (n, kind, artifact_id, repo_id, ref)) "
)


def _ask_items(connection: Connection, release: Release, hits: Mapping[int, Hit]) -> Cursor:
    """Ask for what the index knows of each item."""
    artifacts = {one.artifact_id: one.table for one in release.artifacts}
    read = in_statement(artifacts, (hit.artifact_id for hit in hits.values()))
    return connection.execute(_items_query(tuple((one, artifacts[one]) for one in read)), _asked(hits))


@lru_cache(256)
def _items_query(tables: tuple[tuple[int, str], ...]) -> bytes:
    branches = [
        pgsql.SQL(
            "SELECT n, document_source, summary_model, prompt_version, encode(text_hash, 'hex'),"
            " encode(content_hash, 'hex'), vector_run_id,"
            " (SELECT s.run_id FROM published.summaries s WHERE s.content_hash = a.content_hash"
            "  AND s.model = a.summary_model AND s.prompt_version = a.prompt_version)"
            " FROM asked JOIN {table} a USING (repo_id, ref) WHERE artifact_id = {id}"
        ).format(table=pgsql.Identifier("artifacts", table), id=pgsql.Literal(artifact_id))
        for artifact_id, table in tables
    ]
    return pgsql.SQL(_ASKED + "{}").format(pgsql.SQL(" UNION ALL ").join(branches)).as_bytes()


def _item(release: Release, hit: Hit, row: Sequence[Any]) -> dict[str, Any]:
    artifact = _artifact(release, hit)
    source, summary_model, prompt_version, text_hash, content_hash, vector_run, summary_run = row
    return {
        "index_artifact": {"table": artifact.table, "month": artifact.month.isoformat(), "run": artifact.run_id},
        "embedding": {"model": release.model, "text_sha256": text_hash, "run": vector_run},
        "summary": {
            "source": source, "model": summary_model, "prompt_version": prompt_version,
            "content_sha256": content_hash, "run": summary_run,
        },
    }  # fmt: skip


def _ask_fetches(connection: Connection, hits: Mapping[int, Hit]) -> Cursor:
    """Ask for the fetch of git history that first saw each commit."""
    return connection.execute(
        _ASKED + "SELECT n, first_seen_at, run_id, url FROM asked"
        " LEFT JOIN published.commit_sources c ON c.repo_id = asked.repo_id AND c.sha = asked.ref"
        " WHERE kind = 'commit'",
        _asked(hits),
    )


def _ask_events(connection: Connection, hits: Mapping[int, Hit]) -> Cursor:
    """Ask for what told of each item that is no commit: the newest event, or answer of GitHub's API."""
    return connection.execute(
        _ASKED + "SELECT n, told.* FROM asked LEFT JOIN LATERAL ("
        "SELECT i.hydrated_at, i.hydrated_event, e.event_id, e.created_at, e.type, e.source_url, e.source_sha256,"
        " e.run_id,"
        " (SELECT h.run_id FROM hydrations h WHERE h.kind = i.kind AND h.repo_id = i.repo_id AND h.ref = i.ref)"
        " FROM items i LEFT JOIN item_events e ON e.created_at = i.hydrated_at AND e.event_id = i.hydrated_event"
        "  AND e.repo_id = i.repo_id"
        " WHERE i.kind = asked.kind AND i.repo_id = asked.repo_id AND i.ref = asked.ref LIMIT 1) told ON true"
        " WHERE asked.kind <> 'commit'",
        _asked(hits),
    )


def _fetch(hit: Hit, row: Sequence[Any]) -> dict[str, Any]:
    seen, run_id, url = row
    observed = seen and seen.isoformat()
    return {
        "content": {"observed_at": observed, "from": "git", "run": run_id},
        "git_fetch": {"sha": hit.ref, "url": url, "first_seen_at": observed, "run": run_id},
    }


def _event(connection: Connection, hit: Hit, row: Sequence[Any]) -> dict[str, Any]:
    observed, told_by, event_id, created_at, event_type, url, sha256, ingest_run, hydration_run = row
    delivery = _delivery(connection, hit, observed) if told_by == _DELIVERY else None
    return {
        "content": {
            "observed_at": observed and observed.isoformat(), "from": _TOLD_BY.get(told_by, "an event"),
            "run": hydration_run if told_by == _API else None,
        },
        "source_event": {
            "id": event_id, "type": event_type, "created_at": created_at and created_at.isoformat(),
            "repo_id": hit.repo_id, "file": url, "file_sha256": sha256, "run": ingest_run,
        },
        **({"webhook_delivery": delivery} if delivery is not None else {}),
    }  # fmt: skip


def _delivery(connection: Connection, hit: Hit, observed: datetime) -> dict[str, Any] | None:
    """The webhook delivery that told the text: its event at GitHub, and the SHA-256 of its body."""
    row = connection.execute(
        "SELECT event, sha256, received_at, run_id FROM item_deliveries"
        " WHERE repo_id = %s AND item_at = %s AND ref = %s LIMIT 1",
        [hit.repo_id, observed, hit.ref],
    ).fetchone()
    if row is None:
        return None
    event, sha256, received_at, run = row
    return {"event": event, "sha256": sha256, "received_at": received_at.isoformat(), "run": run}
