"""Observations, merged into the content tables: by events, by GitHub's API, and by git.

Whoever observed fills the temporary table `observed`, one row an observation; the merge is the same for all.
"""

from __future__ import annotations

from dataclasses import dataclass

from resources.kinds import COMMIT, ISSUE, PULL_REQUEST, RELEASE, Kind
from resources.postgres import Connection, run_script, sql


@dataclass(frozen=True)
class Reader:
    """Which SQL reads a kind. `merge` holds what merge_items.sql leaves open for the kind.

    commented: whether observations can be comments, too.
    """

    observe: str
    merge_file: str
    ref_column: str
    columns: str = ""
    values: str = ""
    updates: str = ""
    commented: bool = True


READERS = {
    PULL_REQUEST: Reader(
        "observe_items",
        "merge_items",
        "number",
        columns=", merged_at, merged_by",
        values=", c.merged_at, c.merged_by",
        updates=(
            ", merged_at = least(known.merged_at, excluded.merged_at),"
            " merged_by = least(known.merged_by, excluded.merged_by)"
        ),
    ),
    ISSUE: Reader("observe_items", "merge_items", "number"),
    RELEASE: Reader("observe_releases", "merge_releases", "tag"),
    COMMIT: Reader("observe_commits", "merge_commits", "sha", commented=False),
}


def merge_observed(connection: Connection, kind: Kind) -> int:
    """Merge what stands in `observed` into the content table and the comments; returns how many comments changed."""
    reader = READERS[kind]
    parameters = {"kind": kind.name}
    merge = sql(__package__, reader.merge_file).format(
        table=kind.table,
        merge_columns=reader.columns,
        merge_values=reader.values,
        merge_updates=reader.updates,
    )
    run_script(connection, merge, parameters)
    if not reader.commented:
        return 0
    return run_script(connection, sql(__package__, "merge_comments").format(ref=reader.ref_column), parameters)
