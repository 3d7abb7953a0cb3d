"""Questions that refer to earlier ones of the same thread: “and who reviews it?” takes up what was named before.

Only what was asked is looked at. Earlier answers hold text of strangers, which no prompt of an agent may have.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from answering.errors import AnsweringError
from answering.guard import guard
from answering.question import LIMIT, Question, read_question
from resources.tokens import estimated_tokens

TURNS = 6
TOKENS = 1_500
"""So many earlier questions, and so many tokens of them, are looked at."""

_GOES_ON = re.compile(r"^(?:and|also|but|so|then|or|(?:what|how) about)\b", re.IGNORECASE)
_THING = re.compile(
    r"\b(?:it|its|there|the same|(?:this|that|the) (?:one|project|repo|repository|library|package))\b", re.IGNORECASE
)
_PERSON = re.compile(r"\b(?:he|him|his|she|her|hers|they|them|their|theirs)\b", re.IGNORECASE)


def newest(questions: Iterable[str]) -> tuple[str, ...]:
    """The newest of a thread's questions that may be looked at, cleaned, oldest first as they came."""
    kept: list[str] = []
    tokens = 0
    for question in reversed(list(questions)[-TURNS:]):
        text = guard(question).text
        tokens += estimated_tokens(text)
        if tokens > TOKENS:
            break
        kept.insert(0, text)
    return tuple(kept)


def read_follow_up(text: str, earlier: Sequence[str], *, scoped: bool = False, today: date | None = None) -> Question:
    """Read a question in its thread: one that names nothing itself and refers to something takes it from the newest
    earlier question that names repositories or people. scoped: the request names its repositories, none are taken.

    Raises:
        AnsweringError: it cannot be read.
    """
    question = replace(read_question(text, today=today), earlier=tuple(earlier))
    if question.repos or question.logins or question.paths or question.commits.shas:
        return question
    goes_on, thing, person = (pattern.search(question.text) for pattern in (_GOES_ON, _THING, _PERSON))
    if not (goes_on or thing or person):
        return question
    repos, logins = _named(earlier)
    taken = () if scoped else repos
    if person or not thing:
        taken += tuple(f"@{login}" for login in logins)
    named = " ".join((question.text, *taken))
    if not taken or len(named) > LIMIT:
        return question
    return replace(read_question(named, today=today), text=question.text, earlier=question.earlier, taken=taken)


def _named(earlier: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Repositories and people of the newest question that names any."""
    for text in reversed(earlier):
        try:
            question = read_question(text)
        except AnsweringError:
            continue
        if question.repos or question.logins:
            return question.repos, question.logins
    return (), ()
