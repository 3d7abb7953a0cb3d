"""What an LLM reads of an item."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starsearch_assets.summaries.fit import fit
from starsearch_assets.summaries.source import Source
from starsearch_assets.summaries.tokens import TokenCounter

COUNTER = TokenCounter()


def read(source: Source, budget: int = 3000) -> list[str]:
    """The lines between the fences."""
    return fit(source, budget, COUNTER).text.split("\n")[1:-1]


def source(title: str = "Fix the cache", body: str = "", **more: tuple[str, ...] | int) -> Source:
    return Source("pull request", title, body, **more)  # type: ignore[arg-type]


def test_sections_come_in_their_order() -> None:
    """Kind and labels, title, paths by folder with their total, headlines, body, reviews, comments."""
    one = source(
        body="It leaked.",
        labels=("bug",),
        paths=("src/a.py", "src/b.py", "README.md"),
        paths_total=40,
        commits=("Close the pool",),
        reviews=("Please test with two workers.",),
        comments=("I saw it with version 3.",),
    )
    assert read(one) == [
        "Kind: pull request; labels: bug",
        "Title: Fix the cache",
        "Changed files: 40",
        "src/: a.py, b.py",
        "./: README.md",
        "Commit: Close the pool",
        "It leaked.",
        "Review: Please test with two workers.",
        "Comment: I saw it with version 3.",
    ]


def test_headlines_that_say_nothing_new_are_left_out() -> None:
    """Merges, repeats and the title's own words."""
    commits = (
        "fix the cache.",
        "Merge branch 'main' into x",
        "Merge pull request #1 from a/b",
        "Add a test",
        "add a test",
    )
    assert [line for line in read(source(commits=commits)) if line.startswith("Commit")] == ["Commit: Add a test"]


@pytest.mark.parametrize(
    "comment",
    ["LGTM!", "+1", "Thanks 🎉", "thank you so much", "👍", "/retest", "@dependabot rebase", "bors r+",
     "> quoted only", "![x](y)", "@codecov-bot please report"],
)  # fmt: skip
def test_comments_that_say_nothing_are_left_out(comment: str) -> None:
    """Thanks, approval, and commands to bots; the same as a review."""
    assert read(source(comments=(comment,), reviews=(comment,))) == read(source())


@pytest.mark.parametrize(
    "comment", ["Thanks, but it fails on Windows.", "@anna the lock is taken twice", "/tmp is full"]
)
def test_comments_that_say_something_stay(comment: str) -> None:
    """Thanks with a reason, a person who is addressed, a path."""
    assert read(source(comments=(comment,)))[-1] == f"Comment: {comment}"


def test_what_a_section_leaves_goes_to_the_next_ones() -> None:
    """A long body alone gets nearly all; beside long comments, both are cut and both are there."""
    long = "word " * 5000
    alone = fit(source(body=long), 1000, COUNTER)
    assert alone.cut
    assert alone.tokens > 900
    both = fit(source(body=long, comments=(long,), reviews=(long,)), 1000, COUNTER)
    assert {"Comment", "Review"} <= {line.partition(":")[0] for line in both.text.split("\n")}
    assert both.text.count("[…]") == 3


def test_a_diff_is_never_read_and_a_log_only_by_its_error() -> None:
    """Of a diff the number of lines; of a log the exception, and how many lines there were."""
    log = "\n".join(f"2024-01-01 10:00:{n:02d} INFO loading {n}" for n in range(20))
    body = f"```diff\n-old\n+new\n```\nIt says:\n```\n{log}\nValueError: no such key\n```"
    assert read(source(body=body))[2:] == [
        "[… 2 lines of diff]",
        "It says:",
        "ValueError: no such key",
        "[… 20 lines of log]",
    ]


_PIECES = st.sampled_from(
    [
        *("END TEXT", "<|im_end|>", "<<|x|>|x|>", "[INST]", "</s>", "</<s>s>", "```\n", "word ", "\n", "# ", "🎉"),
        *("修复缓存", "a" * 60, "END", " TEXT", "\u200b"),
    ]
)
_TEXT = st.lists(st.one_of(_PIECES, st.text(max_size=30)), max_size=25).map("".join)
_MANY = st.lists(_TEXT, max_size=6).map(tuple)
_SOURCES = st.builds(
    Source,
    st.just("issue"),
    _TEXT,
    st.tuples(_TEXT, st.integers(1, 40)).map(lambda drawn: drawn[0] * drawn[1]),
    labels=_MANY,
    paths=_MANY,
    paths_total=st.integers(0, 9),
    reviews=_MANY,
    comments=_MANY,
    commits=_MANY,
)


@given(_SOURCES, st.integers(16, 400))
@settings(max_examples=300, deadline=None)
def test_the_budget_and_the_fences_hold_whatever_comes(one: Source, budget: int) -> None:
    """Never above the budget, twice the same, fences as first and last line only, no token of a chat template."""
    fitted = fit(one, budget, COUNTER)
    assert COUNTER.count(fitted.text) == fitted.tokens <= budget
    assert fit(one, budget, COUNTER) == fitted
    lines = fitted.text.split("\n")
    assert (lines[0], lines[-1]) == ("BEGIN TEXT", "END TEXT")
    assert len(re.findall(r"(?i)\b(?:begin|end)\s+text\b", fitted.text)) == 2
    assert not re.search(r"<\|[^|>\n]{0,40}\|>|\[INST\]|</?s>", fitted.text)


def test_a_budget_below_the_fences_is_refused() -> None:
    """An error that says how many tokens are needed."""
    with pytest.raises(ValueError, match="tokens or more is expected"):
        fit(source(), 3, COUNTER)
