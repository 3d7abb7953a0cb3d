"""What index artifacts cost: disk, and the time that building them took."""

from __future__ import annotations

from dataclasses import dataclass

from resources.postgres import Database


@dataclass(frozen=True)
class Cost:
    """Of some artifacts: how many, their bytes on disk, and the seconds that building them took."""

    artifacts: int
    bytes: int
    build_seconds: float

    def __str__(self) -> str:
        return f"{self.artifacts} artifacts, {shown_bytes(self.bytes)}, built in {self.build_seconds:,.0f} s"


@dataclass(frozen=True)
class Costs:
    """An artifact counts once: with the active release, else with the releases that are kept, else as unused.

    unused: waits for a release, or is dropped by the job `drop_unused_artifacts`.
    """

    active: Cost
    kept: Cost
    unused: Cost

    @property
    def total(self) -> Cost:
        """All of them."""
        every = (self.active, self.kept, self.unused)
        return Cost(
            sum(one.artifacts for one in every),
            sum(one.bytes for one in every),
            sum(one.build_seconds for one in every),
        )

    def rows(self) -> list[dict[str, str | int | float]]:
        """A table: one row a share, and their sum."""
        named = (("active release", self.active), ("releases kept", self.kept), ("unused", self.unused),
                 ("all", self.total))  # fmt: skip
        return [
            {
                "artifacts of": name, "number": cost.artifacts, "bytes": cost.bytes, "disk": shown_bytes(cost.bytes),
                "build seconds": round(cost.build_seconds, 1),
            }
            for name, cost in named
        ]  # fmt: skip


def costs(database: Database, asset_kind: str | None = None) -> Costs:
    """Of all artifacts, or those of one kind."""
    rows = database.fetch_all(
        "SELECT use, count(*), sum(bytes)::bigint, sum(build_seconds)::float8 FROM ("
        " SELECT a.bytes, a.build_seconds, CASE"
        "  WHEN EXISTS (SELECT FROM release_artifacts r JOIN active_release USING (release_id)"
        "               WHERE r.artifact_id = a.artifact_id) THEN 'active'"
        "  WHEN EXISTS (SELECT FROM release_artifacts r WHERE r.artifact_id = a.artifact_id) THEN 'kept'"
        "  ELSE 'unused' END AS use"
        " FROM index_artifacts a JOIN embedding_spaces s USING (space_id)"
        " WHERE %(kind)s::text IS NULL OR s.kind = %(kind)s) artifacts GROUP BY use",
        {"kind": asset_kind},
    )
    found = {use: Cost(*cost) for use, *cost in rows}
    nothing = Cost(0, 0, 0.0)
    return Costs(found.get("active", nothing), found.get("kept", nothing), found.get("unused", nothing))


def shown_bytes(size: int) -> str:
    """12.3 MB, for people."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"
