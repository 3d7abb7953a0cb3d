"""One day of vectors of one kind, written where no reader looks, and their audit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pgvector import HalfVector
from psycopg import sql as pgsql

from resources.embedder import Embedder, checked
from resources.kinds import Kind
from resources.postgres import Connection, Database, sql
from starsearch_assets.embeddings.quality import Expected, judge_day
from starsearch_assets.embeddings.spaces import Space, ensure_space
from starsearch_assets.summaries.source import Summarizer
from starsearch_assets.summaries.text import clean

_BATCH = 2048
_SOURCE_LENGTH = 1000
"""Characters of an item's own text in its document, where no summary has been made."""

_OWN_LENGTH = 2000
"""Characters of an item's own text whose words find it, where a summary stands for it."""

_CHANGED_LENGTH = 400
"""Of them those of the line that names a commit's files, at most."""


class _Document(NamedTuple):
    repo_id: int
    ref: str
    text: str
    source: str
    own_text: str
    content_hash: bytes | None
    summary_model: str | None
    prompt_version: str | None

    @property
    def text_hash(self) -> bytes:
        return hashlib.sha256(self.text.encode()).digest()


@dataclass(frozen=True)
class DayResult:
    """items: documents of the day; embedded: vectors computed now, the others were known."""

    items: int
    embedded: int
    reused: int
    shares: dict[str, int]
    passed: bool


def embed_day(
    database: Database,
    kind: Kind,
    day: date,
    embedder: Embedder,
    summarizer: Summarizer,
    run_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DayResult:
    """Embed the served documents of the items of `kind` active on `day`, then audit the day.

    Raises:
        EmbedderError: the model does not fit the space, or returned unusable vectors; the batch that it
            happened in is not written.
    """
    with database.transaction() as connection:
        space = ensure_space(connection, kind, embedder)
    read_at = database.fetch_value("SELECT clock_timestamp()")
    rows = database.fetch_all(
        sql(__package__, "documents"),
        {"kind": kind.name, "day": day, "model": summarizer.model, "prompt_version": summarizer.prompt_version},
    )
    documents = [_Document(repo_id, ref, document_text(title, text, source), source, own or "", *version)
                 for repo_id, ref, title, text, source, own, *version in rows]  # fmt: skip
    embedded = reused = 0
    for start in range(0, len(documents), _BATCH):
        with database.transaction() as connection:
            new, known = _embed_batch(connection, space, documents[start : start + _BATCH], embedder, run_id)
        embedded, reused = embedded + new, reused + known
        if progress is not None:
            progress(min(start + _BATCH, len(documents)), len(documents))
    with database.transaction() as connection:
        expected = [Expected(one.repo_id, one.ref, one.text_hash) for one in documents]
        passed = judge_day(connection, space, day, expected, read_at, run_id)
        _mark_months(connection, kind, day)
    shares: dict[str, int] = {}
    for document in documents:
        shares[document.source] = shares.get(document.source, 0) + 1
    return DayResult(len(documents), embedded, reused, shares, passed)


def document_text(title: str, text: str, source: str) -> str:
    """The text that stands for an item. Its own text is cleaned: nothing that GitHub hides may reach an answer.

    Of a long one the beginning stands, and the files that a commit changed, which are its last line.
    """
    if source != "source":
        return f"{title}\n{text}"
    text = clean(text)
    if len(text) > _SOURCE_LENGTH:
        last = text[text.rfind("\n") + 1 :][:_CHANGED_LENGTH]
        changed = f"\n{last}" if last.startswith("Changed: ") else ""
        text = text[: _SOURCE_LENGTH - len(changed)] + changed
    return f"{title}\n{text}"


def _embed_batch(
    connection: Connection, space: Space, batch: Sequence[_Document], embedder: Embedder, run_id: str | None
) -> tuple[int, int]:
    """Vectors for what the space lacks: computed once a text, or taken from the same text elsewhere."""
    stored = {
        (repo_id, ref): (bytes(text_hash), *version)
        for repo_id, ref, text_hash, *version in connection.execute(
            pgsql.SQL(
                "SELECT repo_id, ref, text_hash, document_source, content_hash, summary_model, prompt_version FROM {}"
                " WHERE repo_id = ANY (%s) AND ref = ANY (%s)"
            ).format(space.table),
            [list({document.repo_id for document in batch}), list({document.ref for document in batch})],
        )
    }
    stale = [
        (document, document.text_hash)
        for document in batch
        if stored.get((document.repo_id, document.ref)) != (document.text_hash, document.source, *document[5:])
    ]
    known = {
        row[0]
        for row in connection.execute(
            pgsql.SQL("SELECT DISTINCT text_hash FROM {} WHERE text_hash = ANY (%s)").format(space.table),
            [[text_hash for _, text_hash in stale]],
        )
    }
    texts = {text_hash: document.text for document, text_hash in stale if text_hash not in known}
    vectors: dict[bytes, npt.NDArray[np.float32]] = {}
    if texts:
        rows = checked(embedder.encode(list(texts.values())), len(texts), space.dimensions, space.model)
        vectors = dict(zip(texts, rows, strict=True))
    connection.execute(
        "CREATE TEMPORARY TABLE incoming (repo_id bigint, ref text, text_hash bytea, document text,"
        " document_source text, own_text text, content_hash bytea, summary_model text, prompt_version text,"
        " embedding halfvec) ON COMMIT DROP"
    )
    with connection.cursor().copy("COPY incoming FROM STDIN") as copy:
        for document, text_hash in stale:
            vector = vectors.get(text_hash)
            copy.write_row(
                (
                    document.repo_id, document.ref, text_hash, document.text, document.source,
                    clean(document.own_text)[:_OWN_LENGTH], document.content_hash, document.summary_model,
                    document.prompt_version,
                    None if vector is None else HalfVector(vector.astype(np.float16)).to_text(),
                )
            )  # fmt: skip
    connection.execute(
        pgsql.SQL(
            "INSERT INTO {table} (repo_id, ref, text_hash, document, document_source, lexemes, content_hash,"
            " summary_model, prompt_version, embedding, run_id)"
            " SELECT repo_id, ref, text_hash, document, document_source, document_lexemes(document, own_text),"
            " content_hash, summary_model,"
            " prompt_version, coalesce(i.embedding,"
            "   (SELECT v.embedding FROM {table} v WHERE v.text_hash = i.text_hash LIMIT 1)), %s"
            " FROM incoming i ORDER BY repo_id, ref ON CONFLICT (repo_id, ref) DO UPDATE SET"
            " text_hash = excluded.text_hash, document = excluded.document,"
            " document_source = excluded.document_source, lexemes = excluded.lexemes,"
            " content_hash = excluded.content_hash,"
            " summary_model = excluded.summary_model, prompt_version = excluded.prompt_version,"
            " embedding = excluded.embedding, run_id = excluded.run_id, embedded_at = now()"
        ).format(table=space.table),
        [run_id],
    )
    return len(texts), len(batch) - len(texts)


def _mark_months(connection: Connection, kind: Kind, day: date) -> None:
    """The months in which the day's items stand in the index: those of their latest activity."""
    connection.execute(
        "INSERT INTO dirty_months (kind, month)"
        " SELECT DISTINCT %(kind)s, date_trunc('month', latest.day)::date"
        " FROM (SELECT max(later.day) AS day FROM activity a JOIN activity later USING (kind, repo_id, ref)"
        "       WHERE a.kind = %(kind)s AND a.day = %(day)s GROUP BY a.repo_id, a.ref) latest"
        " UNION SELECT %(kind)s, date_trunc('month', %(day)s::date)::date"
        " ON CONFLICT (kind, month) DO UPDATE SET version = nextval('dirty_version')",
        {"kind": kind.name, "day": day},
    )
