"""Judged queries as files: what is read, and what is refused with its place."""

from pathlib import Path

import pytest

from starsearch_assets.relevance.names import ItemName, parse_name
from starsearch_assets.relevance.sets import JudgedQuery, JudgementsUnreadable, read_sets, write_set

SHA = "0123456789abcdef0123456789abcdef01234567"


def lay(folder: Path, queries: str, qrels: str, name: str = "mine") -> None:
    (folder / f"{name}.queries.tsv").write_text(queries)
    (folder / f"{name}.qrels").write_text(qrels)


@pytest.mark.parametrize("text", ["pull_request:a/b#12", "issue:a.b/c-d#7", "release:a/b@v1.0@x", f"commit:a/b@{SHA}"])
def test_names_are_read_as_they_are_written(text):
    """Each kind's name is read and written the same."""
    assert str(parse_name(text)) == text


@pytest.mark.parametrize(
    "text", ["pull_request:a/b@12", "issue:a/b#0", "release:a/b#1", "commit:a/b@0123456", "person:a/b#1", "a/b#1", ""]
)
def test_other_names_are_refused(text):
    """Another mark, number, digest or kind is no item."""
    with pytest.raises(ValueError, match="expected an item like"):
        parse_name(text)


def test_what_is_written_is_read_again(tmp_path):
    """Queries keep their order, grades and text; one without a judgement is one that nothing answers."""
    queries = (
        JudgedQuery("b", "why does it hang?", {ItemName("issue", "a/b", "7"): 2, ItemName("issue", "a/b", "8"): 0}),
        JudgedQuery("a", "nobody knows", {}),
    )
    write_set(tmp_path / "new", "mine", queries)
    (found,) = read_sets(tmp_path / "new")
    assert (found.name, found.queries) == ("mine", queries)


def test_a_set_has_another_version_when_it_says_something_else(tmp_path):
    """Empty lines do not count; a changed grade does."""
    versions = []
    for qrels in ("q 0 issue:a/b#7 1\n", "\nq 0 issue:a/b#7 1", "q 0 issue:a/b#7 2\n"):
        lay(tmp_path, "q\ttext\n", qrels)
        versions.append(read_sets(tmp_path)[0].version)
    assert versions[0] == versions[1] != versions[2]


def test_a_folder_that_is_not_there_holds_no_sets(tmp_path):
    """Nobody has to judge anything."""
    assert read_sets(tmp_path / "none") == ()


@pytest.mark.parametrize(
    ("queries", "qrels", "told"),
    [
        ("q text\n", "", r"mine\.queries\.tsv, line 1: expected a query id .* came 'q text'"),
        ("q\ttext\nq\tmore\n", "", r"queries\.tsv, line 2: expected every query id once; came 'q again'"),
        ("\n", "", "expected at least one query"),
        ("q\ttext\n", "q 0 issue:a/b#7\n", r"mine\.qrels, line 1: expected four fields"),
        ("q\ttext\n", "\nx 0 issue:a/b#7 1\n", r"qrels, line 2: expected a query id of mine\.queries\.tsv; came 'x'"),
        ("q\ttext\n", "q 1 issue:a/b#7 1\n", "expected 0 in the second field; came '1'"),
        ("q\ttext\n", "q 0 issue:a/b#7 -1\n", "expected a relevance of 0 to 999 in the fourth field; came '-1'"),
        ("q\ttext\n", "q 0 issue:a/b@7 1\n", "expected an item like .*; came 'issue:a/b@7'"),
        ("q\ttext\n", "q 0 issue:a/b#7 1\nq 0 issue:a/b#7 2\n", "line 2: expected every item once a query"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(tmp_path, queries, qrels, told):
    """The message names file and line, what was expected and what came."""
    lay(tmp_path, queries, qrels)
    with pytest.raises(JudgementsUnreadable, match=told):
        read_sets(tmp_path)


def test_half_a_set_is_refused(tmp_path):
    """Queries without judgements are an oversight, and said so."""
    (tmp_path / "mine.queries.tsv").write_text("q\ttext\n")
    with pytest.raises(JudgementsUnreadable, match=r"mine\.qrels is missing"):
        read_sets(tmp_path)
