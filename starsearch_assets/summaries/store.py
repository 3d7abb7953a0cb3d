"""Outcomes as rows: summaries, failures and what they cost, a transaction a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resources.kinds import Kind
from resources.llm import NOTHING_ASKED, Usage
from resources.postgres import Connection, Database, retry_deadlocks
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.summaries import ledger
from starsearch_assets.summaries.contents import Item, still_held
from starsearch_assets.summaries.judging import judge_stored
from starsearch_assets.summaries.ledger import Account
from starsearch_assets.summaries.source import Failure, Outcome, Source, Summarizer, Summary

ATTEMPTS = 3
"""Runs after which a content that failed in each of them is not asked for again, until somebody says so."""


@dataclass(frozen=True)
class Stored:
    """What a batch came to: summaries and failures stored, and what all of its outcomes cost."""

    written: int
    failed: int
    usage: Usage


@retry_deadlocks
def store_batch(
    database: Database,
    kind: Kind,
    account: Account,
    outcomes: Sequence[tuple[Source, Outcome]],
    items: Mapping[bytes, Sequence[Item]],
    summarizer: Summarizer,
) -> Stored:
    """Store outcomes of contents that items still have, and judge them; what they cost counts in any case.

    items: those that have each content.
    """
    ordered = sorted(((source.content_hash, outcome) for source, outcome in outcomes), key=lambda one: one[0])
    usage = sum((outcome.usage for _, outcome in ordered), NOTHING_ASKED)
    with database.transaction() as connection:
        hold_off_forgetting(connection)  # a repository may have been forgotten since its text was read
        held = still_held(connection, kind, [item for content_hash, _ in ordered for item in items[content_hash]])
        done = [(key, one) for key, one in ordered if key in held and isinstance(one, Summary)]
        failed = [(key, one) for key, one in ordered if key in held and isinstance(one, Failure)]
        _store_summaries(connection, account, done, summarizer.extractive)
        stored = {key for key, _ in done}
        judge_stored(connection, summarizer, [source for source, _ in outcomes if source.content_hash in stored])
        _store_failures(connection, kind, account, failed, items)
        if not summarizer.extractive:
            ledger.add(connection, account, usage, items=len(done), failed=len(failed))
    return Stored(len(done), len(failed), usage)


def _store_summaries(
    connection: Connection, account: Account, done: Sequence[tuple[bytes, Summary]], extractive: bool
) -> None:
    cursor = connection.cursor()
    cursor.executemany(
        "INSERT INTO summaries (content_hash, model, prompt_version, extractive, summary, change_type, technologies,"
        " other_technologies, components, user_visible, tokens_in, tokens_out, run_id)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [
            (
                content_hash, account.model, account.prompt_version, extractive, one.text, one.change_type,
                list(one.technologies), list(one.other_technologies), list(one.components), one.user_visible,
                one.usage.tokens_in, one.usage.tokens_out, account.run_id or None,
            )
            for content_hash, one in done
        ],
    )  # fmt: skip
    connection.execute(
        "DELETE FROM summary_failures WHERE content_hash = ANY (%s) AND model = %s AND prompt_version = %s",
        [[content_hash for content_hash, _ in done], account.model, account.prompt_version],
    )


def _store_failures(
    connection: Connection,
    kind: Kind,
    account: Account,
    failed: Sequence[tuple[bytes, Failure]],
    items: Mapping[bytes, Sequence[Item]],
) -> None:
    """attempts counts runs: none asks twice for what failed in it."""
    connection.cursor().executemany(
        "INSERT INTO summary_failures AS before (content_hash, model, prompt_version, kind, repo_id, ref, reason,"
        " run_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (content_hash, model, prompt_version)"
        " DO UPDATE SET reason = excluded.reason, run_id = excluded.run_id, failed_at = now(),"
        " attempts = before.attempts + 1",
        [
            (
                content_hash, account.model, account.prompt_version, kind.name, *items[content_hash][0][:2],
                failure.reason, account.run_id or None,
            )
            for content_hash, failure in failed
        ],
    )  # fmt: skip
