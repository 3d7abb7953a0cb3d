"""The day as GitHub itself counts it: one partition a day, over all tracked repositories."""

import dagster as dg

from resources.configurable import GitHubResource, PostgresResource
from starsearch_assets import waiting
from starsearch_assets.events.assets import EVENTS
from starsearch_assets.partitions import Partitions, day_of, upstream
from starsearch_assets.range_runs import Metadata, for_each_partition, reporter
from starsearch_assets.reconciliation.plot import capture_plot, capture_rates
from starsearch_assets.reconciliation.process import ASSET, LOW_CAPTURE, DayResult, reconcile_day

DAY_IS_RECONCILED = "day_is_reconciled"


def reconciliation_asset(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset `reconciliation`."""

    @dg.asset(
        name=ASSET,
        deps=[upstream(EVENTS)],
        partitions_def=partitions.daily,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=31),
        group_name="hydration",
        kinds={"postgres", "github", "graphql"},
        owners=["team:ingestion"],
        pool="github",
        description=(
            "What GitHub lists as created or updated on the day in every tracked repository, against what the events"
            " told: the capture rate of the stream. What the events missed gets its day of activity, so that"
            " hydration brings its text. What the hourly budget leaves over waits, and the check fails until then."
        ),
        metadata={"table": "starsearch.reconciliations"},
    )
    def reconciliation(context: dg.AssetExecutionContext, postgres: PostgresResource, github: GitHubResource) -> None:
        def work(key: str) -> Metadata:
            result = reconcile_day(
                postgres.owner, day_of(key), github.client, github.reserve, context.run_id, reporter(context, key)
            )
            waiting.note_rest(postgres.owner, ASSET, key, result.rest.until, result.rest.reason, context.run_id)
            rates = capture_rates(postgres.owner, day_of(key))
            return _metadata(result, capture_plot(rates, LOW_CAPTURE) if rates else "no day is finished yet")

        for_each_partition(context, work)

    return reconciliation


def _metadata(result: DayResult, plot: str) -> Metadata:
    counts = {
        "repositories": result.repositories,
        "left for later": result.rest.left,
        "items": result.items,
        "known from events": result.known,
        "missed by events": result.items - result.known,
        "repositories cut": result.cut,
        "repositories failed": result.failed,
        "repositories forgotten": result.forgotten,
        "requests": result.requests,
        "points": result.points,
    }
    metadata: dict[str, dg.MetadataValue] = {name: dg.MetadataValue.int(count) for name, count in counts.items()}
    metadata["dagster/partition_row_count"] = dg.MetadataValue.int(result.items)
    metadata["github"] = dg.MetadataValue.text(result.rest.reason or result.note or "asked")
    metadata["plan"] = dg.MetadataValue.md(result.plan.as_markdown())
    metadata["capture rate by day"] = dg.MetadataValue.md(plot)
    if result.capture_rate is not None:
        metadata["capture rate"] = dg.MetadataValue.float(round(result.capture_rate, 4))
    return metadata
