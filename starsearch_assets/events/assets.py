"""The firehose: one partition an hour file."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from resources.configurable import GHArchiveResource, PostgresResource
from resources.errors import HourNotFound, HourUnchanged, SourceError
from resources.gh_archive import GHArchive
from resources.postgres import Database
from starsearch_assets import audits, waiting
from starsearch_assets.checks import log_verdicts
from starsearch_assets.events.ledger import loaded_etag, unchanged
from starsearch_assets.events.load import HourResult, load_hour, record_failure
from starsearch_assets.partitions import Partitions, hour_of
from starsearch_assets.range_runs import Metadata, for_each_partition_that_is_ready

EVENTS = "events"
HOUR_IS_COMPLETE = "hour_is_complete"
REJECTED_SHARE_LIMIT = 0.01
"""An hour of whose lines more than this share were rejected does not pass its audit."""

_WAITED_FOR = timedelta(days=1)


def events_asset(partitions: Partitions) -> dg.AssetsDefinition:
    """The asset `events`."""

    @dg.asset(
        name=EVENTS,
        partitions_def=partitions.hourly,
        output_required=False,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=168),
        group_name="events",
        kinds={"postgres", "python"},
        owners=["team:ingestion"],
        description=(
            "Public GitHub events of one hour, streamed from a GH Archive hour file into `events` in one"
            " transaction, with the ledger, the rejected lines and the dirty days. A damaged file leaves no"
            " events; the same file again does nothing. An hour that is not there yet is waited for, for a day."
        ),
        metadata={"table": "starsearch.events", "key": "(created_at, event_id, type)"},
    )
    def events(
        context: dg.AssetExecutionContext, postgres: PostgresResource, gh_archive: GHArchiveResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        source = gh_archive.client()
        yield from for_each_partition_that_is_ready(
            context,
            lambda key: _hour(postgres.owner, source, key, context.run_id),
            lambda keys: log_verdicts(context, postgres.owner, EVENTS, HOUR_IS_COMPLETE, keys),
        )

    return events


def _hour(database: Database, source: GHArchive, key: str, run_id: str) -> Metadata | None:
    """Load one hour; None where its file may still come."""
    hour, url = hour_of(key), source.url(hour_of(key))
    try:
        with source.fetch(hour, known_etag=loaded_etag(database, url)) as file:
            result = load_hour(database, file, run_id)
    except HourUnchanged:
        result = unchanged(database, url)
    except HourNotFound as error:
        if datetime.now(UTC) - hour < _WAITED_FOR:
            with database.transaction() as connection:
                waiting.postpone(connection, EVENTS, key, None, str(error), run_id)
            return None
        record_failure(database, url, hour, "missing", str(error), run_id)
        result = HourResult("missing", url)
    except SourceError as error:
        record_failure(database, url, hour, "failed", str(error), run_id)
        with database.transaction() as connection:
            waiting.finished(connection, EVENTS, [key])  # from here on it is a failed run that somebody looks at
        raise
    _finish(database, key, result, run_id)
    return {
        "dagster/partition_row_count": dg.MetadataValue.int(result.events),
        "inserted": dg.MetadataValue.int(result.inserted),
        "rejected": dg.MetadataValue.int(result.rejected),
        "withheld": dg.MetadataValue.int(result.withheld),
        "sanitized": dg.MetadataValue.int(result.sanitized),
        "bytes": dg.MetadataValue.int(result.bytes),
        "status": dg.MetadataValue.text(result.status),
        "source": dg.MetadataValue.url(result.url),
    }


def _finish(database: Database, key: str, result: HourResult, run_id: str) -> None:
    """Audit the hour: it is there, and nearly all of its lines were events. It no longer waits."""
    lines = result.events + result.rejected
    passed = result.status != "missing" and result.rejected <= REJECTED_SHARE_LIMIT * max(lines, 100)
    details = {"status": result.status, "events": result.events, "rejected": result.rejected, "source": result.url}
    with database.transaction() as connection:
        audits.record(connection, audits.Audit(EVENTS, key, f"{result.url}#{result.events}", passed, details), run_id)
        waiting.finished(connection, EVENTS, [key])
