"""Bare partial clones by the system's git: commits and trees, never the contents of files.

A clone is a cache of what the remote has. Its commits are read as a stream, relative to tips that are known already.
git-scm.com/docs/partial-clone; the sandbox is in git_process.py.
"""

from __future__ import annotations

import contextlib
import functools
import re
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from resources import git_log
from resources.errors import (
    GitCloneDamaged,
    GitError,
    GitRefused,
    GitUnavailable,
    GitUnusable,
    GitUrlRefused,
)
from resources.git_clones import folder_size
from resources.git_log import Commit
from resources.git_process import OLDEST, environment, missing_message, reading, run_bounded
from resources.settings import Settings

PACKS_KEPT = 50
"""A clone with more packs is packed into one: each fetch adds one, and git looks into all of them."""

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://[!-~]+")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_REFUSED = re.compile(
    r"could not read (Username|Password)|Authentication failed|not found|does not appear to be a git repository"
    r"|Permission denied|access denied|repository not exported|The requested URL returned error: 4\d\d"
    r"|terminal prompts disabled|dubious ownership|does not exist|no such repository",
    re.IGNORECASE,
)
_UNAVAILABLE = re.compile(
    r"Could ?n[o']t resolve|Failed to connect|Couldn't connect|Connection (refused|reset|timed out|closed)"
    r"|unable to connect|Operation timed out|Operation too slow|hung up unexpectedly|early EOF|unexpected disconnect"
    r"|The requested URL returned error: 5\d\d|Empty reply|RPC failed|SSL|gnutls|bytes of body are still expected",
    re.IGNORECASE,
)
_NOT_ALLOWED = re.compile(r"transport '.*' not allowed|Protocol .* not supported|disabled in libcurl", re.IGNORECASE)


@dataclass(frozen=True)
class Git:
    """git with its bounds. cache: the folder of the clones; seconds, most_bytes: of one fetch and one clone."""

    cache: Path
    seconds: float = 1800.0
    most_bytes: int = 4096 * 1_000_000
    protocols: tuple[str, ...] = ("https", "http", "git", "ssh", "file")

    @classmethod
    def of(cls, settings: Settings) -> Git:
        """git as the settings have it."""
        return cls(
            settings.git_cache,
            settings.git_fetch_minutes * 60,
            settings.git_max_repository_mb * 1_000_000,
            tuple(settings.git_protocols.split()),
        )

    def check_url(self, url: str) -> str:
        """The URL's scheme.

        Raises:
            GitUrlRefused: no URL of one of the allowed protocols, or one that git could take for an option.
        """
        matched = _URL.fullmatch(url)
        if matched is None or "::" in url.partition("://")[0]:
            raise GitUrlRefused(
                f"{redacted_url(url)!r} is no URL for git: expected one such as https://github.com/owner/name.git,"
                " ssh://git@host/name.git or file:///srv/git/name.git."
            )
        scheme = matched["scheme"]
        if scheme not in self.protocols:
            raise GitUrlRefused(
                f"{redacted_url(url)!r} is refused: its protocol is {scheme}, GIT_PROTOCOLS allows"
                f" {' '.join(self.protocols)}."
            )
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            host = "-"
        if host.startswith("-") or (not host and scheme != "file"):
            raise GitUrlRefused(f"{redacted_url(url)!r} is refused: it names no host.")
        return scheme

    def fetch(self, clone: Path, url: str, held: Sequence[int] = ()) -> None:
        """Bring the branches of `clone` to where those of the remote are; it is created where it is not there.

        held: file descriptors of locks on it, which the processes that write into it hold too.

        Raises:
            GitUrlRefused, GitRefused, GitUnavailable, GitLimitExceeded: the clone is as it was, or has more objects.
            GitCloneDamaged: git gave another reason, which a clone that was there before can be.
        """
        scheme = self.check_url(url)
        check_version()
        if not (clone / "HEAD").exists():
            self._create(clone)
        _clean(clone)
        code, said = run_bounded(
            [
                "git", "fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-write-fetch-head",
                "--no-auto-maintenance", "--no-recurse-submodules", "--filter=blob:none", "origin",
                "+refs/heads/*:refs/heads/*",
            ],
            environment(self._empty(), {"remote.origin.url": url}, scheme),
            folder=clone,
            seconds=self.seconds,
            size=functools.partial(folder_size, clone),
            most_bytes=self.most_bytes,
            held=held,
        )  # fmt: skip
        if code != 0:
            raise _fetch_error(url, said)
        if len(list((clone / "objects" / "pack").glob("*.pack"))) > PACKS_KEPT:
            self._pack(clone, held)

    def tips(self, clone: Path) -> dict[str, str]:
        """The commit of each branch, by full name (refs/heads/main)."""
        found = {}
        for line in self._lines(clone, ["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"]):
            sha, _, ref = line.partition(" ")
            found[ref] = sha
        return found

    def existing(self, clone: Path, shas: Collection[str]) -> set[str]:
        """Those of the commits that the clone has."""
        if not shas:
            return set()
        lines = self._lines(clone, ["cat-file", "--batch-check=%(objectname) %(objecttype)"], sorted(shas))
        return {line.removesuffix(" commit") for line in lines if line.endswith(" commit")}

    @contextmanager
    def commits(
        self, clone: Path, tips: Collection[str], known: Collection[str] = ()
    ) -> Iterator[Iterator[Commit]]:  # fmt: skip
        """A stream of what is reachable from `tips` and not from `known`, newest first, with changed paths.

        Raises:
            GitCloneDamaged: an object is missing or unreadable.
        """
        with self._output(clone, git_log.ARGUMENTS, _revisions(tips, known)) as stream:
            yield git_log.read_commits(stream)

    @contextmanager
    def ids(self, clone: Path, tips: Collection[str], known: Collection[str] = ()) -> Iterator[Iterator[str]]:
        """The same commits, their ids only."""
        with self._output(clone, ["rev-list", "--stdin"], _revisions(tips, known)) as stream:
            yield (line.decode().rstrip("\n") for line in stream)

    def is_ancestor(self, clone: Path, ancestor: str, descendant: str) -> bool:
        """Whether `ancestor` is reachable from `descendant`; both are in the clone."""
        with self.ids(clone, [ancestor], [descendant]) as left:
            return next(left, None) is None

    def _create(self, clone: Path) -> None:
        clone.mkdir(parents=True, exist_ok=True)
        arguments = ["init", "--quiet", "--bare", f"--template={self._empty()}", "--object-format=sha1", "."]
        list(self._lines(clone, arguments))

    def _pack(self, clone: Path, held: Sequence[int]) -> None:
        code, said = run_bounded(
            ["git", "repack", "-a", "-d", "-q"],
            environment(self._empty(), {}, ""),
            folder=clone,
            seconds=self.seconds,
            size=lambda: 0,  # it has both packings for a moment
            most_bytes=self.most_bytes,
            held=held,
        )
        if code != 0:
            raise GitCloneDamaged(f"The clone cannot be packed: {_last_line(said)}")

    def _lines(self, clone: Path, arguments: Sequence[str], given: Sequence[str] = ()) -> Iterator[str]:
        with self._output(clone, arguments, given) as stream:
            for line in stream:
                yield line.decode("utf-8", "backslashreplace").rstrip("\n")

    @contextmanager
    def _output(self, clone: Path, arguments: Sequence[str], given: Sequence[str] = ()) -> Iterator[IO[bytes]]:
        """The output of a git command in the clone that may talk to nobody."""
        try:
            with reading(
                ["git", "--git-dir=.", *arguments],
                environment(self._empty(), {}, ""),
                folder=clone,
                seconds=self.seconds,
                lines=given,
            ) as stream:
                yield stream
        except subprocess.CalledProcessError as error:
            raise GitCloneDamaged(f"The clone cannot be read: {_last_line(error.stderr)}") from None
        except FileNotFoundError:
            raise GitCloneDamaged("The clone is not there.") from None

    def _empty(self) -> Path:
        """A folder with nothing in it: git's home, hooks and template."""
        folder = self.cache / ".empty"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@functools.cache
def check_version() -> str:
    """The version of the system's git.

    Raises:
        GitUnusable: there is none, or it is too old.
    """
    try:
        told = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        raise GitUnusable(missing_message()) from error
    matched = re.search(r"(\d+)\.(\d+)[.\w]*", told)
    if matched is None or (int(matched[1]), int(matched[2])) < OLDEST:
        raise GitUnusable(f"{told!r} is too old: git {OLDEST[0]}.{OLDEST[1]} or newer is needed to clone repositories.")
    return matched[0]


def redacted_url(url: str) -> str:
    """The URL without user name and password."""
    return _CREDENTIALS.sub("", url)


def _revisions(tips: Collection[str], known: Collection[str]) -> list[str]:
    return [*sorted(set(tips)), *(f"^{sha}" for sha in sorted(set(known)))]


def _clean(clone: Path) -> None:
    """Remove what a killed fetch left: whoever calls this holds the clone's lock, so that nobody else works in it."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/*/tmp_obj_*"):
        for path in clone.glob(pattern):
            with contextlib.suppress(OSError):
                path.unlink()


def _fetch_error(url: str, said: str) -> GitError:
    """What git's last words mean."""
    reason, where = _last_line(redacted_url(said)), redacted_url(url)
    if _NOT_ALLOWED.search(said):
        return GitUrlRefused(f"{where} leads to another protocol, which is not followed: {reason}")
    if _REFUSED.search(said):
        return GitRefused(
            f"{where} is not there for everybody: {reason}. It was deleted, renamed or made private, or the URL is"
            " wrong; credentials are never given."
        )
    if _UNAVAILABLE.search(said):
        return GitUnavailable(f"{where} cannot be reached now: {reason}. It is tried again later.")
    return GitCloneDamaged(f"{where} could not be fetched: {reason}")


def _last_line(said: str) -> str:
    """The line that says most: the first fatal one, or the last."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
    return ((fatal or lines or ["git said nothing"])[0])[:500].removeprefix("fatal: ").removeprefix("error: ")
