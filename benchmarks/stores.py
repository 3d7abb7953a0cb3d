"""LangChain's and LlamaIndex's Postgres vector stores beside ours: the same server, rows, vectors and queries.

They are installed from PyPI into an environment of their own, which is kept; each runs in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import psycopg

from answering.releases import load_release
from answering.retrieval import Scope
from benchmarks.report import Report, timed
from benchmarks.search import Bench, Figures
from benchmarks.server import KeptHome, kept_home
from benchmarks.vectors import CACHE, Corpus, load_corpus, nearest
from benchmarks.year import (
    DAYS,
    FIRST_DAY,
    KIND,
    BenchModel,
    Documents,
    Year,
    make_year,
    release_year,
    repository_name,
    store_items,
)
from resources.embedded_postgres import OWNER, EmbeddedPostgres
from resources.postgres import Database, Role, open_database
from starsearch_assets.embeddings.process import document_text, embed_day
from starsearch_assets.summaries.summarizers import ExtractiveSummarizer

PACKAGES = (
    "langchain-postgres==0.0.19",
    "llama-index-vector-stores-postgres==0.9.0",
    "psycopg[binary]>=3.3",
    "numpy>=2.2",
)
"""What the environment of the others has."""

K, QUERIES = 10, 500
_SHARES = (0.1, 0.01, 0.001)
_DATABASE = "stores"
_SCRIPTS = {"LangChain": "store_langchain.py", "LlamaIndex": "store_llama_index.py"}


def run(rows: int = 100_000) -> Report:
    """Rows loaded a second, index included; latency and recall@10 without and with a filter by repository."""
    report = Report(f"stores: {rows:,} halfvec(384) in LangChain's and LlamaIndex's Postgres stores, and in ours")
    python = _environment(report)
    corpus = load_corpus(report)
    year = make_year(corpus, rows)
    queries = corpus.derive(QUERIES, seed=2).vectors
    questions = list(_questions(year))
    truths = [_truth(year, question, queries) for question in questions]
    with kept_home(None, "") as home:
        home.configure(shared_buffers="2GB")
        with open_database(home.settings) as owner, open_database(home.settings, Role.TOOLS) as tools:
            seconds, ours, numbers = _ours(report, owner, tools, corpus, year, queries, questions)
        report.row("", "rows/s loaded", "p50", "p95", "recall@10")
        _rows(report, "ours", rows / seconds, ours, questions, truths)
        with _exchange(corpus, year, queries, questions) as folder, _other_database(home) as address:
            for name, script in _SCRIPTS.items():
                other = _run(python, script, folder, address, numbers)
                total = other["load_seconds"] + other["index_seconds"]
                answers = [Figures(**answer) for answer in other["answers"]]
                _rows(report, f"{name} ({other['version']})", rows / total, answers, questions, truths)
                if other["without_index"]:
                    bare = Figures(**other["without_index"])
                    report.row("  without an index", "", _ms(bare, 50), _ms(bare, 95), "")
    _remarks(report, *numbers)
    for question, figures, truth in zip(questions, ours, truths, strict=True):
        report.verdict(f"our recall@10, {question.label}", figures.recall(truth), ">=", 0.95)
    return report


@dataclass(frozen=True)
class Question:
    """A filter by repository, or none; how many of the queries are asked with it."""

    label: str
    repo_id: int | None
    queries: int

    @property
    def repo(self) -> str | None:
        """The repository's name."""
        return None if self.repo_id is None else repository_name(self.repo_id)


def _questions(year: Year) -> Iterator[Question]:
    yield Question("no filter", None, QUERIES)
    sizes = np.bincount(year.repository) / len(year.repository)
    for share in _SHARES:
        repo_id = int(np.argmin(np.abs(sizes - share)))
        yield Question(f"a repository with {sizes[repo_id]:.2%} of the rows", repo_id, QUERIES // 5)


def _truth(year: Year, question: Question, queries: npt.NDArray[np.float16]) -> npt.NDArray[np.int64]:
    kept = np.arange(len(year.day)) if question.repo_id is None else np.flatnonzero(year.repository == question.repo_id)
    return kept[nearest(year.vectors[kept], queries[: question.queries], K)]


def _ours(
    report: Report,
    owner: Database,
    tools: Database,
    corpus: Corpus,
    year: Year,
    queries: npt.NDArray[np.float16],
    questions: Sequence[Question],
) -> tuple[float, list[Figures], tuple[int, int, int]]:
    """Seconds of embed_day, build_month and publish; figures of each question; m, ef_construction, ef_search."""
    store_items(owner, corpus, year)
    embedder = _GivenVectors.of(corpus, year)
    summarizer = ExtractiveSummarizer(embedder)
    with timed() as timer:
        for day in range(DAYS):
            result = embed_day(owner, KIND, FIRST_DAY + timedelta(days=day), embedder, summarizer)
            assert result.passed, "a day's audit failed"
    report.note(f"365 daily partitions embedded in {timer.seconds:,.0f} s, vectors given")
    building, publishing = release_year(owner, tools, report)
    bench = Bench(tools, load_release(tools), corpus, year, queries)
    for vector in corpus.derive(100, seed=3).vectors:
        bench.ours(vector)
    answers = []
    for question in questions:
        figures = Figures()
        scope = Scope(repos=(question.repo,)) if question.repo else None
        for vector in queries[: question.queries]:
            figures.ask(bench.ours, vector, scope)
        answers.append(figures)
    m, ef_construction = owner.fetch_all("SELECT m, ef_construction FROM embedding_spaces")[0]
    return timer.seconds + building + publishing, answers, (m, ef_construction, bench.ef_search)


@dataclass(frozen=True)
class _GivenVectors(BenchModel):
    """An embedder that knows the vector of each text, as the others are given theirs."""

    known: dict[str, npt.NDArray[np.float16]] | None = None

    @classmethod
    def of(cls, corpus: Corpus, year: Year) -> _GivenVectors:
        """The texts are those that embed_day makes of `store_items`'s rows."""
        documents = Documents(corpus, year)
        texts = (
            document_text(documents.title(row), documents.body(row, numbered=True), "source")
            for row in range(len(year.day))
        )
        return cls(known=dict(zip(texts, year.vectors, strict=True)))

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Looked up."""
        assert self.known is not None
        return np.stack([self.known[text] for text in texts]).astype(np.float32)


def _rows(
    report: Report,
    name: str,
    rate: float,
    answers: Sequence[Figures],
    questions: Sequence[Question],
    truths: Sequence[npt.NDArray[np.int64]],
) -> None:
    report.row(name, f"{rate:,.0f}")
    for question, figures, truth in zip(questions, answers, truths, strict=True):
        report.row(f"  {question.label}", "", _ms(figures, 50), _ms(figures, 95), f"{figures.recall(truth):.3f}")


def _ms(figures: Figures, percentile: float) -> str:
    return f"{figures.milliseconds(percentile):.1f} ms"


def _remarks(report: Report, m: int, ef_construction: int, ef_search: int) -> None:
    for remark in (
        f"all: m = {m}, ef_construction = {ef_construction}, ef_search = {ef_search}, one client, the same server",
        "ours: the time of embed_day, build_month with its measured recall, and publish, computing of vectors left out;"
        " 12 monthly artifacts",
        "LangChain: its table has vector(384), halfvec cannot be chosen; no index unless apply_vector_index is called;"
        " add_embeddings commits row by row; iterative scans cannot be asked for; no index on its metadata columns",
        "LlamaIndex: no index unless hnsw_kwargs is given, and with use_halfvec alone one for L2 which its cosine"
        " queries never use; the index is made before the rows; iterative scans cannot be asked for",
    ):
        report.note(remark)


@contextmanager
def _exchange(
    corpus: Corpus, year: Year, queries: npt.NDArray[np.float16], questions: Sequence[Question]
) -> Iterator[Path]:
    """Rows, vectors and questions as files, for the others' processes."""
    documents = Documents(corpus, year)
    rows = [
        (f"{documents.title(row)}\n{documents.body(row, numbered=True)}", repository_name(repo_id))
        for row, repo_id in enumerate(year.repository.tolist())
    ]
    with tempfile.TemporaryDirectory(prefix="starsearch-bench-") as name:
        folder = Path(name)
        np.savez(folder / "vectors.npz", rows=year.vectors, queries=queries)
        (folder / "rows.json").write_text(json.dumps(rows))
        asked = [{"repo": question.repo, "queries": question.queries} for question in questions]
        (folder / "questions.json").write_text(json.dumps(asked))
        yield folder


@contextmanager
def _other_database(home: KeptHome) -> Iterator[str]:
    """A database of their own on the same server, as SQLAlchemy's URLs address it after the driver."""
    server = EmbeddedPostgres(home.folder)
    with psycopg.connect(server.url(role="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {_DATABASE} OWNER {OWNER}")
    with psycopg.connect(server.url(role="postgres", database=_DATABASE), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {OWNER}")
    address = urlsplit(server.url(database=_DATABASE))
    yield f"{OWNER}@{address.path}?{address.query}"


def _run(python: Path, script: str, folder: Path, address: str, numbers: Sequence[int]) -> dict[str, Any]:
    path = Path(__file__).with_name(script)
    command = [str(python), str(path), str(folder), address, *map(str, numbers)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{script} ended with {result.returncode}: {result.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return figures


def _environment(report: Report) -> Path:
    """The Python of the environment with PACKAGES, made if it is not there."""
    folder = CACHE / f"stores-{sys.version_info.major}.{sys.version_info.minor}"
    python, done = folder / "bin" / "python", folder / "installed"
    wanted = "\n".join(PACKAGES)
    if not done.is_file() or done.read_text() != wanted:
        report.note(f"installing {', '.join(PACKAGES[:2])} into {folder}")
        venv.create(folder, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(f"pip could not install {', '.join(PACKAGES)}: {result.stderr[-2000:]}")
        done.write_text(wanted)
    return python
