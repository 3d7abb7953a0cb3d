"""What every measure stands on: whose days are counted, how much of them was read, and the shape of a result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Generic, TypeVar

from answering.errors import ScopeError
from answering.retrieval import GITHUB, Scope, tracked_ids
from resources.postgres import Connection, Database

Figures = TypeVar("Figures")
DONE = (
    "commits",
    "pull_requests_opened",
    "pull_requests_merged",
    "pull_requests_closed",
    "reviews",
    "review_comments",
    "issues_opened",
    "issues_closed",
    "comments",
    "releases",
)
"""What people do, each once: columns of contributor_days. Opening and its end are two contributions."""

TOTAL = " + ".join(DONE)
IN_WINDOW = "repo_id = ANY (%(repo_ids)s) AND day >= %(since)s AND day < %(until)s"
PEOPLE = f"{IN_WINDOW} AND NOT is_bot AND person <> ''"
"""SQL over contributor_days: its rows inside the window, and those of people known."""

NOTHING = "no day of this window was counted: materialize contributor_days, or ask for another window"
SHOWN = 5
"""Pages and people whose links are evidence."""


@dataclass(frozen=True)
class Link:
    """Where a figure can be looked up."""

    title: str
    url: str


@dataclass(frozen=True)
class Coverage:
    """What a measure rests on.

    since, until: the window, days in UTC, until exclusive; both None where no day was counted. days: of the window;
    counted: those of them that were counted. hours_read: of its 24 a day, those whose events were read. capture_rate:
    share of what GitHub itself lists that the events told, where it was compared. repositories: of the scope;
    with_commits: those whose git history is read. unknown: contributions of which nobody knows whose they are.
    """

    since: date | None
    until: date | None
    days: int
    counted: int
    hours_read: int
    capture_rate: float | None
    repositories: int
    with_commits: int
    unknown: int

    def text(self) -> str:
        """One sentence or two, for people."""
        if self.since is None or self.until is None:
            return "No day of this window was counted."
        last = self.until - timedelta(days=1)
        span = f"on {self.since}" if last == self.since else f"from {self.since} to {last}"
        parts = [
            f"{self.counted:,} of {self.days:,} day{'s' * (self.days != 1)} {span} counted",
            f"{self.hours_read:,} of {24 * self.days:,} hours of events read",
            "GitHub's own count not compared"
            if self.capture_rate is None
            else f"{self.capture_rate:.0%} of what GitHub lists was told by them",
            f"git history of {self.with_commits:,} of {self.repositories:,}"
            f" {'repository' if self.repositories == 1 else 'repositories'}",
        ]
        if self.unknown:
            parts.append(f"{self.unknown:,} contribution{'s' * (self.unknown != 1)} by nobody known")
        return "; ".join(parts) + "."


@dataclass(frozen=True)
class Insight(Generic[Figures]):
    """A measure's result. figures: None where it is undefined, and `undefined` says why and what would help.

    repositories: those asked about; empty: all that are tracked. evidence: where the figures can be looked up.
    """

    measure: str
    repositories: tuple[str, ...]
    figures: Figures | None
    coverage: Coverage
    undefined: str = ""
    evidence: tuple[Link, ...] = field(default=())


@dataclass(frozen=True)
class Basis:
    """A scope, opened: repositories by id, the window in days, and one connection whose reads agree with each other.

    pages_of: where each repository that was asked about can be seen: at GitHub, or where it is cloned from; empty: all
    were. end: the first day after those that count.
    """

    connection: Connection
    scope: Scope
    repo_ids: list[int]
    pages_of: dict[str, str]
    since: date | None
    until: date | None
    end: date | None

    @property
    def parameters(self) -> dict[str, Any]:
        """repo_ids, since, until, and before: where the window of the same length begins that ends at `since`."""
        before = None
        if self.since is not None and self.until is not None:
            before = self.since - (self.until - self.since)
        return {"repo_ids": self.repo_ids, "since": self.since, "until": self.until, "before": before}

    def rows(self, query: str, **more: Any) -> list[tuple[Any, ...]]:
        """All rows of a query over `parameters`."""
        return self.connection.execute(query, self.parameters | more).fetchall()

    @property
    def whole_before(self) -> bool:
        """Whether all days of the window before this one were counted."""
        if self.since is None or self.until is None:
            return False
        counted = self.rows("SELECT count(*) FROM counted_days WHERE day >= %(before)s AND day < %(since)s")[0][0]
        return bool(counted == (self.until - self.since).days)

    def coverage(self) -> Coverage:
        """What the window holds."""
        if self.since is None or self.until is None:
            return Coverage(None, None, 0, 0, 0, None, len(self.repo_ids), self._with_commits(), 0)
        counted, hours, captured = self.rows(
            "SELECT (SELECT count(*) FROM counted_days WHERE day >= %(since)s AND day < %(until)s),"
            " (SELECT count(*) FROM hours WHERE is_read AND hour >= %(since)s::timestamp AT TIME ZONE 'UTC'"
            "  AND hour < %(until)s::timestamp AT TIME ZONE 'UTC'),"
            " (SELECT round(sum(known) / nullif(sum(items), 0)::numeric, 4)::float8 FROM captures"
            "  WHERE day >= %(since)s AND day < %(until)s)"
        )[0]
        unknown = self.rows(f"SELECT coalesce(sum({TOTAL}), 0) FROM contributor_days WHERE {IN_WINDOW} AND alias = ''")[
            0
        ][0]
        days = (self.until - self.since).days
        return Coverage(self.since, self.until, days, counted, hours, captured, len(self.repo_ids),
                        self._with_commits(), int(unknown))  # fmt: skip

    def result(
        self, measure: str, figures: Figures | None, undefined: str = "", evidence: tuple[Link, ...] = ()
    ) -> Insight[Figures]:
        """The measure's result over this basis."""
        return Insight(
            measure, tuple(self.pages_of), figures, self.coverage(), undefined if figures is None else "", evidence
        )

    def pages(self, path: str) -> tuple[Link, ...]:
        """A page of each of the first repositories that were asked about. path: behind the repository's URL."""
        return tuple(self.link(f"{name}/{path.split('?')[0]}", name, path) for name in [*self.pages_of][:SHOWN])

    def link(self, title: str, name: str, path: str) -> Link:
        """A page of a repository; of one that is not at GitHub, the place from which it is cloned."""
        page = self.pages_of.get(name, f"{GITHUB}/{name}")
        return Link(title, f"{page}/{path}" if page.startswith(f"{GITHUB}/") else page)

    def _with_commits(self) -> int:
        return int(
            self.rows(
                "SELECT count(*) FROM unnest(%(repo_ids)s::bigint[]) AS asked (repo_id)"
                " WHERE EXISTS (SELECT FROM published.commits c WHERE c.repo_id = asked.repo_id)"
            )[0][0]
        )


@contextmanager
def opened(tools: Database, scope: Scope, as_of: date | None = None, *, recent: bool = False) -> Iterator[Basis]:
    """The basis of a scope, of which repositories and time range count here.

    The window is cut to the days that were counted, and ends with `as_of`, the last day of a release. Without `since`
    it begins with the first counted day; recent: with the newest 90 days, or the newer half where fewer were counted.

    Raises:
        ScopeError: a repository that is not tracked, or an empty time range.
    """
    if scope.since is not None and scope.until is not None and scope.since >= scope.until:
        raise ScopeError(f"The time range is empty: since {scope.since} is not before until {scope.until}.")
    with tools.transaction() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # A plan for any number of repositories is a bad one for a thousand: plan for those asked for.
        connection.execute("SET LOCAL plan_cache_mode TO force_custom_plan")
        if scope.repos:
            repo_ids = tracked_ids(connection, scope.repos)
            pages = {
                name: git_url or f"{GITHUB}/{name}"
                for name, git_url in connection.execute(
                    "SELECT name, git_url FROM repositories WHERE repo_id = ANY (%s) ORDER BY name", [repo_ids]
                )
            }
        else:
            repo_ids = [row[0] for row in connection.execute("SELECT repo_id FROM repositories")]
            pages = {}
        first, last = connection.execute("SELECT min(day), max(day) FROM counted_days").fetchone() or (None, None)
        since = until = end = None
        if first is not None:
            end = min(last, as_of or last) + timedelta(days=1)
            until = min(end, scope.until or end)
            whole = (until - first).days
            start = until - timedelta(days=min(RECENT_DAYS, max(whole // 2, 1))) if recent else first
            since = max(first, scope.since or start)
            if since >= until:
                since = until = end = None
        yield Basis(connection, scope, repo_ids, pages, since, until, end)


RECENT_DAYS = 90
"""Days of a window that nobody named, of measures that compare it with what was before."""
