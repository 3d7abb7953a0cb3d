"""How items and people are put into words, whatever strangers wrote in them."""

from __future__ import annotations

import re

from answering.retrieval import Hit
from resources.kinds import BY_NAME, COMMIT

_GIST = 400


def describe(hit: Hit) -> str:
    """An item in one sentence: kind, place, author, state, title."""
    by = f" by {unnumbered(hit.by)}" if hit.by else ""
    if hit.kind == COMMIT.name:
        told = ", ".join(part for part in (hit.state, f"{hit.created_on}") if part)
    else:
        told = hit.state or "state unknown"
    return f"{BY_NAME[hit.kind].label.capitalize()} {hit.place}{by} ({told}): {quoted(hit)}."


def gist(hit: Hit) -> str:
    """The beginning of its document, without the title."""
    text = hit.document.split("\n", 1)[-1].strip()
    text = "" if text == hit.title else unnumbered(" ".join(text.split()))
    return text if len(text) <= _GIST else text[: _GIST - 3].rsplit(" ", 1)[0] + "…"


def quoted(hit: Hit) -> str:
    """Its title in quotation marks."""
    return f"“{unnumbered(hit.title)}”"


def unnumbered(text: str) -> str:
    """Text of strangers without what would read as one of our citations."""
    return re.sub(r"\[(\d+)\]", r"(\1)", text)


def plural(count: int, noun: str) -> str:
    """1 commit, 2 commits, 1,500 commits."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def people(count: int) -> str:
    """1 person, 2 people."""
    return f"{count:,} person" if count == 1 else f"{count:,} people"
