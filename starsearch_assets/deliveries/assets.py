"""Webhook deliveries: one partition an hour of arrival."""

import dagster as dg

from resources.configurable import PostgresResource
from starsearch_assets.deliveries.process import ASSET, read_hour
from starsearch_assets.partitions import Partitions, hour_of
from starsearch_assets.range_runs import Metadata, for_each_partition

DELIVERIES = ASSET
DELIVERIES_ARE_USABLE = "deliveries_are_usable"


def deliveries_asset(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset `deliveries`."""

    @dg.asset(
        name=DELIVERIES,
        partitions_def=partitions.hourly,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=168),
        group_name="events",
        kinds={"postgres", "python", "github"},
        owners=["team:ingestion"],
        description=(
            "Webhook deliveries that arrived in the hour, read from the inbox: payloads cut to what is read, keyed by"
            " the SHA-256 of their body. They carry no event id and never become events; content is merged from"
            " them beside events, by GitHub's own times. Repositories that turned private are forgotten."
        ),
        metadata={"table": "starsearch.deliveries", "key": "sha256"},
    )
    def deliveries(context: dg.AssetExecutionContext, postgres: PostgresResource) -> None:
        def work(key: str) -> Metadata:
            result = read_hour(postgres.owner, hour_of(key), context.run_id)
            return {
                "dagster/partition_row_count": dg.MetadataValue.int(result.deliveries),
                "new": dg.MetadataValue.int(result.stored),
                "rejected": dg.MetadataValue.int(result.rejected),
                "withheld": dg.MetadataValue.int(result.withheld),
                "repositories hidden": dg.MetadataValue.int(result.news),
            }

        for_each_partition(context, work)

    return deliveries
