"""GitHub text to plain sentences."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starsearch_assets.summaries.text import INPUT_LIMIT, clean, folded, sentences

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
    """At most `limit` sentences, each of 3 to 60 words on one line with a letter in it. Two characters of a script that
    puts no space between words count as a word."""
    found = sentences(text, limit)
    assert len(found) <= limit
    unspaced = [sum("\u3040" <= one <= "\u9fff" for one in sentence) // 2 for sentence in found]
    assert all(len(one.split()) + more >= 3 for one, more in zip(found, unspaced, strict=True))
    assert all(len(one.split()) <= 60 and "\n" not in one and any(map(str.isalpha, one)) for one in found)


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("## Bug\n\n## Steps\n\nIt fails.", "Steps\nIt fails.", id="empty section"),
        pytest.param("# All\n## A\n### B\nText.\n## C", "All\nA\nB\nText.", id="sections in sections"),
        pytest.param("### Info\n_No response_\n### Really\nYes, it is.", "Really\nYes, it is.", id="no response"),
        pytest.param("**Describe the bug**\nA clear and concise description of what the bug is.", "", id="untouched"),
        pytest.param("Please include a summary of the change and which issue is fixed.\nDone.", "Done.", id="please"),
        pytest.param("Please add support for dark mode.", "Please add support for dark mode.", id="a wish"),
        pytest.param("Fixes #(issue)\nFixes #12", "Fixes #12", id="unfilled reference"),
        pytest.param(
            "Thanks for contributing to Acme!\nThanks for the fast fix.", "Thanks for the fast fix.", id="thanks"
        ),
        pytest.param("- OS: [e.g. iOS]\n- OS: Debian", "OS: Debian", id="unfilled example"),
        pytest.param("Nothing but a title", "Nothing but a title", id="no template"),
        pytest.param("**Breaking change**", "Breaking change", id="bold words of their own"),
    ],
)
def test_words_of_templates_are_left_out(text: str, expected: str) -> None:
    """Empty sections, questions and thanks go, as templates have them; what people wrote stays."""
    assert clean(text) == expected


_LOG = "\n".join(f"2024-01-01 10:00:{second:02d} INFO loading part {second}" for second in range(30))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("See `<!--` and:\n```py\nrun()\n```\nDone.", "See <!-- and:\nrun()\nDone.", id="short code stays"),
        pytest.param("```py\n" + "run()\n" * 30 + "```\nDone.", "[… 30 lines of code]\nDone.", id="long code"),
        pytest.param(f"A\n```\n{_LOG}\nKeyError: 'x'\n```\nB", "A\nKeyError: 'x'\n[… 30 lines of log]\nB", id="log"),
        pytest.param(f"A\n{_LOG}\nB", "A\n[… 30 lines of log]\nB", id="log without a fence"),
        pytest.param("```diff\n-a\n+b\n```", "[… 2 lines of diff]", id="diff"),
        pytest.param("```\ndiff --git a/x b/x\n-a\n```", "[… 2 lines of diff]", id="diff without its name"),
        pytest.param(
            'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f()\n  File "b.py", line 2, in g\n'
            "ValueError: no",
            "[… 4 lines of log]\nValueError: no",
            id="traceback",
        ),
        pytest.param("- one\n    - nested\n- two", "one\nnested\ntwo", id="nested list stays"),
        pytest.param("```\n\n```\nText", "Text", id="empty block"),
    ],
)
def test_logs_and_long_code_are_folded_for_a_reader(text: str, expected: str) -> None:
    """What went wrong stays, and the number of lines that do not; short code and all prose stay."""
    assert folded(text) == expected


@given(st.one_of(_TEXTS, st.text(alphabet=st.characters(exclude_categories=[]))))
@settings(max_examples=200, deadline=None)
def test_folding_never_fails_and_leaves_only_what_is_visible(text: str) -> None:
    """Whatever comes: no error, nothing invisible, and not more than came but for the notes of what was folded."""
    found = folded(text)
    assert _invisible(found) == []
    assert len(found) <= len(text) + 30 * found.count("[… ")


@pytest.mark.parametrize(
    "unit",
    ["a" * 50 + " ", "Please include ", "    at x.y(", "**a", "# a\n", "```\n", "\t", "Thanks for ", "0x", "[e.g. "],
)
def test_long_texts_are_folded_in_linear_time(unit: str) -> None:
    """Text behind the limit changes nothing; every pattern is linear or has a bounded reach, so that this ends."""
    text = "x\n" + unit * (300_000 // len(unit))
    assert folded(text) == folded(text[:INPUT_LIMIT])
    assert clean(text.replace("\n", " ")) == clean(text.replace("\n", " ")[:INPUT_LIMIT])
