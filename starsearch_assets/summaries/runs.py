"""The partitions of one run of summaries: their share of the LLM, their metadata, and what is asked for again later."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from pydantic import Field

from resources.embedder import Embedder
from resources.kinds import Kind
from resources.postgres import Database
from resources.prices import Prices
from resources.settings import Settings
from starsearch_assets import waiting
from starsearch_assets.checks import Check, log_verdicts
from starsearch_assets.partitions import day_of
from starsearch_assets.range_runs import Metadata, for_each_partition, reporter
from starsearch_assets.summaries.metadata import summaries_metadata
from starsearch_assets.summaries.process import summarize_day
from starsearch_assets.summaries.share import Share
from starsearch_assets.summaries.source import Summarizer
from starsearch_assets.summaries.verdicts import PROMISES


class SummariesConfig(dg.Config):
    """What is asked for."""

    retry_failures: bool = Field(
        False, description="Also contents that failed in three runs and are otherwise not asked for again."
    )


def summarize_partitions(
    context: dg.AssetExecutionContext,
    kind: Kind,
    database: Database,
    summarizer: Summarizer,
    settings: Settings,
    config: SummariesConfig,
    embedder: Embedder,
) -> None:
    """Summarize the days of the run. Where the LLM is down, those that are left wait: a sensor requests them again.

    Raises:
        dagster.Failure: naming the days that failed, and why.
    """
    prices = Prices.of(settings)

    def postpone(keys: Sequence[str], error: Exception) -> None:
        waiting.note_down(database, kind.summaries, keys, str(error), context.run_id)

    with Share(database, settings.llm_concurrency) as share:

        def work(key: str) -> Metadata:
            result = summarize_day(
                database,
                kind,
                day_of(key),
                summarizer,
                context.run_id,
                reporter(context, key),
                prices=prices,
                share=share,
                retry_failures=config.retry_failures,
                embedder=embedder,
                failure_limit=settings.summary_failures,
            )
            waiting.note_rest(database, kind.summaries, key, None, "", context.run_id)
            return summaries_metadata(result, summarizer, prices)

        def judge(keys: Sequence[str]) -> None:
            for check in summary_checks():
                log_verdicts(context, database, kind.summaries, check.name, keys, check.name, check.severity)

        for_each_partition(context, work, postpone, judge)


def summary_checks() -> list[Check]:
    """One check a promise; what only a person can weigh warns."""
    return [
        Check(one.name, one.description, dg.AssetCheckSeverity.ERROR if one.strict else dg.AssetCheckSeverity.WARN)
        for one in PROMISES
    ]
