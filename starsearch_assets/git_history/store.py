"""Write what a fetch found: commits in batches, then, in one transaction, where the branches point now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self

import orjson

from resources.git_log import Commit
from resources.kinds import COMMIT
from resources.postgres import Connection, Database, retry_deadlocks, sql
from starsearch_assets.batches import batched
from starsearch_assets.dirty import mark_days

_COPIED = 10_000  # ids that are sent to the server together

BATCH_COMMITS = 2000
BATCH_CHARACTERS = 8_000_000


class OptedOut(Exception):
    """The repository was opted out or forgotten while it was read: nothing more of it is written."""


class MovedMeanwhile(Exception):
    """Another run, on another machine, has moved the tips since this one began."""


@dataclass(frozen=True)
class Repository:
    """A repository to fetch. unfinished: an earlier run wrote commits and did not come to move the tips."""

    repo_id: int
    name: str
    url: str
    created_at: datetime | None
    unfinished: bool
    due_since: datetime | None


@dataclass(frozen=True)
class Move:
    """How one branch moved. None: it was not there before, or is not there now."""

    ref: str
    old: str | None
    new: str | None
    forced: bool


@dataclass
class Written:
    """Rows that one repository's fetch changed."""

    new: int = 0
    reachable_again: int = 0
    unreachable: int = 0

    def __iadd__(self, other: Written) -> Self:
        self.new += other.new
        self.reachable_again += other.reachable_again
        self.unreachable += other.unreachable
        return self


@dataclass(frozen=True)
class Fetched:
    """The end of a fetch. tips: the branches that were stored when it began; bytes: of the clone; at: when it began."""

    tips: Mapping[str, str]
    moves: Sequence[Move]
    bytes: int
    at: datetime


def stored_tips(database: Database, repo_id: int) -> dict[str, str]:
    """Where the branches pointed at the end of the newest fetch."""
    return dict(database.fetch_all("SELECT ref, sha FROM git_refs WHERE repo_id = %s", [repo_id]))


def batches(commits: Iterable[Commit]) -> Iterator[list[Commit]]:
    """The commits in batches that are bounded in number and in characters."""
    batch: list[Commit] = []
    size = 0
    for commit in commits:
        batch.append(commit)
        size += len(commit.message) + sum(map(len, commit.paths))
        if len(batch) == BATCH_COMMITS or size > BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@retry_deadlocks
def write_commits(
    database: Database, repository: Repository, batch: Iterable[Commit], now: datetime, run_id: str | None
) -> Written:
    """Add the commits of a batch, or see them again. Until the tips move, the repository counts as unfinished.

    Raises:
        OptedOut: nothing was written.
    """
    rows = "".join([_row(commit) for commit in batch])
    parameters = {
        "repo_id": repository.repo_id,
        "first": repository.created_at and repository.created_at.astimezone(UTC).date(),
        "last": now.date(),
        "now": now,
        "run_id": run_id,
    }
    with database.transaction() as connection:
        _hold(connection, repository.repo_id)
        connection.execute(
            "UPDATE git_repositories SET unfinished = true WHERE repo_id = %s AND NOT unfinished", [repository.repo_id]
        )
        connection.execute(sql(__package__, "staged"))
        with connection.cursor().copy("COPY staged FROM STDIN") as copy:
            copy.write(rows.encode())
        days = connection.execute(sql(__package__, "insert_commits"), parameters).fetchall()
        _mark(connection, (day for day, _, _ in days))
    return Written(sum(new for _, new, _ in days), sum(again for _, _, again in days))


def move_tips(
    database: Database,
    repository: Repository,
    fetched: Fetched,
    ids: Iterable[str] | None,
    *,
    whole: bool,
    run_id: str | None,
) -> Written:
    """Reachability, the branches, and that the fetch succeeded, in one transaction.

    ids: None where no commit can have become unreachable; otherwise as in unreachable.sql.

    Raises:
        OptedOut, MovedMeanwhile: nothing was written.
    """
    repo_id = repository.repo_id
    changed: list[tuple[date, bool]] = []
    with database.transaction() as connection:
        if ids is not None:
            connection.execute("CREATE TEMPORARY TABLE ids (sha text) ON COMMIT DROP")
            with connection.cursor().copy("COPY ids FROM STDIN") as copy:
                for some in batched(ids, _COPIED):
                    copy.write("\n".join(some) + "\n")
            connection.execute("ANALYZE ids")
        _hold(connection, repo_id)
        present = connection.execute("SELECT ref, sha FROM git_refs WHERE repo_id = %s", [repo_id]).fetchall()
        if dict(present) != fetched.tips:
            raise MovedMeanwhile
        if ids is not None:
            changed = connection.execute(
                sql(__package__, "unreachable"), {"repo_id": repo_id, "now": fetched.at, "whole": whole}
            ).fetchall()
            _mark(connection, (day for day, _ in changed))
        _record_moves(connection, repo_id, fetched, run_id)
        connection.execute(
            "UPDATE git_repositories SET fetched_at = %s, bytes = %s, used_at = clock_timestamp(), error = NULL,"
            " failures = 0, not_before = NULL, unfinished = false WHERE repo_id = %s",
            [fetched.at, fetched.bytes, repo_id],
        )
    again = sum(reachable for _, reachable in changed)
    return Written(0, again, len(changed) - again)


def _hold(connection: Connection, repo_id: int) -> None:
    """Keep the repository as it is until the transaction ends."""
    row = connection.execute("SELECT removed_at FROM git_repositories WHERE repo_id = %s FOR UPDATE", [repo_id])
    if row.fetchone() != (None,):
        raise OptedOut


def _record_moves(connection: Connection, repo_id: int, fetched: Fetched, run_id: str | None) -> None:
    cursor, moves = connection.cursor(), fetched.moves
    cursor.executemany(
        "INSERT INTO git_ref_updates (repo_id, ref, old_sha, new_sha, forced, fetched_at, run_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [(repo_id, move.ref, move.old, move.new, move.forced, fetched.at, run_id) for move in moves],
    )
    cursor.executemany(
        "DELETE FROM git_refs WHERE repo_id = %s AND ref = %s",
        [(repo_id, move.ref) for move in moves if move.new is None],
    )
    cursor.executemany(
        "INSERT INTO git_refs (repo_id, ref, sha) VALUES (%s, %s, %s)"
        " ON CONFLICT (repo_id, ref) DO UPDATE SET sha = excluded.sha",
        [(repo_id, move.ref, move.new) for move in moves if move.new is not None],
    )


def _mark(connection: Connection, days: Iterable[date]) -> None:
    mark_days(connection, ((COMMIT.name, day) for day in days))


def _row(commit: Commit) -> str:
    """The commit's line of COPY in text format: rendered here, because psycopg is slow with arrays.

    No value has a NUL in it, so that one can stand between them until they are escaped.
    """
    co_authors = [{"name": name, "email": email} for name, email in commit.co_authors]
    row = "\0".join(
        (
            commit.sha,
            "{" + ",".join(commit.parents) + "}",
            commit.author_name,
            commit.author_email,
            str(commit.authored_at),
            commit.committer_name,
            commit.committer_email,
            str(commit.committed_at),
            commit.message,
            orjson.dumps(co_authors).decode() if co_authors else "[]",
            _array(commit.paths),
            str(commit.paths_total),
        )
    )
    row = row.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return row.replace("\0", "\t") + "\n"


def _array(values: list[str]) -> str:
    """An array literal of PostgreSQL."""
    if not values:
        return "{}"
    joined = "\0".join(values).replace("\\", "\\\\").replace('"', '\\"').replace("\0", '","')
    return '{"' + joined + '"}'
