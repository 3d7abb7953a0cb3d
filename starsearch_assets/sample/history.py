"""Git history for some of the sample's repositories: real bare repositories, made of its merged pull requests.

Each repository merges in its own way: squashed, with merge commits, or rebased with trailers. Objects depend on the
plan alone, so that every machine gets the same SHAs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from starsearch_assets.sample.cast import BOTS, PEOPLE, REPOSITORIES, Repository
from starsearch_assets.sample.clock import WINDOW_START, draw, pick
from starsearch_assets.sample.items import Item, plan_items, plan_releases
from starsearch_assets.sample.prose import path_of
from starsearch_assets.sample.story import tell_story

_MERGES: dict[str, Literal["squash", "merge", "rebase"]] = {
    "react_router": "squash",
    "emberdb": "merge",
    "parcelpost": "rebase",
}
_OWN_ADDRESS = {"ilse-vandam": "ilse@vandam.example"}
"""Who does not hide the address: of such an author git tells no login."""

_WEB_FLOW = "GitHub <noreply@github.com>"


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit as planned. author and co_authors: logins; login_known: whether the author's address tells it."""

    subject: str
    message: str
    author: str
    login_known: bool
    co_authors: tuple[str, ...]
    paths: tuple[str, ...]
    at: datetime
    is_merge: bool
    pull_request: int | None


@dataclass(frozen=True, slots=True)
class History:
    """The history of one repository, oldest commit first, and the bare repository that holds it. shas: of commits."""

    repo_id: int
    repo: str
    path: Path
    commits: tuple[Commit, ...]
    shas: tuple[str, ...]


def write_histories(directory: Path) -> tuple[History, ...] | None:
    """Write `directory`/<owner>/<name>.git for each repository that has a history; None where git is not installed.

    What is there already with the same commits stays as it is; anything else is replaced at once.

    Raises:
        OSError: the directory cannot be written.
        subprocess.CalledProcessError: git refused.
    """
    if shutil.which("git") is None:
        return None
    items, releases = plan_items(), plan_releases()
    tell_story(items, releases)  # decides what is merged, when and by whom
    histories = []
    for repository in REPOSITORIES:
        if repository.catalogue in _MERGES:
            commits = tuple(plan_commits(repository, items))
            path = directory / f"{repository.name}.git"
            _write(path, _stream(commits))
            histories.append(History(repository.id, repository.name, path, commits, _shas(path)))
    return tuple(histories)


def plan_commits(repository: Repository, items: Sequence[Item]) -> Iterator[Commit]:
    """The commits of a repository's main branch, each with its parents' place decided by its order."""
    pulls = sorted(
        (item for item in items if item.repository is repository and item.is_pull_request and item.state == "merged"),
        key=lambda item: (item.closed_at, item.number),
    )
    paths = tuple(dict.fromkeys(path for pull in pulls for path in _paths(pull)))
    yield Commit("Import the tree", "Import the tree", repository.team[0], _login_known(repository.team[0]), (),
                 paths, WINDOW_START, False, None)  # fmt: skip
    way = _MERGES[repository.catalogue]
    for pull in pulls:
        assert pull.closed_at is not None and pull.merged_by is not None
        others = _co_authors(pull)
        _, cause, change, check = pull.entry.lines[:4]
        text = change if pull.author in BOTS else f"{cause}\n{change}\n\n{check}"
        trailers = [f"Co-authored-by: {_identity(login)}" for login in others]
        if way == "rebase":
            trailers = [f"Signed-off-by: {_identity(pull.author)}", f"Reviewed-by: {_identity(pull.merged_by)}",
                        *trailers]  # fmt: skip
        subject = pull.title if way == "merge" else f"{pull.title} (#{pull.number})"
        message = "\n\n".join(part for part in (subject, text, "\n".join(trailers)) if part)
        at = pull.closed_at - timedelta(minutes=4) if way == "merge" else pull.closed_at
        yield Commit(subject, message, pull.author, _login_known(pull.author), others, _paths(pull), at, False,
                     pull.number)  # fmt: skip
        if way == "merge":
            title = f"Merge pull request #{pull.number} from {pull.author}/{pull.branch}"
            yield Commit(title, f"{title}\n\n{pull.title}", pull.merged_by, _login_known(pull.merged_by), (),
                         _paths(pull), pull.closed_at, True, pull.number)  # fmt: skip


def _paths(item: Item) -> tuple[str, ...]:
    main = path_of(item.repository, item.entry)
    if item.entry.type == "dependencies":
        return ({"TypeScript": "pnpm-lock.yaml", "Rust": "Cargo.lock"}.get(item.repository.language, "go.sum"),)
    if item.entry.type == "docs":
        return (f"docs/{item.entry.area}.md",)
    folder, _, file = main.rpartition("/")
    stem, _, ending = file.rpartition(".")
    tests = f"{folder}/__tests__/{stem}.test.{ending}" if ending == "ts" else f"{folder}/{stem}_test.{ending}"
    return (main, tests) if draw(3, item.key, "tests") else (main,)


def _co_authors(item: Item) -> tuple[str, ...]:
    if item.author in BOTS or draw(3, item.key, "together"):
        return ()
    others = [login for login in item.repository.team if login != item.author]
    return (pick(others, item.key, "co-author"),)


def _login_known(login: str) -> bool:
    return login not in _OWN_ADDRESS


def _identity(login: str) -> str:
    name = login if login in BOTS else " ".join(part.capitalize() for part in login.split("-"))
    address = _OWN_ADDRESS.get(login, f"{PEOPLE[login].id}+{login}@users.noreply.github.com")
    return f"{name} <{address}>"


def _stream(commits: Sequence[Commit]) -> bytes:
    """What `git fast-import` reads: https://git-scm.com/docs/git-fast-import."""
    out: list[bytes] = []
    main = 0
    for mark, commit in enumerate(commits, 1):
        merged = commits[mark].is_merge if mark < len(commits) else False  # it is what the next one merges
        when = f"{int(commit.at.timestamp())} +0000"
        committer = _WEB_FLOW if commit.is_merge or "(#" in commit.subject else _identity(commit.author)
        out.append(f"commit refs/heads/{'incoming' if merged else 'main'}\nmark :{mark}\n".encode())
        out.append(f"author {_identity(commit.author)} {when}\ncommitter {committer} {when}\n".encode())
        out.append(_data(commit.message))
        if main:
            out.append(f"from :{main}\n".encode())
        if commit.is_merge:
            out.append(f"merge :{mark - 1}\n".encode())
        change = mark - 1 if commit.is_merge else mark
        out += [
            f"M 100644 inline {path}\n".encode() + _data(f"{path}, as of change {change}\n") for path in commit.paths
        ]
        if not merged:
            main = mark
    if any(commit.is_merge for commit in commits):
        out.append(b"reset refs/heads/incoming\nfrom 0000000000000000000000000000000000000000\n")
    return b"".join([*out, b"done\n"])


def _data(text: str) -> bytes:
    data = text.encode()
    return b"data %d\n%b\n" % (len(data), data)


def _write(path: Path, stream: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        _git(temporary, "init", "--quiet", "--bare", ".")
        _git(temporary, "symbolic-ref", "HEAD", "refs/heads/main")
        _git(temporary, "config", "uploadpack.allowFilter", "true")  # so that it can be cloned without blobs
        _git(temporary, "config", "uploadpack.allowAnySHA1InWant", "true")
        _git(temporary, "fast-import", "--quiet", "--done", stream=stream)
        if path.is_dir() and _tip(path) == _tip(temporary):
            return
        temporary.chmod(0o755)
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            path.rename(old / path.name)
            temporary.rename(path)
            shutil.rmtree(old)
        else:
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _tip(repository: Path) -> str | None:
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "refs/heads/main"], cwd=repository, env=_environment(),
        stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    return done.stdout.decode().strip() if done.returncode == 0 else None


def _shas(repository: Path) -> tuple[str, ...]:
    """In the order in which the commits were written: each has the one before it among its ancestors."""
    listed = subprocess.run(
        ["git", "rev-list", "--reverse", "--topo-order", "refs/heads/main"], cwd=repository, env=_environment(),
        stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return tuple(listed.stdout.decode().split())


def _git(repository: Path, *arguments: str, stream: bytes = b"") -> None:
    subprocess.run(["git", *arguments], cwd=repository, env=_environment(), input=stream, check=True)


def _environment() -> dict[str, str]:
    """Git without anybody's configuration, and without a repository around it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_DIR": "."}
