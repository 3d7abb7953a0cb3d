"""Items of one release that a text asks for, or that are about a topic, with everything that searching needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from answering.releases import Release
from answering.retrieval import Hit, Mode, Query, Ranking, Scope, search, search_each, tagged_items
from resources.embedder import Embedder
from resources.postgres import Database, as_array
from resources.reranker import Reranker

_HAS_WORD = r"(?=.*(^|\W){}(\W|$))"

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

    def find(self, text: str, scope: Scope, k: int, *, topic: str | None = None) -> list[Hit]:
        """Relevant items among the `k` that fit best, best first. topic: what the text is about, as `Query` has it."""
        wordings = list(dict.fromkeys((text, topic or text)))
        text_vector, *topic_vector = self.embedder.encode(wordings)
        query = Query(text, text_vector, topic, *topic_vector)
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
        by_words = self._pools([Query(topic) for topic in topics], scope, "text")
        found = dict(zip(topics, self.naming(topics, by_words), strict=True))
        unnamed = [topic for topic, hits in found.items() if not hits]
        if unnamed:
            queries = [Query(*one) for one in zip(unnamed, self.embedder.encode(unnamed), strict=True)]
            near = self._pools(queries, scope, "vector")
            for topic, hits, named in zip(unnamed, near, self.naming(unnamed, near), strict=True):
                found[topic] = named or [hit for hit in hits if hit.score >= self.threshold]
        tagged = tagged_items(self.tools, self.release, topics, scope)
        return [_joined(found[topic], hits) for topic, hits in zip(topics, tagged, strict=True)]

    def _pools(self, queries: Sequence[Query], scope: Scope, mode: Mode) -> list[list[Hit]]:
        return search_each(
            self.tools, self.release, queries, scope=scope, k=POOL, mode=mode, ranking=self.ranking, each_kind=True,
            every_word=True,
        )  # fmt: skip

    def naming(self, topics: Sequence[str], hits: Sequence[Sequence[Hit]]) -> list[list[Hit]]:
        """Of each topic those of its `hits` whose title or body has every word of it."""
        patterns = [f"^{''.join(_HAS_WORD.format(re.escape(word)) for word in topic.split())}" for topic in topics]
        named, unknown = set[tuple[str, str, int, str]](), list[tuple[str, str, int, str]]()
        for pattern, some in zip(patterns, hits, strict=True):
            in_title = re.compile(pattern, re.IGNORECASE)
            for hit in some:
                (named.add if in_title.search(hit.title) else unknown.append)((pattern, *hit.item))
        if unknown:
            named.update(self._with_words(unknown))
        return [
            [hit for hit in some if (pattern, *hit.item) in named] for pattern, some in zip(patterns, hits, strict=True)
        ]

    def _with_words(self, asked: Sequence[tuple[str, str, int, str]]) -> list[tuple[str, str, int, str]]:
        """Those of (pattern, kind, repository's id, ref) whose title or body has the words of the pattern."""
        patterns, kinds, repos, refs = zip(*asked, strict=True)
        return self.tools.fetch_all(
            # OFFSET 0: each item by its key; joined, PostgreSQL may read every text that there is.
            "SELECT pattern, found.kind, found.repo_id, found.ref FROM"
            " unnest(%s::text[], %s::text[], %s::bigint[], %s::text[]) AS found (pattern, kind, repo_id, ref),"
            " LATERAL (SELECT concat_ws(' ', i.title, i.body) AS text FROM items i"
            "  WHERE i.kind = found.kind AND i.repo_id = found.repo_id AND i.ref = found.ref OFFSET 0) texts"
            " WHERE text ~* pattern",
            [list(patterns), list(kinds), as_array(repos), list(refs)],
            planned_once=True,
        )


def _joined(first: list[Hit], then: list[Hit]) -> list[Hit]:
    known = {hit.item for hit in first}
    return first + [hit for hit in then if hit.item not in known]
