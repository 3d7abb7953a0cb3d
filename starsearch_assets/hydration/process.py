"""One day of one kind: items that events left without text, or that changed since, asked of GitHub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from resources.github import GitHub
from resources.github_items import ITEMS_A_QUERY, ItemKey, ItemState
from resources.github_pages import Page, Rest, ask_pages
from resources.kinds import Kind
from resources.postgres import Connection, Database, retry_deadlocks, sql
from starsearch_assets import audits
from starsearch_assets.content.tracking import choose_newest_names
from starsearch_assets.forgetting import forget_hidden, note_hidden
from starsearch_assets.hydration.fates import Fates, Gone, Moved, RepositoryHidden
from starsearch_assets.hydration.fetch import Outcome, fetch_outcomes
from starsearch_assets.hydration.store import saw_repositories, store_failures, store_fates, store_items

FAILURE_SHARE_LIMIT = 0.02
"""A day of whose asked items more than this share could not be had does not pass its audit."""


@dataclass
class DayResult:
    """What one day came to.

    asked: whether there was a token; wanted: items to ask about; without_text: items of the day that have none now;
    rest: what a limit left over.
    """

    asked: bool = False
    wanted: int = 0
    found: int = 0
    deleted: int = 0
    moved: int = 0
    failed: int = 0
    hidden_repositories: int = 0
    forgotten_repositories: int = 0
    without_text: int = 0
    requests: int = 0
    points: int = 0
    rest: Rest = field(default_factory=Rest)


def hydrate_day(
    database: Database,
    kind: Kind,
    day: date,
    open_github: Callable[[], GitHub | None],
    run_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DayResult:
    """Ask GitHub about the items of `kind` active on `day` that need it, and merge what it says.

    Pages are committed as they come; a run killed half way asks for the rest. Without a token nothing is asked.

    Raises:
        GitHubRefused: the token is wrong.
        GitHubUnavailable: GitHub is down; what came before is kept.
    """
    wanted = candidates(database, kind, day)
    result = DayResult(wanted=len(wanted))
    github = open_github()
    result.asked = github is not None
    if github is not None and wanted:
        asyncio.run(_ask(database, github, kind, wanted, result, run_id, progress))
        choose_newest_names(database)
        result.forgotten_repositories = len(forget_hidden(database))
    _audit(database, kind, day, result, run_id)
    return result


def candidates(database: Database, kind: Kind, day: date) -> list[ItemKey]:
    """The items to ask about, longest unasked first."""
    query = sql(__package__, "candidates").format(table=kind.table)
    rows = database.fetch_all(query, {"kind": kind.name, "day": day})
    return [ItemKey(repo_id, owner, name, number) for repo_id, owner, name, number, _ in rows]


async def _ask(
    database: Database,
    github: GitHub,
    kind: Kind,
    wanted: Sequence[ItemKey],
    result: DayResult,
    run_id: str | None,
    progress: Callable[[int, int], None] | None,
) -> None:
    async with github:
        fates = Fates(github)

        async def ask(keys: Sequence[ItemKey]) -> Mapping[ItemKey, _Dated | str]:
            asked_at = datetime.now(UTC)  # before the request: the answer is at least as new
            outcomes = await fetch_outcomes(github, fates, kind, keys)
            return {key: one if isinstance(one, str) else _Dated(one, asked_at) for key, one in outcomes.items()}

        def store(page: Page[ItemKey, _Dated]) -> None:
            _store(database, kind, page, result, run_id)
            if progress is not None:
                progress(result.found + result.deleted + result.moved + result.failed, result.wanted)

        result.rest = await ask_pages(wanted, ask, store, size=ITEMS_A_QUERY, concurrency=github.concurrency)
        result.requests, result.points = github.spent.requests, github.spent.points


@dataclass(frozen=True)
class _Dated:
    outcome: Outcome
    at: datetime


@retry_deadlocks
def _store(database: Database, kind: Kind, page: Page[ItemKey, _Dated], result: DayResult, run_id: str | None) -> None:
    at = min((answer.at for answer in page.answers.values()), default=datetime.now(UTC))
    found = {key: one.outcome for key, one in page.answers.items() if isinstance(one.outcome, ItemState)}
    fates = {key: one.outcome for key, one in page.answers.items() if isinstance(one.outcome, Gone | Moved)}
    hidden = {
        key.repo_id: one.outcome.status
        for key, one in page.answers.items()
        if isinstance(one.outcome, RepositoryHidden)
    }
    with database.transaction() as connection:
        if found:
            store_items(connection, kind, found, at, run_id)
        store_fates(connection, kind, fates, at, run_id)
        store_failures(connection, kind, page.failed, at, run_id)
        saw_repositories(connection, {item.repository for item in found.values()}, at)
        note_hidden(connection, hidden, at)
    result.found += len(found)
    result.deleted += sum(isinstance(fate, Gone) for fate in fates.values())
    result.moved += sum(isinstance(fate, Moved) for fate in fates.values())
    result.failed += len(page.failed)
    result.hidden_repositories += len(hidden)


def _audit(database: Database, kind: Kind, day: date, result: DayResult, run_id: str | None) -> None:
    """Nearly all that was asked came; what has no text is counted, whether or not there is a token."""
    with database.transaction() as connection:
        items, result.without_text = _texts(connection, kind, day)
        details = {
            "items of the day": items,
            "without text": result.without_text,
            "asked of GitHub": result.wanted if result.asked else 0,
            "failed": result.failed,
            "left for later": result.rest.left,
        }
        passed = result.failed <= FAILURE_SHARE_LIMIT * max(result.wanted, 50)
        version = f"{items}/{result.without_text}/{result.failed}/{result.rest.left}"
        audits.record(connection, audits.Audit(kind.hydration, f"{day}", version, passed, details), run_id)


def _texts(connection: Connection, kind: Kind, day: date) -> tuple[int, int]:
    row = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE i.hydrated_at IS NULL)"
        " FROM activity a JOIN known_items i USING (kind, repo_id, ref)"
        " WHERE a.kind = %s AND a.day = %s AND i.gone_at IS NULL",
        [kind.name, day],
    ).fetchone()
    assert row is not None
    return row[0], row[1]
