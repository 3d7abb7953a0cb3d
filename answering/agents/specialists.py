"""Specialists: each knows one sort of source, and the tools for it."""

from __future__ import annotations

from dataclasses import dataclass

from answering.agents.tools import EXPERTS, ITEM, MEASURE, PATH, PROFILE, SEARCHES, WEB, Tool
from resources.kinds import COMMIT, ISSUE, PULL_REQUEST, RELEASE


@dataclass(frozen=True)
class Specialist:
    """name: of the function by which the manager calls it; knows: what it can find out."""

    name: str
    knows: str
    tools: tuple[Tool, ...]


SPECIALISTS = (
    Specialist("pull_requests", "pull requests: what was proposed, changed and merged",
               (SEARCHES[PULL_REQUEST.name], ITEM)),
    Specialist("issues", "issues: bugs, wishes and discussions", (SEARCHES[ISSUE.name], ITEM)),
    Specialist("commits", "commits and the history of files", (SEARCHES[COMMIT.name], PATH, ITEM)),
    Specialist("releases", "releases and their notes", (SEARCHES[RELEASE.name], ITEM, MEASURE)),
    Specialist("contributors", "people and projects: who worked on what, who knows what, and how projects are doing",
               (PROFILE, EXPERTS, MEASURE)),
)  # fmt: skip

ON_THE_WEB = Specialist("web", "the web: only for what no repository's history can tell", (WEB,))
"""Called only where web search is configured."""
