"""How items and people are put into words, whatever strangers wrote in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta

from answering.insights.basis import Coverage
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


def enumerated(names: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def duration(seconds: float) -> str:
    """45 seconds, 1 minute, 1.5 hours, 2 days: to one decimal, in days from 48 hours on."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= (2 * size if unit == "day" else size):
            break
    else:
        size, unit = 1, "second"
    number = f"{seconds / size:,.1f}".removesuffix(".0")
    return f"{number} {unit}{'s' * (number != '1')}"


def window(coverage: Coverage) -> str:
    """The days that a measure counted: on 2025-03-01; from 2025-03-01 to 2025-03-31 (30 of 31 days counted)."""
    if coverage.since is None or coverage.until is None:
        return "on no day"
    missing = f" ({coverage.counted:,} of {coverage.days:,} days counted)" if coverage.counted < coverage.days else ""
    return days(coverage.since, coverage.until) + missing


def days(since: date | None, until: date | None) -> str:
    """A range of days, until exclusive: on the one day, from the first to the last, since the first, before the end."""
    if since is not None and until is not None:
        last = until - timedelta(days=1)
        return f"on {since}" if last == since else f"from {since} to {last}"
    if since is not None:
        return f"since {since}"
    return "at any time" if until is None else f"before {until}"
