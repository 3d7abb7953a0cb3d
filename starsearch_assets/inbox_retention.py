"""The job that deletes what arrived long ago and was read."""

import dagster as dg

from resources.configurable import PostgresResource
from resources.postgres import Database

_BATCH = 5_000


def inbox_retention(days: int) -> dg.ScheduleDefinition:
    """A daily schedule over the job `delete_read_inbox`. days: how long what was read stays as it came."""

    @dg.op(description="Deletes rows of the inbox that are old and read.")
    def delete_read_inbox_op(context: dg.OpExecutionContext, postgres: PostgresResource) -> None:
        deleted = delete_read(postgres.owner, days)
        context.log.info(f"deleted {deleted:,} rows of the inbox that are older than {days} days and read")

    @dg.job(name="delete_read_inbox", description=f"Keeps what arrived for {days} days, and what nobody read yet.")
    def delete_read_inbox() -> None:
        delete_read_inbox_op()

    return dg.ScheduleDefinition(
        name="inbox_retention",
        job=delete_read_inbox,
        cron_schedule="50 3 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def delete_read(database: Database, days: int) -> int:
    """Delete rows of the inbox that are older than `days` and whose hour nobody has to read any more; how many."""
    deleted = 0
    while (
        batch := database.execute(
            "DELETE FROM service.inbox USING ("
            " SELECT i.source, i.sha256 FROM service.inbox i"
            " WHERE i.received_at < now() - %s * interval '1 day' AND NOT EXISTS (SELECT FROM service.inbox_hours h"
            "   WHERE h.source = i.source AND h.hour = date_trunc('hour', i.received_at, 'UTC')) LIMIT %s) old"
            " WHERE (inbox.source, inbox.sha256) = (old.source, old.sha256)",
            [days, _BATCH],
        )
    ) > 0:
        deleted += batch
    return deleted
