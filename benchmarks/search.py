"""Search over a year of pull requests through the real search function: recall and latency, with and without filters.

The floor is the simplest SQL that can answer: UNION ALL over the same tables, the same ef_search, four columns.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from pgvector import HalfVector

from answering.releases import Release, load_release
from answering.retrieval import Mode, Query, Scope, search
from benchmarks import year
from benchmarks.report import Report, timed
from benchmarks.server import KeptHome, kept_home
from benchmarks.vectors import Corpus, load_corpus, nearest
from benchmarks.year import FIRST_DAY, RARE_DAYS, TECHNOLOGIES, Year, make_year, release_year, store_year
from resources.embedded_postgres import CONFIGURATION
from resources.postgres import Connection, Database, Role, open_database
from starsearch_assets.index.build import ARTIFACT_FORMAT

K = 10
QUERIES = 500
RECALL, FILTERED_RECALL, P95_MS = 0.97, 0.95, 15.0
SHARED_BUFFERS = "4GB"
"""More than the HNSW indexes of the million rows: what does not fit is copied from the system's cache, page by page."""

_SHARES = (0.1, 0.01, 0.001, 0.0001)
_WARMING = 200
_POST_FILTER = 10 * K

Vector = npt.NDArray[np.float16]


@dataclass(frozen=True)
class Filter:
    """A scope that keeps about `share` of the rows, and which rows those are."""

    share: float
    name: str
    scope: Scope
    kept: npt.NDArray[np.bool_]


@dataclass
class Figures:
    """What queries found, and their seconds."""

    found: list[list[int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def ask(self, answer: Callable[..., list[int]], *question: Any) -> None:
        """Ask, and keep how long it took."""
        started = time.perf_counter()
        found = answer(*question)
        self.seconds.append(time.perf_counter() - started)
        self.found.append(found)

    def recall(self, truth: npt.NDArray[np.int64]) -> float:
        """Share of the rows of exact search that were found, over all queries."""
        hits = sum(len(set(found) & set(exact)) for found, exact in zip(self.found, truth.tolist(), strict=True))
        return hits / max(truth.size, 1)

    def milliseconds(self, percentile: float) -> float:
        """Of one query."""
        return float(np.percentile(self.seconds, percentile)) * 1000


@dataclass(frozen=True)
class Bench:
    """What all measurements need."""

    tools: Database
    release: Release
    corpus: Corpus
    year: Year
    queries: Vector

    @property
    def ef_search(self) -> int:
        """As the release chose it."""
        return next(iter(self.release.ef_search.values()))

    def ours(self, vector: Vector, scope: Scope | None = None, text: str = "", mode: Mode = "vector") -> list[int]:
        """Numbers of the rows that the product finds."""
        query = Query(text, vector.astype(np.float32))
        hits = search(self.tools, self.release, query, scope=scope, k=K, mode=mode)
        return [int(hit.ref) - 1 for hit in hits]


def run(rows: int = 1_000_000, keep: Path | None = None) -> Report:
    """Recall@10 against exact search and latency, unfiltered, filtered and hybrid; the floor beside."""
    report = Report(f"search: {rows:,} halfvec(384) in 12 monthly artifacts, through the real search function")
    with kept_year(report, rows, keep) as (home, corpus, data):
        with open_database(home.settings) as owner, open_database(home.settings, Role.TOOLS) as tools:
            bench = Bench(tools, load_release(tools), corpus, data, corpus.derive(QUERIES, seed=2).vectors)
            _report_sizes(report, owner)
            _unfiltered(report, bench)
            _filtered(report, bench)
            _hybrid(report, bench)
        _with_embedded_buffers(report, home, bench)
    return report


@contextmanager
def kept_year(report: Report, rows: int, keep: Path | None) -> Iterator[tuple[KeptHome, Corpus, Year]]:
    """A server that has a year of `rows` items as a release; filled in an earlier run, or now."""
    corpus = load_corpus(report)
    data = make_year(corpus, rows)
    with kept_home(keep, _fingerprint(corpus, rows)) as home:
        home.configure(shared_buffers=SHARED_BUFFERS)
        if not home.filled:
            with open_database(home.settings) as owner, open_database(home.settings, Role.TOOLS) as tools:
                _fill(report, owner, tools, corpus, data)
            home.mark_filled()
        yield home, corpus, data


def _fingerprint(corpus: Corpus, rows: int) -> str:
    """Of all that the kept database depends on."""
    parameters = {"rows": rows, "texts": hashlib.sha256("\x00".join(corpus.texts).encode()).hexdigest(),
                  "rows' format": year.FORMAT, "artifacts' format": ARTIFACT_FORMAT}  # fmt: skip
    return hashlib.sha256(orjson.dumps(parameters)).hexdigest()[:16]


def _fill(report: Report, owner: Database, tools: Database, corpus: Corpus, data: Year) -> None:
    with timed() as timer:
        store_year(owner, corpus, data)
    rows = len(data.day)
    report.note(
        f"{rows:,} items, documents and vectors stored in {timer.seconds:,.0f} s: {rows / timer.seconds:,.0f}/s"
    )
    release_year(owner, tools, report)


def _report_sizes(report: Report, owner: Database) -> None:
    hnsw, all_of_them = owner.fetch_all(
        "SELECT pg_size_pretty(sum(pg_relation_size(x.indexrelid)) FILTER (WHERE am.amname = 'hnsw')),"
        " pg_size_pretty((SELECT sum(bytes) FROM index_artifacts))"
        " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam"
    )[0]
    report.note(f"artifacts: {all_of_them}, of that HNSW {hnsw}; shared_buffers = {SHARED_BUFFERS}, larger than that")


def _unfiltered(report: Report, bench: Bench) -> None:
    truth = nearest(bench.year.vectors, bench.queries, K)
    ours, floor = _beside_floor(bench)
    report.row("", "recall@10", "p50", "p95")
    _row(report, f"vector, no filter, ef_search {bench.ef_search}", ours, truth)
    _row(report, "  floor: plain UNION ALL, the same ef_search", floor, truth)
    report.note(f"p95 of ours over the floor's: {ours.milliseconds(95) / floor.milliseconds(95):.2f}")
    report.verdict("recall@10, no filter", ours.recall(truth), ">=", RECALL)
    report.verdict("p95, no filter", ours.milliseconds(95), "<=", P95_MS, "ms")


def _beside_floor(bench: Bench, queries: int = QUERIES) -> tuple[Figures, Figures]:
    """Ours and the floor in turn; the floor is asked another query, so that neither warms the other's pages."""
    ours, floor = Figures(), Figures()
    with _plain_sql(bench, bench.ef_search, K) as plain:
        for vector in bench.corpus.derive(_WARMING, seed=3).vectors:
            bench.ours(vector)
            plain(vector)
        for number in range(queries):
            ours.ask(bench.ours, bench.queries[number])
            floor.ask(plain, bench.queries[(number + queries // 2) % queries])
    half = queries - queries // 2
    floor.found = floor.found[half:] + floor.found[:half]  # in the order of ours
    return ours, floor


def _filtered(report: Report, bench: Bench) -> None:
    report.row("filtered, by", "recall@10", "p50", "p95", "first 100, then", "p95 of that")
    lowest = dict.fromkeys(_SHARES, 1.0)
    with _plain_sql(bench, _POST_FILTER, _POST_FILTER) as plain:
        for one in _filters(bench.year):
            kept = np.flatnonzero(one.kept)
            queries = bench.queries[: QUERIES // 4]
            truth = kept[nearest(bench.year.vectors[kept], queries, K)]
            ours, naive = Figures(), Figures()
            for vector in bench.corpus.derive(10, seed=3).vectors:
                bench.ours(vector, one.scope)
            for vector in queries:
                ours.ask(bench.ours, vector, one.scope)
                naive.ask(_post_filtered, plain, one, vector)
            assert all(one.kept[row] for found in ours.found for row in found), "a hit outside the filter"
            lowest[one.share] = min(lowest[one.share], ours.recall(truth))
            report.row(
                f"{one.share:.2%} {one.name} ({len(kept):,} rows)",
                f"{ours.recall(truth):.3f}",
                f"{ours.milliseconds(50):.1f} ms",
                f"{ours.milliseconds(95):.1f} ms",
                f"{naive.recall(truth):.3f}",
                f"{naive.milliseconds(95):.1f} ms",
            )
    for share, recall in lowest.items():
        report.verdict(f"recall@10, the worst filter that keeps {share:.2%}", recall, ">=", FILTERED_RECALL)


def _post_filtered(plain: Callable[[Vector], list[int]], one: Filter, vector: Vector) -> list[int]:
    return [row for row in plain(vector) if one.kept[row]][:K]


def _filters(data: Year) -> Iterator[Filter]:
    """Four filters of each size: one repository, one author, a technology, and a time range."""
    rows = len(data.day)
    sizes = [np.bincount(column, minlength=1) / rows for column in (data.repository, data.author)]
    daily = np.bincount(data.day, minlength=year.DAYS) / rows
    for share, technology in zip(_SHARES, TECHNOLOGIES, strict=True):
        repository, author = (int(np.argmin(np.abs(size - share))) for size in sizes)
        first, until = _days(daily, share)
        since, end = FIRST_DAY + timedelta(days=first), FIRST_DAY + timedelta(days=until)
        days = f"{until - first} days" if until - first > 1 else "a day"
        yield Filter(share, "one repository", Scope(repos=(year.repository_name(repository),)),
                     data.repository == repository)  # fmt: skip
        yield Filter(share, "one author", Scope(authors=(year.author_login(author),)), data.author == author)
        yield Filter(share, "a technology", Scope(technologies=(technology,)), data.with_technology(technology))
        yield Filter(share, days, Scope(since=since, until=end), (data.day >= first) & (data.day < until))


def _days(daily: npt.NDArray[np.float64], share: float) -> tuple[int, int]:
    """A rare day with that share, or days from the middle of March on that together have it."""
    for day, rare in RARE_DAYS.items():
        if rare == share:
            first = (day - FIRST_DAY).days
            return first, first + 1
    first = (date(2025, 3, 12) - FIRST_DAY).days
    return first, first + 1 + int(np.argmin(np.abs(np.cumsum(daily[first:]) - share)))


def _hybrid(report: Report, bench: Bench) -> None:
    """Titles as questions: the words of one text, the vector of a row that lies near it."""
    asked = bench.corpus.derive(QUERIES, seed=2)
    titles = [bench.corpus.texts[number].split("\n", 1)[0] for number in asked.first]
    modes: list[tuple[Mode, Figures]] = [("hybrid", Figures()), ("text", Figures())]
    for number, (title, vector) in enumerate(zip(titles, asked.vectors, strict=True)):
        for mode, figures in modes[:: 1 if number % 2 else -1]:
            figures.ask(bench.ours, vector, None, title, mode)
    report.row("with words", "", "p50", "p95")
    for mode, figures in modes:
        report.row(f"{mode}, real titles as queries", "", *_latency(figures))


def _with_embedded_buffers(report: Report, home: KeptHome, bench: Bench) -> None:
    """What the default of the embedded server costs, where the indexes are larger than it."""
    default = CONFIGURATION.split("shared_buffers = '", 1)[1].split("'", 1)[0]
    home.configure(shared_buffers=default)
    with open_database(home.settings, Role.TOOLS) as tools:
        small = Bench(tools, bench.release, bench.corpus, bench.year, bench.queries)
        ours, floor = _beside_floor(small)
    report.row(f"vector, no filter, shared_buffers = {default}", "", *_latency(ours))
    report.row("  floor", "", *_latency(floor))


def _row(report: Report, label: str, figures: Figures, truth: npt.NDArray[np.int64]) -> None:
    report.row(label, f"{figures.recall(truth):.3f}", *_latency(figures))


def _latency(figures: Figures) -> tuple[str, str]:
    return f"{figures.milliseconds(50):.1f} ms", f"{figures.milliseconds(95):.1f} ms"


@contextmanager
def _plain_sql(bench: Bench, ef_search: int, k: int) -> Iterator[Callable[[Vector], list[int]]]:
    """UNION ALL over the artifacts on one connection: the numbers of the `k` nearest rows."""
    statement = _union([artifact.table for artifact in bench.release.artifacts], k)
    with bench.tools.transaction() as connection:
        connection.execute("SELECT set_config('hnsw.ef_search', %s, true)", [str(ef_search)])
        yield lambda vector: _answers(connection, statement, vector)


def _union(tables: Sequence[str], k: int) -> str:
    branches = " UNION ALL ".join(
        f"(SELECT repo_id, ref, title, embedding <=> %(vector)s::halfvec AS distance FROM artifacts.{table}"
        f" ORDER BY embedding <=> %(vector)s::halfvec LIMIT {k})"
        for table in tables
    )
    return f"SELECT * FROM ({branches}) every_month ORDER BY distance LIMIT {k}"


def _answers(connection: Connection, statement: str, vector: Vector) -> list[int]:
    parameters: dict[str, Any] = {"vector": HalfVector(vector).to_text()}
    return [int(row[1]) - 1 for row in connection.execute(statement, parameters)]
