"""Vector search over one release: one hit an item, filters enforced in SQL.

The same function serves the service, the commands, and the measurement of recall when a release is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
from pgvector import HalfVector
from psycopg import sql as pgsql

from answering.errors import ScopeError
from answering.releases import Artifact, Release
from resources.kinds import COMMIT, KINDS, RELEASE
from resources.postgres import Connection, Database

DEFAULT_EF_SEARCH = 100
GITHUB = "https://github.com"


@dataclass(frozen=True)
class Scope:
    """What may be searched. Empty means all. Dates are UTC days of latest activity, until exclusive."""

    repos: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    authors: tuple[str, ...] = ()
    kinds: tuple[str, ...] = tuple(kind.name for kind in KINDS)


@dataclass(frozen=True)
class Hit:
    """One item found. score: cosine similarity; document: the text that was embedded."""

    kind: str
    repo: str
    ref: str
    title: str
    url: str
    score: float
    repo_id: int
    author: str | None
    author_is_bot: bool
    state: str | None
    created_on: date | None
    activity_day: date
    document: str
    document_source: str
    artifact_id: int = field(repr=False)
    author_name: str | None = None

    @property
    def by(self) -> str | None:
        """Its author for people: @login, or the name that git tells where no login is known."""
        return f"@{self.author}" if self.author else self.author_name

    @property
    def place(self) -> str:
        """Where it is, as GitHub writes it: owner/name#12, owner/name@v1.0, owner/name@3f2a91c."""
        return f"{self.repo}{shown_ref(self.kind, self.ref)}"

    def as_json(self) -> dict[str, Any]:
        """The shape that `search --json` and GET /v1/search give out."""
        return {
            "kind": self.kind, "repo": self.repo, "ref": self.ref, "title": self.title, "url": self.url,
            "score": self.score,
        }  # fmt: skip


def shown_ref(kind: str, ref: str) -> str:
    """#12, @v1.0, or @3f2a91c, the first seven digits of a SHA."""
    if kind == COMMIT.name:
        return f"@{ref[:7]}"
    return f"@{ref}" if kind == RELEASE.name else f"#{ref}"


_COLUMNS = (
    "repo_id, ref, title, url_path, author_login, author_is_bot, state, created_at::date, activity_day,"
    " document, document_source"
)


def search(
    tools: Database,
    release: Release,
    vector: npt.NDArray[np.float32],
    *,
    scope: Scope | None = None,
    k: int = 10,
    ef_search: int | None = None,
    exact: bool = False,
) -> list[Hit]:
    """The `k` items nearest to `vector` (shape (dimensions,), unit length), best first.

    exact: scan every row instead of the HNSW indexes (the reference for recall).

    Raises:
        ScopeError: the scope names a repository or kind that is not there.
    """
    scope = scope or Scope()
    with tools.transaction() as connection:
        conditions, parameters = _conditions(connection, scope)
        parameters |= {
            "vector": HalfVector(vector.astype(np.float16)).to_text(),
            "k": k,
            "release": release.release_id,
        }
        hits: list[Hit] = []
        for kind in scope.kinds:
            artifacts = release.of_kind(kind)
            if artifacts:
                ef = ef_search or release.ef_search.get(artifacts[0].space_id, DEFAULT_EF_SEARCH)
                _settings(connection, max(ef, k), exact=exact)
                hits += _search_kind(connection, artifacts, conditions, parameters)
    return sorted(hits, key=lambda hit: (-hit.score, hit.kind, hit.repo_id, hit.ref))[:k]


def newest_items(tools: Database, release: Release, scope: Scope, k: int = 1000) -> list[Hit]:
    """Items of the release inside `scope`, newest activity first, whatever they are about."""
    with tools.transaction() as connection:
        conditions, parameters = _conditions(connection, scope)
        parameters |= {"k": k, "release": release.release_id}
        hits: list[Hit] = []
        for kind in scope.kinds:
            if artifacts := release.of_kind(kind):
                hits += _search_kind(connection, artifacts, conditions, parameters, by_distance=False)
    return sorted(hits, key=lambda hit: (hit.activity_day, hit.kind, hit.repo_id, hit.ref), reverse=True)[:k]


def named_items(
    tools: Database, release: Release, kind: str, keys: Sequence[tuple[int, str]], scope: Scope, k: int = 1000
) -> list[Hit]:
    """Those of the items (repository's id, ref) that the release holds inside `scope`, newest activity first."""
    artifacts = release.of_kind(kind)
    if not artifacts or not keys or kind not in scope.kinds:
        return []
    with tools.transaction() as connection:
        conditions, parameters = _conditions(connection, scope)
        conditions.append(
            pgsql.SQL("(a.repo_id, a.ref) IN (SELECT * FROM unnest(%(key_repos)s::bigint[], %(key_refs)s::text[]))")
        )
        parameters |= {
            "k": k,
            "release": release.release_id,
            "key_repos": [repo_id for repo_id, _ in keys],
            "key_refs": [ref for _, ref in keys],
        }
        hits = _search_kind(connection, artifacts, conditions, parameters, by_distance=False)
    return sorted(hits, key=lambda hit: (hit.activity_day, hit.repo_id, hit.ref), reverse=True)


def repository_ids(tools: Database, names: Sequence[str]) -> list[int]:
    """Ids of the tracked repositories that bear, or bore, the names; raises as `repository_id` does."""
    return [repository_id(tools, name)[0] for name in names]


def repository_id(tools: Database, name: str) -> tuple[int, str]:
    """Id and present name of the tracked repository that bears, or bore, `name`.

    Raises:
        ScopeError: there is none.
    """
    with tools.transaction() as connection:
        repo_id = _repo_id(connection, name)
        row = connection.execute("SELECT name FROM repositories WHERE repo_id = %s", [repo_id]).fetchone()
    return repo_id, row[0] if row else name


def contributors_url(tools: Database, repo_id: int, repo: str) -> str:
    """Where a repository's commits and their authors can be seen: at GitHub, or where it is cloned from."""
    git_url = tools.fetch_value("SELECT git_url FROM repositories WHERE repo_id = %s", [repo_id])
    return git_url or f"{GITHUB}/{repo}/graphs/contributors"


def _search_kind(
    connection: Connection,
    artifacts: Sequence[Artifact],
    conditions: Sequence[pgsql.Composable],
    parameters: dict[str, Any],
    *,
    by_distance: bool = True,
) -> list[Hit]:
    distance = "embedding <=> %(vector)s::halfvec" if by_distance else "0::float8"
    order = pgsql.SQL("embedding <=> %(vector)s::halfvec" if by_distance else "activity_day DESC")
    branches = []
    for artifact in artifacts:
        where = list(conditions)
        if artifact.superseded:
            where.append(
                pgsql.SQL(
                    "NOT EXISTS (SELECT FROM published.superseded s WHERE s.release_id = %(release)s"
                    " AND s.artifact_id = {id} AND s.repo_id = a.repo_id AND s.ref = a.ref)"
                ).format(id=pgsql.Literal(artifact.artifact_id))
            )
        branches.append(
            pgsql.SQL(
                "(SELECT {id} AS artifact_id, {columns}, {distance} AS distance"
                " FROM {table} a WHERE {where} ORDER BY {order} LIMIT %(k)s)"
            ).format(
                columns=pgsql.SQL(_COLUMNS),
                distance=pgsql.SQL(distance),
                order=order,
                id=pgsql.Literal(artifact.artifact_id),
                table=pgsql.Identifier("artifacts", artifact.table),
                where=pgsql.SQL(" AND ").join(where) if where else pgsql.SQL("true"),
            )
        )
    of_commit = artifacts[0].kind == COMMIT.name  # only git knows authors without a login
    query = pgsql.SQL(
        "SELECT found.*, r.name, r.git_url, {author_name} FROM"
        " (SELECT * FROM ({union}) every_month ORDER BY {rank} LIMIT %(k)s) found"
        " JOIN published.repositories r ON r.repo_id = found.repo_id {commits} ORDER BY distance"
    ).format(
        union=pgsql.SQL(" UNION ALL ").join(branches),
        rank=pgsql.SQL("distance" if by_distance else "activity_day DESC"),
        author_name=pgsql.SQL("c.author_name" if of_commit else "NULL"),
        commits=pgsql.SQL(
            "LEFT JOIN published.commits c ON c.repo_id = found.repo_id AND c.sha = found.ref" if of_commit else ""
        ),
    )
    return [_hit(artifacts[0].kind, row) for row in connection.execute(query, parameters)]


def _hit(kind: str, row: tuple[Any, ...]) -> Hit:
    (
        artifact_id, repo_id, ref, title, url_path, author, is_bot, state, created_on, activity_day,
        document, document_source, distance, repo, git_url, author_name,
    ) = row  # fmt: skip
    return Hit(
        kind=kind,
        repo=repo,
        ref=ref,
        title=title,
        url=f"{git_url}#{ref}" if git_url else f"{GITHUB}/{repo}/{url_path}",
        score=round(1.0 - float(distance), 4),
        repo_id=repo_id,
        author=author,
        author_is_bot=bool(is_bot),
        state=state,
        created_on=created_on,
        activity_day=activity_day,
        document=document,
        document_source=document_source,
        artifact_id=artifact_id,
        author_name=author_name,
    )


def _settings(connection: Connection, ef_search: int, *, exact: bool) -> None:
    connection.execute(
        "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'strict_order', true),"
        " set_config('enable_indexscan', %s, true)",
        [str(min(ef_search, 1000)), "off" if exact else "on"],
    )


def _conditions(connection: Connection, scope: Scope) -> tuple[list[pgsql.Composable], dict[str, Any]]:
    if unknown := [kind for kind in scope.kinds if kind not in {one.name for one in KINDS}]:
        raise ScopeError(f"Unknown kind {unknown[0]!r}: expected one of {', '.join(kind.name for kind in KINDS)}.")
    if scope.since is not None and scope.until is not None and scope.since >= scope.until:
        raise ScopeError(f"The time range is empty: since {scope.since} is not before until {scope.until}.")
    conditions: list[pgsql.Composable] = []
    parameters: dict[str, Any] = {}
    if scope.repos:
        parameters["repo_ids"] = [_repo_id(connection, name) for name in scope.repos]
        conditions.append(pgsql.SQL("a.repo_id = ANY (%(repo_ids)s)"))
    if scope.authors:
        parameters["authors"] = [author.lower() for author in scope.authors]
        conditions.append(pgsql.SQL("lower(a.author_login) = ANY (%(authors)s)"))
    if scope.since is not None:
        parameters["since"] = scope.since
        conditions.append(pgsql.SQL("a.activity_day >= %(since)s"))
    if scope.until is not None:
        parameters["until"] = scope.until
        conditions.append(pgsql.SQL("a.activity_day < %(until)s"))
    return conditions, parameters


def _repo_id(connection: Connection, name: str) -> int:
    """The tracked repository of that name, its newest bearer first; earlier names are followed."""
    row = connection.execute(
        "SELECT repo_id FROM repositories WHERE lower(name) = lower(%(name)s)"
        " UNION ALL (SELECT repo_id FROM repository_names WHERE lower(name) = lower(%(name)s)"
        " ORDER BY last_seen DESC) LIMIT 1",
        {"name": name},
    ).fetchone()
    if row is None:
        raise ScopeError(
            f"{name} is not among the tracked repositories: `starsearch repos list` shows them,"
            f" `starsearch repos add {name}` tracks it."
        )
    return int(row[0])
