"""The sample's git history: real repositories that hold exactly what was planned."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from starsearch_assets.sample import History, write_histories, write_sample
from starsearch_assets.sample.cast import BOTS, CONTRIBUTORS, REPOSITORIES


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=path, check=True, capture_output=True, text=True, env={**os.environ, "GIT_DIR": "."}
    )
    return done.stdout


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> tuple[History, ...]:
    """Written once."""
    histories = write_histories(tmp_path_factory.mktemp("git"))
    assert histories is not None, "git is not installed"
    return histories


def test_the_repositories_are_sound(histories: tuple[History, ...]) -> None:
    """Git finds no fault; one branch, main, reaches every object; HEAD leads to it."""
    assert len(histories) == 3
    assert {(one.repo_id, one.repo) for one in histories} <= {(one.id, one.name) for one in REPOSITORIES}
    for history in histories:
        assert git(history.path, "fsck", "--strict", "--unreachable") == ""
        assert git(history.path, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]
        assert git(history.path, "symbolic-ref", "HEAD").strip() == "refs/heads/main"


def test_commits_are_as_planned(histories: tuple[History, ...]) -> None:
    """Subjects, times, parents and changed paths of every commit; one root, and all inside the window."""
    for history in histories:
        planned = {one.subject: one for one in history.commits}
        found = git(history.path, "log", "--format=%s%x00%ct%x00%P%x00%an%x00%ae", "main").splitlines()
        assert len(found) == len(history.commits) == len(planned)
        for line in found:
            subject, seconds, parents, name, address = line.split("\0")
            one = planned[subject]
            assert datetime.fromtimestamp(int(seconds), UTC) == one.at
            assert datetime(2025, 10, 6, tzinfo=UTC) <= one.at < datetime(2025, 10, 9, tzinfo=UTC)
            assert (len(parents.split()) == 2) is one.is_merge
            assert one.author in (*CONTRIBUTORS, *BOTS)
            assert (f"+{one.author}@users.noreply.github.com" in address) is one.login_known
            assert name.lower().replace(" ", "-") == one.author
        assert git(history.path, "rev-list", "--max-parents=0", "main").count("\n") == 1
        for one in history.commits[1:6]:
            digits = git(
                history.path, "log", "--format=%H", "--fixed-strings", f"--grep={one.subject}", "main"
            ).split()[-1]
            changed = git(
                history.path, "diff-tree", "--no-commit-id", "--name-only", "-r", "-m", "--first-parent", digits
            )
            assert set(changed.split()) == set(one.paths)


def test_ways_to_merge_bots_and_co_authors_occur(histories: tuple[History, ...]) -> None:
    """Squashed, merged and rebased; with co-authors that git reads; and somebody whose address tells no login."""
    merges = {one.repo: sum(commit.is_merge for commit in one.commits) for one in histories}
    assert sorted(bool(count) for count in merges.values()) == [False, False, True]
    everything = [commit for history in histories for commit in history.commits]
    assert sum(commit.author in BOTS for commit in everything) >= 5
    assert sum(bool(commit.co_authors) for commit in everything) >= 10
    assert any(not commit.login_known and not commit.is_merge for commit in everything)
    for history in histories:
        told = git(history.path, "log", "--format=%(trailers:key=Co-authored-by,valueonly)", "main").split("\n")
        assert sum("@" in line for line in told) == sum(len(one.co_authors) for one in history.commits)


def test_every_machine_gets_the_same_shas(histories: tuple[History, ...], tmp_path: Path) -> None:
    """Writing elsewhere gives the same tips; writing again leaves the files as they are; damage is mended."""
    again = write_histories(tmp_path)
    assert again is not None
    for one, other in zip(histories, again, strict=True):
        assert git(one.path, "rev-parse", "main") == git(other.path, "rev-parse", "main")
    first = again[0].path
    before = first.stat().st_ino
    write_histories(tmp_path)
    assert first.stat().st_ino == before
    (first / "refs" / "heads" / "main").write_text("0" * 40)
    write_histories(tmp_path)
    assert git(first, "fsck", "--strict") == ""
    assert git(first, "rev-parse", "main") == git(histories[0].path, "rev-parse", "main")
    assert sorted(path.name for path in first.parent.iterdir()) == [first.name]


def test_commits_land_the_merged_pull_requests(histories: tuple[History, ...], tmp_path: Path) -> None:
    """Every commit but the first lands a pull request; none twice."""
    write_sample(tmp_path)  # planning one does not disturb the other
    for history in histories:
        landed = [one.pull_request for one in history.commits if not one.is_merge and one.pull_request]
        assert len(landed) == len(set(landed)) == sum(not one.is_merge for one in history.commits) - 1


def test_nobodys_configuration_reaches_them(
    histories: tuple[History, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing, templates and other defaults of the user change nothing."""
    config = tmp_path / "config"
    config.write_text("[init]\n\tdefaultBranch = trunk\n\ttemplateDir = /nonexistent\n[commit]\n\tgpgSign = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    again = write_histories(tmp_path / "git")
    assert again is not None
    monkeypatch.undo()
    assert git(again[0].path, "rev-parse", "main") == git(histories[0].path, "rev-parse", "main")


def test_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and nothing is written."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert write_histories(tmp_path / "git") is None
    assert not (tmp_path / "git").exists()
