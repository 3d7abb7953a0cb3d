"""Search releases as readers see them: which index artifacts count, and with which settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import sql as pgsql

from answering.errors import NoActiveRelease
from resources.postgres import Database

CHANNEL = "starsearch_release"
"""NOTIFY channel; the payload is the number of the release that became active."""


@dataclass(frozen=True)
class Artifact:
    """One immutable index artifact. superseded: whether some of its items stand in a newer one."""

    artifact_id: int
    space_id: int
    kind: str
    table: str
    month: date
    row_count: int
    superseded: bool
    run_id: str | None

    def counts(self, release_id: int) -> pgsql.Composable:
        """SQL of the artifact's row `a`: that no newer artifact of the release holds the item."""
        if not self.superseded:
            return pgsql.SQL("true")
        return pgsql.SQL(
            "NOT EXISTS (SELECT FROM published.superseded s WHERE s.release_id = {} AND s.artifact_id = {}"
            " AND s.repo_id = a.repo_id AND s.ref = a.ref)"
        ).format(pgsql.Literal(release_id), pgsql.Literal(self.artifact_id))


@dataclass(frozen=True)
class Release:
    """A set of artifacts that is searched together, from start to end of an answer.

    ef_search: of each space, chosen when the release was made. coverage: what the data rests on. cache: what was read
    of its artifacts, which never change.
    """

    release_id: int
    as_of: date | None
    model: str
    dimensions: int
    artifacts: tuple[Artifact, ...]
    ef_search: dict[int, int]
    coverage: dict[str, Any]
    created_at: datetime | None = None
    cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def today(self) -> date:
        """The day after the last one that it holds, which is what “last week” is relative to; or the current one."""
        return datetime.now(UTC).date() if self.as_of is None else self.as_of + timedelta(days=1)

    def of_kind(self, kind: str) -> tuple[Artifact, ...]:
        """The artifacts of one kind, newest month first."""
        return tuple(artifact for artifact in self.artifacts if artifact.kind == kind)


def load_release(tools: Database, release_id: int | None = None) -> Release:
    """The active release, or the one named.

    Raises:
        NoActiveRelease: nothing is active, or there is no such release.
    """
    condition = "active" if release_id is None else "release_id = %(release_id)s"
    with tools.transaction() as connection:
        head = connection.execute(
            f"SELECT release_id, as_of, ef_search, coverage, created_at FROM search_releases WHERE {condition}",
            {"release_id": release_id},
        ).fetchone()
        if head is None:
            raise NoActiveRelease(
                "No release is active yet: run `make demo`, or materialize the assets up to search_release in"
                " the Dagster UI (`starsearch up`)."
                if release_id is None
                else f"There is no release {release_id}: `starsearch release list` shows the ones kept."
            )
        rows = connection.execute(
            "SELECT a.artifact_id, a.space_id, a.kind, a.table_name, a.month, a.row_count,"
            " EXISTS (SELECT FROM superseded s WHERE s.release_id = a.release_id AND s.artifact_id = a.artifact_id),"
            " a.run_id, a.model, a.dimensions"
            " FROM release_artifacts a WHERE a.release_id = %s ORDER BY a.month DESC, a.kind",
            [head[0]],
        ).fetchall()
    if not rows:
        raise NoActiveRelease(f"Release {head[0]} names no artifact.")
    return Release(
        release_id=head[0],
        as_of=head[1],
        model=rows[0][8],
        dimensions=rows[0][9],
        artifacts=tuple(Artifact(*row[:8]) for row in rows),
        ef_search={int(space): int(ef) for space, ef in head[2].items()},
        coverage=head[3],
        created_at=head[4],
    )
