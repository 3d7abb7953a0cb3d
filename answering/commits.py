"""Commits found by their SHA, by the files that they changed, and by their co-authors, on the tools role."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from psycopg.types.json import Jsonb

from answering.releases import Release
from answering.retrieval import Hit, Scope, named_items, repository_ids
from resources.kinds import COMMIT, PULL_REQUEST
from resources.postgres import Database

NEWEST = 500
"""So many commits of a path or a person are looked at, newest first."""

_LANDS = re.compile(r"\(#(\d+)\)$|^Merge pull request #(\d+)\b")
_IN_SCOPE = "(%(repo_ids)s::bigint[] IS NULL OR repo_id = ANY (%(repo_ids)s))"


def by_sha(tools: Database, release: Release, prefix: str, scope: Scope) -> list[Hit]:
    """Commits of the release whose SHA begins with `prefix` (hexadecimal digits), inside `scope`."""
    keys = tools.fetch_all(
        f"SELECT repo_id, sha FROM published.commits WHERE sha LIKE %(prefix)s AND {_IN_SCOPE}"
        " ORDER BY committed_at DESC, sha LIMIT 20",
        {"prefix": f"{prefix.lower()}%", "repo_ids": _ids(tools, scope)},
    )
    return _hits(tools, release, keys, scope)


def by_path(tools: Database, release: Release, path: str, scope: Scope) -> list[Hit]:
    """Commits that changed `path`: a file, the end of a path, or a folder. Merges, which repeat others, stay out."""
    keys = tools.fetch_all(
        "SELECT repo_id, sha FROM published.commits WHERE path_keys @> ARRAY[lower(%(path)s)] AND NOT is_merge"
        f" AND {_IN_SCOPE} ORDER BY committed_at DESC, sha LIMIT {NEWEST}",
        {"path": path.strip("/"), "repo_ids": _ids(tools, scope)},
    )
    return _hits(tools, release, keys, scope)


def co_authored(tools: Database, release: Release, login: str, scope: Scope) -> list[Hit]:
    """Commits that `login` wrote together with their authors. Whose authors the scope allows does not matter."""
    keys = tools.fetch_all(
        "SELECT repo_id, sha FROM published.commits WHERE co_authors @> %(person)s AND NOT is_merge"
        f" AND {_IN_SCOPE} ORDER BY committed_at DESC, sha LIMIT {NEWEST}",
        {"person": Jsonb([{"person": f"@{login.lower()}"}]), "repo_ids": _ids(tools, scope)},
    )
    return _hits(tools, release, keys, scope)


def co_authors(tools: Database, hit: Hit) -> list[str]:
    """Who else wrote a commit: @login, or a name."""
    rows = tools.fetch_all(
        "SELECT coalesce('@' || login, name) FROM published.commit_contributors"
        " WHERE repo_id = %s AND sha = %s AND role = 'co-author'",
        [hit.repo_id, hit.ref],
    )
    return [shown for (shown,) in rows]


def without_repeats(hits: Sequence[Hit]) -> list[Hit]:
    """The hits without merges, and without commits of a pull request that is among them: the same work.

    Such a commit lands it, or has its title: so has the one commit of a pull request that is merged as it is.
    """
    pulls = [hit for hit in hits if hit.kind == PULL_REQUEST.name]
    told = {(hit.repo_id, name) for hit in pulls for name in (hit.ref, hit.title)}
    return [
        hit
        for hit in hits
        if hit.kind != COMMIT.name
        or (hit.state != "merge" and told.isdisjoint(((hit.repo_id, landed(hit.title)), (hit.repo_id, hit.title))))
    ]


def landed(title: str) -> str | None:
    """The number of the pull request that a commit of this title lands, or None."""
    match = _LANDS.search(title)
    return None if match is None else match[1] or match[2]


def authors(hits: Iterable[Hit]) -> list[tuple[str, int]]:
    """(@login or name, commits) of the people who authored them, most first; bots are left out."""
    counts: dict[str, int] = {}
    shown: dict[str, str] = {}
    for hit in hits:
        if hit.by and not hit.author_is_bot:
            key = hit.by.lower()
            counts[key] = counts.get(key, 0) + 1
            shown.setdefault(key, hit.by)
    return [(shown[key], count) for key, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def _hits(tools: Database, release: Release, keys: Sequence[tuple[int, str]], scope: Scope) -> list[Hit]:
    """Those of the commits that the release holds, in the order of the keys."""
    places = {key: place for place, key in enumerate(keys)}
    found = named_items(tools, release, COMMIT.name, keys, scope)
    return sorted(found, key=lambda hit: places[hit.repo_id, hit.ref])


def _ids(tools: Database, scope: Scope) -> list[int] | None:
    return repository_ids(tools, scope.repos) if scope.repos else None
