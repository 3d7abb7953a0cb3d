"""Cards that an answer draws beside its text: what is known of a repository, or of a person, in figures.

They are made of rows and measures alone: no model writes anything in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from answering.change_types import change_type
from answering.insights.basis import Coverage
from answering.insights.contributors import Level, Share, contributor_share, lottery_factor
from answering.releases import Release
from answering.retrieval import GITHUB, Hit, Scope, counted_items, repository_page
from resources.kinds import PULL_REQUEST
from resources.postgres import Database

SHOWN = 5
"""People of a repository, repositories of a person, and kinds of their work."""


@dataclass(frozen=True)
class RepositoryCard:
    """items: how many of each kind the release has; people: the most active ones, most first; factor, level: the
    lottery factor, None where it is undefined. coverage: of people and factor."""

    repository: str
    url: str
    release: int
    items: dict[str, int]
    people: tuple[Share, ...]
    factor: int | None
    level: Level | None
    coverage: Coverage

    def as_widget(self) -> dict[str, Any]:
        """As the page draws it."""
        told = asdict(self)
        name = told.pop("repository")
        return {"type": "repository", "repositories": [name], **told, "coverage_text": self.coverage.text()}


@dataclass(frozen=True)
class PersonCard:
    """logins: of the same person, the one that was asked for first; items: by kind; work: pull requests by what they
    are, most first; co_authored: commits; repositories: those of the newest items first, `more` beyond; since, until:
    first and last day of activity. newest: only so many of the newest items were read, and commits beside them; None:
    everything was."""

    person: str
    url: str
    release: int
    logins: tuple[str, ...]
    items: dict[str, int]
    co_authored: int
    work: tuple[tuple[str, int], ...]
    repositories: tuple[str, ...]
    more: int
    since: date
    until: date
    newest: int | None = None

    def as_widget(self) -> dict[str, Any]:
        """As the page draws it."""
        return {"type": "person", **asdict(self)}


Card = RepositoryCard | PersonCard


def repository_card(tools: Database, release: Release, scope: Scope) -> RepositoryCard:
    """The card of the one repository in `scope`, up to the release's last day.

    Raises:
        ScopeError: it is not tracked, or the scope has no day.
    """
    (name,) = scope.repos
    active = contributor_share(tools, scope, as_of=release.as_of)
    lottery = lottery_factor(tools, scope, as_of=release.as_of).figures
    return RepositoryCard(
        repository=active.repositories[0],
        url=repository_page(tools, name, "").rstrip("/"),
        release=release.release_id,
        items=counted_items(tools, release, scope),
        people=active.figures.people[:SHOWN] if active.figures else (),
        factor=lottery.factor if lottery else None,
        level=lottery.level if lottery else None,
        coverage=active.coverage,
    )


def person_card(
    tools: Database, release: Release, login: str, hits: Sequence[Hit], joint: Sequence[Hit], newest: int | None = None
) -> PersonCard | None:
    """The card of whoever authored `hits` and co-authored `joint`, both newest first; None where that is nothing.

    newest: `hits` are only so many of the newest.
    """
    both = [*hits, *joint]
    if not both:
        return None
    repositories = list(dict.fromkeys(hit.repo for hit in sorted(both, key=lambda hit: hit.activity_day, reverse=True)))
    kinds = Counter(change_type(hit.title) for hit in hits if hit.kind == PULL_REQUEST.name)
    written = next((hit.author for hit in hits if hit.author), login)
    return PersonCard(
        person=f"@{written}",
        url=f"{GITHUB}/{written}",
        release=release.release_id,
        logins=(f"@{written}", *_other_logins(tools, login, {hit.repo_id for hit in both})),
        items=dict(Counter(hit.kind for hit in hits)),
        co_authored=len(joint),
        work=tuple(sorted(kinds.items(), key=lambda one: (-one[1], one[0]))[:SHOWN]),
        repositories=tuple(repositories[:SHOWN]),
        more=max(len(repositories) - SHOWN, 0),
        since=min(min(hit.created_on or hit.activity_day, hit.activity_day) for hit in both),
        until=max(hit.activity_day for hit in both),
        newest=newest,
    )


def _other_logins(tools: Database, login: str, repo_ids: set[int]) -> list[str]:
    """Logins that count as the same person everywhere, or in these repositories."""
    rows = tools.fetch_all(
        "SELECT DISTINCT lower(alias) FROM same_people WHERE alias LIKE '@%%' AND lower(alias) <> %(login)s"
        " AND (repo_id = 0 OR repo_id = ANY (%(repo_ids)s)) AND lower(person) = coalesce((SELECT lower(person)"
        " FROM same_people WHERE repo_id = 0 AND lower(alias) = %(login)s LIMIT 1), %(login)s) ORDER BY 1 LIMIT 10",
        {"login": f"@{login.lower()}", "repo_ids": sorted(repo_ids)},
    )
    return [alias for (alias,) in rows]
