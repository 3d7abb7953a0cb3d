"""The job that drops index artifacts which no kept release names."""

import dagster as dg

from resources.configurable import PostgresResource
from starsearch_assets.index.cost import costs, shown_bytes
from starsearch_assets.release.control import drop_unused
from starsearch_assets.tables import table


def artifact_retention() -> dg.ScheduleDefinition:
    """A daily schedule over the job `drop_unused_artifacts`."""

    @dg.op(description="Drops index artifacts that no kept release names; a reader is never waited for.")
    def drop_unused_artifacts_op(context: dg.OpExecutionContext, postgres: PostgresResource) -> None:
        dropped = drop_unused(postgres.owner)
        freed = sum(one.bytes for one in dropped)
        tables = ", ".join(one.table for one in dropped) or "none"
        context.log.info(f"dropped {len(dropped)} artifacts of {shown_bytes(freed)}: {tables}")
        left = costs(postgres.owner)
        context.add_output_metadata(
            {
                "dropped": dg.MetadataValue.int(len(dropped)),
                "freed bytes": dg.MetadataValue.int(freed),
                "build seconds of what was dropped": dg.MetadataValue.float(
                    float(sum(one.build_seconds for one in dropped))
                ),
                "what is left": table(left.rows(), "nothing"),
            }
        )

    @dg.job(name="drop_unused_artifacts", description="Keeps the seven newest releases and their artifacts.")
    def drop_unused_artifacts() -> None:
        drop_unused_artifacts_op()

    return dg.ScheduleDefinition(
        name="artifact_retention",
        job=drop_unused_artifacts,
        cron_schedule="40 3 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
