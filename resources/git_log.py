"""Commits as `git log` tells them, read as a stream: memory does not grow with the history, nor with one commit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

PATHS_KEPT = 300
PATH_LIMIT = 4096
MESSAGE_LIMIT = 65_536
NAME_LIMIT = 1000
CO_AUTHORS_KEPT = 100
"""Limits of what is kept of a commit, in paths, characters and co-authors."""

# A NUL before each commit and after each part of it: what two of them enclose is one commit. git turns messages into
# UTF-8 where the commit names another encoding; messages that are neither stay as they are.
ARGUMENTS = (
    "log", "-z", "--encoding=UTF-8", "--name-only", "--no-renames", "--diff-merges=first-parent", "--no-ext-diff",
    "--no-textconv", "--no-mailmap", "--no-decorate", "--no-notes", "--no-color", "--no-show-signature", "--stdin",
    "--format=%x00%H%n%P%n%at%n%ct%n%an%n%ae%n%cn%n%ce%n%B%x00=%(trailers:key=Co-authored-by,valueonly,unfold,"
    "separator=%x0A)",
)  # fmt: skip
_CHUNK = 1 << 17
_RECORD_LIMIT = 4 << 20  # bytes of one commit that are held; of what comes after, paths are counted
_LAST_SECOND = 253_402_300_799  # 9999-12-31 23:59:59 UTC: the last that Python reads back from the database
_CO_AUTHOR = re.compile(r"\s*(.*?)\s*<\s*([^<>]*?)\s*>\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit.

    paths: those that differ from the first parent, at most PATHS_KEPT of paths_total. co_authors: (name, e-mail
    address). authored_at, committed_at: seconds since 1970, at most those of the year 9999; 0 where git cannot read
    them. Text that is not UTF-8 shows its bytes as \\xff.
    """

    sha: str
    parents: list[str]
    author_name: str
    author_email: str
    authored_at: int
    committer_name: str
    committer_email: str
    committed_at: int
    message: str
    co_authors: list[tuple[str, str]]
    paths: list[str]
    paths_total: int


def read_commits(stream: IO[bytes]) -> Iterator[Commit]:
    """The commits in the output of `git` called with ARGUMENTS."""
    for record, further in _records(stream):
        yield _parse(record, further)


def _records(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """The bytes of each commit, at most about _RECORD_LIMIT, and how many of its NULs were cut off behind them."""
    stream.read(1)  # the NUL before the first commit
    buffer, cut, skipped = b"", b"", 0
    while chunk := stream.read(_CHUNK):
        buffer += chunk
        if cut:
            end = buffer.find(b"\0\0")
            if end < 0:
                skipped += buffer.count(b"\0", 0, -1)
                buffer = buffer[-1:]
                continue
            yield cut, skipped + buffer.count(b"\0", 0, end)
            buffer, cut, skipped = buffer[end + 2 :], b"", 0
        *whole, buffer = buffer.split(b"\0\0")
        for record in whole:
            yield record, 0
        if len(buffer) > _RECORD_LIMIT:
            cut, buffer = buffer[:_RECORD_LIMIT], buffer[_RECORD_LIMIT:]
    last = buffer.removesuffix(b"\0")
    if cut:
        yield cut, skipped + last.count(b"\0")
    elif last:
        yield last, 0


def _parse(record: bytes, cut_off: int) -> Commit:
    header, _, rest = record.decode("utf-8", "backslashreplace").partition("\0")
    sha, parents, authored, committed, author, author_email, committer, committer_email, message = header.split("\n", 8)
    trailers, *paths = rest.split("\0")
    total = record.count(b"\0") + cut_off - 1
    if paths:
        paths[0] = paths[0][1:]  # git puts a newline between the message and the paths
        del paths[PATHS_KEPT:]
        if len(record) > PATH_LIMIT:
            paths = [path[:PATH_LIMIT] for path in paths]
    return Commit(
        sha,
        parents.split(),
        author[:NAME_LIMIT],
        author_email[:NAME_LIMIT],
        _time(authored),
        committer[:NAME_LIMIT],
        committer_email[:NAME_LIMIT],
        _time(committed),
        message.rstrip("\n")[:MESSAGE_LIMIT],
        _co_authors(trailers[1:]) if len(trailers) > 1 else [],
        paths,
        max(total, 0),
    )


def _time(seconds: str) -> int:
    return min(int(seconds), _LAST_SECOND) if seconds.isdecimal() else 0


def _co_authors(trailers: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for value in trailers.split("\n")[:CO_AUTHORS_KEPT]:
        matched = _CO_AUTHOR.fullmatch(value)
        name, email = matched.groups() if matched else (value.strip(), "")
        found.append((name[:NAME_LIMIT], email[:NAME_LIMIT]))
    return found
