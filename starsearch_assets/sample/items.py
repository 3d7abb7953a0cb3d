"""Plans the items of the sample: what is opened where, by whom, when, and under which number."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from starsearch_assets.sample import prose
from starsearch_assets.sample.cast import OUTSIDERS, RELEASE_BOT, REPOSITORIES, UPDATE_BOT, Repository
from starsearch_assets.sample.catalogue import Entry, ReleaseNotes, read_catalogue
from starsearch_assets.sample.clock import (
    FAT_HOURS,
    WINDOW_HOURS,
    WINDOW_START,
    digest,
    draw,
    later,
    moment,
    pick,
)

FIRST_PULL_REQUEST_ID = 2_871_304_000
FIRST_ISSUE_ID = 3_486_210_000
_OLD_PERCENT = 12
_FAT_PERCENT = 70
_LABELS = {"feature": "enhancement", "bug": "bug", "docs": "documentation", "question": "question"}


@dataclass(slots=True, eq=False)
class Item:
    """A pull request or an issue: what is planned, and what its life has made of it so far."""

    repository: Repository
    entry: Entry
    is_pull_request: bool
    author: str
    opened_at: datetime
    counterpart: Item | None = None
    number: int = 0
    id: int = 0
    issue_id: int = 0
    title: str = ""
    body: str = ""
    state: str = "open"
    closed_at: datetime | None = None
    merged_by: str | None = None
    updated_at: datetime | None = None
    comments: int = 0
    review_comments: int = 0
    has_text: bool = False
    seen: bool = False
    opening_seen: bool = False
    speakers: set[str] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """`pull_request` or `issue`."""
        return "pull_request" if self.is_pull_request else "issue"

    @property
    def key(self) -> str:
        """A text that is unique to the item, for drawing."""
        return f"{self.repository.id}/{self.kind}/{self.entry.title}"

    @property
    def ref(self) -> tuple[str, int]:
        """The repository's name at the end of the window, and the number."""
        return self.repository.name, self.number

    @property
    def is_old(self) -> bool:
        """Whether it was opened before the window."""
        return self.opened_at < WINDOW_START

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of its labels; not every item has been sorted in."""
        if self.entry.type == "dependencies":
            return ("dependencies",)
        names = (_LABELS.get(self.entry.type, self.entry.type), f"area: {self.entry.area}")
        return names[: draw(3, self.key, "labels")]

    @property
    def branch(self) -> str:
        """Branch of a pull request."""
        slug = "-".join("".join(c if c.isalnum() and c.isascii() else " " for c in self.entry.title).split()[:5])
        return slug.lower() or digest(self.key)[:8]

    @property
    def head_sha(self) -> str:
        """The commit at the tip of a pull request's branch."""
        return digest(self.key, "head")

    @property
    def base_sha(self) -> str:
        """The commit that a pull request starts from."""
        return digest(self.key, "base")

    @property
    def merge_sha(self) -> str:
        """The commit that merges a pull request."""
        return digest(self.key, "merge")

    @property
    def from_fork(self) -> bool:
        """Whether a pull request comes from its author's fork."""
        return self.is_pull_request and draw(4, self.key, "fork") == 0


@dataclass(frozen=True, slots=True)
class Release:
    """A release within the window."""

    repository: Repository
    notes: ReleaseNotes
    author: str
    published_at: datetime
    id: int


def plan_items() -> list[Item]:
    """All pull requests and issues of all repositories, numbered and with their final texts."""
    items = [item for repository in REPOSITORIES for item in _plan_repository(repository)]
    items.sort(key=lambda item: (item.opened_at, item.key))
    for position, item in enumerate(items):
        item.id = (FIRST_PULL_REQUEST_ID if item.is_pull_request else FIRST_ISSUE_ID) + 41 * position
        item.issue_id = FIRST_ISSUE_ID + 41 * position
    return items


def plan_releases() -> list[Release]:
    """All releases, the second of a repository some hours after the first."""
    releases: list[Release] = []
    for repository in REPOSITORIES:
        published = moment(6, 40, repository.id, "release")
        for notes in read_catalogue(repository.catalogue).releases:
            author = RELEASE_BOT if draw(3, repository.id, "releaser") == 0 else repository.team[0]
            releases.append(Release(repository, notes, author, published, 252_400_000 + 613 * len(releases)))
            published += timedelta(hours=13 + draw(14, notes.tag), seconds=draw(3600, notes.tag, "second"))
    return releases


def _plan_repository(repository: Repository) -> list[Item]:
    catalogue = read_catalogue(repository.catalogue)
    items: list[Item] = []
    turn = 0

    def next_author() -> str:
        nonlocal turn
        turn += 1
        return repository.rotation[turn % len(repository.rotation)]

    for entry in catalogue.pull_requests:
        pull = Item(repository, entry, True, entry.author or next_author(), _opening(repository, entry))
        items.append(pull)
        if title := entry.fact("issue"):
            items.append(_report_before(pull, title))
    for entry in catalogue.issues:
        title = entry.fact("pr")
        opened = moment(0, FAT_HOURS if title else WINDOW_HOURS, repository.id, entry.title)
        if draw(100, repository.id, entry.title, "old") < _OLD_PERCENT:
            opened -= timedelta(days=3 + draw(50, repository.id, entry.title, "age"))
        issue = Item(repository, entry, False, _reporter(repository, entry), opened)
        items.append(issue)
        if title:
            items.append(_fix_after(issue, title, next_author()))
    for bump in repository.bumps:
        entry = prose.bump_entry(repository, bump)
        opened = moment(0, WINDOW_HOURS - 8, repository.id, entry.title)
        items.append(Item(repository, entry, True, UPDATE_BOT, opened))
    _number(repository, items)
    for item in items:
        _write(item)
    return items


def _opening(repository: Repository, entry: Entry) -> datetime:
    """When a pull request is opened: with its text in view where a truth depends on it."""
    key = (repository.id, entry.title)
    if "untitled" in entry.flags:
        return moment(FAT_HOURS, WINDOW_HOURS - 12, *key)
    if entry.author or entry.facts:
        return moment(0, FAT_HOURS, *key)
    chance = draw(100, *key, "era")
    if chance < _OLD_PERCENT and repository.catalogue != "react_router":
        return moment(0, WINDOW_HOURS, *key) - timedelta(days=4 + draw(60, *key, "age"))
    if chance < _FAT_PERCENT:
        return moment(0, FAT_HOURS, *key)
    return moment(FAT_HOURS, WINDOW_HOURS - 2, *key)


def _report_before(pull: Item, title: str) -> Item:
    entry = prose.report_for(pull.repository, pull.entry, title)
    opened = pull.opened_at - timedelta(minutes=40 + draw(1200, title), seconds=draw(60, title, "second"))
    issue = Item(pull.repository, entry, False, _reporter(pull.repository, entry), opened, counterpart=pull)
    pull.counterpart = issue
    return issue


def _fix_after(issue: Item, title: str, author: str) -> Item:
    entry = prose.fix_for(issue.repository, issue.entry, title)
    opened = moment(0, WINDOW_HOURS - 6, title) if issue.is_old else later(issue.opened_at, title, "fix")
    pull = Item(issue.repository, entry, True, author, opened, counterpart=issue)
    issue.counterpart = pull
    return pull


def _reporter(repository: Repository, entry: Entry) -> str:
    if entry.author:
        return entry.author
    return pick((*OUTSIDERS, *repository.rotation), repository.id, entry.title, "reporter")


def _number(repository: Repository, items: list[Item]) -> None:
    number = repository.first_number
    for item in sorted(items, key=lambda item: (item.opened_at, item.key)):
        number += 1 + draw(3, item.key, "number")
        item.number = number


def _write(item: Item) -> None:
    item.title = item.entry.fact("was") or item.entry.title
    item.updated_at = item.opened_at
    if item.author == UPDATE_BOT:
        item.body = prose.bump_body(item.entry)
    elif item.is_pull_request:
        fixes = item.counterpart.number if item.counterpart else None
        item.body = prose.pull_request_body(item.repository, item.entry, fixes)
    else:
        item.body = prose.issue_body(item.repository, item.entry)
