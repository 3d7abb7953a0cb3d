"""What the double of GitHub holds: repositories with issues, pull requests and releases, as plain data."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

START = datetime(2025, 1, 1, tzinfo=UTC)
ReviewState = Literal["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"]


@dataclass(frozen=True)
class Account:
    """A user, bot or organization. A bot's login is held without [bot]: GraphQL leaves it out, REST adds it.

    Where an author may be None, the account was deleted: GraphQL says null, REST says the user "ghost".
    """

    login: str
    is_bot: bool = False
    is_organization: bool = False

    @property
    def database_id(self) -> int:
        """A number that only the login decides."""
        return zlib.crc32(self.login.lower().encode()) >> 1

    @property
    def kind(self) -> Literal["Bot", "Organization", "User"]:
        """The type's name, the same in REST and GraphQL."""
        return "Bot" if self.is_bot else "Organization" if self.is_organization else "User"


@dataclass
class Comment:
    """A comment on an issue or pull request."""

    database_id: int
    body: str = ""
    author: Account | None = None
    created_at: datetime = START
    repository: Repository = field(init=False, repr=False, compare=False)


@dataclass
class Review:
    """A review of a pull request."""

    database_id: int
    body: str = ""
    state: ReviewState = "COMMENTED"
    author: Account | None = None
    submitted_at: datetime = START
    repository: Repository = field(init=False, repr=False, compare=False)


@dataclass
class Release:
    """A release of a repository; a draft has no published_at."""

    database_id: int
    tag: str
    name: str | None = None
    body: str | None = None
    created_at: datetime = START
    published_at: datetime | None = START
    prerelease: bool = False
    draft: bool = False
    author: Account | None = None
    repository: Repository = field(init=False, repr=False, compare=False)


@dataclass(kw_only=True)
class Issue:
    """An issue. deleted: REST says 410, GraphQL NOT_FOUND. transferred_to: repository id and number where it is now."""

    number: int
    database_id: int = 0
    title: str = "A title"
    body: str | None = ""
    state: Literal["OPEN", "CLOSED", "MERGED"] = "OPEN"
    author: Account | None = None
    created_at: datetime = START
    updated_at: datetime = START
    closed_at: datetime | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    deleted: bool = False
    transferred_to: tuple[int, int] | None = None
    repository: Repository = field(init=False, repr=False, compare=False)


@dataclass(kw_only=True)
class PullRequest(Issue):
    """A pull request; deleted: REST says 404. files: their paths. commits: their headlines, oldest first."""

    draft: bool = False
    merged_at: datetime | None = None
    merged_by: Account | None = None
    files: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)


@dataclass(kw_only=True)
class Repository:
    """A repository. former_names: full names that redirect here. legally_blocked: REST says 451, GraphQL NOT_FOUND."""

    id: int
    owner: str
    name: str
    private: bool = False
    archived: bool = False
    deleted: bool = False
    legally_blocked: bool = False
    description: str | None = None
    created_at: datetime = START
    updated_at: datetime = START
    former_names: list[str] = field(default_factory=list)
    items: dict[int, Issue] = field(default_factory=dict, repr=False)
    releases: list[Release] = field(default_factory=list, repr=False)

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f"{self.owner}/{self.name}"

    def add(self, *items: Issue) -> None:
        """Hold `items` under their numbers; an item without a database id gets one that only the place decides."""
        for item in items:
            item.repository = self
            item.database_id = item.database_id or self.id * 100_000 + item.number
            self.items[item.number] = item

    def publish(self, *releases: Release) -> None:
        """Hold `releases`."""
        for release in releases:
            release.repository = self
            self.releases.append(release)

    def rename(self, owner: str, name: str) -> None:
        """Give the repository a new full name; the old one redirects."""
        self.former_names.append(self.full_name)
        self.owner, self.name = owner, name


class State:
    """All repositories. May be changed from any thread, by attribute or by method, while the double serves it.

    users: logins of owners that are no organization, in lower case.
    """

    def __init__(self) -> None:
        self.repositories: dict[int, Repository] = {}
        self.users: set[str] = set()
        self._by_name: dict[str, Repository] = {}

    def add(self, *repositories: Repository) -> None:
        """Hold `repositories` under their ids."""
        for repository in repositories:
            self.repositories[repository.id] = repository

    def named(self, full_name: str) -> Repository | None:
        """The repository that has this full name now (in any case), deleted ones included."""
        wanted = full_name.lower()
        known = self._by_name.get(wanted)
        if known is None or known.full_name.lower() != wanted or self.repositories.get(known.id) is not known:
            known = next((one for one in list(self.repositories.values()) if one.full_name.lower() == wanted), None)
            if known is not None:
                self._by_name[wanted] = known
        return known

    def formerly_named(self, full_name: str) -> Repository | None:
        """The repository to which a former full name redirects."""
        wanted = full_name.lower()
        repositories = list(self.repositories.values())
        return next((one for one in repositories if wanted in (name.lower() for name in one.former_names)), None)

    def moved(self, item: Issue) -> Issue | None:
        """Where a transferred item is now."""
        if item.transferred_to is None:
            return None
        repository_id, number = item.transferred_to
        repository = self.repositories.get(repository_id)
        return None if repository is None else repository.items.get(number)
