"""A year of pull requests with vectors, put where the assets would put them, then indexed and released by them.

Repositories and authors are many and of very different sizes (Zipf). Repositories, authors and days have nothing to do
with what a text is about; technologies do. So a filter may lie across the neighbourhoods, or in one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql as pgsql

from benchmarks.report import Report, timed
from benchmarks.vectors import DIMENSIONS, Corpus
from resources.kinds import PULL_REQUEST
from resources.postgres import Connection, Database
from resources.settings import BUNDLED_EMBEDDING_MODEL, Settings
from starsearch_assets import audits
from starsearch_assets.embeddings.spaces import Space, ensure_space
from starsearch_assets.index.build import build_month
from starsearch_assets.release.publish import publish

KIND = PULL_REQUEST
FIRST_DAY = date(2025, 1, 1)
DAYS = 365
MONTHS = tuple(date(2025, month, 1) for month in range(1, 13))
RARE_DAYS = {date(2025, 12, 25): 0.001, date(2025, 7, 6): 0.0001}
"""Days on which little happens, with their share of the rows: a day is the narrowest time range there is."""

TECHNOLOGIES = {"PostgreSQL": 0.1, "Redis": 0.01, "Kafka": 0.001, "Helm": 0.0001}
"""The filters' technologies, with the share of rows that have them."""

FORMAT = 2
"""Part of the fingerprint of a database that is kept: raise it when the rows change."""

_REPOSITORIES, _AUTHORS, _VARIANTS = 20_000, 50_000, 20
_LABELS = ("bug", "enhancement", "documentation", "dependencies", "performance", "good first issue")
_BATCH = 50_000


@dataclass(frozen=True)
class BenchModel:
    """Stands where the bundled embedder would, whose vectors the corpus has: only name and dimensions are asked for."""

    model: str = BUNDLED_EMBEDDING_MODEL
    dimensions: int = DIMENSIONS

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Never called: the vectors are there."""
        raise NotImplementedError


@dataclass(frozen=True)
class Year:
    """The rows as columns, numbered from 0; a row's ref is its number plus 1.

    first, second: the two texts of the corpus between which a row lies. day: days after FIRST_DAY. variant: which of
    the summaries of its text it has.
    """

    vectors: npt.NDArray[np.float16]
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    repository: npt.NDArray[np.int64]
    author: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    variant: npt.NDArray[np.int64]

    def with_technology(self, name: str) -> npt.NDArray[np.bool_]:
        """Which rows have the technology, by their text's number and variant."""
        return _has_technology(name, self.first, self.variant)


def make_year(corpus: Corpus, rows: int) -> Year:
    """The same rows for the same corpus and number."""
    chance = np.random.default_rng(17)
    derived = corpus.derive(rows, seed=1)
    weights = np.array([_weight(FIRST_DAY + timedelta(days=day)) for day in range(DAYS)])
    rare = np.array([RARE_DAYS.get(FIRST_DAY + timedelta(days=day), 0.0) for day in range(DAYS)])
    weights = np.where(rare > 0, rare, weights * (1 - rare.sum()) / weights[rare == 0].sum())
    return Year(
        derived.vectors,
        derived.first,
        derived.second,
        repository=_zipf(chance, _REPOSITORIES, rows) + 1,
        author=_zipf(chance, _AUTHORS, rows) + 1,
        day=chance.choice(DAYS, rows, p=weights / weights.sum()),
        variant=chance.integers(0, _VARIANTS, rows),
    )


class Documents:
    """Texts of 30 to 60 words for the rows: the title of one text, then words of the other."""

    def __init__(self, corpus: Corpus, year: Year) -> None:
        self._year = year
        parts = [text.split("\n", 1) for text in corpus.texts]
        self._titles = [(" ".join(title.split()) or "untitled")[:200] for title, _ in parts]
        self._words = [body.split() or title.split() or ["empty"] for title, body in parts]

    def title(self, row: int) -> str:
        """The item's title; many rows share one."""
        return self._titles[int(self._year.first[row])]

    def body(self, row: int, *, numbered: bool = False) -> str:
        """25 to 50 words. numbered: the row's number as well, so that no two rows have one text."""
        words, more = self._words[self._year.second[row]], self._words[self._year.first[row]]
        start = row % len(words)
        chosen = [*words[start:], *words[:start], *more][: 25 + row % 26]
        return " ".join([*chosen, str(row)] if numbered else chosen)


def store_items(database: Database, corpus: Corpus, year: Year) -> None:
    """Repositories, items with their text, and their days of activity: what embed_day reads."""
    documents = Documents(corpus, year)
    with database.transaction() as connection:
        _store_repositories(connection)
        _store_items(connection, year, documents, range(len(year.day)), bodies=True)
    database.execute("ANALYZE repositories, pull_requests, activity")


def store_year(database: Database, corpus: Corpus, year: Year) -> None:
    """Items, summaries, vectors and verdicts, as hydration, summaries and embed_day leave them."""
    documents = Documents(corpus, year)
    with database.transaction() as connection:
        space = ensure_space(connection, KIND, BenchModel())
        _store_repositories(connection)
        _store_summaries(connection, len(corpus.texts))
    for start in range(0, len(year.day), _BATCH):
        with database.transaction() as connection:
            register_vector(connection)
            some = range(start, min(start + _BATCH, len(year.day)))
            _store_items(connection, year, documents, some, bodies=False)
            _store_vectors(connection, space, year, documents, some)
    with database.transaction() as connection:
        for number in range(DAYS):
            day = FIRST_DAY + timedelta(days=number)
            verdict = audits.Audit(KIND.embeddings, f"{day}", "bench", True, {}, space.gate)
            audits.record(connection, verdict, None)
        connection.execute(
            pgsql.SQL("ANALYZE {}, pull_requests, activity, summaries, repositories").format(space.table)
        )


def release_year(database: Database, tools: Database, report: Report) -> tuple[float, float]:
    """Build the twelve artifacts and the release through the product's own functions; the seconds of each.

    Raises:
        RuntimeError: the release was not activated; the message says why.
    """
    with timed() as building:
        results = [build_month(database, KIND, month, BenchModel().model, recall_floor=0.0) for month in MONTHS]
    rows = sum(result.rows for result in results)
    rate = rows / building.seconds
    report.note(f"{len(results)} artifacts of {rows:,} rows built in {building.seconds:,.0f} s: {rate:,.0f} rows/s")
    with timed() as publishing:
        result = publish(
            database, tools, BenchModel().model, recall_floor=Settings.model_fields["recall_floor"].default
        )
    if result.outcome != "activated":
        raise RuntimeError(f"The release of the generated year was {result.outcome}: {result.reason}")
    report.note(
        f"release in {publishing.seconds:,.0f} s: recall@10 {result.recall[0].recall:.3f} at"
        f" ef_search {result.recall[0].ef_search} with {result.recall[0].queries} of its own rows"
    )
    return building.seconds, publishing.seconds


def repository_name(repo_id: int) -> str:
    """owner/name of a generated repository."""
    return f"owner-{repo_id % 997}/repository-{repo_id}"


def author_login(author: int) -> str:
    """Login of a generated person; one in ten is a bot."""
    return f"tool-{author}[bot]" if author % 10 == 0 else f"Person-{author}"


def _weight(day: date) -> float:
    return 0.35 if day.weekday() >= 5 else 1.0


def _zipf(chance: np.random.Generator, count: int, rows: int) -> npt.NDArray[np.int64]:
    """Numbers below `count`, the n-th of them 1/n as often as the first."""
    weights = 1 / np.arange(1, count + 1)
    return chance.choice(count, rows, p=weights / weights.sum())


def _has_technology(name: str, text: npt.NDArray[np.int64], variant: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """A share of the texts, and for shares below one text in 4,500 some of that text's variants."""
    every = round(1 / TECHNOLOGIES[name])
    rare = (text == 7) & (variant < _VARIANTS // 2)
    return np.asarray(rare if every > 1000 else text % every == every // 2)


def _content_hash(text: int, variant: int) -> bytes:
    return hashlib.sha256(b"%d/%d" % (text, variant)).digest()


def _store_summaries(connection: Connection, texts: int) -> None:
    """Each text has several, so that items share what was summarized; from them come the technologies."""
    statement = "COPY summaries (content_hash, model, prompt_version, extractive, summary, technologies) FROM STDIN"
    numbers = np.arange(texts).repeat(_VARIANTS)
    variants = np.tile(np.arange(_VARIANTS), texts)
    have = {name: _has_technology(name, numbers, variants) for name in TECHNOLOGIES}
    with connection.cursor().copy(statement) as copy:
        for place, (text, variant) in enumerate(zip(numbers.tolist(), variants.tolist(), strict=True)):
            technologies = [name for name in TECHNOLOGIES if have[name][place]] + ["Python", "Rust"][: text % 3]
            copy.write_row((_content_hash(text, variant), "bench", "1", False, "summary", technologies))


def _store_repositories(connection: Connection) -> None:
    with connection.cursor().copy("COPY repositories (repo_id, name) FROM STDIN") as copy:
        for repo_id in range(1, _REPOSITORIES + 1):
            copy.write_row((repo_id, repository_name(repo_id)))


def _store_items(connection: Connection, year: Year, documents: Documents, some: range, *, bodies: bool) -> None:
    cursor = connection.cursor()
    with cursor.copy(
        "COPY pull_requests (repo_id, number, title, body, hydrated_at, author_login, author_is_bot, created_at, state,"
        " merged_at, labels) FROM STDIN"
    ) as copy:
        for row, repo_id, author, day in _rows(year, some):
            at = datetime(day.year, day.month, day.day, row % 24, tzinfo=UTC)
            state = "open" if row % 3 == 0 else "closed"
            merged = at if row % 3 == 1 else None
            labels = [_LABELS[row % 6]] if row % 2 else []
            text = documents.title(row), documents.body(row, numbered=True) if bodies else None
            bot = author % 10 == 0
            copy.write_row((repo_id, row + 1, *text, at, author_login(author), bot, at, state, merged, labels))
    with cursor.copy("COPY activity (kind, repo_id, ref, day) FROM STDIN") as copy:
        for row, repo_id, _, day in _rows(year, some):
            copy.write_row((KIND.name, repo_id, str(row + 1), day))


def _store_vectors(connection: Connection, space: Space, year: Year, documents: Documents, some: range) -> None:
    connection.execute(
        "CREATE TEMPORARY TABLE incoming (repo_id bigint, ref text, text_hash bytea, document text, content_hash bytea,"
        " embedding halfvec) ON COMMIT DROP"
    )
    with connection.cursor().copy("COPY incoming FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "text", "bytea", "text", "bytea", "halfvec"])
        for row, repo_id, _, _ in _rows(year, some):
            document = f"{documents.title(row)}\n{documents.body(row)}"
            content = _content_hash(int(year.first[row]), int(year.variant[row]))
            digest = hashlib.sha256(b"%d/%b" % (row, document.encode())).digest()
            copy.write_row((repo_id, str(row + 1), digest, document, content, HalfVector(year.vectors[row])))
    connection.execute(
        pgsql.SQL(
            "INSERT INTO {} (repo_id, ref, text_hash, document, document_source, lexemes, content_hash, summary_model,"
            " prompt_version, embedding) SELECT repo_id, ref, text_hash, document, 'summary',"
            " document_lexemes(document, NULL), content_hash, 'bench', '1', embedding FROM incoming"
        ).format(space.table)
    )


def _rows(year: Year, some: range) -> Iterator[tuple[int, int, int, date]]:
    """Number, repository, author and day of some rows."""
    part = slice(some.start, some.stop)
    columns = year.repository[part].tolist(), year.author[part].tolist(), year.day[part].tolist()
    for row, repo_id, author, day in zip(some, *columns, strict=True):
        yield row, repo_id, author, FIRST_DAY + timedelta(days=day)
