"""Who knows a technology, component or theme, and who is interested in another: people ranked by what they did."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from statistics import geometric_mean
from typing import Any, NamedTuple

from answering.commits import without_repeats
from answering.errors import AnsweringError
from answering.finding import Finder
from answering.insights.basis import Insight, Link, opened
from answering.retrieval import Hit, Scope
from answering.wording import people, plural
from resources.kinds import COMMIT, PULL_REQUEST
from resources.postgres import Database, as_array, sql

MEASURE = "experts"
HALF_LIFE = 180.0
"""Days after which work counts half."""
DISCUSSED = 0.25
"""What having spoken about an item counts, beside having written it."""

_ENDS = {"merged": 1.0, "closed": 0.25}
_EVIDENCE = 3
_KNOWING = (PULL_REQUEST.name, COMMIT.name)

Item = tuple[str, int, str]
Shares = Mapping[Item, Sequence[tuple[str, bool]]]
"""Who has a share in each item: (person, whether as an author)."""


@dataclass(frozen=True)
class TopicWork:
    """What a person did about one topic.

    score: the sum of the weights. authored, discussed: numbers of items; who wrote an item does not count as having
    discussed it. merged: of the authored ones, merged pull requests and commits. newest: latest day of activity (UTC).
    hits: all of the items, the one that counts most first.
    """

    topic: str
    interested: bool
    score: float
    authored: int
    merged: int
    discussed: int
    newest: date
    hits: tuple[Hit, ...] = field(repr=False)

    @property
    def evidence(self) -> tuple[Link, ...]:
        """The best of the items."""
        return tuple(Link(hit.title, hit.url) for hit in self.hits[:_EVIDENCE])

    def as_json(self) -> dict[str, Any]:
        """The shape that commands and the service give out."""
        return {
            "topic": self.topic, "interested": self.interested, "score": round(self.score, 4),
            "authored": self.authored, "merged": self.merged, "discussed": self.discussed,
            "newest": self.newest.isoformat(),
            "evidence": [{"title": link.title, "url": link.url} for link in self.evidence],
        }  # fmt: skip


@dataclass(frozen=True)
class Expert:
    """A person (@login) who has work about every topic. topics: in the order in which they were asked for."""

    person: str
    score: float
    topics: tuple[TopicWork, ...]


@dataclass(frozen=True)
class Experts:
    """People, best first. knows, interested: the topics."""

    knows: tuple[str, ...]
    interested: tuple[str, ...]
    people: tuple[Expert, ...]

    def as_json(self) -> dict[str, Any]:
        """The shape that commands and the service give out: without the items' texts."""
        return {
            "knows": list(self.knows),
            "interested": list(self.interested),
            "people": [
                {
                    "person": one.person,
                    "score": round(one.score, 4),
                    "topics": [work.as_json() for work in one.topics],
                }
                for one in self.people
            ],
        }


def experts(
    finder: Finder, knows: Sequence[str], interested: Sequence[str] = (), scope: Scope | None = None
) -> Insight[Experts]:
    """People who know every topic of `knows` and are interested in every one of `interested`, inside `scope`.

    An item that is about a topic (`Finder.about`) weighs

        w = m · 2^(-a / 180)    m: 1 merged pull request or commit, ¼ pull request closed without a merge, ½ all else
                                a: days from its latest activity to the release's as-of day

    A person's score of a topic is the sum of w over pull requests and commits that they wrote, alone or with others; of
    a topic of interest, over items of all kinds that they wrote, and of ¼ w over those that they only spoke about. A
    commit that lands a pull request of theirs, and a merge commit, repeats other work and does not count. People need a
    score of every topic; they are ranked by the geometric mean, so that much of one does not stand in for another, and
    equal ones by name. Logins that are known to be one person's are one; bots, and names without a login, are nobody.

    Undefined where nobody is left.

    Raises:
        AnsweringError: no topic.
        ScopeError: a repository that is not tracked, or an empty time range.
    """
    scope = scope or Scope()
    found = know(finder, knows, interested, scope)
    evidence: list[Link] = []
    if found.people is not None:
        evidence = [link for one in found.people.people[:_EVIDENCE] for done in one.topics for link in done.evidence]
    with opened(finder.tools, scope, finder.release.as_of) as basis:
        return basis.result(MEASURE, found.people, found.nobody, evidence=tuple(dict.fromkeys(evidence)))


class Found(NamedTuple):
    """People, or None and why there is nobody."""

    people: Experts | None
    nobody: str = ""


def know(finder: Finder, knows: Sequence[str], interested: Sequence[str], scope: Scope) -> Found:
    """What `experts` tells, without what it rests on; raises as that does."""
    known, liked = (tuple(dict.fromkeys(filter(None, map(str.strip, topics)))) for topics in (knows, interested))
    if not known and not liked:
        raise AnsweringError("Expected at least one technology, component or theme to look for people of.")
    work = tuple(kind for kind in scope.kinds if kind in _KNOWING)
    asked = [
        (topic, False, hits) for topic, hits in zip(known, finder.about(known, replace(scope, kinds=work)), strict=True)
    ]
    asked += [(topic, True, hits) for topic, hits in zip(liked, finder.about(liked, scope), strict=True)]
    as_of = finder.release.as_of
    shares, shown = _shares(finder.tools, [hit for _, _, hits in asked for hit in hits], as_of)
    by_topic = [topic_work(topic, hits, shares, as_of, interested=likes) for topic, likes, hits in asked]
    ranking = tuple(replace(one, person=shown[one.person]) for one in ranked(by_topic))
    if not ranking:
        return Found(None, _undefined(finder, asked, by_topic))
    return Found(Experts(known, liked, ranking))


def weight(hit: Hit, as_of: date | None) -> float:
    """What an item counts, over 0 and up to 1. as_of: None counts every item as if of today."""
    share = 0.5
    if hit.kind == COMMIT.name:
        share = 1.0
    elif hit.kind == PULL_REQUEST.name:
        share = _ENDS.get(hit.state or "", share)
    age = 0 if as_of is None else max((as_of - hit.activity_day).days, 0)
    return share * math.exp2(-age / HALF_LIFE)


def topic_work(
    topic: str, hits: Sequence[Hit], shares: Shares, as_of: date | None, *, interested: bool
) -> dict[str, TopicWork]:
    """What each person did about a topic. hits: about it, each once, the most relevant first."""
    wrote: defaultdict[str, list[Hit]] = defaultdict(list)
    spoke: defaultdict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        for person, is_author in shares.get(hit.item, ()):
            (wrote if is_author else spoke)[person].append(hit)
    done: dict[str, TopicWork] = {}
    for person in {*wrote, *spoke} if interested else set(wrote):
        authored = without_repeats(wrote[person])
        discussed = spoke[person] if interested else []
        counted = [(weight(hit, as_of), hit) for hit in authored]
        counted += [(DISCUSSED * weight(hit, as_of), hit) for hit in discussed]
        if not counted:
            continue
        counted.sort(key=lambda pair: -pair[0])  # stable: of equal ones the most relevant stays first
        done[person] = TopicWork(
            topic=topic,
            interested=interested,
            score=math.fsum(one for one, _ in counted),
            authored=len(authored),
            merged=sum(_is_merged(hit) for hit in authored),
            discussed=len(discussed),
            newest=max(hit.activity_day for _, hit in counted),
            hits=tuple(hit for _, hit in counted),
        )
    return done


def ranked(by_topic: Sequence[Mapping[str, TopicWork]]) -> list[Expert]:
    """Everybody who has work about every topic, best first, equal ones by name. by_topic: at least one."""
    everywhere = set.intersection(*(set(done) for done in by_topic))
    found = []
    for person in everywhere:
        topics = tuple(done[person] for done in by_topic)
        found.append(Expert(person, geometric_mean([work.score for work in topics]), topics))
    return sorted(found, key=lambda one: (-one.score, one.person))


def _is_merged(hit: Hit) -> bool:
    return hit.kind == COMMIT.name or hit.state == "merged"


def _shares(tools: Database, hits: Iterable[Hit], as_of: date | None) -> tuple[Shares, dict[str, str]]:
    """Who has a share in each item, and how each person's login is written."""
    items = {hit.item: None if hit.author_is_bot else hit.by for hit in hits}
    if not items:
        return {}, {}
    rows = tools.fetch_all(
        sql(__package__, "experts"),
        {
            "kinds": as_array(kind for kind, _, _ in items),
            "items_repo_ids": as_array(repo_id for _, repo_id, _ in items),
            "refs": as_array(ref for _, _, ref in items),
            "authors": as_array(items.values()),
            "commit": COMMIT.name,
            "as_of": as_of,
        },
    )
    shares: defaultdict[Item, list[tuple[str, bool]]] = defaultdict(list)
    written: defaultdict[str, Counter[tuple[bool, str]]] = defaultdict(Counter)
    for kind, repo_id, ref, person, shown, authored in rows:
        shares[kind, repo_id, ref].append((person, authored))
        written[person][kind == COMMIT.name, shown or person] += shown is not None  # GitHub knows better than git
    return shares, {
        person: min(names, key=lambda name: (name[0], -names[name], name[1]))[1] for person, names in written.items()
    }


def _undefined(
    finder: Finder, asked: Sequence[tuple[str, bool, Sequence[Hit]]], by_topic: Sequence[Mapping[str, TopicWork]]
) -> str:
    """Why nobody is left: how many items, and people, each topic has, and what was looked at."""
    found = "; ".join(
        f"{topic}: {people(len(done)) if done else 'nobody'} in {plural(len(hits), 'item')}"
        for (topic, _, hits), done in zip(asked, by_topic, strict=True)
    )
    topics = ", ".join(topic for topic, _, _ in asked)
    release = finder.release
    return (
        f"Nobody in this scope has work that is about {topics} ({found}). Looked at were the"
        f" {plural(release.coverage['items'], 'item')} of release {release.release_id}, as of {release.as_of}: a wider"
        " scope or time range, or another word for the topic, may help."
    )
