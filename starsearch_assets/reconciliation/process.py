"""One day of all tracked repositories: what GitHub lists as updated on it, against what the events told.

What the events missed gets its day of activity; hydration then brings its text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from resources.github import GitHub
from resources.github_items import NotFound, RepositoryState
from resources.github_pages import Page, Rest, ask_pages
from resources.github_updates import FIRST_PAGE, NEXT_PAGE, REPOSITORIES_A_QUERY, Changes, fetch_updates
from resources.postgres import Database, retry_deadlocks, sql
from starsearch_assets import audits
from starsearch_assets.content.tracking import choose_newest_names
from starsearch_assets.forgetting import forget_hidden, note_hidden
from starsearch_assets.hydration.fates import Fates, RepositoryHidden
from starsearch_assets.reconciliation.plan import Plan, plan_day
from starsearch_assets.reconciliation.store import Window, store_changes

ASSET = "reconciliation"
LOW_CAPTURE = 0.9
"""Below this share of what GitHub lists, the event stream is called lossy."""


@dataclass(frozen=True)
class Repository:
    """A tracked repository under its present name."""

    repo_id: int
    name: str


@dataclass
class DayResult:
    """items: created or last updated on the day, as GitHub lists them; known: of these, those that events told of.

    note: why nothing was asked, where nothing was.
    """

    plan: Plan
    note: str = ""
    repositories: int = 0
    items: int = 0
    known: int = 0
    cut: int = 0
    failed: int = 0
    forgotten: int = 0
    requests: int = 0
    points: int = 0
    rest: Rest = field(default_factory=Rest)

    @property
    def capture_rate(self) -> float | None:
        """Share of GitHub's own count; None on a day on which nothing happened."""
        return self.known / self.items if self.items else None


def reconcile_day(
    database: Database,
    day: date,
    open_github: Callable[[], GitHub | None],
    reserve: float,
    run_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DayResult:
    """Ask GitHub about `day` (UTC) and take in what the events missed; without a token nothing is asked.

    Repositories are committed as they come; a killed or stopped run goes on with the others.

    Raises:
        GitHubRefused: the token is wrong.
        GitHubUnavailable: GitHub is down; what came before is kept.
    """
    window = Window.of(day)
    everyone = _tracked(database)
    done = {row[0] for row in database.fetch_all("SELECT repo_id FROM reconciled_repositories WHERE day = %s", [day])}
    todo = [one for one in everyone if one.repo_id not in done]
    result = DayResult(_plan(database, day, len(everyone), reserve))
    github = open_github() if everyone else None
    if github is None:
        result.note = "GITHUB_TOKEN is not set: nothing was asked" if everyone else "no repository to ask about"
        _audit(database, window, result, passed=not everyone, run_id=run_id)
        return result
    asyncio.run(_ask(database, github, window, todo, len(done), result, progress))
    choose_newest_names(database)
    result.forgotten = len(forget_hidden(database))
    _finish(database, window, result, run_id)
    return result


def _plan(database: Database, day: date, repositories: int, reserve: float) -> Plan:
    query = sql(__package__, "busy")
    pages = database.fetch_value(query, {"day": day, "first": FIRST_PAGE, "more": NEXT_PAGE})
    return plan_day(repositories, reserve, pages=pages)


def _tracked(database: Database) -> list[Repository]:
    rows = database.fetch_all(
        "SELECT repo_id, name FROM repositories WHERE repo_id > 0 AND NOT synthetic ORDER BY repo_id"
    )
    return [Repository(*row) for row in rows]


async def _ask(
    database: Database,
    github: GitHub,
    window: Window,
    todo: Sequence[Repository],
    done: int,
    result: DayResult,
    progress: Callable[[int, int], None] | None,
) -> None:
    finished = done
    async with github:
        fates = Fates(github)

        async def ask(repositories: Sequence[Repository]) -> Mapping[Repository, Changes | RepositoryHidden | str]:
            return await _updates(github, fates, repositories, window)

        def store(page: Page[Repository, Changes | RepositoryHidden]) -> None:
            nonlocal finished
            at = datetime.now(UTC)
            hidden = {
                one.repo_id: answer.status
                for one, answer in page.answers.items()
                if isinstance(answer, RepositoryHidden)
            }
            changes = {one.repo_id: answer for one, answer in page.answers.items() if isinstance(answer, Changes)}
            _store(database, window, changes, hidden, at)
            finished += len(page.answers) + len(page.failed)
            result.failed += len(page.failed)
            if progress is not None:
                progress(finished, done + len(todo))

        result.rest = await ask_pages(todo, ask, store, size=REPOSITORIES_A_QUERY, concurrency=github.concurrency)
        result.requests, result.points = github.spent.requests, github.spent.points


@retry_deadlocks
def _store(
    database: Database, window: Window, changes: Mapping[int, Changes], hidden: Mapping[int, str], at: datetime
) -> None:
    with database.transaction() as connection:
        store_changes(connection, window, changes, at)
        note_hidden(connection, hidden, at)


async def _updates(
    github: GitHub, fates: Fates, repositories: Sequence[Repository], window: Window
) -> Mapping[Repository, Changes | RepositoryHidden | str]:
    answers = await fetch_updates(github, [one.name for one in repositories], window.start)
    outcomes: dict[Repository, Changes | RepositoryHidden | str] = {}
    for one in repositories:
        answer = answers[one.name]
        if isinstance(answer, NotFound) or (isinstance(answer, Changes) and answer.repository.repo_id != one.repo_id):
            outcomes[one] = await _elsewhere(github, fates, one, window)
        elif isinstance(answer, Changes) and answer.repository.private:
            outcomes[one] = RepositoryHidden("private")
        else:
            outcomes[one] = answer
    return outcomes


async def _elsewhere(github: GitHub, fates: Fates, one: Repository, window: Window) -> Changes | RepositoryHidden | str:
    """The repository by its id: under its present name, or hidden."""
    found = await fates.repository(one.repo_id)
    if not isinstance(found, RepositoryState):
        return found
    answer = (await fetch_updates(github, [found.full_name], window.start))[found.full_name]
    if isinstance(answer, NotFound):
        return "GitHub's REST API shows the repository, its GraphQL API does not"
    return answer


def _finish(database: Database, window: Window, result: DayResult, run_id: str | None) -> None:
    """Sum up the day; when nothing is left, its progress is not needed any more and the hours get their capture."""
    complete = result.rest.until is None and result.failed == 0
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(sum(items), 0), coalesce(sum(known), 0), count(*) FILTER (WHERE cut)"
            " FROM reconciled_repositories WHERE day = %s",
            [window.day],
        ).fetchone()
        assert row is not None
        result.repositories, result.items, result.known, result.cut = row
        connection.execute(
            "INSERT INTO reconciliations (day, repositories, items, known, capture_rate, cut, finished_at, run_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, CASE WHEN %s THEN now() END, %s) ON CONFLICT (day) DO UPDATE SET"
            " repositories = excluded.repositories, items = excluded.items, known = excluded.known,"
            " capture_rate = excluded.capture_rate, cut = excluded.cut, finished_at = excluded.finished_at,"
            " run_id = excluded.run_id",
            [window.day, *row[:3], result.capture_rate, result.cut, complete, run_id],
        )
        if complete:
            connection.execute("DELETE FROM reconciled_repositories WHERE day = %s", [window.day])
            connection.execute(sql(__package__, "capture"), {"start": window.start, "end": window.end})
    _audit(database, window, result, passed=complete and not result.cut, run_id=run_id)


def _audit(database: Database, window: Window, result: DayResult, *, passed: bool, run_id: str | None) -> None:
    """Every tracked repository was asked about and read to the end."""
    details = {
        "tracked repositories": result.plan.repositories,
        "asked": result.repositories,
        "failed": result.failed,
        "cut": result.cut,
        "items": result.items,
        "known from events": result.known,
    }
    with database.transaction() as connection:
        verdict = audits.Audit(ASSET, f"{window.day}", f"{result.items}/{result.known}", passed, details)
        audits.record(connection, verdict, run_id)
