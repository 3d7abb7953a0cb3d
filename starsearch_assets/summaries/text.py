"""GitHub text to plain sentences: without hidden markup, code, quotes and template remains."""

from __future__ import annotations

import re
import unicodedata

from starsearch_assets.summaries.boilerplate import without_boilerplate
from starsearch_assets.summaries.folding import fold_runs, folded_block

INPUT_LIMIT = 40_000
"""Characters of a text that are read; a log pasted behind them says nothing new."""

# Whichever begins first wins: `<!--` in code is code, a fence in a comment is hidden. Unclosed, both go on to the end.
_HIDDEN = re.compile(
    r"(?P<code>(?<!`)`[^`\n]{1,500}`(?!`))"
    r"|<!--.*?(?:-->|\Z)"
    r"|^[ \t]*(?P<fence>`{3,}(?=[^`\n]*(?:\n|\Z))|~{3,}).*?(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_IMAGE = re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,2000}\)|<img\b[^>]{0,2000}>", re.IGNORECASE)
_LINK = re.compile(r"\[([^\]\n]{1,300})\]\([^)\n]{0,2000}\)")
_TAG = re.compile(r"</?[A-Za-z][^>\n]{0,300}>")
_URL = re.compile(r"https?://\S{1,2000}")
_QUOTE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_REPLY = re.compile(r"^On .{5,100} wrote:\s*$", re.MULTILINE)
_CHECKBOX = re.compile(r"^[ \t]*[-*+][ \t]+\[[ xX]\].*$", re.MULTILINE)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+(.*)$", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
# Two underscores mark a word; those in a path or an identifier (src/__init__.py, PY__VERSION) are part of it.
_MARKS = re.compile(r"\*\*|\*|`|(?<![\w/.-])__(?=\S)|(?<=\S)__(?![\w/-]|\.\w)")
_END = re.compile(r"(?<=[.!?…。])(?<!e\.g\.)(?<!i\.e\.)(?<!vs\.)[\"'”’)\]]*\s+(?=[^\sa-z])|(?<=[。！？])|\n+")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
"""Scripts that put no space between words; two of their characters count as one word."""
_SPACE = re.compile(r"[^\S\n]+")
# Characters that show nothing although Unicode calls them letters or marks: fillers, joiners, variation selectors.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# Private characters mark what is put back at the end: `visible` has taken out all that the text had.
_OPEN, _CLOSE = "\ue000", "\ue001"
_KEPT = re.compile(f"{_OPEN}([0-9]{{1,6}}){_CLOSE}")
_SHORTEST, _LONGEST = 3, 60
_LONGEST_CHARACTERS = 600


def clean(text: str) -> str:
    """Readable text of a GitHub body: no comments, code blocks, images, quotes, links' targets, templates' own words,
    invisible or bidirectional control characters. At most INPUT_LIMIT characters are read."""
    text = _HIDDEN.sub(lambda match: match["code"] or " ", visible(text[:INPUT_LIMIT]))
    return _prose(without_boilerplate(_without_markup(_INDENTED.sub(" ", text))))


def one_line(text: str) -> str:
    """`text` on one line and cleaned, for titles, labels and replies: what templates say may stand there."""
    text = _HIDDEN.sub(lambda match: match["code"] or " ", visible(text[:INPUT_LIMIT]))
    return " ".join(_prose(_without_markup(text)).split())


def folded(text: str) -> str:
    """`text` as an LLM reads it: as `clean` gives it, but short code stays, and of logs, traces, diffs and long code
    what went wrong and how many lines there were."""
    kept: list[str] = []

    def keep(block: str) -> str:
        kept.append(block)
        return f"{_OPEN}{len(kept) - 1}{_CLOSE}"

    def block(match: re.Match[str]) -> str:
        if match["code"]:
            return match["code"]
        told = folded_block(match[0]) if match["fence"] else ""
        return f"\n{keep(told)}\n" if told else " "

    lines = _HIDDEN.sub(block, visible(text[:INPUT_LIMIT])).split("\n")
    found = _prose(without_boilerplate(_without_markup("\n".join(fold_runs(lines, keep)))))
    return _KEPT.sub(lambda match: kept[int(match[1])], found).strip("\n")


def _without_markup(text: str) -> str:
    text = _IMAGE.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    for pattern in (_TAG, _URL, _QUOTE, _REPLY, _CHECKBOX):
        text = pattern.sub(" ", text)
    return text


def _prose(text: str) -> str:
    text = _HEADING.sub(lambda match: match[1].rstrip(" \t#"), text)
    text = _BULLET.sub("", text)
    text = _MARKS.sub("", text)
    lines = (_SPACE.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def visible(text: str) -> str:
    """`text` without what shows nothing: control, format, bidirectional and private characters, surrogates."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    shown = (
        character if character in "\n\t" or unicodedata.category(character)[0] != "C" else " " for character in text
    )
    return _BLANK.sub(" ", "".join(shown))


def sentences(text: str, limit: int = 24) -> list[str]:
    """The first `limit` sentences of a cleaned text; lines of lists and headings count as sentences.

    A sentence has 3 to 60 words: shorter ones say nothing alone, longer ones are cut.
    """
    found: list[str] = []
    for part in _END.split(clean(text)):
        words = part.split()
        count = len(words) + len(_UNSPACED.findall(part)) // 2
        if count >= _SHORTEST and any(character.isalpha() for character in part):
            found.append(" ".join(words[:_LONGEST])[:_LONGEST_CHARACTERS])
            if len(found) == limit:
                break
    return found
