"""The public repositories of an organization or a user.

Source: https://docs.github.com/en/rest/repos/repos (list organization repositories, list repositories for a user).
"""

from __future__ import annotations

from typing import Any

import httpx

from resources.errors import GitHubUnavailable
from resources.github import GitHub
from resources.github_items import RepositoryState

_A_PAGE = 100


async def public_repositories(github: GitHub, owner: str) -> list[RepositoryState] | None:
    """All of them, whatever their number; None where GitHub knows neither an organization nor a user of this login.

    Raises:
        GitHubError: as by `GitHub.get`.
    """
    for path in (f"orgs/{owner}/repos?type=public", f"users/{owner}/repos?type=owner"):
        found = await _pages(github, path)
        if found is not None:
            return found
    return None


async def _pages(github: GitHub, path: str) -> list[RepositoryState] | None:
    found: list[RepositoryState] = []
    for page in range(1, 1000):
        reply = await github.get(f"{path}&per_page={_A_PAGE}&page={page}")
        if reply.status == httpx.codes.NOT_FOUND:
            return None
        if reply.status != httpx.codes.OK or type(reply.data) is not list:
            raise GitHubUnavailable(f"GitHub answered {reply.status} for {path}: expected a list of repositories.")
        found += map(_state, reply.data)
        if len(reply.data) < _A_PAGE:
            break
    return found


def _state(one: dict[str, Any]) -> RepositoryState:
    return RepositoryState(int(one["id"]), str(one["full_name"]), bool(one["private"]))
