"""`take_in` of a generated repository's history, against `git log --name-only` alone over the same bare clone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.report import Report, paired, timed
from benchmarks.server import temporary_database
from resources.git import Git
from resources.postgres import Database
from starsearch_assets.git_history.process import HistoryResult, take_in

TARGET = 0.5
COMMITS = 10_000
_REPO_ID = 1
_PATHS = 4
_MERGE_EVERY = 10
_START = 1_600_000_000


def run(commits: int = COMMITS, repetitions: int = 5) -> Report:
    report = Report(f"git: {commits:,} commits, {_PATHS} paths each, one in {_MERGE_EVERY} a merge")
    with temporary_database() as (database, home):
        remote = home / "remote.git"
        generate(remote, commits)
        git = Git(home / "cache")
        clone = git.cache / f"{_REPO_ID}.git"
        opt_in(database, f"file://{remote}")
        _take_in(database, git)

        def ours() -> float:
            database.execute("TRUNCATE git_commits, git_refs, git_ref_updates, dirty_days")
            database.execute("UPDATE git_repositories SET requested_at = now()")
            with timed() as timer:
                result = _take_in(database, git)
            assert result.repositories[0].written.new == commits
            assert database.fetch_value("SELECT count(*) FROM git_commits") == commits
            return timer.seconds

        def floor() -> float:
            with timed() as timer:
                log = subprocess.run(
                    ["git", "-C", str(clone), "log", "--all", "--name-only", "--format=%H"],
                    stdout=subprocess.PIPE,
                    check=True,
                )
            assert log.stdout.count(b"\n") > commits * _PATHS
            return timer.seconds

        pairs = paired(ours, floor, repetitions)
        report.row("", "ours", "git log", "ratio")
        report.row(
            "commits/s, fetched, read, stored, tips moved",
            f"{commits / pairs.ours_median:,.0f}",
            f"{commits / pairs.floor_median:,.0f}",
            f"{1 / pairs.slowdown:.2f}",
        )
        report.verdict("commits/s over git log's", 1 / pairs.slowdown, ">=", TARGET)

        def again() -> float:
            database.execute("UPDATE git_repositories SET requested_at = now()")
            with timed() as timer:
                result = _take_in(database, git)
            assert result.repositories[0].outcome == "fetched"
            assert result.repositories[0].written.new == 0
            return timer.seconds

        nothing = paired(again, floor, repetitions)
        report.row("the fetch with nothing new, seconds", f"{nothing.ours_median:.2f}", f"{nothing.floor_median:.2f}")
        report.verdict("seconds with nothing new over git log's", nothing.slowdown, "<=", 1.0)
    return report


def opt_in(database: Database, url: str, repo_id: int = _REPO_ID) -> None:
    """A tracked repository whose history is wanted."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, %s)", [repo_id, f"octo/r{repo_id}"])
    database.execute("INSERT INTO git_repositories (repo_id, url) VALUES (%s, %s)", [repo_id, url])


def generate(folder: Path, commits: int) -> None:
    """A bare repository made by fast-import: a line of commits, with a merge of a one-commit branch now and then."""
    subprocess.run(["git", "init", "--quiet", "--bare", str(folder)], check=True)
    subprocess.run(["git", "-C", str(folder), "config", "uploadpack.allowFilter", "true"], check=True)
    lines: list[str] = []
    for number in range(1, commits + 1):
        when = f"Ada <ada@example.com> {_START + number * 600} +0000"
        message = f"Change number {number}\n\nWhat it does, and why it had to be done now: {number % 97}."
        kind = number % _MERGE_EVERY
        branch = "side" if kind == _MERGE_EVERY - 1 else "main"
        lines += [f"commit refs/heads/{branch}", f"mark :{number}", f"author {when}", f"committer {when}"]
        lines += [f"data {len(message)}", message]
        if kind == 0:
            lines += [f"from :{number - 2}", f"merge :{number - 1}"]
        elif number > 1:
            lines.append(f"from :{number - 1}")
        for place in range(_PATHS):
            text = f"{number} {place}"
            path = f"src/package_{(number * 7 + place) % 40}/module_{(number * 3 + place * 11) % 60}.py"
            lines += [f"M 100644 inline {path}", f"data {len(text)}", text]
    program = "\n".join(lines) + "\n"
    subprocess.run(
        ["git", "-C", str(folder), "fast-import", "--quiet", "--force"], input=program.encode(), check=True
    )  # fmt: skip


def _take_in(database: Database, git: Git) -> HistoryResult:
    return take_in(database, git, 10**12, hours=24)
