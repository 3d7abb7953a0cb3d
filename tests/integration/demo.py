"""A finished demo, and what a run of it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from resources.embedded_postgres import EmbeddedPostgres
from starsearch_assets.sample import SampleTruth

# What a run leaves, without clocks, run ids and identifiers that depend on the order of work.
DUMPS = {
    "events": "SELECT created_at, event_id, type, repo_id, repo_name, actor_login, md5(payload::text) FROM events",
    "ledger": "SELECT hour, status, sha256, events, rejected, sanitized FROM ingest_ledger",
    "rejected": "SELECT hour, line_number, reason, md5(raw) FROM rejected_events JOIN ingest_ledger USING (source_id)",
    "repositories": "SELECT repo_id, name FROM repositories",
    "names": "SELECT * FROM repository_names",
    # When a commit was fetched is a clock's; of everything else `hydrated_at` is the time of an event.
    "items": "SELECT to_jsonb(i) - CASE WHEN kind = 'commit' THEN 'hydrated_at' ELSE '' END FROM items i",
    "commits": "SELECT repo_id, sha, co_authors, committed_at, paths, day, gone_at FROM commits",
    "comments": "SELECT * FROM comments",
    "activity": "SELECT * FROM activity",
    "contributors": "SELECT to_jsonb(d) - 'run_id' FROM contributor_days d",
    "repositories seen": "SELECT to_jsonb(d) - 'run_id' FROM repository_days d",
    "first contributions": "SELECT * FROM first_contributions",
    "first interests": "SELECT * FROM first_interests",
    "unreviewed pushes": "SELECT * FROM unreviewed_pushes",
    "waits": "SELECT * FROM waits",
    "same people": "SELECT * FROM same_people",
    "contents": "SELECT kind, repo_id, ref, content_hash FROM item_contents",
    "summaries": "SELECT content_hash, model, prompt_version, extractive FROM summaries",
    "vectors": " UNION ALL ".join(
        f"SELECT '{kind}', repo_id, ref, document_source, content_hash, summary_model"
        f" FROM {kind}_vectors_all_minilm_l6_v2_384"
        for kind in ("pull_request", "issue", "release", "commit")
    ),
    "audits": "SELECT asset, partition, passed FROM newest_audits"
    " WHERE asset NOT IN ('release_candidate', 'search_relevance', 'search_release')",
    "dirty": "SELECT kind, day FROM dirty_days UNION ALL SELECT kind, month FROM dirty_months",
}


@dataclass(frozen=True)
class Demo:
    """A finished demo. asked_github: the paths of its requests to GitHub's API."""

    home: Path
    output: str
    truth: SampleTruth
    asked_github: list[str]

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        return dump(self.home)


def dump(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(EmbeddedPostgres(home).url()) as connection:
        connection.execute("SET search_path TO starsearch, public")
        return {name: sorted(connection.execute(query).fetchall(), key=repr) for name, query in DUMPS.items()}
