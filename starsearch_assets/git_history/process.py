"""Fetch the repositories that are due, and take in what became reachable, or unreachable, in each."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from resources.errors import ConfigurationError, GitCloneBusy, GitCloneDamaged, GitError
from resources.git import Git, check_version, redacted_url
from resources.git_clones import CloneFolder, folder_size
from resources.kinds import GIT_HISTORY
from resources.postgres import Database, sql
from starsearch_assets import audits
from starsearch_assets.checks import UNPARTITIONED
from starsearch_assets.git_history.cache import CloneCache
from starsearch_assets.git_history.store import (
    Fetched,
    Move,
    MovedMeanwhile,
    OptedOut,
    Repository,
    Written,
    batches,
    move_tips,
    stored_tips,
    write_commits,
)

FIRST_BACKOFF = timedelta(minutes=10)
LONGEST_BACKOFF = timedelta(days=1)
_LOCK_SECONDS = 5.0

logger = logging.getLogger(__name__)
Progress = Callable[[int, int, str], None]
"""(repositories done, of how many, what is being worked on)."""


@dataclass
class RepositoryResult:
    """What came of one repository. moved: branches; bytes: of its clone; error: with outcome `failed`."""

    repo_id: int
    name: str
    outcome: Literal["fetched", "failed", "skipped"] = "fetched"
    written: Written = field(default_factory=Written)
    moved: int = 0
    forced: int = 0
    bytes: int = 0
    seconds: float = 0.0
    error: str = ""


@dataclass
class HistoryResult:
    """What came of a run. deleted: clones that nobody wants any more; evicted: clones for which there was no room."""

    repositories: list[RepositoryResult] = field(default_factory=list)
    deleted: int = 0
    evicted: int = 0
    cache_bytes: int = 0

    @property
    def failed(self) -> list[RepositoryResult]:
        """Those that could not be fetched or read."""
        return [one for one in self.repositories if one.outcome == "failed"]

    @property
    def all_failed(self) -> bool:
        """Whether nothing went well: then the fault is hardly the repositories'."""
        tried = [one for one in self.repositories if one.outcome != "skipped"]
        return bool(tried) and len(self.failed) == len(tried)


def due_repositories(
    database: Database, hours: float, only: Sequence[str] = (), now: datetime | None = None
) -> list[Repository]:
    """The repositories to fetch, longest due first. hours: after so many one is due without a push.

    only: names or ids of repositories that are taken whether they are due or not.

    Raises:
        ConfigurationError: one of `only` is not opted in.
    """
    parameters = {
        "age": timedelta(hours=hours),
        "now": now or datetime.now(UTC),
        "only": [_find(database, one) for one in only] or None,
    }
    return [Repository(*row) for row in database.fetch_all(sql(__package__, "due"), parameters)]


def take_in(
    database: Database,
    git: Git,
    cache_bytes: int,
    hours: float,
    *,
    only: Sequence[str] = (),
    run_id: str | None = None,
    progress: Progress = lambda *_: None,
) -> HistoryResult:
    """Fetch what is due, one repository after the other; one that fails does not stop the others.

    Safe to repeat and to kill: a repository's branches move in its last transaction, and until then it stays due.

    Raises:
        GitUnusable: there is no git.
        ConfigurationError: one of `only` is not opted in.
    """
    check_version()
    folder = CloneFolder(git.cache)
    cache = CloneCache(folder, cache_bytes)
    result = HistoryResult(deleted=len(cache.sweep(database)))
    _follow_renames(database)
    _learn_creation(database)
    due = due_repositories(database, hours, only)
    for position, repository in enumerate(due):
        name = repository.name or redacted_url(repository.url)
        tell = functools.partial(progress, position, len(due))
        tell(name)
        result.evicted += len(cache.make_room(database, repository.repo_id))
        result.repositories.append(_Work(database, git, folder, repository, name, run_id, tell).done())
    progress(len(due), len(due), "")
    result.evicted += len(cache.make_room(database))
    result.cache_bytes = database.fetch_value("SELECT coalesce(sum(bytes), 0)::bigint FROM git_repositories")
    _audit(database, result, run_id)
    return result


@dataclass(frozen=True)
class _Work:
    """One repository of a run."""

    database: Database
    git: Git
    folder: CloneFolder
    repository: Repository
    name: str
    run_id: str | None
    tell: Callable[[str], None]

    def done(self) -> RepositoryResult:
        """Do it; what went wrong stands in the result and in the repository's row."""
        started = time.monotonic()
        result = RepositoryResult(self.repository.repo_id, self.name)
        try:
            self._take_in(result)
        except OptedOut:
            result.outcome, result.error = "skipped", "opted out meanwhile"
        except (MovedMeanwhile, GitCloneBusy):
            result.outcome, result.error = "skipped", "another run is at it"
        except Exception as error:  # noqa: BLE001 - one bad repository must not stop the others; it is named
            result.outcome, result.error = "failed", redacted_url(str(error))
            logger.warning("not fetched", extra={"repo_id": self.repository.repo_id, "error": result.error})
            _note_failure(self.database, self.repository.repo_id, result.error)
        result.seconds = time.monotonic() - started
        return result

    def _take_in(self, result: RepositoryResult) -> None:
        repo_id = self.repository.repo_id
        now = datetime.now(UTC)  # before the fetch: whatever is pushed from now on is another reason to fetch
        with self.folder.lock(repo_id, _LOCK_SECONDS) as lock:
            was_there = self.folder.path(repo_id).is_dir()
            try:
                self._read(self._fetched(lock), result, now)
            except GitCloneDamaged:
                if not was_there:
                    raise
                self.folder.delete(repo_id)
                self._read(self._fetched(lock), result, now)

    def _fetched(self, lock: int) -> Path:
        repo_id, url = self.repository.repo_id, self.repository.url
        clone = self.folder.path(repo_id)
        if clone.is_dir():
            self.git.fetch(clone, url, [lock])
            return clone
        self.folder.delete_half(repo_id)
        try:
            self.git.fetch(self.folder.partial(repo_id), url, [lock])
        except GitError:
            self.folder.delete_half(repo_id)
            raise
        self.folder.publish(repo_id)
        return clone

    def _read(self, clone: Path, result: RepositoryResult, now: datetime) -> None:
        """What the clone reaches and the database does not know; then the tips move."""
        database, git, repository = self.database, self.git, self.repository
        old, tips = stored_tips(database, repository.repo_id), git.tips(clone)
        there = git.existing(clone, old.values())
        written = result.written = Written()
        if new := set(tips.values()) - there:
            with git.commits(clone, new, there) as commits:
                for batch in batches(commits):
                    written += write_commits(database, repository, batch, now, self.run_id)
                    self.tell(f"{self.name}: {written.new:,} new commits")
        moves = _moves(git, clone, old, tips, there)
        # Whatever left the branches was reachable from an old tip. Where one is not there to be asked, or a run before
        # this one ended half way, all that is reachable is compared with all that is known.
        whole = repository.unfinished or not there.issuperset(old.values())
        result.bytes = folder_size(clone)
        with ExitStack() as stack:
            ids = None
            if whole:
                ids = stack.enter_context(git.ids(clone, tips.values()))
            elif any(move.forced or move.new is None for move in moves):
                ids = stack.enter_context(git.ids(clone, there, tips.values()))
            end = Fetched(old, moves, result.bytes, now)
            written += move_tips(database, repository, end, ids, whole=whole, run_id=self.run_id)
        result.moved, result.forced = len(moves), sum(move.forced for move in moves)


def _moves(git: Git, clone: Path, old: dict[str, str], tips: dict[str, str], there: set[str]) -> list[Move]:
    """Branches that point elsewhere than before. An old tip that is not there any more was no ancestor of any."""
    moves = []
    for ref in sorted(old.keys() | tips.keys()):
        before, after = old.get(ref), tips.get(ref)
        if before != after:
            forced = (
                before is not None
                and after is not None
                and not (before in there and git.is_ancestor(clone, before, after))
            )
            moves.append(Move(ref, before, after, forced))
    return moves


def _follow_renames(database: Database) -> None:
    """On GitHub the id is identity: it is cloned under the newest name, which nobody else has."""
    database.execute(
        "UPDATE git_repositories g SET url = 'https://github.com/' || r.name || '.git' FROM repositories r"
        " WHERE r.repo_id = g.repo_id AND g.repo_id > 0 AND starts_with(g.url, 'https://github.com/')"
        " AND g.url <> 'https://github.com/' || r.name || '.git'"
    )


def _learn_creation(database: Database) -> None:
    """When a repository was created, if an event told: asked before its first fetch, because days are fixed then."""
    database.execute(
        "UPDATE git_repositories g SET created_at = (SELECT min(e.created_at) FROM events e"
        " WHERE e.repo_id = g.repo_id AND e.type = 'CreateEvent' AND e.payload ->> 'ref_type' = 'repository')"
        " WHERE created_at IS NULL AND fetched_at IS NULL AND removed_at IS NULL"
    )


def _note_failure(database: Database, repo_id: int, error: str) -> None:
    database.execute(
        "UPDATE git_repositories SET error = %(error)s, failures = failures + 1, not_before = clock_timestamp()"
        " + least(%(first)s * power(2, least(failures, 20)), %(longest)s) WHERE repo_id = %(repo_id)s",
        {"error": error, "first": FIRST_BACKOFF, "longest": LONGEST_BACKOFF, "repo_id": repo_id},
    )


def _find(database: Database, name: str) -> int:
    """The opted-in repository of this name or id."""
    rows = database.fetch_all(
        "SELECT g.repo_id FROM git_repositories g LEFT JOIN repositories r USING (repo_id)"
        " WHERE g.removed_at IS NULL AND (lower(r.name) = lower(%(name)s) OR g.repo_id::text = %(name)s)",
        {"name": name},
    )
    if not rows:
        raise ConfigurationError(
            f"{name!r} is no repository whose git history is wanted: `starsearch repos add {name} --git` opts it in."
        )
    found: int = rows[0][0]
    return found


def _audit(database: Database, result: HistoryResult, run_id: str | None) -> None:
    """Every opted-in repository was fetched the last time that it was tried."""
    failing = database.fetch_all(
        "SELECT coalesce(r.name, g.repo_id::text), error FROM git_repositories g LEFT JOIN repositories r"
        " USING (repo_id) WHERE error IS NOT NULL AND removed_at IS NULL ORDER BY failures DESC, 1"
    )
    details = {"fetched in this run": len(result.repositories) - len(result.failed), "failing": len(failing)}
    listed = {"which": "; ".join(f"{name}: {error}" for name, error in failing[:20])} if failing else {}
    with database.transaction() as connection:
        audits.record(
            connection,
            audits.Audit(GIT_HISTORY, UNPARTITIONED, f"{len(failing)}", not failing, details | listed),
            run_id,
        )
