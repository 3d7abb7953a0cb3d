"""Whose git history is wanted: opted in one by one, and out again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from resources.errors import ConfigurationError
from resources.postgres import Connection, sql

GITHUB = "https://github.com/"


def github_url(name: str) -> str:
    """Where GitHub has the repository of this name."""
    return f"{GITHUB}{name}.git"


def opt_in(connection: Connection, urls: Mapping[int, str]) -> None:
    """Want the history of repositories, by id, from these URLs; it is fetched anew also where it was wanted before."""
    connection.cursor().executemany(
        "INSERT INTO git_repositories (repo_id, url) VALUES (%s, %s) ON CONFLICT (repo_id) DO UPDATE SET"
        " url = excluded.url, requested_at = now(), removed_at = NULL, failures = 0, not_before = NULL",
        sorted(urls.items()),
    )


def opt_out(connection: Connection, repo_ids: Iterable[int]) -> None:
    """Want it no more: the clones are deleted by the next run; commits that were taken in stay."""
    connection.execute(
        "UPDATE git_repositories SET removed_at = coalesce(removed_at, now()), error = NULL WHERE repo_id = ANY (%s)",
        [sorted(repo_ids)],
    )


def opt_in_met_requests(connection: Connection, start: object, end: object) -> None:
    """Opt in the tracked repositories that an event of [start, end) names as requests with a URL do."""
    connection.execute(sql(__package__, "met_requests"), {"start": start, "end": end})


def refuse_forgotten(connection: Connection, repo_id: int, name: str) -> None:
    """A repository without GitHub, once forgotten, is not taken in again.

    Raises:
        ConfigurationError: it was forgotten.
    """
    row = connection.execute(
        "SELECT forgotten_at FROM tombstones WHERE subject = 'repository' AND subject_id = %s", [repo_id]
    ).fetchone()
    if row is not None:
        raise ConfigurationError(f"{name} was forgotten on {row[0]:%Y-%m-%d}: it is not taken in again.")
