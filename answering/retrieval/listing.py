"""Items without a query: the newest, or those named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg import sql as pgsql

from answering.releases import Artifact, Release
from answering.retrieval.hits import Hit, Key, fetch
from answering.retrieval.scope import Conditions, Scope, compile_scope
from resources.postgres import Connection, Database

_NAMED = "(a.repo_id, a.ref) IN (SELECT * FROM unnest(%(key_repos)s::bigint[], %(key_refs)s::text[]))"


def newest_items(tools: Database, release: Release, scope: Scope, k: int = 1000) -> list[Hit]:
    """Items of the release inside `scope`, newest activity first, whatever they are about."""
    hits: list[Hit] = []
    with tools.transaction() as connection:
        conditions = compile_scope(connection, scope, release.release_id)
        for kind in scope.kinds:
            hits += _newest(connection, release.of_kind(kind), conditions, k)
    return sorted(hits, key=lambda hit: (hit.activity_day, hit.kind, hit.repo_id, hit.ref), reverse=True)[:k]


def named_items(
    tools: Database, release: Release, kind: str, keys: Sequence[tuple[int, str]], scope: Scope, k: int = 1000
) -> list[Hit]:
    """Those of the items (repository's id, ref) that the release holds inside `scope`, newest activity first."""
    if not keys or kind not in scope.kinds:
        return []
    with tools.transaction() as connection:
        conditions = compile_scope(connection, scope, release.release_id)
        parameters = conditions.parameters | {
            "key_repos": [repo_id for repo_id, _ in keys],
            "key_refs": [ref for _, ref in keys],
        }
        named = replace(conditions, clauses=(*conditions.clauses, pgsql.SQL(_NAMED)), parameters=parameters)
        hits = _newest(connection, release.of_kind(kind), named, k)
    return sorted(hits, key=lambda hit: (hit.activity_day, hit.repo_id, hit.ref), reverse=True)


def _newest(connection: Connection, artifacts: Sequence[Artifact], conditions: Conditions, k: int) -> list[Hit]:
    artifacts = conditions.artifacts(artifacts)
    if not artifacts:
        return []
    branches = conditions.union(
        artifacts,
        "(SELECT {id}, repo_id, ref, activity_day FROM {table} a WHERE {where}"
        " ORDER BY activity_day DESC, repo_id DESC, ref DESC LIMIT {k})",
        k=pgsql.Literal(k),
    )
    query = pgsql.SQL(
        "SELECT * FROM ({}) every_month ORDER BY activity_day DESC, repo_id DESC, ref DESC LIMIT {}"
    ).format(branches, pgsql.Literal(k))
    keys = [Key(*row[:3]) for row in connection.execute(query, conditions.parameters)]
    by_id = {artifact.artifact_id: artifact for artifact in artifacts}
    return list(fetch(connection, by_id, keys, {}).values())
