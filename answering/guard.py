"""A question before it is read: cleaned, with common slips of the pen corrected, and looked at for tricks.

Hygiene, never the security boundary: nothing is refused here, and nothing rests on what is or is not flagged. What an
LLM may do is bounded by what it is given and by the checks of what it writes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["hidden", "spelling", "injection"]


@dataclass(frozen=True)
class Note:
    """What was done (hidden characters removed, a spelling corrected), or seen (what looks like an injection)."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class Guarded:
    """A question in one line, never longer than it came; notes: in the order hidden, spelling, injection."""

    text: str
    notes: tuple[Note, ...] = ()

    @property
    def is_suspicious(self) -> bool:
        """Whether it looks like an attempt to instruct the LLM. Topics can look so, too."""
        return any(note.kind == "injection" for note in self.notes)


def guard(text: str) -> Guarded:
    """Clean `text`, correct it, and note what was done and what it looks like.

    Letters and digits in another width or font become the ordinary ones, letters and their marks are composed (Unicode
    NFC, where that makes nothing longer), characters that nobody sees are removed (zero-width, bidirectional, control,
    tags, variation selectors), and white space is one space.

    Corrected are common misspellings of words that questions consist of, where they stand alone and in lower case (or
    begin the text); not what is quoted or code, and nothing behind a word that announces a name. No correction is
    longer than what it corrects.
    """
    seen, hidden = _cleaned(text)
    line = " ".join(seen.split())
    corrected, spelled = _corrected(line)
    notes = [Note("hidden", f"{hidden} invisible character{'s' * (hidden != 1)} removed.")] if hidden else []
    notes += [Note("spelling", f"“{wrong}” was read as “{right}”.") for wrong, right in spelled]
    notes += [Note("injection", f"It {looks}.") for looks in _injections(seen, corrected)]
    return Guarded(corrected, tuple(notes))


_SAME = ("<wide>", "<narrow>", "<font>")
"""Compatibility decompositions to the same character; others (½, ², ﬁ) say something else, or more."""

_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # letters and marks without a shape
_VARIATIONS = re.compile("[\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def _cleaned(text: str) -> tuple[str, int]:
    """The text without what nobody sees, and how much of that there was."""
    plain = "".join(map(_plain, text))
    seen = "".join(one for one in _VARIATIONS.sub("", plain) if not _is_hidden(one))
    composed = unicodedata.normalize("NFC", seen)
    return composed if len(composed) <= len(seen) else seen, len(plain) - len(seen)


def _plain(character: str) -> str:
    """A letter or digit in its ordinary width and font; everything else as it is."""
    if character.isascii() or not unicodedata.decomposition(character).startswith(_SAME):
        return character
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 and plain.isalnum() else character


def _is_hidden(character: str) -> bool:
    if character in _UNSEEN:
        return True
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co") and not character.isspace()


_WORDS = {
    "what": "waht whta whaat", "which": "whcih wihch whihc", "when": "wehn whne", "where": "wehre wheer whrere",
    "with": "wiht wtih", "that": "taht thta", "the": "teh hte", "their": "thier", "there": "tehre", "have": "ahve",
    "from": "fomr", "about": "abuot aobut", "most": "msot", "best": "bset", "know": "konw knwo", "knows": "konws knwos",
    "show": "shwo", "does": "deos", "did": "ddi", "made": "amde", "find": "fidn", "list": "lsit",
    "people": "poeple peopel pepole", "person": "persno", "experts": "experst exprets", "expert": "expret",
    "contributor": "contributer contirbutor contribtuor", "contributors": "contributers contirbutors contribtuors",
    "contributed": "contirbuted contribtued", "developer": "developper devleoper develoepr",
    "developers": "developpers devleopers develoeprs", "maintainer": "maintianer maintainter",
    "maintainers": "maintianers maintainters", "maintains": "maintians", "author": "auhtor autohr",
    "repository": "repositroy respository reposiotry", "repositories": "repositroies respositories",
    "project": "porject projcet proejct", "projects": "porjects projcets proejcts", "request": "reqeust",
    "requests": "reqeusts", "issue": "isseu issuee", "issues": "isseus issuse", "release": "relaese realease releaes",
    "releases": "relaeses realeases", "released": "relaesed realeased", "commit": "commti comimt",
    "commits": "commtis comimts", "changed": "chnaged chagned cahnged", "changes": "chnages chagnes cahnges",
    "fixed": "fxied fiexd", "fixes": "fxies", "merged": "meregd", "worked": "wokred workde",
    "working": "wroking workign", "lottery": "lotterry lottrey", "factor": "facotr factro",
    "interested": "intrerested interetsed interestde", "recent": "recnet", "recently": "recnetly recenlty",
    "latest": "latset", "reviewed": "reveiwed", "review": "reveiw", "reviews": "reveiws", "between": "bewteen betwene",
    "because": "becuase", "answer": "anwser", "question": "quesiton",
}  # fmt: skip
CORRECTIONS = {wrong: right for right, all_wrong in _WORDS.items() for wrong in all_wrong.split()}
"""Misspelled -> meant; never longer."""

_LEFT = re.compile(  # what is left as it is: code, and what is quoted; without its end, all the rest
    r"(?P<code>`+)(?:.*?(?P=code)|.*$)|\"[^\"]*(?:\"|$)|“[^”]*(?:”|$)|«[^»]*(?:»|$)|‘[^’]*’|(?<!\w)'[^']*'(?!\w)"
)
_WORD = re.compile(r"(?<![^\s(])[A-Za-z]?[a-z]+(?=[?.,;:!)]*(?:\s|$))")
_ANNOUNCES = re.compile(
    r"\b(?:called|named|package|crate|library|module|plugin|login|user|file|function|class|variable|branch|tag)\s$",
    re.IGNORECASE,
)


def _corrected(line: str) -> tuple[str, list[tuple[str, str]]]:
    """The line with its common words spelled right, and what was corrected to what, each once."""
    spelled: dict[str, str] = {}

    def correct(match: re.Match[str]) -> str:
        wrong = match[0]
        begins = match.start() == 0
        right = CORRECTIONS.get(wrong.lower() if begins else wrong)
        if (
            right is None
            or _ANNOUNCES.search(line, max(match.start() - 12, 0), match.start())
            or any(start <= match.start() < end for start, end in left)
        ):
            return wrong
        spelled[wrong] = right.capitalize() if wrong[0].isupper() else right
        return spelled[wrong]

    left = [match.span() for match in _LEFT.finditer(line)]
    return _WORD.sub(correct, line), list(spelled.items())


_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}?\b(?:previous|prior|above|earlier|preceding|your|system)\b"
    r".{0,30}?\b(?:instructions?|prompts?|rules?|messages?|directions?|guidelines)\b",
    re.IGNORECASE,
)
_ASKS_FOR_PROMPT = re.compile(
    r"\b(?:reveal|print|show|repeat|leak|output|tell)\b.{0,40}?\b(?:system prompt|hidden prompt|initial prompt"
    r"|your (?:system )?(?:prompt|instructions))\b",
    re.IGNORECASE,
)
_NEW_ROLE = re.compile(
    r"\byou are (?:now|no longer)\b|\bnew instructions\s*:|\bpretend (?:to be|that you)\b", re.IGNORECASE
)
_ROLE = re.compile(r"^\W*(?:system|assistant|developer|user|human)\s*:", re.IGNORECASE)
_TEMPLATE = re.compile(
    r"<\|[a-z_]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>|</?(?:system|assistant|tool_call|think)>"
    r"|#{2,} ?(?:instruction|response|system)\b",
    re.IGNORECASE,
)


def _injections(seen: str, line: str) -> Iterator[str]:
    """What the text looks like, in words. seen: with its lines as they came."""
    if _ORDERS.search(line):
        yield "tells the answering model to ignore its instructions"
    if _ASKS_FOR_PROMPT.search(line):
        yield "asks for the instructions of the answering model"
    if _NEW_ROLE.search(line):
        yield "gives the answering model another role or new instructions"
    if any(_ROLE.match(one) for one in seen.splitlines()):
        yield "has a line that begins with the role of a speaker"
    if _TEMPLATE.search(line):
        yield "has tokens of a chat template"
