"""The stream of commits that git writes, in whatever pieces it comes."""

from __future__ import annotations

import io
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from resources import git_log
from resources.git_log import read_commits

SHA = "0123456789abcdef" * 2 + "01234567"
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
LINE = TEXT.map(lambda text: text.replace("\n", " "))
COMMITS = st.lists(
    st.tuples(LINE, TEXT, st.lists(TEXT.filter(bool), max_size=6), st.lists(LINE, max_size=2)), max_size=6
)


def record(author: str, message: str, paths: list[str], co_authors: list[str]) -> bytes:
    """One commit as git writes it."""
    head = f"{SHA}\n{SHA} {SHA}\n5\n6\n{author}\n{author}@x\nCommitter\nc@x\n{message}\n"
    trailers = "\n".join(f"{name} <{name}@x>" for name in co_authors)
    written = f"\0{head}\0={trailers}\0"
    return (written + ("\n" + "".join(f"{path}\0" for path in paths) if paths else "")).encode()


@given(COMMITS, st.integers(1, 50))
def test_commits_come_out_as_they_went_in(commits, chunk: int) -> None:  # type: ignore[no-untyped-def]
    """Whatever is in names, messages and paths, and wherever the pieces of the stream end."""
    stream = io.BytesIO(b"".join(record(*commit) for commit in commits))
    with patch.object(git_log, "_CHUNK", chunk):
        found = list(read_commits(stream))
    assert [one.author_name for one in found] == [author for author, *_ in commits]
    assert [one.message for one in found] == [message.rstrip("\n") for _, message, *_ in commits]
    assert [one.paths for one in found] == [paths for _, _, paths, _ in commits]
    assert [one.paths_total for one in found] == [len(paths) for _, _, paths, _ in commits]
    assert all((one.sha, one.parents, one.authored_at, one.committed_at) == (SHA, [SHA, SHA], 5, 6) for one in found)


@given(st.integers(1, 60), st.integers(10, 400), st.integers(1, 50))
def test_a_commit_beyond_the_limit_is_counted_not_held(paths: int, limit: int, chunk: int) -> None:
    """Its paths are counted exactly, wherever it is cut; the commits around it are whole."""
    big = record("Ada", "Big", [f"path {number}" for number in range(paths)], [])
    small = record("Bob", "Small", ["one"], [])
    with patch.object(git_log, "_CHUNK", chunk), patch.object(git_log, "_RECORD_LIMIT", max(limit, len(small))):
        found = list(read_commits(io.BytesIO(small + big + small + big)))
    assert [one.paths_total for one in found] == [1, paths, 1, paths]
    assert [one.message for one in found] == ["Small", "Big", "Small", "Big"]


def test_a_message_beyond_the_limit_is_cut() -> None:
    """What is left of it still is a commit, without its paths, which are counted."""
    stream = io.BytesIO(record("Ada", "x" * 5_000_000, ["a", "b", "c"], []) + record("Bob", "Small", ["one"], []))
    big, small = read_commits(stream)
    assert (len(big.message), big.paths, big.paths_total) == (65_536, [], 3)
    assert (small.message, small.paths) == ("Small", ["one"])
