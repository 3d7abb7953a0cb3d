"""Evidence for an answer: numbered citations and the statements that they back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from answering.cards import Card
from answering.insights.basis import Insight
from answering.retrieval import Hit
from answering.wording import describe, gist

_CITED = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class Citation:
    """One source of an answer. ref: number, full SHA, tag, or the name of a measure."""

    n: int
    kind: str
    repo: str
    ref: str
    title: str
    url: str

    def as_json(self) -> dict[str, Any]:
        """The shape that commands and the service give out."""
        return {
            "n": self.n, "kind": self.kind, "repo": self.repo, "ref": self.ref, "title": self.title, "url": self.url,
        }  # fmt: skip


@dataclass
class Evidence:
    """What was found for a question: citations, the items, measures and pages behind them, and composed sentences.

    cards: of repositories and people, to be drawn. facts: sentences that end in the citations backing them; empty when
    nothing relevant was found.
    why_not: what to say when there is nothing.
    """

    facts: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    items: dict[int, Hit] = field(default_factory=dict)
    measures: dict[int, Insight[Any]] = field(default_factory=dict)
    pages: dict[int, str] = field(default_factory=dict)
    cards: list[Card] = field(default_factory=list)
    why_not: str = ""

    def cite(self, hit: Hit) -> int:
        """The citation number of an item, the same for the same item."""
        for number, known in self.items.items():
            if (known.kind, known.repo_id, known.ref) == (hit.kind, hit.repo_id, hit.ref):
                return number
        number = len(self.citations) + 1
        self.citations.append(Citation(number, hit.kind, hit.repo, hit.ref, hit.title, hit.url))
        self.items[number] = hit
        return number

    def tell(self, hits: Iterable[Hit]) -> None:
        """A sentence about each item, with its citation."""
        self.facts += [f"{describe(hit)} {gist(hit)} [{self.cite(hit)}]" for hit in hits]

    def absorb(self, other: Evidence) -> None:
        """Take in what was found elsewhere for the same question, its citations numbered on from these."""
        numbers: dict[str, int] = {}
        for citation in other.citations:
            if citation.n in other.items:
                number = self.cite(other.items[citation.n])
            elif citation.n in other.pages:
                number = self.cite_page(citation.title, citation.url, other.pages[citation.n])
            else:
                number = self.cite_measure(other.measures[citation.n], citation.repo, citation.title, citation.url)
            numbers[f"{citation.n}"] = number
        for fact in other.facts:
            told = _CITED.sub(lambda match: f"[{numbers[match[1]]}]", fact)
            if told not in self.facts:
                self.facts.append(told)
        self.cards += [card for card in other.cards if card not in self.cards]
        self.why_not = self.why_not or other.why_not

    def cite_page(self, title: str, url: str, query: str) -> int:
        """A citation of a page that a web search for `query` listed, the same for the same page."""
        for known in self.pages:
            if self.citations[known - 1].url == url:
                return known
        number = len(self.citations) + 1
        self.citations.append(Citation(number, "web", "", url, title, url))
        self.pages[number] = query
        return number

    def cite_measure(self, insight: Insight[Any], repo: str, title: str, url: str) -> int:
        """A citation of a computed figure, the same for the same figure."""
        for known, measured in self.measures.items():
            if measured == insight and self.citations[known - 1].repo == repo:
                return known
        number = len(self.citations) + 1
        self.citations.append(Citation(number, "measure", repo, insight.measure, title, url))
        self.measures[number] = insight
        return number
