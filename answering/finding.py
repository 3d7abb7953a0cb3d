"""Items of one release that a text asks for, or that are about a topic, with everything that searching needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from answering.releases import Release
from answering.retrieval import (
    Hit,
    Query,
    Ranking,
    Scope,
    nearest_keys,
    read_hits,
    search,
    search_each,
    tagged_items,
)
from resources.embedder import Embedder, encode_with_topic
from resources.postgres import Database, as_array
from resources.reranker import Reranker
from resources.vectors import Vectors

_HAS_WORD = r"(?=.*(^|\W){}(\W|$))"

_BESIDE = ThreadPoolExecutor(64, thread_name_prefix="beside")
"""What is done at the same time: a text is encoded while PostgreSQL looks for its words, tags are asked for."""

_Asked = tuple[int, str, int, str]
"""Number of a topic, and an item: its kind, repository's id and ref."""

POOL = 300
"""So many of the best hits are looked at where more than an answer's few are wanted."""


@dataclass(frozen=True)
class Finder:
    """Finds items in one release. threshold: cosine similarity below which a hit does not count."""

    tools: Database
    release: Release
    embedder: Embedder
    threshold: float
    ranking: Ranking = field(default_factory=Ranking)
    reranker: Reranker | None = None

    def encoding(self, text: str, topic: str | None = None) -> Future[Vectors]:
        """The vectors of a text, and of its topic where that is another one, in the making."""
        if topic and topic != text:
            return _BESIDE.submit(encode_with_topic, self.embedder, text, topic)
        return _BESIDE.submit(self.embedder.encode, [text])

    def find(
        self, text: str, scope: Scope, k: int, *, topic: str | None = None, encoding: Future[Vectors] | None = None
    ) -> list[Hit]:
        """Relevant items among the `k` that fit best, best first. topic: what the text is about, as `Query` has it.
        encoding: of both, where it was begun before."""
        query = Query(text, topic=topic, encoding=encoding or self.encoding(text, topic))
        hits = search(self.tools, self.release, query, scope=scope, k=k, ranking=self.ranking, reranker=self.reranker)
        return [hit for hit in hits if hit.is_relevant(self.threshold)]

    def about(self, topics: Sequence[str], scope: Scope) -> list[list[Hit]]:
        """Of each topic the items about it, a technology, component or theme: what search finds, best first, then what
        summaries tag.

        Of the items that have its words, in any form, the POOL of each kind that they fit best, as far as they have
        every word as it is written; where none has, of the POOL nearest those that have, or else those that are near
        enough. Summaries tag an item that they name the topic of, as a technology or a component; where they tag more
        than 1,000 of a kind, the newest.
        """
        by_words = search_each(
            self.tools, self.release, [Query(topic) for topic in topics], scope=scope, k=POOL, mode="text",
            ranking=self.ranking, each_kind=True, every_word=True,
        )  # fmt: skip
        tagging = _BESIDE.submit(tagged_items, self.tools, self.release, topics, scope)
        found = dict(zip(topics, self.naming(topics, by_words), strict=True))
        unnamed = [topic for topic, hits in found.items() if not hits]
        found |= zip(unnamed, self._near(unnamed, scope), strict=True)
        return [_joined(found[topic], hits) for topic, hits in zip(topics, tagging.result(), strict=True)]

    def _near(self, topics: Sequence[str], scope: Scope) -> list[list[Hit]]:
        """Of each topic the nearest items that name it, or else those that are near enough, nearest first."""
        if not topics:
            return []
        queries = [Query(topic, encoding=self.encoding(topic)) for topic in topics]
        near = nearest_keys(self.tools, self.release, queries, scope, POOL)
        kinds = {artifact.artifact_id: artifact.kind for artifact in self.release.artifacts}
        named = self._with_words(
            _patterns(topics),
            [(number, kinds[key[0]], *key[1:]) for number, some in enumerate(near) for key, _ in some],
        )
        kept = []
        for number, some in enumerate(near):
            by_name = {key: score for key, score in some if (number, kinds[key[0]], *key[1:]) in named}
            kept.append(by_name or {key: score for key, score in some if score >= self.threshold})
        return read_hits(self.tools, self.release, kept)

    def naming(self, topics: Sequence[str], hits: Sequence[Sequence[Hit]]) -> list[list[Hit]]:
        """Of each topic those of its `hits` whose title or body has every word of it."""
        patterns = _patterns(topics)
        named, unknown = set[_Asked](), list[_Asked]()
        for number, (topic, some) in enumerate(zip(topics, hits, strict=True)):
            names_topic = _naming(topic)
            for hit in some:
                (named.add if names_topic(hit.title) else unknown.append)((number, *hit.item))
        named |= self._with_words(patterns, unknown)
        return [[hit for hit in some if (number, *hit.item) in named] for number, some in enumerate(hits)]

    def _with_words(self, patterns: Sequence[str], asked: Sequence[_Asked]) -> set[_Asked]:
        """Those of the items whose title or body has the words of the pattern of that number."""
        if not asked:
            return set()
        rows = self.tools.fetch_all(
            # OFFSET 0: each item by its key; joined, PostgreSQL may read every text that there is.
            "SELECT n, found.kind, found.repo_id, found.ref FROM"
            " unnest(%s::int[], %s::text[], %s::bigint[], %s::text[]) AS found (n, kind, repo_id, ref),"
            " LATERAL (SELECT concat_ws(' ', i.title, i.body) AS text FROM items i"
            "  WHERE i.kind = found.kind AND i.repo_id = found.repo_id AND i.ref = found.ref OFFSET 0) texts"
            " WHERE text ~* (%s::text[])[n + 1]",  # an array counts from 1
            [*map(as_array, zip(*asked, strict=True)), as_array(patterns)],
            planned_once=True,
        )
        return set(rows)


def _patterns(topics: Iterable[str]) -> list[str]:
    """Regular expressions of PostgreSQL: a text that has every word of a topic, as it is written."""
    return [f"^{''.join(_HAS_WORD.format(re.escape(word)) for word in topic.split())}" for topic in topics]


def _naming(topic: str) -> Callable[[str], bool]:
    """Tells of a title whether it has every word of a topic; what it denies, PostgreSQL may still find."""
    words = topic.lower().split()
    whole = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) for word in topic.split()]

    def names_topic(title: str) -> bool:
        lowered = title.lower()  # most titles that have not all of them are told from the others by that
        return all(word in lowered for word in words) and all(one.search(title) for one in whole)

    return names_topic


def _joined(first: list[Hit], then: list[Hit]) -> list[Hit]:
    known = {hit.item for hit in first}
    return first + [hit for hit in then if hit.item not in known]
