"""What became of items and repositories that GraphQL does not find: REST tells deleted from moved from hidden."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Literal

from resources.github import GitHub
from resources.github_items import ItemKey, RepositoryState
from resources.kinds import PULL_REQUEST, Kind

_MOVED = re.compile(r"/repositories/(\d+)/(?:issues|pulls?)/(\d+)$")


@dataclass(frozen=True)
class Gone:
    """GitHub does not have the item under this number any more."""

    reason: str


@dataclass(frozen=True)
class Moved:
    """The item is in another repository now."""

    repo_id: int
    number: int


@dataclass(frozen=True)
class RepositoryHidden:
    """GitHub does not show the repository. private: it says that it is private; blocked: for legal reasons."""

    status: Literal["unavailable", "private", "blocked"]


RepositoryFate = RepositoryState | RepositoryHidden | str


class Fates:
    """Asks REST, once a repository."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._repositories: dict[int, asyncio.Task[RepositoryFate]] = {}

    async def item(self, kind: Kind, key: ItemKey) -> Gone | Moved | str:
        """What became of an item whose repository is there. A text: GitHub does not say.

        Source: https://docs.github.com/en/rest/issues/issues#get-an-issue (301, 404, 410).
        """
        reply = await self._github.get(f"repos/{key.owner}/{key.name}/issues/{key.number}")
        if reply.status == 301 and reply.location is not None and (moved := _MOVED.search(reply.location)):
            target, there = await self._github.get(reply.location), Moved(int(moved[1]), int(moved[2]))
            if there != Moved(key.repo_id, key.number):  # otherwise only the repository was renamed
                if target.status == 200:
                    return there
                return Gone(f"moved to where GitHub shows it to nobody ({target.status})")
            reply = target
        if reply.status == 410:
            return Gone("deleted")
        if reply.status == 404:
            return Gone("not found")
        if reply.status == 200 and ("pull_request" in reply.data) != (kind is PULL_REQUEST):
            return Gone(f"the number is that of {'an issue' if kind is PULL_REQUEST else 'a pull request'}")
        return f"GraphQL does not find it, REST answers {reply.status}"

    async def repository(self, repo_id: int) -> RepositoryFate:
        """The repository by its id, whatever it is called now. A text: GitHub does not say what became of it."""
        if repo_id not in self._repositories:
            self._repositories[repo_id] = asyncio.ensure_future(self._repository(repo_id))
        return await self._repositories[repo_id]

    async def _repository(self, repo_id: int) -> RepositoryFate:
        reply = await self._github.get(f"repositories/{repo_id}")
        if reply.status == 301 and reply.location is not None:
            reply = await self._github.get(reply.location)
        if reply.status == 200:
            if reply.data["private"]:
                return RepositoryHidden("private")
            return RepositoryState(reply.data["id"], reply.data["full_name"], False)
        if reply.status in (404, 410):
            return RepositoryHidden("unavailable")
        if reply.status == 451:
            return RepositoryHidden("blocked")
        return f"GitHub answers {reply.status} for the repository"
