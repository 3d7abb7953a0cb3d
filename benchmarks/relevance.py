"""Real issues' titles as queries for the pull requests that answered them: search's modes beside plain rankings."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from answering.releases import Release, load_release
from answering.retrieval import MODES, Mode, search
from answering.retrieval import Query as SearchQuery
from answering.retrieval import Ranking as Weights
from benchmarks.judgements import Collection, Document, Query, collections
from benchmarks.rankings import BM25, store_for_ts_rank, ts_rank
from benchmarks.report import Report, timed
from resources.embedded_postgres import EmbeddedPostgres
from resources.embedder import Embedder, create_embedder
from resources.kinds import PULL_REQUEST
from resources.postgres import Database, Role, open_database
from resources.settings import BUNDLED_EMBEDDING_MODEL, Settings
from starsearch_assets.embeddings.process import embed_day
from starsearch_assets.index.build import build_month
from starsearch_assets.release.publish import publish
from starsearch_assets.relevance.measures import MEASURES, K, Scores, mean, score
from starsearch_assets.summaries.process import summarize_day
from starsearch_assets.summaries.summarizers import create_summarizer

KIND = PULL_REQUEST
DOCUMENTS = ("summaries", "source")


def run(
    keep: Path | None = None, only: Sequence[str] = (), documents: str = "summaries", weights: Sequence[str] = ()
) -> Report:
    """recall@10, MRR, success@10 and nDCG@10 of every mode and floor, on all queries and on the hard ones.

    keep: folder in which databases and vectors stay, so that a repetition only searches. only: names of collections.
    documents: what is embedded, summaries (extractive) or the source's own text. weights: NAME=VALUE of the ranking.
    """
    report = Report(f"relevance: issues' titles as queries for pull requests, {documents} as documents")
    ranking = _weights(weights)
    report.note(f"{ranking}")
    found = [one for one in collections() if not only or one.name in only]
    if not found:
        report.note("skipped: no real judgements beside the checkout")
    parts: dict[str, dict[str, list[Scores]]] = {"all": {}, "hard": {}}
    for collection in found:
        figures = _measure(report, collection, keep, documents, ranking)
        for part, ids in _parts(collection).items():
            _compared(report, f"{collection.name}, {part}", _means(figures, ids))
            for name, scores in figures.items():
                parts[part].setdefault(name, []).extend(scores[query_id] for query_id in ids)
    for part, pooled in parts.items():
        if pooled:
            _table(f"all judgements, {part}", pooled)
            _verdicts(report, part, {name: mean(scores) for name, scores in pooled.items()})
    return report


def _measure(
    report: Report, collection: Collection, keep: Path | None, documents: str, ranking: Weights
) -> dict[str, dict[str, Scores]]:
    """Scores by ranking and query."""
    with collection_database(collection, keep, documents) as (settings, database, tools):
        embedder = create_embedder(settings)
        with timed() as timer:
            release = published(database, tools, collection.documents, embedder, settings, documents)
            vectors = query_vectors(settings.home, collection.queries, embedder)
        report.note(
            f"{collection.name}: {len(collection.documents):,} pull requests of"
            f" {len({document.repo for document in collection.documents}):,} repositories in"
            f" {len(release.artifacts)} months, {len(collection.queries):,} queries, of which"
            f" {sum(query.hard for query in collection.queries):,} hard; ready in {timer.seconds:.0f} s"
        )
        texts = [(one.name, f"{one.title}\n{one.body}") for one in collection.documents]
        bm25 = BM25(texts)
        store_for_ts_rank(database, texts)
        searched = [SearchQuery(query.text, vector) for query, vector in zip(collection.queries, vectors, strict=True)]
        rankings: dict[str, Callable[[int], list[str]]] = {
            "BM25": lambda number: bm25.search(collection.queries[number].text, K),
            "ts_rank": lambda number: ts_rank(database, collection.queries[number].text, K),
        }
        for mode in MODES:
            rankings[mode] = _searching(tools, release, searched, mode, ranking)
        figures: dict[str, dict[str, Scores]] = {}
        seconds = {}
        for name, ranked in rankings.items():
            with timed() as timer:
                lists = {query.query_id: ranked(number) for number, query in enumerate(collection.queries)}
            seconds[name] = timer.seconds
            figures[name] = score({query.query_id: query.relevant for query in collection.queries}, lists)
    for part, ids in _parts(collection).items():
        _table(
            f"{collection.name}, {part}",
            {name: [scores[query_id] for query_id in ids] for name, scores in figures.items()},
        )
    milliseconds = ", ".join(f"{name} {1000 * one / len(collection.queries):.1f}" for name, one in seconds.items())
    report.note(f"{collection.name}: ms a query: {milliseconds}")
    return figures


def _searching(
    tools: Database, release: Release, queries: Sequence[SearchQuery], mode: Mode, ranking: Weights
) -> Callable[[int], list[str]]:
    def ranked(number: int) -> list[str]:
        hits = search(tools, release, queries[number], k=K, mode=mode, ranking=ranking)
        return [f"{hit.kind}:{hit.place}" for hit in hits]

    return ranked


def _weights(changed: Sequence[str]) -> Weights:
    """The default ranking, with the fields that are given as NAME=VALUE.

    Raises:
        ValueError: there is no such field, or the value is no number.
    """
    names = [field.name for field in fields(Weights)]
    values: dict[str, float] = {}
    for one in changed:
        name, _, value = one.partition("=")
        if name not in names:
            raise ValueError(f"--weights {one}: expected one of {', '.join(names)}, and = and a number")
        values[name] = int(value) if name == "reranked" else float(value)
    return replace(Weights(), **values)  # type: ignore[arg-type]


def _parts(collection: Collection) -> dict[str, list[str]]:
    """Ids of all queries, and of the hard ones where there are any."""
    hard = [query.query_id for query in collection.queries if query.hard]
    return {"all": [query.query_id for query in collection.queries]} | ({"hard": hard} if hard else {})


def _means(figures: Mapping[str, Mapping[str, Scores]], ids: Sequence[str]) -> dict[str, Scores]:
    return {name: mean(scores[query_id] for query_id in ids) for name, scores in figures.items()}


def _table(title: str, figures: Mapping[str, Sequence[Scores]]) -> None:
    """A table in Markdown: a ranking a row."""
    print("\n| Queries | Number | Ranking | recall@10 | MRR@10 | success@10 | nDCG@10 |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for name, scores in figures.items():
        total = mean(scores)
        success = sum(one.recall > 0 for one in scores) / len(scores)
        print(
            f"| {title} | {len(scores):,} | {name} | {total.recall:.3f} | {total.mrr:.3f} | {success:.3f} |"
            f" {total.ndcg:.3f} |"
        )
    print(flush=True)


def _halves(totals: Mapping[str, Scores], measure: str) -> tuple[float, float]:
    """A measure of hybrid search, and of the better one of its halves."""
    return getattr(totals["hybrid"], measure), max(getattr(totals[half], measure) for half in ("vector", "text"))


def _compared(report: Report, title: str, totals: Mapping[str, Scores]) -> None:
    """Shown for each collection: in the small ones a single query decides."""
    for measure, name in MEASURES.items():
        hybrid, better = _halves(totals, measure)
        report.note(f"{title}: hybrid's {name} {hybrid:.3f}, its better half's {better:.3f}")


def _verdicts(report: Report, part: str, totals: Mapping[str, Scores]) -> None:
    """Over all judgements hybrid search is at least as good as both of its halves."""
    for measure in ("recall", "mrr"):
        hybrid, better = _halves(totals, measure)
        report.verdict(f"{part}: hybrid's {MEASURES[measure]} over its halves'", hybrid, ">=", better)


@contextmanager
def collection_database(
    collection: Collection, keep: Path | None, documents: str
) -> Iterator[tuple[Settings, Database, Database]]:
    """A database of the collection alone, as owner and as tools; stopped at the end, and removed unless it is kept."""
    home = (
        Path(tempfile.mkdtemp(prefix="starsearch-bench-")) if keep is None else keep / f"{collection.name}-{documents}"
    )
    settings = Settings(_env_file=None, starsearch_home=home, database_url=None, embedding_base_url=None,
                        embedding_model=BUNDLED_EMBEDDING_MODEL, llm_base_url=None)  # type: ignore[call-arg]  # fmt: skip
    try:
        with open_database(settings) as database, open_database(settings, Role.TOOLS) as tools:
            yield settings, database, tools
    finally:
        EmbeddedPostgres(home).stop()
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)


def published(
    database: Database,
    tools: Database,
    documents: Sequence[Document],
    embedder: Embedder,
    settings: Settings,
    served: str,
) -> Release:
    """The collection on the product's own path; what is there already is not made again."""
    if not database.fetch_value("SELECT count(*) FROM pull_requests"):
        _store(database, documents)
    summarizer = create_summarizer(settings, embedder)
    for day in sorted({document.created_at.date() for document in documents}):
        if served == "summaries":
            summarize_day(database, KIND, day, summarizer)
        embed_day(database, KIND, day, embedder, summarizer)
    for month in sorted({document.created_at.date().replace(day=1) for document in documents}):
        build_month(database, KIND, month, embedder.model, settings.recall_floor)
    publish(database, tools, embedder.model, settings.recall_floor)
    return load_release(tools)


def _store(database: Database, documents: Sequence[Document]) -> None:
    repositories = {name: number for number, name in enumerate(sorted({one.repo for one in documents}), 1)}
    with database.transaction() as connection:
        cursor = connection.cursor()
        with cursor.copy("COPY repositories (repo_id, name) FROM STDIN") as copy:
            for name, number in repositories.items():
                copy.write_row((number, name))
        with cursor.copy(
            "COPY pull_requests (repo_id, number, title, body, hydrated_at, author_login, author_is_bot, created_at,"
            " state) FROM STDIN"
        ) as copy:
            for one in documents:
                copy.write_row(
                    (
                        repositories[one.repo], one.number, one.title.replace("\0", ""), one.body.replace("\0", ""),
                        one.created_at + timedelta(minutes=1), one.author, False, one.created_at, one.state,
                    )
                )  # fmt: skip
        with cursor.copy("COPY activity (kind, repo_id, ref, day) FROM STDIN") as copy:
            for one in documents:
                copy.write_row((KIND.name, repositories[one.repo], str(one.number), one.created_at.date()))
    for table in ("pull_requests", "activity"):
        database.execute(f"ANALYZE {table}")


def query_vectors(home: Path, queries: Sequence[Query], embedder: Embedder) -> npt.NDArray[np.float32]:
    path = home / "query-vectors.npy"
    if path.is_file():
        vectors: npt.NDArray[np.float32] = np.load(path)
        if len(vectors) == len(queries):
            return vectors
    vectors = embedder.encode([query.text for query in queries])
    np.save(path, vectors)
    return vectors
