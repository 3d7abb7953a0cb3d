"""Judges stored summaries by their sources, and measures how much a sample resembles them. Asks no LLM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import cache
from importlib.resources import files

import numpy as np

from resources.embedder import Embedder
from resources.kinds import Kind
from resources.postgres import Connection, Database, sql
from starsearch_assets.batches import batched
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.summaries.prompt import load_prompt
from starsearch_assets.summaries.quality import QUALITY_VERSION, Judgement, judge
from starsearch_assets.summaries.source import Source, Summarizer, Summary
from starsearch_assets.summaries.text import clean
from starsearch_assets.summaries.verdicts import record_verdicts

SAMPLE = 100
"""Summaries of a partition whose similarity is measured at most: the first by content hash, which means nothing."""

_DOCUMENT_LENGTH = 1000  # about what the window of the bundled embedding model holds
_BATCH = 256


def finish_day(
    database: Database,
    kind: Kind,
    day: date,
    summarizer: Summarizer,
    sources: Callable[[], Iterable[Source]],
    *,
    embedder: Embedder | None,
    failure_limit: float,
    run_id: str | None,
) -> None:
    """Judge what of the day no current rules have judged, measure the sample, and record the verdicts.

    sources: streams the day's sources; called only where something is left to do, once. embedder: None measures
    nothing. failure_limit: share of the items that may lack a current summary.
    """
    outdated, sample = _left_to_do(database, kind, day, summarizer)
    unmeasured = sample if embedder is not None else frozenset[bytes]()
    if outdated or unmeasured:
        for batch in batched(sources(), _BATCH):
            if outdated:
                with database.transaction() as connection:
                    judge_stored(connection, summarizer, batch)
            chosen = [source for source in batch if source.content_hash in unmeasured] if unmeasured else []
            if chosen and embedder is not None:
                _measure(database, summarizer, chosen, embedder)
    with database.transaction() as connection:
        hold_off_forgetting(connection)  # or a verdict would quote what is forgotten meanwhile
        record_verdicts(connection, kind, day, summarizer, failure_limit, run_id)


def judge_stored(connection: Connection, summarizer: Summarizer, sources: Sequence[Source]) -> int:
    """Judge the current summaries of `sources` that rules of an older version, or none, have judged; how many."""
    by_hash = {source.content_hash: source for source in sources}
    rows = connection.execute(
        "SELECT content_hash, summary, other_technologies, extractive FROM summaries WHERE model = %s"
        " AND prompt_version = %s AND content_hash = ANY (%s) AND quality_version < %s",
        [summarizer.model, summarizer.prompt_version, list(by_hash), QUALITY_VERSION],
    ).fetchall()
    judged = [
        (
            bytes(content_hash),
            judge(
                by_hash[bytes(content_hash)],
                Summary(text, other_technologies=tuple(others)),
                prompt_texts(),
                extractive=extractive,
            ),
        )
        for content_hash, text, others, extractive in rows
    ]
    store_judgements(connection, summarizer, judged)
    return len(judged)


def store_judgements(connection: Connection, summarizer: Summarizer, judged: Sequence[tuple[bytes, Judgement]]) -> None:
    """Note what was found of summaries, by content hash."""
    connection.execute(  # one statement a batch
        "UPDATE summaries s SET flags = coalesce(string_to_array(nullif(told.flags, ''), E'\\n'), '{}'),"
        " withheld = told.withheld, quality_version = %s"
        " FROM unnest(%s::bytea[], %s::text[], %s::boolean[]) AS told (content_hash, flags, withheld)"
        " WHERE s.content_hash = told.content_hash AND s.model = %s AND s.prompt_version = %s",
        [
            QUALITY_VERSION,
            [content_hash for content_hash, _ in judged],
            ["\n".join(one.flags) for _, one in judged],  # a flag is one line
            [one.withheld for _, one in judged],
            summarizer.model,
            summarizer.prompt_version,
        ],
    )


@cache
def prompt_texts() -> tuple[str, ...]:
    """Every prompt there is, older ones too: repeating any of them is an echo."""
    folder = files(__package__) / "prompts"
    versions = sorted(one.name for one in folder.iterdir() if one.is_dir())
    return tuple(text for version in versions for text in (load_prompt(version).system, load_prompt(version).repair))


def _left_to_do(database: Database, kind: Kind, day: date, summarizer: Summarizer) -> tuple[bool, frozenset[bytes]]:
    """Whether summaries of the day are to be judged, and the contents of the sample that were not measured yet."""
    version = {"model": summarizer.model, "prompt_version": summarizer.prompt_version}
    with database.transaction() as connection:
        connection.execute(sql(__package__, "judged"), {"kind": kind.name, "day": day, **version})
        row = connection.execute(
            "SELECT EXISTS (SELECT FROM judged WHERE quality_version < %s)", [QUALITY_VERSION]
        ).fetchone()
        sample = connection.execute(
            "SELECT content_hash FROM (SELECT DISTINCT content_hash, similarity FROM judged"
            " WHERE summarized AND NOT extractive ORDER BY content_hash LIMIT %s) first WHERE similarity IS NULL",
            [SAMPLE],
        ).fetchall()
    return bool(row and row[0]), frozenset(bytes(content_hash) for (content_hash,) in sample)


def _measure(database: Database, summarizer: Summarizer, sources: Sequence[Source], embedder: Embedder) -> None:
    by_hash = {source.content_hash: source for source in sources}
    version = [summarizer.model, summarizer.prompt_version]
    rows = database.fetch_all(
        "SELECT content_hash, summary FROM summaries WHERE model = %s AND prompt_version = %s"
        " AND content_hash = ANY (%s)",
        [*version, list(by_hash)],
    )
    texts = [summary for _, summary in rows] + [_document(by_hash[bytes(one)]) for one, _ in rows]
    vectors = embedder.encode(texts)
    cosines = np.sum(vectors[: len(rows)] * vectors[len(rows) :], axis=1)
    with database.transaction() as connection:
        connection.cursor().executemany(
            "UPDATE summaries SET similarity = %s WHERE content_hash = %s AND model = %s AND prompt_version = %s",
            [(float(cosine), row[0], *version) for cosine, row in zip(cosines, rows, strict=True)],
        )


def _document(source: Source) -> str:
    """The beginning of what a source says, as an embedding model reads it."""
    told = map(clean, (source.title, source.body, *source.comments, *source.reviews))
    return "\n".join(text for text in told if text)[:_DOCUMENT_LENGTH]
