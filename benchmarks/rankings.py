"""Two plain rankings by words, as floors: BM25 in this process, and PostgreSQL's ts_rank."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from benchmarks.judgements import words
from resources.postgres import Database

K1, B = 1.2, 0.75
"""As Lucene has them; see Robertson and Zaragoza (2009), The Probabilistic Relevance Framework: BM25 and Beyond."""


class BM25:
    """Documents by name, ranked for a query of words; no stemming, no stop words."""

    def __init__(self, documents: Sequence[tuple[str, str]]) -> None:
        self._names = [name for name, _ in documents]
        counts = [Counter(words(text)) for _, text in documents]
        lengths = [sum(count.values()) for count in counts]
        average = sum(lengths) / len(lengths)
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for number, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            for word, times in count.items():
                weight = times * (K1 + 1) / (times + K1 * (1 - B + B * length / average))
                self._postings.setdefault(word, []).append((number, weight))

    def search(self, query: str, k: int) -> list[str]:
        """Names of the first `k` documents."""
        scores: dict[int, float] = {}
        for word in dict.fromkeys(words(query)):
            postings = self._postings.get(word, ())
            rarity = math.log(1 + (len(self._names) - len(postings) + 0.5) / (len(postings) + 0.5))
            for number, weight in postings:
                scores[number] = scores.get(number, 0.0) + rarity * weight
        return [self._names[number] for number in sorted(scores, key=lambda one: (-scores[one], one))[:k]]


def store_for_ts_rank(database: Database, documents: Sequence[tuple[str, str]]) -> None:
    """The same texts with to_tsvector('english'), for `ts_rank`; stored once."""
    database.execute("CREATE TABLE IF NOT EXISTS floor_documents (name text PRIMARY KEY, lexemes tsvector NOT NULL)")
    if database.fetch_value("SELECT count(*) FROM floor_documents") == len(documents):
        return
    with database.transaction() as connection:
        connection.execute("TRUNCATE floor_documents")
        connection.cursor().executemany(
            "INSERT INTO floor_documents VALUES (%s, to_tsvector('english', %s))",
            [(name, text.replace("\0", "")) for name, text in documents],
        )


def ts_rank(database: Database, query: str, k: int) -> list[str]:
    """Names of the first `k` documents by ts_rank, the query's words OR-ed, the document's length divided out."""
    return [
        row[0]
        for row in database.fetch_all(
            "SELECT name FROM floor_documents, (SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery AS query"
            " FROM unnest(to_tsvector('english', %s))) asked WHERE lexemes @@ query"
            " ORDER BY ts_rank(lexemes, query, 1) DESC, name LIMIT %s",
            [query.replace("\0", ""), k],
        )
    ]
