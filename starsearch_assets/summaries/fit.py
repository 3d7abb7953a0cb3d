"""What an LLM reads of an item: sections by a stated rule, within a budget of tokens, between fences that hold.

The rule, which RENDERING names: kind and labels, title, changed paths by folder, commit headlines, body, reviews,
comments. Those that an item has share the budget; what one leaves goes to the next ones. The text is cleaned; diffs
are never sent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starsearch_assets.summaries.source import Source
from starsearch_assets.summaries.text import folded, one_line, visible
from starsearch_assets.summaries.tokens import TokenCounter

RENDERING: Final = 1
"""Version of the rule; a change of what is sent for the same item is a new one."""

BEGIN, END = "BEGIN TEXT", "END TEXT"

_FENCE = re.compile(r"\b(begin|end)\s+(text)\b", re.IGNORECASE)
_TEMPLATE_TOKEN = re.compile(
    r"<[|｜][^|｜>\n]{0,40}[|｜]>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>", re.IGNORECASE
)
"""Chat templates' own tokens, e.g. <|im_start|>: servers read them in a message as the end of it."""

_SHARES: Final = {"head": 0.10, "paths": 0.10, "commits": 0.10, "body": 0.40, "reviews": 0.15, "comments": 0.15}
_TITLE_CHARACTERS = 400
_EXCERPT = 600
_FOLDERS = 12
_NAMES = 4
_HEADLINES = 12
_SHORTEST = 12  # tokens: a section cut to fewer says nothing
_TRIES = 8

_MERGE = re.compile(r"merge (?:branch|pull request|remote-tracking|tag|commit)\b|merge .{1,80} into\b", re.IGNORECASE)
_WORDS = re.compile(r"\w+")
_COURTESIES: Final = frozenset(
    "thanks thank you thx ty lgtm sgtm nice great good awesome cool perfect amazing excellent approved approve ship it"
    " for work job one done merged merging ok okay yes yep sure bump ping any update updates on this same here me too"
    " the a so much very lot again all looks to this is +1 1 please merge nit done fixed will do agreed agree"
    " would love see i have issue problem".split()
)
_COMMAND = re.compile(
    r"(?:/(?:retest|test|lgtm|approve|(?:un)?assign|(?:un)?hold|rebase|(?:re)?open|close|label|kind|ok-to-test|(?:un)?cc|run"
    r"|remove-\w+|cherry-?pick|backport|build|deploy|review|milestone|azp|ci|retry|merge|priority|area|sig|triage|lifecycle"
    r"|format|gemini|gcbrun|packit)|@[\w-]{0,40}(?:bot|bors|dependabot|renovate|copilot|codecov|mergify|coderabbitai)"
    r"[\w-]{0,20}(?:\[bot\])?|bors|retest this|r\+|r=)(?=[\s,:?+=]|$)",
    re.IGNORECASE,
)


Section = Callable[[Source, int, TokenCounter], tuple[str, bool]]
"""What a section says within so many tokens, and whether something was left out."""


@dataclass(frozen=True)
class Fitted:
    """The text with its fences, and what it takes. cut: whether something of the item was left out for want of room."""

    text: str
    tokens: int
    cut: bool


def fit(source: Source, budget: int, counter: TokenCounter) -> Fitted:
    """What the LLM reads of `source`, with at most `budget` tokens by `counter`; the same for the same item, always.

    Raises:
        ValueError: the budget has no room for the fences.
    """
    smallest = counter.count(_fenced(""))
    if budget < smallest:
        raise ValueError(f"A budget of {smallest} tokens or more is expected, for the fences alone; it is {budget}.")
    room = budget - smallest
    for _ in range(_TRIES):
        text, cut = _render(source, room, counter)
        tokens = counter.count(text)
        if tokens <= budget:
            return Fitted(text, tokens, cut)
        room = max(0, min(room - 1, room - (tokens - budget) - room // 50))  # parts may count more together than alone
    return Fitted(_fenced(""), smallest, True)


def _render(source: Source, room: int, counter: TokenCounter) -> tuple[str, bool]:
    parts: list[str] = []
    left, cut, granted = room, False, 0.0
    present = [name for name in _SECTIONS if name == "head" or _has(source, name)]
    whole = sum(_SHARES[name] for name in present)
    for name in present:
        section = _SECTIONS[name]
        granted += _SHARES[name] / whole
        allowed = max(0, min(left, int(room * granted) - (room - left)))
        told, was_cut = section(source, allowed, counter)
        cut = cut or was_cut
        if told:
            parts.append(told)
            left -= counter.count(told + "\n")
    return _fenced("\n".join(parts)), cut


def _has(source: Source, name: str) -> bool:
    """Whether the section has anything: what an item lacks takes no share."""
    if name in ("reviews", "comments"):
        return any(not _says_nothing(folded(text)) for text in getattr(source, name))
    return bool(getattr(source, name))


def _fenced(text: str) -> str:
    """`text` between fences. The item's own come last: what is taken out before may join two halves of one."""
    defused = _defused(text)
    return f"{BEGIN}\n{defused}\n{END}" if defused else f"{BEGIN}\n{END}"


def _defused(text: str) -> str:
    while _TEMPLATE_TOKEN.search(text):
        text = _TEMPLATE_TOKEN.sub(" ", text)
    return _FENCE.sub(r"\1-\2", text)


def _head(source: Source, allowed: int, counter: TokenCounter) -> tuple[str, bool]:
    labels = ", ".join(one_line(label)[:60] for label in source.labels[:12])
    kind = f"Kind: {one_line(source.kind)[:60]}" + (f"; labels: {labels}" if labels else "")
    title = f"Title: {one_line(source.title)[:_TITLE_CHARACTERS] or 'untitled'}"
    return _cut(f"{kind}\n{title}", allowed, counter)


def _paths(source: Source, allowed: int, counter: TokenCounter) -> tuple[str, bool]:
    if not source.paths:
        return "", False
    total = max(source.paths_total, len(source.paths))
    folders: dict[str, list[str]] = {}
    for path in source.paths:
        folder, _, name = " ".join(visible(path).split())[:200].rpartition("/")
        folders.setdefault(folder or ".", []).append(name)
    busiest = Counter({folder: len(names) for folder, names in folders.items()}).most_common()
    lines = [f"Changed files: {total}"]
    for folder, number in busiest[:_FOLDERS]:
        more = f" and {number - _NAMES} more" if number > _NAMES else ""
        lines.append(f"{folder}/: {', '.join(folders[folder][:_NAMES])}{more}")
    if len(busiest) > _FOLDERS:
        lines.append(f"and {len(busiest) - _FOLDERS} more folders")
    return _whole_lines(lines, allowed, counter)


def _commits(source: Source, allowed: int, counter: TokenCounter) -> tuple[str, bool]:
    said = {_key(source.title)}
    lines: list[str] = []
    for headline in source.commits:
        words = one_line(headline)[:200]
        if not words or _MERGE.match(words) or (key := _key(words)) in said:
            continue
        said.add(key)
        lines.append(f"Commit: {words}")
    told, cut = _whole_lines(lines[:_HEADLINES], allowed, counter)
    return told, cut or len(lines) > _HEADLINES


def _body(source: Source, allowed: int, counter: TokenCounter) -> tuple[str, bool]:
    return _cut(folded(source.body), allowed, counter)


def _said(label: str, texts: Callable[[Source], Sequence[str]]) -> Section:
    def section(source: Source, allowed: int, counter: TokenCounter) -> tuple[str, bool]:
        excerpts = [
            f"{label}: {_excerpt(' '.join(text.split()))}"
            for text in map(folded, texts(source))
            if not _says_nothing(text)
        ]
        told: list[str] = []
        for number, excerpt in enumerate(excerpts):
            used = counter.count("\n".join(told)) if told else 0
            piece, cut = _cut(excerpt, (allowed - used) // min(3, len(excerpts) - number), counter)
            if piece:
                told.append(piece)
            if cut and not piece:
                return "\n".join(told), True
        return "\n".join(told), False

    return section


_SECTIONS: Final[dict[str, Section]] = {
    "head": _head,
    "paths": _paths,
    "commits": _commits,
    "body": _body,
    "reviews": _said("Review", lambda source: source.reviews),
    "comments": _said("Comment", lambda source: source.comments),
}


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT].rstrip()} […]"


def _says_nothing(text: str) -> bool:
    """Whether a comment is only thanks, approval, or a command to a bot."""
    if not text or (_COMMAND.match(text) and len(text) < 200):
        return True
    words = _WORDS.findall(text.lower()[:200])
    return len(words) <= 12 and all(word in _COURTESIES for word in words)


def _cut(text: str, allowed: int, counter: TokenCounter) -> tuple[str, bool]:
    text = _defused(text)
    if not text or counter.count(text) <= allowed:
        return text, False
    told = counter.cut(text, allowed - counter.count(" […]")) if allowed > _SHORTEST else ""
    return (f"{told.rstrip()} […]", True) if told.strip() else ("", True)


def _whole_lines(lines: Sequence[str], allowed: int, counter: TokenCounter) -> tuple[str, bool]:
    told = [_defused(line) for line in lines]
    while told and counter.count("\n".join(told)) > allowed:
        told.pop()
    return "\n".join(told), len(told) < len(lines)


def _key(text: str) -> str:
    return " ".join(_WORDS.findall(text.lower()))
