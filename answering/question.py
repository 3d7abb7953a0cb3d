"""What a question asks for, read by rules: people, repositories, kinds, topics, intent.

Hygiene and planning only: scope that comes with the request is enforced in SQL, whatever is read here.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from answering.asked_measures import REPOSITORY, asked_measures
from answering.errors import AnsweringError
from answering.named_things import NO_COMMITS, NamedCommits, named_commits, named_paths
from answering.times import Span, named_times
from resources.kinds import COMMIT

LIMIT = 2_000
"""Longest question, in characters."""


class Intent(enum.Enum):
    """What kind of answer is wanted."""

    SEARCH = "search"
    PERSON = "person"
    PEOPLE = "people"
    CHANGES = "changes"
    LOTTERY_FACTOR = "lottery_factor"
    MEASURE = "measure"
    WHAT_CHANGED = "what_changed"


@dataclass(frozen=True)
class Question:
    """A question, read.

    topic: the question without names and filler, for the embedding. knows / interested: technologies or
    themes that people are asked to know, or to be interested in. commits: that it names; paths: files and folders
    whose changes it asks for. measures: names of those that answer it. since, until: days (UTC, until exclusive) to
    which it narrows what may be looked at; None: it does not. earlier: questions of the same thread, oldest first;
    taken: names that were taken from them.
    """

    text: str
    intent: Intent
    topic: str
    logins: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    knows: tuple[str, ...] = ()
    interested: tuple[str, ...] = ()
    commits: NamedCommits = NO_COMMITS
    paths: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    earlier: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


_LOGIN = re.compile(r"(?<![\w/.@+-])@([A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:_[A-Za-z0-9]+)?(?:\[bot\])?)(?![\w/@-])")
_REPO = re.compile(r"(?<![\w/.@-])([A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]*[A-Za-z0-9_-])(?![\w/])")
_URL = re.compile(
    r"(?:https?://)?(?:www\.)?github\.com/([A-Za-z0-9-]+/[A-Za-z0-9._-]*[A-Za-z0-9_-])(?:[/?#]\S*)?", re.IGNORECASE
)
_PACKAGE = re.compile(r"(?<![\w@])@[\w.-]+/[\w.-]*\w")
_FOLDERS = frozenset(
    "app apps bin build cmd components config dist doc docs etc examples home internal libs node_modules packages"
    " public script scripts spec src static test tests tmp usr utils var vendor".split()
)
_FILE = re.compile(
    r"\.(?:tsx|jsx|mjs|json|jsonc|ya?ml|toml|lock|mdx?|rst|txt|s?css|html?|sql|xml|csv|ini|env)$", re.IGNORECASE
)
_PAIRS = (
    frozenset("and or either neither he she her him his they them it on off yes no true false".split()),
    frozenset("read write input output get set push pull import export encode decode start stop up down".split()),
    frozenset("client server request response key value light dark left right before after in out".split()),
    frozenset("ci cd tcp ip udp ssl tls http https http2 ui ux os gnu linux js ts css html".split()),
    frozenset("javascript typescript front back end frontend backend front-end back-end dev ops prod staging".split()),
    frozenset("pr prs issue issues commit commits bug bugs feature features fix fixes docs tests".split()),
)
_ABBREVIATIONS = frozenset(("A/B", "I/O", "i/o", "N/A", "n/a", "w/o"))
_CHANGED = re.compile(
    r"\b(?:what|which)\b.{0,40}\b(?:chang(?:e[sd]?|ing)|new|happen(?:s|ed|ing)?|going on|done|landed|shipped|merged"
    r"|fixed|closed|released|published|committed)\b"
    r"|\b(?:summar(?:y|i[sz]e)|digest|recap|overview|news|highlights|changes)\b",
    re.IGNORECASE,
)
_OF_CHANGES = frozenset(
    """
    closed digest fixed going happen happened happening happens highlights important landed new news overview
    published recap shipped summarise summarize summary
    """.split()
)
_LOTTERY = re.compile(r"\b(?:lottery|bus|truck)[ -]?factors?\b", re.IGNORECASE)
_PEOPLE = r"(?:people|persons?|dev(?:eloper)?s?|engineers?|contributors?|maintainers?|authors?|programmers?)\b"
_WORD = r"(?:[\w+#.-]+ )"
_WHO = re.compile(
    rf"\b(?:who|whom|whose|experts)\b|\b(?:which|what) {_WORD}?{_PEOPLE}|\bexpert (?:in|on|at|for)\b"
    rf"|\ban? {_WORD}?expert\b|\b(?:any|some)(?:one|body) (?:who|that|with|knowing|in)\b"
    rf"|\b(?:best|top|leading|most \w+) (?:\d+ )?{_WORD}?{_PEOPLE}"
    rf"|^(?:please )?(?:(?:can|could) you )?(?:find|list|recommend|suggest|show|name|give) "
    rf"(?:me |us )?(?:all |some |the )?{_WORD}?{_PEOPLE}"
    rf"|^(?:the )?{_WORD}?{_PEOPLE} (?:who|that|with|interested|knowing|working|of|to)\b",
    re.IGNORECASE,
)
_MANNER = re.compile(
    rf"\b(?:top|best|first|last|past) \d+\b|\bmost (?:active|productive|prolific|experienced|important|influential)\b"
    rf"|\bmost \w+ (?={_PEOPLE})|\b(?:types?|kinds?|sorts?) of\b",
    re.IGNORECASE,
)
_CONTRACTED = re.compile(r"(?:n['’]t|['’](?:s|re|ve|ll|d|m))\b", re.IGNORECASE)
_SKILL = re.compile(
    r"\b(?P<likes>interest(?:ed)?\s+in|curious\s+about)\b"
    r"|\b(?:know(?:s|ing|n)?|experts?\s+(?:in|on|at)|experienced?\s+(?:in|with)|familiar\s+with|skilled\s+(?:in|at)"
    r"|good\s+(?:at|with)|work(?:s|ed|ing)?\s+(?:on|with))\b",
    re.IGNORECASE,
)
_KINDS = {
    "pull_request": re.compile(r"\b(pull[ -]?requests?|prs?|merged?)\b", re.IGNORECASE),
    "issue": re.compile(r"\b(issues?|bug reports?|tickets?)\b", re.IGNORECASE),
    "release": re.compile(r"\b(releases?|release notes|changelogs?)\b", re.IGNORECASE),
    "commit": re.compile(r"(?<![\w-])(commit(?:s|ted|ters?)?|shas?)(?![\w-])", re.IGNORECASE),
}
_FILLER = frozenset(
    """
    a about against ago all also am an and any anybody anyone are area around as ask at author authors be been
    being best better between both but by can change changed changes commit commits committed committer
    committers community contribute contributed contributes contributing contribution contributions contributor
    contributors could currently days describe dev developer developers devs did do does doing done ecosystem
    engineer engineering engineers expert experts find for from get give has have having help how i in interested
    into is issue issues it its know knowing knowledge known knows last lately latest list look looking made
    maintain maintained maintainer maintainers maintains make many me merged month months more most much my now
    of on one ones or other our out past people person please pr prevalent programmer programmers project
    projects prs pull recent recently recommend release released releases repo repos repositories repository
    request requests should show since some somebody someone suggest talk tell than that the their them there
    these they thing things this those to today top us use used uses using was we week weeks were what when where
    which who whom whose why will with work worked working works worth would written wrote year years yesterday
    you your
    """.split()
)
_ACTS = frozenset("authored been close closed file filed open opened review reviewed submit submitted up".split())
_OVERALL = frozenset("active anything everything main overview recap summarise summarize summary".split())
"""Alone beside a login they ask for all of somebody's work; beside other words they can be part of a topic."""


def read_question(text: str, *, today: date | None = None) -> Question:
    """Read a question by rules.

    today: what “last week” and the like are relative to, in UTC; None: the current day.

    Raises:
        AnsweringError: empty, or longer than LIMIT characters.
    """
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if not text:
        raise AnsweringError("The question is empty: ask something, e.g. “Who fixed the hydration mismatch?”")
    if len(text) > LIMIT:
        raise AnsweringError(f"The question has {len(text):,} characters; at most {LIMIT:,} are read.")
    bare = _CONTRACTED.sub("", _PACKAGE.sub(lambda match: match[0][1:].replace("/", " "), text))
    commits, bare = named_commits(bare)
    repos = [name.removesuffix(".git") for name in _URL.findall(bare)]
    paths, bare = named_paths(_URL.sub(f" {REPOSITORY} ", bare))
    times, bare = named_times(" ".join(bare.split()), today or datetime.now(UTC).date())
    logins = tuple(dict.fromkeys(_LOGIN.findall(bare)))
    repos += [name.removesuffix(".git") for name in _REPO.findall(bare) if names_repository(name)]
    bare = _REPO.sub(lambda match: f" {REPOSITORY} " if names_repository(match[1]) else match[0], _LOGIN.sub(" ", bare))
    kinds = tuple(kind for kind, pattern in _KINDS.items() if pattern.search(bare))
    spaced = " ".join(bare.split())
    asks_for_people = _WHO.search(spaced) is not None
    bare = _MANNER.sub(" ", spaced)
    words = topic_words(bare)
    question = Question(text, Intent.SEARCH, " ".join(words) or text, logins, tuple(dict.fromkeys(repos)), kinds,
                        commits=commits, paths=paths, since=times.since, until=times.until)  # fmt: skip
    if _LOTTERY.search(text):
        return replace(question, intent=Intent.LOTTERY_FACTOR, measures=("lottery_factor",))
    if paths:
        return replace(question, intent=Intent.CHANGES)
    if logins:
        about = [word for word in words if word.lower() not in _ACTS]
        is_overall = all(word.lower() in _OVERALL for word in about)
        return replace(question, intent=Intent.PERSON, topic="" if is_overall else " ".join(about))
    if not commits.shas and (measures := asked_measures(spaced, words)):
        return replace(question, intent=Intent.MEASURE, measures=measures)
    if asks_for_people:
        knows, interested = _skills(bare)
        if knows or interested:
            return replace(question, intent=Intent.PEOPLE, knows=knows, interested=interested)
        if repos:  # people of a repository and no topic: measures list them, most active first
            measures = ("lottery_factor",) if COMMIT.name in kinds else ("lottery_factor", "contributor_share")
            return replace(question, intent=Intent.LOTTERY_FACTOR, measures=measures)
    asks_for_all = _CHANGED.search(spaced) is not None and {word.lower() for word in words} <= _OF_CHANGES
    if asks_for_all and times != Span() and not commits.shas:
        return replace(question, intent=Intent.WHAT_CHANGED)
    return question


def names_repository(name: str) -> bool:
    """Whether `owner/name` can be a repository rather than a path, a file, or two words joined by a stroke."""
    owner, _, rest = name.partition("/")
    if (
        name in _ABBREVIATIONS
        or owner.lower() in _FOLDERS
        or _FILE.search(rest)
        or (owner.isdigit() and rest.isdigit())
    ):
        return False
    return not any({owner.lower(), rest.lower()} <= pair for pair in _PAIRS)


def topic_words(text: str) -> list[str]:
    """The words of `text` that carry a topic, in order."""
    words = re.findall(r"(?:(?<!\w)\.)?\w[\w.+#-]*[\w+#]|\w", text)
    return [word for word in words if word.lower() not in _FILLER]


def _skills(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What people are asked to know, and to be interested in: what follows each such phrase."""
    knows: list[str] = []
    interested: list[str] = []
    wanted, start = knows, 0
    for match in _SKILL.finditer(text):
        wanted += _topics(text[start : match.start()])
        wanted, start = interested if match["likes"] else knows, match.end()
    wanted += _topics(text[start:])
    return tuple(dict.fromkeys(knows)), tuple(dict.fromkeys(interested))


def _topics(text: str) -> list[str]:
    """Themes joined by `and` or commas stand each for itself."""
    parts = re.split(r"\band\b|,|&", text, flags=re.IGNORECASE)
    return [topic for topic in (" ".join(topic_words(part)) for part in parts) if topic]
