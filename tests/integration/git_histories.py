"""Repositories whose history is wanted, fetched, and what the database has of them then."""

from __future__ import annotations

from datetime import date
from typing import Any

from resources.git import Git
from resources.postgres import Database
from starsearch_assets.git_history import wishes
from starsearch_assets.git_history.process import HistoryResult, take_in
from tests.git_remotes import Remote, git

ID, NAME = 1001, "acme/rocket"


def opt_in(database: Database, url: str, repo_id: int = ID, name: str = NAME) -> None:
    """Track a repository and want its history."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                           [repo_id, name])  # fmt: skip
        wishes.opt_in(connection, {repo_id: url})


def fetch(database: Database, client: Git, *, cache_bytes: int = 10**12, **options: Any) -> HistoryResult:
    """Fetch everything, due or not."""
    database.execute("UPDATE git_repositories SET requested_at = now(), not_before = NULL")
    return take_in(database, client, cache_bytes, 24, run_id="run-1", **options)


def new(result: HistoryResult) -> int:
    """New commits of the only repository."""
    (one,) = result.repositories
    assert one.outcome == "fetched", one.error
    return one.written.new


def commits(database: Database, repo_id: int = ID) -> dict[str, tuple[Any, ...]]:
    """All columns that do not depend on when a run was, by sha."""
    rows = database.fetch_all(
        "SELECT sha, parents, author_name, author_email, authored_at, committer_name, committer_email, committed_at,"
        " message, co_authors, paths, paths_total, day, unreachable_since IS NULL FROM git_commits WHERE repo_id = %s",
        [repo_id],
    )
    return {row[0]: row[1:] for row in rows}


def column(database: Database, name: str) -> dict[str, Any]:
    """One column by sha."""
    return dict(database.fetch_all(f"SELECT sha, {name} FROM git_commits"))


def reachable(database: Database) -> set[str]:
    """Commits that a branch reaches, as the database has it."""
    return {sha for sha, since in column(database, "unreachable_since").items() if since is None}


def tips(database: Database) -> dict[str, str]:
    """The branches as the database has them, by short name."""
    return {
        ref.removeprefix("refs/heads/"): sha for ref, sha in database.fetch_all("SELECT ref, sha FROM git_refs")
    }  # fmt: skip


def dirty(database: Database) -> list[date]:
    """The days that are asked for; they are clean afterwards."""
    assert {kind for (kind,) in database.fetch_all("SELECT kind FROM dirty_days")} <= {"commit"}
    days = [day for (day,) in database.fetch_all("SELECT day FROM dirty_days ORDER BY day")]
    database.execute("DELETE FROM dirty_days")
    return days


def updates(database: Database) -> list[tuple[str, str | None, str | None, bool]]:
    """How the branches moved, in order."""
    rows = database.fetch_all("SELECT ref, old_sha, new_sha, forced FROM git_ref_updates ORDER BY update_id")
    return [(ref.removeprefix("refs/heads/"), *rest) for ref, *rest in rows]


def read_everything(remote: Remote) -> set[str]:
    """What the remote's branches reach."""
    return set(git(remote.path, "rev-list", "--branches").decode().split())
