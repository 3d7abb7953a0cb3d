"""Items without a query: the newest, those named, or those whose summary names something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from answering.releases import Artifact, Release
from answering.retrieval.hits import Hit, Key, fetch
from answering.retrieval.planner import are_few
from answering.retrieval.scope import Conditions, Scope, compile_scope
from resources.postgres import PLANNED_FOR_VALUES, PLANNED_ONCE, Connection, Database

_NAMED = "(a.repo_id, a.ref) IN (SELECT * FROM unnest(%(key_repos)s::bigint[], %(key_refs)s::text[]))"
_OF_TECHNOLOGY = "a.technologies && %(tag)s::text[]"
_OF_COMPONENT = (
    "(a.repo_id, a.ref, a.content_hash, a.summary_model, a.prompt_version) IN (SELECT * FROM unnest("
    "%(key_repos)s::bigint[], %(key_refs)s::text[], %(hashes)s::bytea[], %(models)s::text[], %(prompts)s::text[]))"
)


def newest_items(tools: Database, release: Release, scope: Scope, k: int = 1000) -> list[Hit]:
    """Items of the release inside `scope`, newest activity first, whatever they are about."""
    with tools.transaction() as connection:
        conditions = compile_scope(connection, scope, release.release_id)
        hits = _newest(connection, [[one for one in release.artifacts if one.kind in scope.kinds]], conditions, k)
    return sorted(hits, key=lambda hit: (hit.activity_day, hit.kind, hit.repo_id, hit.ref), reverse=True)


def named_items(
    tools: Database, release: Release, kind: str, keys: Sequence[tuple[int, str]], scope: Scope, k: int = 1000
) -> list[Hit]:
    """Those of the items (repository's id, ref) that the release holds inside `scope`, newest activity first."""
    if not keys or kind not in scope.kinds:
        return []
    with tools.transaction() as connection:
        conditions = compile_scope(connection, scope, release.release_id)
        named = _also(conditions, _NAMED, key_repos=[repo_id for repo_id, _ in keys], key_refs=[ref for _, ref in keys])
        hits = _newest(connection, [release.of_kind(kind)], named, k)
    return sorted(hits, key=lambda hit: (hit.activity_day, hit.repo_id, hit.ref), reverse=True)


def counted_items(tools: Database, release: Release, scope: Scope) -> dict[str, int]:
    """How many items of each kind the release has inside `scope`; of a kind without any, 0."""
    counts = {}
    with tools.transaction() as connection:
        conditions = compile_scope(connection, scope, release.release_id)
        for kind in scope.kinds:
            artifacts = conditions.artifacts(release.of_kind(kind))
            counts[kind] = 0
            if artifacts:
                query = conditions.union(
                    artifacts,
                    "SELECT count(*) AS number FROM {table} a WHERE {where}",
                    "SELECT sum(number)::bigint FROM ({}) every_month",
                )
                counts[kind] = connection.execute(query, conditions.parameters).fetchall()[0][0]
    return counts


def tagged_items(
    tools: Database, release: Release, names: Sequence[str], scope: Scope, k: int = 1000
) -> list[list[Hit]]:
    """Of each name the items whose summary names that technology or component, in any case, newest activity first.

    k: of each kind.
    """
    if not names:
        return []
    lowered = [name.lower() for name in names]
    kinds = [release.of_kind(kind) for kind in scope.kinds]
    with tools.transaction() as connection, connection.pipeline():
        conditions = compile_scope(connection, scope, release.release_id)
        connection.execute(PLANNED_ONCE if are_few(release.artifacts) else PLANNED_FOR_VALUES)
        summaries = connection.execute(
            "SELECT component_keys, repo_id, ref, content_hash, model, prompt_version FROM summaries"
            " JOIN item_contents USING (content_hash) WHERE components <> '{}' AND component_keys && %s",
            [lowered],
        )
        asked = [(name, _also(conditions, _OF_TECHNOLOGY, tag=[name])) for name in lowered]
        asked += [(name, _also(conditions, _OF_COMPONENT, **of)) for name, of in _summarized(lowered, summaries)]
        found = [(name, _ask_newest(connection, kinds, only, k)) for name, only in asked]
        keys = [(name, Key(*row[:3])) for name, rows in found for row in rows]
        connection.execute(PLANNED_ONCE)
        by_key = fetch(connection, _by_id(release.artifacts), dict.fromkeys((key for _, key in keys), 0.0), {})
    hits: dict[str, dict[tuple[str, int, str], Hit]] = {name: {} for name in lowered}
    for name, key in keys:
        if hit := by_key.get(key):
            hits[name][hit.item] = hit
    return [sorted(hits[name].values(), key=lambda hit: (hit.activity_day, hit.item), reverse=True) for name in lowered]


def _summarized(names: Sequence[str], summaries: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Of each name that summaries have a component of, what tells those summaries and the items that had their text."""
    rows = list(summaries)
    for name in names:
        if of := [row[1:] for row in rows if name in row[0]]:
            repos, refs, hashes, models, prompts = map(list, zip(*of, strict=True))
            yield name, {
                "key_repos": repos, "key_refs": refs, "hashes": hashes, "models": models, "prompts": prompts,
            }  # fmt: skip


def _also(conditions: Conditions, clause: str, **parameters: Any) -> Conditions:
    """The conditions, and one more."""
    return replace(
        conditions,
        clauses=(*conditions.clauses, clause),
        parameters=conditions.parameters | parameters,
    )


_month = attrgetter("month")


def _newest(connection: Connection, groups: Sequence[Sequence[Artifact]], conditions: Conditions, k: int) -> list[Hit]:
    """The newest `k` of each group of artifacts."""
    artifacts = [one for group in groups for one in conditions.artifacts(group)]
    with connection.pipeline():
        connection.execute(PLANNED_ONCE if are_few(artifacts) else PLANNED_FOR_VALUES)
        keys = dict.fromkeys((Key(*row[:3]) for row in _ask_newest(connection, groups, conditions, k)), 0.0)
        connection.execute(PLANNED_ONCE)
        return list(fetch(connection, _by_id(artifacts), keys, {}).values())


def _by_id(artifacts: Iterable[Artifact]) -> dict[int, Artifact]:
    return {one.artifact_id: one for one in artifacts}


def _ask_newest(
    connection: Connection, groups: Sequence[Sequence[Artifact]], conditions: Conditions, k: int
) -> Iterable[tuple[Any, ...]]:
    """Ask for the keys of the newest `k` of each group of artifacts."""
    queries = [_newest_of(found, conditions, k) for group in groups if (found := conditions.artifacts(group))]
    return connection.execute(b" UNION ALL ".join(queries), conditions.parameters) if queries else ()


def _newest_of(artifacts: Sequence[Artifact], conditions: Conditions, k: int) -> bytes:
    newest = f"ORDER BY activity_day DESC, repo_id DESC, ref DESC LIMIT {k}"
    months = [
        conditions.union(
            list(of_month),
            f"(SELECT {{id}}, repo_id, ref, activity_day FROM {{table}} a WHERE {{where}} {newest})",
            f"(SELECT * FROM ({{}}) one_month {newest})",
        )
        for _, of_month in groupby(sorted(artifacts, key=_month, reverse=True), key=_month)
    ]
    # Every item of a month is newer than those of the months before, which are not read once there are enough.
    return b"(SELECT * FROM (%b) every_month LIMIT %d)" % (b" UNION ALL ".join(months), k)
