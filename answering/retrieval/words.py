"""Items by their words: the informative words of a question OR-ed, each weighted by how few items have it.

PostgreSQL's ranking knows no inverse document frequency, and websearch_to_tsquery ANDs a whole question into nothing.
Document frequencies come from the statistics that ANALYZE keeps of an immutable artifact (its most common lexemes).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from answering.releases import Artifact, Release
from answering.retrieval.hits import Key
from answering.retrieval.planner import MOST_RANKED
from answering.retrieval.scope import Conditions
from answering.retrieval.vectors import Candidate
from resources.postgres import Connection, Cursor

_CONFIGURATION = "pg_catalog.english"
_MOST = 8
"""Words of a question that count, most informative first; more change the ranking by less than 0.1 % of recall@10."""

_MOST_READ = 20_000
"""Entries of the words' index that are read, by estimate: a filter leaves few rows to rank, and reads no fewer."""


def _sum(term: str) -> str:
    """SQL: the weighted sum of `term` over the words; # in it is a word's number."""
    return "(" + " + ".join(f"%(weight{n})s::float8 * {term.replace('#', str(n))}" for n in range(_MOST)) + ")"


# ts_rank of one word saturates with its occurrences. Weights of own text, (unused), document, title.
_WEIGHTS = "ARRAY[0.4, 0.4, 0.6, 1.0]::float4[]"
_LENGTH = "(0.7 + 0.3 * length(a.lexemes) / 64.0)"
"""Long texts have more of every word: the length's part of BM25, with b = 0.3 and 64 lexemes as the usual length."""
_SCORE = _sum(f"ts_rank({_WEIGHTS}, a.lexemes, %(word#)s::tsquery)") + f" / {_LENGTH}"
COVERAGE = _sum("(a.lexemes @@ %(word#)s::tsquery)::int") + " / %(total)s::float8"
"""SQL: the share of the query's information that the words of row `a` have."""


@dataclass(frozen=True)
class WordStatistics:
    """How many items of a release have a word. rare: as many have one that the statistics do not name, by guess."""

    items: int
    frequencies: Mapping[str, float]
    rare: float

    def frequency(self, lexeme: str) -> float:
        """Number of items that have the lexeme, as estimated."""
        return max(self.frequencies.get(lexeme, self.rare), 1.0)

    def information(self, lexeme: str) -> float:
        """Inverse document frequency, as in BM25."""
        frequency = self.frequency(lexeme)
        return math.log(1 + (max(self.items - frequency, 0) + 0.5) / (frequency + 0.5))


class Match(NamedTuple):
    """An item that some of the words fit. coverage: share of the query's information that the words it has carry."""

    score: float
    candidate: Candidate
    coverage: float


@dataclass(frozen=True)
class Words:
    """The informative words of a query, best first, with their weights, and the tsquery that finds candidates.

    rows: how many those are inside the filters, by estimate.
    """

    lexemes: tuple[str, ...]
    weights: tuple[float, ...]
    tsquery: str
    total: float
    rows: float

    def parameters(self) -> dict[str, Any]:
        """What the SQL of this module takes: always of _MOST words, so that it is the same for every query."""
        values: dict[str, Any] = {"tsquery": self.tsquery, "total": self.total or 1.0}
        for number in range(_MOST):
            is_one = number < len(self.lexemes)
            values[f"word{number}"] = quoted(self.lexemes[number]) if is_one else ""
            values[f"weight{number}"] = self.weights[number] if is_one else 0.0
        return values


def ask_lexemes(connection: Connection, text: str) -> Cursor:
    """Ask for the lexemes of a text."""
    return connection.execute("SELECT lexeme FROM unnest(to_tsvector(%s::regconfig, %s))", [_CONFIGURATION, text])


def read_words(
    connection: Connection, release: Release, rows: Cursor, share: float = 1.0, *, every: bool = False
) -> Words | None:
    """Those of the lexemes that tell something, or None.

    share: of the items that the filters leave. every: candidates are only items that have all of the lexemes.
    """
    statistics = word_statistics(connection, release)
    lexemes = sorted((row[0] for row in rows), key=lambda lexeme: (-statistics.information(lexeme), lexeme))
    if not lexemes:
        return None
    total = sum(statistics.information(lexeme) for lexeme in lexemes)
    counted = tuple(lexemes[:_MOST])
    weights = tuple(statistics.information(lexeme) for lexeme in counted)
    tsquery, found = _every(lexemes, statistics, share) if every else _some(counted, statistics, share)
    return Words(counted, weights, tsquery, total, found)


def ask_matches(
    connection: Connection,
    artifacts: Sequence[Artifact],
    conditions: Conditions,
    words: Words,
    count: int,
    *,
    indexed: bool = True,
) -> Cursor:
    """Ask for the `count` items of the artifacts, at least one, inside the scope that the words fit best.

    indexed: by the words' index; False: by looking through the rows inside the scope.
    """
    fits = "a.lexemes @@ %(tsquery)s::tsquery" if indexed else "(a.lexemes @@ %(tsquery)s::tsquery) IS TRUE"
    query = conditions.union(
        artifacts,
        f"SELECT {{id}} AS id, a.repo_id, a.ref, a.activity_day, a.lexemes FROM {{table}} a WHERE {fits} AND {{where}}",
        f"SELECT id, repo_id, ref, activity_day, score, {COVERAGE}"
        f" FROM (SELECT *, {_SCORE} AS score FROM ({{}}) a ORDER BY score DESC, repo_id, ref LIMIT {count}) a",
    )
    return connection.execute(query, conditions.parameters | words.parameters())


def read_matches(rows: Cursor) -> list[Match]:
    """The items that were asked for, best first."""
    found = [Match(float(row[4]), Candidate(Key(*row[:3]), row[3]), float(row[5])) for row in rows]
    return sorted(found, key=lambda one: (-one.score, one.candidate))  # of equal ones always the same


def word_statistics(connection: Connection, release: Release) -> WordStatistics:
    """The release's statistics; read once, as its artifacts never change."""
    if "words" not in release.cache:
        release.cache["words"] = _read_statistics(connection, release.artifacts)
    statistics: WordStatistics = release.cache["words"]
    return statistics


def _read_statistics(connection: Connection, artifacts: Sequence[Artifact]) -> WordStatistics:
    counts: Counter[str] = Counter()
    rare = 0.0
    rows = connection.execute(
        "SELECT tablename, most_common_elems::text::text[], most_common_elem_freqs FROM pg_stats"
        " WHERE schemaname = 'artifacts' AND attname = 'lexemes' AND tablename = ANY (%s)",
        [[artifact.table for artifact in artifacts]],
    )
    known = {table: (lexemes, shares) for table, lexemes, shares in rows if lexemes}
    for artifact in artifacts:
        if artifact.table not in known:
            continue
        lexemes, shares = known[artifact.table]
        rare += min(shares[: len(lexemes)]) * artifact.row_count / 2
        for lexeme, share in zip(lexemes, shares, strict=False):  # the shares end with their bounds
            counts[lexeme] += share * artifact.row_count
    return WordStatistics(sum(artifact.row_count for artifact in artifacts), counts, rare)


def _some(lexemes: Sequence[str], statistics: WordStatistics, share: float) -> tuple[str, float]:
    """A tsquery, and how many rows have it, by estimate: words OR-ed, most informative first, while little enough is
    read and ranked; where one is too common, ANDed until few enough rows are."""
    rows = statistics.frequency(lexemes[0]) * share
    if rows > MOST_RANKED:
        return _every(lexemes, statistics, share, enough=MOST_RANKED)
    some = [lexemes[0]]
    for lexeme in lexemes[1:]:
        more = statistics.frequency(lexeme) * share
        if rows + more > min(MOST_RANKED, _MOST_READ * share):
            break
        some.append(lexeme)
        rows += more
    return " | ".join(map(quoted, some)), rows


def _every(lexemes: Sequence[str], statistics: WordStatistics, share: float, enough: float = 0.0) -> tuple[str, float]:
    """The same with words ANDed, as if they knew nothing of each other, until no more than `enough` rows have them."""
    rows = statistics.frequency(lexemes[0]) * share
    every = [lexemes[0]]
    for lexeme in lexemes[1:]:
        if rows <= enough:
            break
        every.append(lexeme)
        rows *= statistics.frequency(lexeme) / max(statistics.items, 1)
    return " & ".join(map(quoted, every)), rows


def quoted(lexeme: str) -> str:
    """A lexeme as a tsquery takes it, whatever is in it."""
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
