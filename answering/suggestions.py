"""Questions that the active release can answer, for people who do not know yet what to ask."""

from __future__ import annotations

from psycopg import sql as pgsql

from answering.releases import Artifact, Release
from resources.kinds import PULL_REQUEST
from resources.postgres import Connection, Database

_LOOKED_AT = 2000
"""Rows of the newest month that are looked at."""


def suggestions(tools: Database, release: Release) -> list[str]:
    """Up to five questions about what the release's newest month has most of; none where it has nothing.

    Read once a release.
    """
    if "suggestions" not in release.cache:
        newest = next(iter(release.of_kind(PULL_REQUEST.name) or release.artifacts), None)
        if newest is None:
            return []
        with tools.transaction() as connection:
            release.cache["suggestions"] = _read(connection, newest)
    found: list[str] = release.cache["suggestions"]
    return found


def _read(connection: Connection, artifact: Artifact) -> list[str]:
    table = pgsql.Identifier("artifacts", artifact.table)
    rows = pgsql.SQL("(SELECT * FROM {} ORDER BY activity_day DESC, repo_id, ref LIMIT {}) a").format(
        table, pgsql.Literal(_LOOKED_AT)
    )

    def commonest(query: str, count: int = 1) -> list[str]:
        found = connection.execute(pgsql.SQL(query).format(rows=rows, count=pgsql.Literal(count)))
        return [str(row[0]) for row in found]

    technologies = commonest(
        "SELECT word FROM {rows} JOIN published.summaries s ON s.content_hash = a.content_hash"
        " AND s.model = a.summary_model AND s.prompt_version = a.prompt_version, unnest(s.technologies) word"
        " GROUP BY word ORDER BY count(*) DESC, word LIMIT {count}",
        2,
    )
    repositories = commonest(
        "SELECT r.name FROM {rows} JOIN published.repositories r USING (repo_id)"
        " GROUP BY r.name ORDER BY count(*) DESC, r.name LIMIT {count}"
    )
    people = commonest(
        "SELECT author_login FROM {rows} WHERE author_login IS NOT NULL AND author_is_bot IS NOT TRUE"
        " GROUP BY author_login ORDER BY count(*) DESC, author_login LIMIT {count}"
    )
    return [
        *(f"Who knows {' and '.join(technologies)}?" for _ in technologies[:1]),
        *(f"What is the lottery factor of {name}?" for name in repositories),
        *(f"What changed in {name} last week?" for name in repositories),
        *(f"What has @{login} worked on?" for login in people),
        *(f"How long do pull requests of {name} take to merge?" for name in repositories),
    ]
