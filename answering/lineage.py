"""Where a citation comes from: release -> artifact -> vector -> summary -> content -> source event, or fetch of git.

The trace is copied into the answer, so that it outlives the releases and Dagster's event log.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from resources.kinds import COMMIT
from resources.postgres import Connection, Cursor, Database

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
        asked = [
            (n, hit, _ask_item(connection, release, hit), _ask_source(connection, hit))
            for n, hit in evidence.items.items()
        ]
        row = connection.execute(
            "SELECT run_id FROM published.search_releases WHERE release_id = %s", [release.release_id]
        ).fetchone()
        traced = {
            str(n): _item(release, hit, item.fetchone()) | _source(connection, hit, source.fetchone())
            for n, hit, item, source in asked
        }
    for citation in evidence.citations:
        insight = evidence.measures.get(citation.n)
        if insight is not None:
            traced[str(citation.n)] = {"repository": citation.repo, **_measure(release, insight)}
    for number, query in evidence.pages.items():
        url = evidence.citations[number - 1].url
        traced[str(number)] = {"web_search": {"query": query, "url": url, "at": datetime.now(UTC).isoformat()}}
    served = {"release": release.release_id, "release_run": row[0] if row else None}
    return {n: served | made for n, made in traced.items()}


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


def _ask_item(connection: Connection, release: Release, hit: Hit) -> Cursor:
    """Ask for what the index knows of an item."""
    return connection.execute(_item_query(_artifact(release, hit).table), [hit.repo_id, hit.ref])


@lru_cache(1024)
def _item_query(table: str) -> bytes:
    return (
        pgsql.SQL(
            "SELECT document_source, summary_model, prompt_version, encode(text_hash, 'hex'),"
            " encode(content_hash, 'hex'), vector_run_id,"
            " (SELECT s.run_id FROM published.summaries s WHERE s.content_hash = a.content_hash"
            "  AND s.model = a.summary_model AND s.prompt_version = a.prompt_version)"
            " FROM {} a WHERE repo_id = %s AND ref = %s"
        )
        .format(pgsql.Identifier("artifacts", table))
        .as_bytes()
    )


def _item(release: Release, hit: Hit, row: tuple[Any, ...] | None) -> dict[str, Any]:
    assert row is not None
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


def _ask_source(connection: Connection, hit: Hit) -> Cursor:
    """Ask for what told of an item: the fetch of git history that first saw a commit; of anything else the newest
    event, or answer of GitHub's API."""
    if hit.kind == COMMIT.name:
        return connection.execute(
            "SELECT first_seen_at, run_id, url FROM published.commit_sources WHERE repo_id = %s AND sha = %s",
            [hit.repo_id, hit.ref],
        )
    return connection.execute(
        "SELECT i.hydrated_at, i.hydrated_event, e.event_id, e.created_at, e.type, e.source_url, e.source_sha256,"
        " e.run_id,"
        " (SELECT h.run_id FROM hydrations h WHERE h.kind = i.kind AND h.repo_id = i.repo_id AND h.ref = i.ref)"
        " FROM items i LEFT JOIN item_events e ON e.created_at = i.hydrated_at AND e.event_id = i.hydrated_event"
        "  AND e.repo_id = i.repo_id"
        " WHERE i.kind = %s AND i.repo_id = %s AND i.ref = %s LIMIT 1",
        [hit.kind, hit.repo_id, hit.ref],
    )


def _source(connection: Connection, hit: Hit, row: tuple[Any, ...] | None) -> dict[str, Any]:
    return _fetch(hit, row) if hit.kind == COMMIT.name else _event(connection, hit, row)


def _fetch(hit: Hit, fetch: tuple[Any, ...] | None) -> dict[str, Any]:
    seen, run_id, url = fetch or (None,) * 3
    observed = seen and seen.isoformat()
    return {
        "content": {"observed_at": observed, "from": "git", "run": run_id},
        "git_fetch": {"sha": hit.ref, "url": url, "first_seen_at": observed, "run": run_id},
    }


def _event(connection: Connection, hit: Hit, event: tuple[Any, ...] | None) -> dict[str, Any]:
    observed, told_by, event_id, created_at, event_type, url, sha256, ingest_run, hydration_run = event or (None,) * 9
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
