"""One day of summaries of one kind: a stream in which only contents that nobody has paid for yet are summarized.

The day is read twice: first all of it, for the hashes of its contents, then what is new, a part at a time, as the
summarizer takes it. So memory holds hashes, and texts of what is in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from resources.embedder import Embedder
from resources.kinds import Kind
from resources.llm import NOTHING_ASKED, Usage
from resources.postgres import Connection, Database
from resources.prices import Prices
from starsearch_assets.batches import batched
from starsearch_assets.summaries.contents import Item, read_again, read_day
from starsearch_assets.summaries.judging import finish_day
from starsearch_assets.summaries.ledger import Account
from starsearch_assets.summaries.share import Share
from starsearch_assets.summaries.source import Outcome, Source, Summarizer, Summary
from starsearch_assets.summaries.store import ATTEMPTS, store_batch

FAILURE_SHARE_LIMIT = 0.05
"""A day whose share of items without a current summary is above this does not pass its audit."""

_READ_AHEAD = 200
"""Sources that are in memory before they are asked about."""
_EXAMPLES = 5


@dataclass
class DayResult:
    """items: with text, active on the day; written: summaries paid for now; usage: what these and failures cost.

    given_up: contents that were not asked for again, because they failed on another day of the run or in ATTEMPTS runs.
    """

    items: int = 0
    written: int = 0
    failed: int = 0
    given_up: int = 0
    usage: Usage = NOTHING_ASKED
    examples: list[tuple[str, str]] = field(default_factory=list)


def summarize_day(
    database: Database,
    kind: Kind,
    day: date,
    summarizer: Summarizer,
    run_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    prices: Prices = Prices(),  # noqa: B008 - frozen
    share: Share | None = None,
    retry_failures: bool = False,
    embedder: Embedder | None = None,
    failure_limit: float = FAILURE_SHARE_LIMIT,
) -> DayResult:
    """Summarize what is new among the items of `kind` active on `day`.

    What comes is committed in batches, as it comes; a run killed half way loses what was in flight. share: of the
    requests that all runs may have in flight; None: as many as the summarizer allows. retry_failures: ask also for
    what failed in ATTEMPTS runs. embedder: measures how much a sample resembles its sources; None: nothing is measured.
    failure_limit: share of the items that may lack a current summary.

    Raises:
        LLMUnavailable: the LLM server is down; what came before it went is kept, and there is no verdict on the day.
    """
    work = _Day(database, kind, day, summarizer, run_id)
    fresh = work.fresh(retry_failures=retry_failures)
    if fresh:
        contents = len({item.content_hash for item in fresh})
        if share is not None and not summarizer.extractive:
            share.join()
        account = Account(
            run_id or "", kind.summaries, f"{day}", summarizer.model, summarizer.prompt_version, prices
        )  # fmt: skip

        def store(outcomes: Sequence[tuple[Source, Outcome]]) -> None:
            work.store(account, outcomes)
            if progress is not None:
                progress(work.result.written + work.result.failed, contents)

        summarizer.summarize(work.sources(fresh), store, None if share is None else share.limit)
    work.finish(embedder, failure_limit)
    return work.result


class _Day:
    """The items of a day, the contents that they have now, and what came of them so far."""

    def __init__(self, database: Database, kind: Kind, day: date, summarizer: Summarizer, run_id: str | None) -> None:
        self._database, self._kind, self._day, self._run_id = database, kind, day, run_id
        self._summarizer = summarizer
        items = read_day(database, kind, day, run_id)
        self._items: dict[bytes, list[Item]] = {}
        for item in items:
            self._items.setdefault(item.content_hash, []).append(item)
        self.result = DayResult(items=len(items))

    def fresh(self, *, retry_failures: bool) -> list[Item]:
        """The items whose contents have to be asked for."""
        with self._database.transaction() as connection:
            known = _known(connection, list(self._items), self._summarizer)
            attempts = None if retry_failures else ATTEMPTS
            given_up = _given_up(connection, list(self._items), self._summarizer, attempts, self._run_id) - known
        self.result.given_up = len(given_up)
        known |= given_up
        return [item for content_hash, items in self._items.items() if content_hash not in known for item in items]

    def sources(self, fresh: Sequence[Item]) -> Iterator[Source]:
        """Their texts as they are now, each content once: of whichever item is still there."""
        asked: set[bytes] = set()
        for chunk in batched(fresh, _READ_AHEAD):
            read = read_again(self._database, self._kind, self._day, chunk, self._run_id)
            chosen = set(chunk)
            known = self._changed([item for item, _ in read if item not in chosen])
            for item, source in read:
                if item.content_hash not in known and item.content_hash not in asked:
                    asked.add(item.content_hash)
                    yield source

    def store(self, account: Account, outcomes: Sequence[tuple[Source, Outcome]]) -> None:
        """Commit a batch."""
        if not outcomes:
            return
        stored = store_batch(self._database, self._kind, account, outcomes, self._items, self._summarizer)
        result = self.result
        result.written += stored.written
        result.failed += stored.failed
        result.usage += stored.usage
        for source, outcome in outcomes:
            if isinstance(outcome, Summary) and len(result.examples) < _EXAMPLES:
                result.examples.append((source.title, outcome.text))

    def finish(self, embedder: Embedder | None, failure_limit: float) -> None:
        """Judge what was not judged yet, and record the day's verdicts."""
        finish_day(
            self._database, self._kind, self._day, self._summarizer, self._all_sources,
            embedder=embedder, failure_limit=failure_limit, run_id=self._run_id,
        )  # fmt: skip

    def _all_sources(self) -> Iterator[Source]:
        items = [item for same in self._items.values() for item in same]
        for chunk in batched(items, _READ_AHEAD):
            for _, source in read_again(self._database, self._kind, self._day, chunk, self._run_id):
                yield source

    def _changed(self, items: Sequence[Item]) -> set[bytes]:
        """Take note of items whose content is another one by now; which of these contents have a summary."""
        if not items:
            return set()
        for item in items:
            self._items.setdefault(item.content_hash, []).append(item)
        with self._database.transaction() as connection:
            return _known(connection, [item.content_hash for item in items], self._summarizer)


def _known(connection: Connection, contents: Sequence[bytes], summarizer: Summarizer) -> set[bytes]:
    rows = connection.execute(
        "SELECT content_hash FROM unnest(%s::bytea[]) AS wanted (content_hash) JOIN summaries USING (content_hash)"
        " WHERE model = %s AND prompt_version = %s",
        [contents, summarizer.model, summarizer.prompt_version],
    )
    return {row[0] for row in rows}


def _given_up(
    connection: Connection, contents: Sequence[bytes], summarizer: Summarizer, attempts: int | None, run_id: str | None
) -> set[bytes]:
    """What failed on another day of this run, or in so many runs."""
    rows = connection.execute(
        "SELECT content_hash FROM unnest(%(contents)s::bytea[]) AS wanted (content_hash)"
        " JOIN summary_failures USING (content_hash) WHERE model = %(model)s AND prompt_version = %(prompt_version)s"
        " AND (attempts >= %(attempts)s::integer OR run_id = %(run_id)s)",
        {
            "contents": contents,
            "model": summarizer.model,
            "prompt_version": summarizer.prompt_version,
            "attempts": attempts,
            "run_id": run_id,
        },
    )
    return {row[0] for row in rows}
