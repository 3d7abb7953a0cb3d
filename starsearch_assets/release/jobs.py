"""The job that drops index artifacts which no kept release names."""

import dagster as dg

from resources.configurable import PostgresResource
from starsearch_assets.release.control import drop_unused


def artifact_retention() -> dg.ScheduleDefinition:
    """A daily schedule over the job `drop_unused_artifacts`."""

    @dg.op(description="Drops index artifacts that no kept release names; a reader is never waited for.")
    def drop_unused_artifacts_op(context: dg.OpExecutionContext, postgres: PostgresResource) -> None:
        dropped = drop_unused(postgres.owner)
        context.log.info(f"dropped {len(dropped)} artifacts: {', '.join(dropped) or 'none'}")

    @dg.job(name="drop_unused_artifacts", description="Keeps the seven newest releases and their artifacts.")
    def drop_unused_artifacts() -> None:
        drop_unused_artifacts_op()

    return dg.ScheduleDefinition(
        name="artifact_retention",
        job=drop_unused_artifacts,
        cron_schedule="40 3 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
