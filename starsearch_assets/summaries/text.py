"""GitHub text to plain sentences: without hidden markup, code, quotes and template remains."""

from __future__ import annotations

import re
import unicodedata

INPUT_LIMIT = 40_000
"""Characters of a text that are read; a log pasted behind them says nothing new."""

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_IMAGE = re.compile(r"!\[[^\]\n]{0,200}\]\([^)\n]{0,2000}\)|<img\b[^>]{0,2000}>", re.IGNORECASE)
_LINK = re.compile(r"\[([^\]\n]{1,300})\]\([^)\n]{0,2000}\)")
_TAG = re.compile(r"</?[A-Za-z][^>\n]{0,300}>")
_URL = re.compile(r"https?://\S{1,2000}")
_QUOTE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_REPLY = re.compile(r"^On .{5,100} wrote:\s*$", re.MULTILINE)
_CHECKBOX = re.compile(r"^[ \t]*[-*+][ \t]+\[[ xX]\].*$", re.MULTILINE)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+(.*?)[ \t#]*$", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
_MARKS = re.compile(r"(\*\*|__|\*|`)")
_END = re.compile(r"(?<=[.!?…。])[\"'”’)\]]*\s+(?=[^\sa-z])|\n+")
_SPACE = re.compile(r"[^\S\n]+")
_SHORTEST, _LONGEST = 3, 60


def clean(text: str) -> str:
    """Readable text of a GitHub body: no comments, code blocks, images, quotes, links' targets, invisible or
    bidirectional control characters. At most INPUT_LIMIT characters are read."""
    text = text[:INPUT_LIMIT].replace("\r\n", "\n").replace("\r", "\n")
    for pattern in (_COMMENT, _FENCE, _IMAGE):
        text = pattern.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    for pattern in (_TAG, _URL, _QUOTE, _REPLY, _CHECKBOX, _INDENTED):
        text = pattern.sub(" ", text)
    text = _HEADING.sub(r"\1", text)
    text = _BULLET.sub("", text)
    text = _MARKS.sub("", text)
    text = "".join(
        character if character == "\n" or unicodedata.category(character)[0] != "C" else " " for character in text
    )
    lines = (_SPACE.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def sentences(text: str, limit: int = 24) -> list[str]:
    """The first `limit` sentences of a cleaned text; lines of lists and headings count as sentences.

    A sentence has 3 to 60 words: shorter ones say nothing alone, longer ones are cut.
    """
    found: list[str] = []
    for part in _END.split(clean(text)):
        words = part.split()
        if len(words) >= _SHORTEST and any(character.isalpha() for character in part):
            found.append(" ".join(words[:_LONGEST]))
            if len(found) == limit:
                break
    return found
