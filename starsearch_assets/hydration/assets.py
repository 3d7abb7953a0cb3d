"""What events leave out, brought by GitHub's API: one asset a kind, one partition a day."""

import dagster as dg

from resources.configurable import GitHubResource, PostgresResource
from resources.kinds import Kind
from starsearch_assets import waiting
from starsearch_assets.hydration.process import DayResult, hydrate_day
from starsearch_assets.partitions import Partitions, day_of, upstream
from starsearch_assets.range_runs import Metadata, for_each_partition, reporter
from starsearch_assets.reconciliation.process import ASSET as RECONCILIATION


def hydration_asset(kind: Kind, partitions: Partitions) -> dg.AssetsDefinition:
    """`*_hydration`: text, state, files and comments of the items active on a day, asked of GitHub."""

    @dg.asset(
        name=kind.hydration,
        deps=[upstream(kind.table), upstream(RECONCILIATION)],
        partitions_def=partitions.daily,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=31),
        group_name="hydration",
        kinds={"postgres", "github", "graphql"},
        owners=["team:ingestion"],
        pool="github",
        description=(
            f"What events leave out of every {kind.label} active on the day, asked of GitHub's GraphQL API, many a"
            " query, and merged as the newest observation; deleted, moved and hidden ones are recorded. Without"
            " GITHUB_TOKEN items stay without text and are counted. What the hourly budget leaves over waits."
        ),
        metadata={"table": f"starsearch.{kind.table}", "fates": "starsearch.hydrations"},
    )
    def hydration(context: dg.AssetExecutionContext, postgres: PostgresResource, github: GitHubResource) -> None:
        def work(key: str) -> Metadata:
            result = hydrate_day(
                postgres.owner, kind, day_of(key), github.client, context.run_id, reporter(context, key)
            )
            rest = result.rest
            reason = f"{rest.left:,} items left. {rest.reason}"
            waiting.note_rest(postgres.owner, kind.hydration, key, rest.until, reason, context.run_id)
            return _metadata(result)

        for_each_partition(context, work)

    return hydration


def _metadata(result: DayResult) -> Metadata:
    counts = {
        "without text": result.without_text,
        "wanted": result.wanted,
        "found": result.found,
        "deleted": result.deleted,
        "moved": result.moved,
        "failed": result.failed,
        "left for later": result.rest.left,
        "hidden repositories": result.hidden_repositories,
        "forgotten repositories": result.forgotten_repositories,
        "requests": result.requests,
        "points": result.points,
    }
    told = "asked" if result.asked else "GITHUB_TOKEN is not set: nothing was asked"
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(result.found),
        **{name: dg.MetadataValue.int(count) for name, count in counts.items()},
        "github": dg.MetadataValue.text(result.rest.reason or told),
    }
