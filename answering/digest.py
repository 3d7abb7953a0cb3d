"""What changed in a time: by kind how much of it, and the newest, each cited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from answering import commits
from answering.evidence import Evidence
from answering.releases import Release
from answering.retrieval import Hit, Scope, named_items, repository_ids
from answering.wording import days, plural, quoted, unnumbered
from resources.kinds import BY_NAME, COMMIT, ISSUE, PULL_REQUEST, RELEASE
from resources.postgres import Database

NEWEST = 500
"""So many changes of each kind are counted, the newest."""
_SHOWN = 5


@dataclass(frozen=True)
class _Change:
    """What counts as a change of a kind. at: SQL of the item's time of it; done: its verb, in the past."""

    kind: str
    at: str
    done: str


_CHANGES = (
    _Change(PULL_REQUEST.name, "merged_at", "merged"),
    _Change(ISSUE.name, "closed_at", "closed"),
    _Change(RELEASE.name, "created_at", "published"),
    _Change(COMMIT.name, "CASE WHEN state IS DISTINCT FROM 'merge' THEN created_at END", "made"),
)


def add_changes(tools: Database, release: Release, scope: Scope, evidence: Evidence) -> None:
    """Add to `evidence` a sentence about each kind of `scope`: merged pull requests, closed issues, releases, commits.

    A change counts on the day it was made, not on that of the item's latest activity. Commits of a pull request that is
    listed are not listed once more; merges are not counted.
    """
    repo_ids = repository_ids(tools, scope.repos) if scope.repos else None
    merged: list[Hit] = []
    for change in _CHANGES:
        if change.kind not in scope.kinds:
            continue
        hits = _changed(tools, release, scope, change, repo_ids)
        if change.kind == PULL_REQUEST.name:
            merged = hits
        if hits:
            others = [hit for hit in commits.without_repeats([*merged, *hits]) if hit.kind == change.kind]
            evidence.facts.append(_told(change, hits, others, days(scope.since, scope.until), evidence))


def _told(change: _Change, hits: Sequence[Hit], others: Sequence[Hit], when: str, evidence: Evidence) -> str:
    """A sentence about one kind. others: without commits of pull requests that are told of already."""
    count = plural(len(hits), BY_NAME[change.kind].label)
    were = "was" if len(hits) == 1 else "were"
    told = f"{'The newest ' if len(hits) == NEWEST else ''}{count} {were} {change.done} {when}"
    if not others:
        return f"{told}, in pull requests that were merged then [{evidence.cite(hits[0])}]."
    if len(others) < len(hits):
        told += f", {len(hits) - len(others):,} of them in pull requests that were merged then; apart from those"
    listed = "; ".join(_line(hit, evidence.cite(hit)) for hit in others[:_SHOWN])
    return f"{told}{', the newest' if len(others) > _SHOWN else ''}: {listed}."


def _changed(tools: Database, release: Release, scope: Scope, change: _Change, repo_ids: list[int] | None) -> list[Hit]:
    """The items of the release whose change was in the scope's time, newest first."""
    keys = tools.fetch_all(
        f"SELECT repo_id, ref FROM (SELECT repo_id, ref, {change.at} AS at FROM items"
        " WHERE kind = %(kind)s AND (%(repo_ids)s::bigint[] IS NULL OR repo_id = ANY (%(repo_ids)s))) changed"
        " WHERE at >= coalesce(%(since)s::date, '-infinity')::timestamp AT TIME ZONE 'UTC'"
        " AND at < coalesce(%(until)s::date, 'infinity')::timestamp AT TIME ZONE 'UTC'"
        f" ORDER BY at DESC, repo_id, ref LIMIT {NEWEST}",
        {"kind": change.kind, "repo_ids": repo_ids, "since": scope.since, "until": scope.until},
    )
    places = {key: place for place, key in enumerate(keys)}
    hits = named_items(tools, release, change.kind, keys, replace(scope, since=None, until=None))
    return sorted(hits, key=lambda hit: places[hit.repo_id, hit.ref])


def _line(hit: Hit, number: int) -> str:
    by = f" by {unnumbered(hit.by)}" if hit.by else ""
    return f"{hit.place} {quoted(hit)}{by} [{number}]"
