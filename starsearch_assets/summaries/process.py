"""One day of summaries of one kind: only contents that nobody has paid for yet are summarized."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from resources.kinds import Kind
from resources.postgres import Connection, Database, sql
from starsearch_assets import audits
from starsearch_assets.summaries.source import Failure, Outcome, Source, Summarizer, Summary

FAILURE_SHARE_LIMIT = 0.05
"""A day whose share of items without a current summary is above this does not pass its audit."""

_BATCH = 256


@dataclass(frozen=True)
class _Item:
    """One item's source, under the hash of everything that the summarizer sees."""

    repo_id: int
    ref: str
    content_hash: bytes
    source: Source


@dataclass
class DayResult:
    """items: with text, active on the day; written: summaries paid for now; tokens: of those."""

    items: int = 0
    written: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


def summarize_day(
    database: Database,
    kind: Kind,
    day: date,
    summarizer: Summarizer,
    run_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DayResult:
    """Summarize what is new among the items of `kind` active on `day`.

    Summaries are committed in batches as they come; a run killed half way pays only for the rest.

    Raises:
        LLMUnavailable: the LLM server is down; what came before it went is kept.
    """
    items = _items(database, kind, day)
    result = DayResult(items=len(items))
    with database.transaction() as connection:
        _remember_contents(connection, kind, items, run_id)
        known = _known(connection, items, summarizer)
    fresh = {item.content_hash: item for item in items if item.content_hash not in known}
    for batch in _batches(list(fresh.values()), _BATCH):
        _summarize(database, kind, batch, summarizer, result, run_id)
        if progress is not None:
            progress(result.written + result.failed, len(fresh))
    _audit(database, kind, day, items, summarizer, run_id)
    return result


def _items(database: Database, kind: Kind, day: date) -> list[_Item]:
    rows = database.fetch_all(sql(__package__, "sources"), {"kind": kind.name, "day": day})
    items = []
    for repo_id, ref, title, body, labels, comments in rows:
        source = Source(kind.label, title, body, labels=tuple(labels), comments=tuple(comments))
        items.append(_Item(repo_id, ref, source.content_hash, source))
    return items


def _remember_contents(connection: Connection, kind: Kind, items: Sequence[_Item], run_id: str | None) -> None:
    """Make each item's content its current one, where it is not already."""
    current = {
        (repo_id, ref): content_hash
        for repo_id, ref, content_hash in connection.execute(
            "SELECT DISTINCT ON (repo_id, ref) repo_id, ref, content_hash FROM item_contents"
            " WHERE kind = %s AND repo_id = ANY (%s) AND ref = ANY (%s) ORDER BY repo_id, ref, seen_at DESC",
            [kind.name, list({item.repo_id for item in items}), list({item.ref for item in items})],
        )
    }
    connection.cursor().executemany(
        "INSERT INTO item_contents (kind, repo_id, ref, content_hash, run_id) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (kind, repo_id, ref, content_hash)"
        " DO UPDATE SET seen_at = clock_timestamp(), run_id = excluded.run_id",
        [
            (kind.name, item.repo_id, item.ref, item.content_hash, run_id)
            for item in items
            if current.get((item.repo_id, item.ref)) != item.content_hash
        ],
    )


def _known(connection: Connection, items: Sequence[_Item], summarizer: Summarizer) -> set[bytes]:
    rows = connection.execute(
        "SELECT content_hash FROM summaries WHERE model = %s AND prompt_version = %s AND content_hash = ANY (%s)",
        [summarizer.model, summarizer.prompt_version, [item.content_hash for item in items]],
    )
    return {row[0] for row in rows}


def _summarize(
    database: Database,
    kind: Kind,
    batch: Sequence[_Item],
    summarizer: Summarizer,
    result: DayResult,
    run_id: str | None,
) -> None:
    by_hash = {item.content_hash: item for item in batch}

    def store(outcomes: Sequence[tuple[Source, Outcome]]) -> None:
        done = [(by_hash[one.content_hash], outcome) for one, outcome in outcomes if isinstance(outcome, Summary)]
        failed = [(by_hash[one.content_hash], outcome) for one, outcome in outcomes if isinstance(outcome, Failure)]
        _store(database, kind, done, failed, summarizer, run_id)
        result.written += len(done)
        result.failed += len(failed)
        result.tokens_in += sum(outcome.usage.tokens_in for _, outcome in outcomes)
        result.tokens_out += sum(outcome.usage.tokens_out for _, outcome in outcomes)
        result.examples.extend((item.source.title, summary.text) for item, summary in done[: 5 - len(result.examples)])

    summarizer.summarize([item.source for item in batch], store)


def _store(
    database: Database,
    kind: Kind,
    done: Sequence[tuple[_Item, Summary]],
    failed: Sequence[tuple[_Item, Failure]],
    summarizer: Summarizer,
    run_id: str | None,
) -> None:
    version = (summarizer.model, summarizer.prompt_version)
    with database.transaction() as connection:
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO summaries (content_hash, model, prompt_version, extractive, summary, tokens_in,"
            " tokens_out, run_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [
                (
                    item.content_hash,
                    *version,
                    summarizer.extractive,
                    one.text,
                    one.usage.tokens_in,
                    one.usage.tokens_out,
                    run_id,
                )
                for item, one in done
            ],
        )
        cursor.executemany(
            "DELETE FROM summary_failures WHERE content_hash = %s AND model = %s AND prompt_version = %s",
            [(item.content_hash, *version) for item, _ in done],
        )
        cursor.executemany(
            "INSERT INTO summary_failures (content_hash, model, prompt_version, kind, repo_id, ref, reason, run_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (content_hash, model, prompt_version)"
            " DO UPDATE SET reason = excluded.reason, run_id = excluded.run_id, failed_at = now()",
            [
                (item.content_hash, *version, kind.name, item.repo_id, item.ref, failure.reason, run_id)
                for item, failure in failed
            ],
        )


def _tokens(summary: Summary) -> tuple[int, int]:
    return summary.usage.tokens_in, summary.usage.tokens_out


def _audit(
    database: Database, kind: Kind, day: date, items: Sequence[_Item], summarizer: Summarizer, run_id: str | None
) -> None:
    """Coverage: the share of items with text that have a summary of the current version."""
    with database.transaction() as connection:
        known = _known(connection, items, summarizer)
        missing = sum(item.content_hash not in known for item in items)
        digest = hashlib.sha256(b"".join(sorted(known)))
        digest.update(f"{summarizer.model}/{summarizer.prompt_version}".encode())
        audits.record(
            connection,
            audits.Audit(
                kind.summaries,
                f"{day}",
                digest.hexdigest(),
                missing <= FAILURE_SHARE_LIMIT * len(items),
                {"items with text": len(items), "without a current summary": missing, "model": summarizer.model},
            ),
            run_id,
        )


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
