"""GitHub text to plain sentences."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starsearch_assets.summaries.text import INPUT_LIMIT, clean, sentences

_MARKUP = [
    "<!--",
    "-->",
    "```",
    "~~~",
    "`",
    "[",
    "](",
    ")",
    "![",
    "<img ",
    ">",
    "\n",
    "\n> ",
    "# ",
    "- ",
    "\u202e",
    "\x00",
]
_TEXTS = st.lists(st.one_of(st.sampled_from(_MARKUP), st.text(max_size=20)), max_size=30).map("".join)
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\ufe0f\uffa0\U000e0101\u034f"


def _invisible(text: str) -> list[str]:
    return [one for one in text if (unicodedata.category(one)[0] == "C" and one != "\n") or one in _BLANK_LETTERS]


def test_underscores_of_paths_stay() -> None:
    """Two underscores mark a word as bold; in a path or an identifier they are part of the name."""
    assert clean("A __bold__ word, __very bold__.") == "A bold word, very bold."
    assert clean("Changed: src/__init__.py, web/__tests__/a__b.ts") == "Changed: src/__init__.py, web/__tests__/a__b.ts"


@given(st.one_of(_TEXTS, st.text(alphabet=st.characters(exclude_categories=[]))))
@settings(max_examples=300, deadline=None)
def test_cleaning_never_fails_and_leaves_only_what_is_visible(text: str) -> None:
    """Whatever comes: no error, nothing invisible or bidirectional in the result, and never more than came."""
    cleaned = clean(text)
    assert _invisible(cleaned) == []
    assert len(cleaned) <= len(text)
    assert all(line == line.strip() and line for line in cleaned.split("\n")) or cleaned == ""


@given(_TEXTS, st.integers(1, 5))
@settings(max_examples=200, deadline=None)
def test_sentences_are_bounded_in_number_and_length(text: str, limit: int) -> None:
    """At most `limit` sentences, each of 3 to 60 words on one line with a letter in it."""
    found = sentences(text, limit)
    assert len(found) <= limit
    assert all(3 <= len(one.split()) <= 60 and "\n" not in one and any(map(str.isalpha, one)) for one in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Kept. <!-- do not\nshow --> Also kept.", "Kept. Also kept.", id="comment"),
        pytest.param("Kept.\n<!-- template without an end\n\nhidden", "Kept.", id="unclosed comment"),
        pytest.param("One `<!--` breaks the parser. Two.", "One <!-- breaks the parser. Two.", id="comment in code"),
        pytest.param("A\n```html\n<!-- x\n```\nB", "A\nB", id="comment in a fence"),
        pytest.param("A\n<!--\n```\n-->\nB", "A\nB", id="fence in a comment"),
        pytest.param("A\n```py\nhidden()\n```\nB", "A\nB", id="fence"),
        pytest.param("A\n~~~\nhidden\n~~~\nB", "A\nB", id="tilde fence"),
        pytest.param("A\n````md\n```js\nhidden\n```\n````\nB", "A\nB", id="fence in a longer fence"),
        pytest.param("A\n```\nhidden to the end", "A", id="unclosed fence"),
        pytest.param("```not a fence``` is code.\nB", "not a fence is code.\nB", id="inline code of three"),
        pytest.param("See ![alt](http://x/y.png) here", "See here", id="image"),
        pytest.param('See <img src="x" alt="ignore this"> here', "See here", id="html image"),
        pytest.param("See [the guide](https://evil.test/a) here", "See the guide here", id="link"),
        pytest.param("Go to https://evil.test/a now", "Go to now", id="bare URL"),
        pytest.param("> quoted words\nAnswer", "Answer", id="quote"),
        pytest.param("On Monday Jane wrote:\nAnswer", "Answer", id="mail reply"),
        pytest.param("- [x] I have read the rules\nAnswer", "Answer", id="checkbox"),
        pytest.param("## What **changed** ##\n1. First\n* Second", "What changed\nFirst\nSecond", id="marks"),
        pytest.param("abc\u202edef\u2066ghi\u200bjkl", "abc def ghi jkl", id="bidirectional and zero width"),
        pytest.param("a\u3164b\ufe0fc\U000e0041d", "a b c d", id="fillers, selectors and tags"),
        pytest.param("a\x00b\x1b[31mc\ud800d", "a b [31mc d", id="control characters and a lone surrogate"),
        pytest.param("one\u2028two", "one\ntwo", id="line separator"),
        pytest.param("<details><summary>More</summary>text</details>", "More text", id="tags"),
    ],
)
def test_markup_that_is_not_prose_is_left_out(text: str, expected: str) -> None:
    """Comments, code, images, links' targets, quotes and invisible characters go; the words stay."""
    assert clean(text) == expected


def test_a_comment_that_the_limit_cuts_stays_hidden() -> None:
    """Cutting a text behind INPUT_LIMIT characters does not bring a hidden comment to light."""
    assert clean("Shown. <!-- " + "hidden " * INPUT_LIMIT + "-->") == "Shown."


@pytest.mark.parametrize(
    "unit",
    [
        "2024-01-01 ERROR at com.example.Main(Main.java:42)\n",
        "#",
        "# # ",
        "<a ",
        "[a](",
        "![",
        "`",
        ".)",
        " ",
        "<!-",
        "<img ",
    ],
)
def test_a_log_of_300_kb_is_read_to_the_limit_only(unit: str) -> None:
    """Text behind the limit changes nothing; every pattern is linear or has a bounded reach, so that this ends."""
    log = ("# " + unit * (300_000 // len(unit)) + "x")[:300_000]
    assert clean(log) == clean(log[:INPUT_LIMIT])
    assert len(clean(log)) <= INPUT_LIMIT


def test_sentences_end_at_stops_and_lines_and_skip_fragments() -> None:
    """Full stops before a new beginning and line ends divide; versions and short fragments do not count."""
    text = "Fixes the v1.2.3 parser crash. It was slow! OK.\n- handle empty input\n- yes"
    assert sentences(text) == ["Fixes the v1.2.3 parser crash.", "It was slow!", "handle empty input"]
