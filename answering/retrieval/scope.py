"""What may be searched, and the SQL that holds it. Repositories are found by their present or earlier names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from psycopg import sql as pgsql

from answering.errors import ScopeError
from answering.releases import Artifact
from answering.retrieval.hits import GITHUB
from resources.kinds import KINDS
from resources.postgres import Connection, Database


@dataclass(frozen=True)
class Scope:
    """What may be searched. Empty means all. Dates are UTC days of latest activity, until exclusive.

    Names are compared without case. Within a field one of the values is enough; all fields have to hold.

    states: open, closed or merged; of releases released or prerelease; of merge commits merge.
    bots: False leaves out what bots authored, True everything else.
    """

    repos: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    authors: tuple[str, ...] = ()
    kinds: tuple[str, ...] = tuple(kind.name for kind in KINDS)
    states: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    technologies: tuple[str, ...] = ()
    bots: bool | None = None


@dataclass(frozen=True)
class Conditions:
    """A scope as SQL over an artifact's rows `a`, and its parameters; since, until: of whole artifacts, too."""

    release_id: int
    clauses: tuple[str, ...]
    parameters: dict[str, Any]
    since: date | None
    until: date | None

    def artifacts(self, artifacts: Sequence[Artifact]) -> list[Artifact]:
        """Those that can hold a row inside the time range: its month is that of its items' latest activity."""
        return [
            artifact
            for artifact in artifacts
            if (self.until is None or artifact.month < self.until)
            and (self.since is None or artifact.month >= self.since.replace(day=1))
        ]

    def union(self, artifacts: Sequence[Artifact], branch: str, query: str = "{}") -> bytes:
        """SQL: UNION ALL of `branch` over the artifacts, inside `query`.

        branch: names of each artifact its {id} and {table}, and {where}, which holds its rows `a` to the scope and
        leaves out what a newer artifact holds.
        """
        return _union(tuple(artifacts), self.release_id, self.clauses, branch, query)


@lru_cache(1024)
def _union(
    artifacts: tuple[Artifact, ...], release_id: int, clauses: tuple[str, ...], branch: str, query: str
) -> bytes:
    """`Conditions.union`. Kept: to put it together takes longer than PostgreSQL takes to answer many of them."""
    branches = [
        pgsql.SQL(branch).format(
            id=pgsql.Literal(artifact.artifact_id),
            table=pgsql.Identifier("artifacts", artifact.table),
            where=pgsql.SQL(" AND ").join([*map(pgsql.SQL, clauses), artifact.counts(release_id)]),
        )
        for artifact in artifacts
    ]
    return pgsql.SQL(query).format(pgsql.SQL(" UNION ALL ").join(branches)).as_bytes()


_ARRAYS = {
    "authors": "lower(a.author_login) = ANY (%(authors)s)",
    "states": "a.state = ANY (%(states)s)",
    "labels": "a.labels && %(labels)s::text[]",
    "technologies": "a.technologies && %(technologies)s::text[]",
}


def compile_scope(connection: Connection, scope: Scope, release_id: int) -> Conditions:
    """The conditions of `scope`.

    Raises:
        ScopeError: it names a repository or kind that is not there, or its time range is empty.
    """
    if unknown := [kind for kind in scope.kinds if kind not in {one.name for one in KINDS}]:
        raise ScopeError(f"Unknown kind {unknown[0]!r}: expected one of {', '.join(kind.name for kind in KINDS)}.")
    if scope.since is not None and scope.until is not None and scope.since >= scope.until:
        raise ScopeError(f"The time range is empty: since {scope.since} is not before until {scope.until}.")
    clauses: list[str] = []
    parameters: dict[str, Any] = {}
    if scope.repos:
        parameters["repo_ids"] = tracked_ids(connection, scope.repos)
        clauses.append("a.repo_id = ANY (%(repo_ids)s)")
    for name, clause in _ARRAYS.items():
        if values := getattr(scope, name):
            parameters[name] = [value.lower() for value in values]
            clauses.append(clause)
    if scope.bots is not None:
        clauses.append("a.author_is_bot" if scope.bots else "a.author_is_bot IS NOT TRUE")
    if scope.since is not None:
        parameters["since"] = scope.since
        clauses.append("a.activity_day >= %(since)s")
    if scope.until is not None:
        parameters["until"] = scope.until
        clauses.append("a.activity_day < %(until)s")
    return Conditions(release_id, tuple(clauses), parameters, scope.since, scope.until)


def repository_ids(tools: Database, names: Sequence[str]) -> list[int]:
    """Ids of the tracked repositories that bear, or bore, the names; raises as `repository_id` does."""
    with tools.transaction() as connection:
        return tracked_ids(connection, names)


def repository_id(tools: Database, name: str) -> tuple[int, str]:
    """Id and present name of the tracked repository that bears, or bore, `name`.

    Raises:
        ScopeError: there is none.
    """
    with tools.transaction() as connection:
        (repo_id,) = tracked_ids(connection, [name])
        row = connection.execute("SELECT name FROM repositories WHERE repo_id = %s", [repo_id]).fetchone()
    return repo_id, row[0] if row else name


def repository_page(tools: Database, repo: str, path: str) -> str:
    """A page of the tracked repository of that name: at GitHub, or where it is cloned from. path: behind its URL."""
    git_url = tools.fetch_value(
        "SELECT git_url FROM repositories WHERE lower(name) = lower(%s) ORDER BY repo_id LIMIT 1", [repo]
    )
    return git_url or f"{GITHUB}/{repo}/{path}"


def tracked_ids(connection: Connection, names: Sequence[str]) -> list[int]:
    """The tracked repositories of those names, each name's newest bearer first; earlier names are followed.

    Raises:
        ScopeError: a name that none bears or bore.
    """
    found: list[int] = []
    for name, repo_id in zip(names, bearers(connection, names), strict=True):
        if repo_id is None:
            near = _near(connection, name)
            raise ScopeError(
                f"{name} is not among the tracked repositories: `starsearch repos list` shows them,"
                f" `starsearch repos add {name}` tracks it.{f' Did you mean {near}?' if near else ''}"
            )
        found.append(repo_id)
    return found


def bearers(connection: Connection, names: Sequence[str]) -> list[int | None]:
    """The same, with None in place of a name that none bears or bore."""
    rows = connection.execute(
        "SELECT coalesce((SELECT min(repo_id) FROM repositories WHERE lower(name) = lower(asked.name)),"
        " (SELECT repo_id FROM repository_names WHERE lower(name) = lower(asked.name) ORDER BY last_seen DESC LIMIT 1))"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS asked (name, n) ORDER BY n",
        [list(names)],
    )
    return [repo_id for (repo_id,) in rows]


def _near(connection: Connection, name: str) -> str:
    """Tracked repositories that are called much the same, of the same owner or the same name; empty for none."""
    owner, _, bare = name.lower().partition("/")
    rows = connection.execute(
        "SELECT name FROM repositories WHERE split_part(lower(name), '/', 1) = %(owner)s"
        " OR split_part(lower(name), '/', 2) IN (%(bare)s, %(owner)s) ORDER BY name LIMIT 500",
        {"owner": owner, "bare": bare},
    ).fetchall()
    return " or ".join(get_close_matches(name, [row[0] for row in rows], 3, 0.5))
