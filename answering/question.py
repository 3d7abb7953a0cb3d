"""What a question asks for, read by rules: people, repositories, kinds, topics, intent.

Hygiene and planning only: scope that comes with the request is enforced in SQL, whatever is read here.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace

from answering.errors import AnsweringError

LIMIT = 2_000
"""Longest question, in characters."""


class Intent(enum.Enum):
    """What kind of answer is wanted."""

    SEARCH = "search"
    PERSON = "person"
    PEOPLE = "people"
    LOTTERY_FACTOR = "lottery_factor"


@dataclass(frozen=True)
class Question:
    """A question, read.

    topic: the question without names and filler, for the embedding. knows / interested: technologies or
    themes that people are asked to know, or to be interested in.
    """

    text: str
    intent: Intent
    topic: str
    logins: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    knows: tuple[str, ...] = ()
    interested: tuple[str, ...] = ()


_LOGIN = re.compile(r"(?<![\w/.])@([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))(?:\[bot\])?")
_REPO = re.compile(r"(?<![\w/.@-])([A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]*[A-Za-z0-9_-])(?![\w/])")
_LOTTERY = re.compile(r"\b(lottery|bus|truck)[ -]factor\b", re.IGNORECASE)
_WHO = re.compile(
    r"\b(who|whom|whose|which (?:people|developers?|engineers?|contributors?)|experts?)\b"
    r"|\b(?:best|top|most \w+) (?:developers?|contributors?|people|engineers?)\b",
    re.IGNORECASE,
)
_INTERESTED = re.compile(r"\binterest(?:ed)?\s+in\b|\bcurious about\b", re.IGNORECASE)
_KINDS = {
    "pull_request": re.compile(r"\b(pull[ -]?requests?|prs?|merged?)\b", re.IGNORECASE),
    "issue": re.compile(r"\b(issues?|bug reports?|tickets?)\b", re.IGNORECASE),
    "release": re.compile(r"\b(releases?|release notes|changelogs?)\b", re.IGNORECASE),
}
_FILLER = frozenset(
    """
    a about against all also am an and any are area around as at be been being best better between both but by
    can changes community contribute contributed contributes contributing contribution contributions contributor
    contributors could describe developer developers did do does doing done ecosystem engineer engineers expert
    experts find for from get give has have having help how i in interested into is issue issues it its know
    knowing knowledge knows known lately list look looking made make many me merged more most much my of on one
    ones or other our out people person please prevalent project projects pull recent recently release released
    releases repo repos repositories repository request requests show since some someone talk tell than that the
    their them there these they thing things this those to top type types us was we were what when where which
    who whom whose why will with work worked working works worth would written wrote you your
    """.split()
)  # fmt: skip


def read_question(text: str) -> Question:
    """Read a question by rules.

    Raises:
        AnsweringError: empty, or longer than LIMIT characters.
    """
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if not text:
        raise AnsweringError("The question is empty: ask something, e.g. “Who fixed the hydration mismatch?”")
    if len(text) > LIMIT:
        raise AnsweringError(f"The question has {len(text):,} characters; at most {LIMIT:,} are read.")
    logins = tuple(dict.fromkeys(_LOGIN.findall(text)))
    repos = tuple(dict.fromkeys(_REPO.findall(text)))
    bare = _REPO.sub(" ", _LOGIN.sub(" ", text))
    kinds = tuple(kind for kind, pattern in _KINDS.items() if pattern.search(bare))
    words = topic_words(bare)
    question = Question(text, Intent.SEARCH, " ".join(words) or text, logins, repos, kinds)
    if _LOTTERY.search(text):
        return replace(question, intent=Intent.LOTTERY_FACTOR)
    if logins:
        return replace(question, intent=Intent.PERSON, topic=" ".join(words))
    if _WHO.search(bare) and words:
        known, _, liked = _split(bare)
        return replace(question, intent=Intent.PEOPLE, knows=_topics(known), interested=_topics(liked) if liked else ())
    return question


def topic_words(text: str) -> list[str]:
    """The words of `text` that carry a topic, in order."""
    words = re.findall(r"[A-Za-z0-9][\w.+#-]*[\w+#]|[A-Za-z0-9]", text)
    return [word for word in words if word.lower() not in _FILLER]


def _split(text: str) -> tuple[str, str, str]:
    match = _INTERESTED.search(text)
    return (text[: match.start()], match.group(), text[match.end() :]) if match else (text, "", "")


def _topics(text: str) -> tuple[str, ...]:
    """Themes joined by `and` or commas stand each for itself."""
    parts = re.split(r"\band\b|,|&", text, flags=re.IGNORECASE)
    return tuple(filter(None, (" ".join(topic_words(part)) for part in parts)))
