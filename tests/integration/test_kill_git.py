"""Runs of `git_history` killed with SIGKILL at random moments, and two at once: the same rows as undisturbed."""

from __future__ import annotations

import random
import shutil
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from benchmarks.git import generate
from resources.git import Git
from resources.git_clones import CloneFolder
from resources.postgres import Database, open_database
from resources.settings import Settings
from starsearch_assets.git_history import store
from starsearch_assets.git_history.process import take_in
from tests.git_remotes import git
from tests.integration.git_histories import ID, commits, fetch, opt_in, tips, updates
from tests.integration.processes import is_storing, kill
from tests.integration.test_git_client import working_in

KILLS = 18
COMMITS = 1200
TABLES = "repositories, git_repositories, git_commits, git_refs, git_ref_updates, dirty_days"


class Pushed:
    """A repository that is force-pushed back and forth between two states."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generate(folder, COMMITS)
        git(folder, "update-ref", "-d", "refs/heads/side")
        self.first = git(folder, "rev-parse", "main").decode()
        base = git(folder, "rev-parse", "main~400").decode()
        self.second = base
        git(folder, "config", "user.name", "Bob")
        git(folder, "config", "user.email", "bob@example.com")
        for number in range(50):
            self.second = git(
                folder, "commit-tree", "-p", self.second, "-m", f"Other {number}", f"{base}^{{tree}}"
            ).decode()  # fmt: skip

    def push(self, sha: str) -> None:
        git(self.folder, "update-ref", "refs/heads/main", sha)

    def reachable(self) -> set[str]:
        return set(git(self.folder, "rev-list", "--branches").decode().split())


def work(settings: Settings, cache: Path) -> None:
    """One run, in small batches."""
    store.BATCH_COMMITS = 25
    with open_database(settings) as database:
        take_in(database, Git(cache), 10**12, 24)


def snapshot(database: Database) -> dict[str, Any]:
    """Everything that has to be the same, whatever happened on the way."""
    days = database.fetch_all("SELECT kind, day FROM dirty_days ORDER BY 1, 2")
    state = database.fetch_all("SELECT unfinished, error, failures FROM git_repositories")
    return {"commits": commits(database), "tips": tips(database), "updates": updates(database), "days": days,
            "state": state}  # fmt: skip


def is_half_way(database: Database) -> bool:
    """Whether a batch is stored and another one is being written, or the tips are moving."""
    return database.fetch_value("SELECT unfinished FROM git_repositories") and is_storing(database)


def begin(database: Database, cache: Path, pushed: Pushed, *, known: bool) -> None:
    """An empty database and cache, or with `known` the first state taken in and the second one pushed."""
    database.execute(f"TRUNCATE {TABLES}")
    shutil.rmtree(cache, ignore_errors=True)
    opt_in(database, f"file://{pushed.folder}")
    pushed.push(pushed.first)
    if known:
        fetch(database, Git(cache))
        database.execute("TRUNCATE dirty_days")
        pushed.push(pushed.second)
    database.execute("UPDATE git_repositories SET requested_at = now()")


def test_killed_anywhere_and_run_again_is_as_if_undisturbed(
    settings: Settings, database: Database, processes: ForkServerContext, tmp_path: Path
) -> None:
    """First clones and forced pushes, killed at random and in the midst of storing; then one whole run.

    In every third case the remote is force-pushed between the two: then what the killed run had stored and nobody
    reaches any more is marked.
    """
    pushed, cache = Pushed(tmp_path / "remote.git"), tmp_path / "cache"
    expected, durations = {}, {}
    for known in (False, False, True):  # the first one's time is that of the imports
        begin(database, cache, pushed, known=known)
        started = time.monotonic()
        process = processes.Process(target=work, args=(settings, cache))
        process.start()
        process.join()
        assert process.exitcode == 0
        durations[known], expected[known] = time.monotonic() - started, snapshot(database)
    assert {row[-1] for row in expected[True]["commits"].values()} == {True, False}
    order = random.Random(0)
    killed = unfinished = abandoned = 0
    for number in range(KILLS):
        known = number % 3 == 1
        begin(database, cache, pushed, known=known)
        process = processes.Process(target=work, args=(settings, cache))
        process.start()
        half_way = number % 2 == 0
        moment = order.random() * durations[known] * (0.4 if half_way else 0.9)
        killed += kill(process, moment, (lambda: is_half_way(database)) if half_way else (lambda: True))
        unfinished += database.fetch_value("SELECT unfinished FROM git_repositories")
        if number % 3 == 2:
            pushed.push(pushed.second)
        database.execute("UPDATE git_repositories SET requested_at = now()")
        fetch(database, Git(cache))
        assert CloneFolder(cache).left_over() == []
        if number % 3 == 2:
            found = commits(database)
            assert {sha for sha, row in found.items() if row[-1]} == pushed.reachable()
            abandoned += len(found) - len(pushed.reachable())
        else:
            assert snapshot(database) == expected[known], number
    assert killed >= 10
    assert unfinished >= 3
    assert abandoned > 0


def test_two_runs_at_once_do_the_work_once(
    settings: Settings, database: Database, processes: ForkServerContext, tmp_path: Path
) -> None:
    """In the same cache and in two: no error, and the rows of one run.

    Of two machines one moves the tips; the other leaves the repository unfinished, which the next run settles.
    """
    pushed, cache = Pushed(tmp_path / "remote.git"), tmp_path / "cache"
    begin(database, cache, pushed, known=False)
    work(settings, cache)
    expected = snapshot(database)
    for caches in ((cache, cache), (cache, tmp_path / "elsewhere")):
        begin(database, cache, pushed, known=False)
        shutil.rmtree(tmp_path / "elsewhere", ignore_errors=True)
        running = [processes.Process(target=work, args=(settings, one)) for one in caches]
        for process in running:
            process.start()
        for process in running:
            process.join()
        assert [process.exitcode for process in running] == [0, 0]
        assert snapshot(database)["commits"] == expected["commits"]
        fetch(database, Git(cache))
        assert snapshot(database) == expected
    assert working_in(CloneFolder(cache).path(ID)) == []
