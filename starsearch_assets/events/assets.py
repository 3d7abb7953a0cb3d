"""The firehose: one partition an hour, of its hour file and of what the Events API gave in it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
from pydantic import Field

from resources.configurable import GHArchiveResource, PostgresResource
from resources.errors import HourNotFound, HourUnchanged, SourceError
from resources.gh_archive import GHArchive
from resources.postgres import Database
from starsearch_assets import audits, waiting
from starsearch_assets.checks import log_verdicts
from starsearch_assets.events.inbox import load_inbox_hour
from starsearch_assets.events.ledger import loaded_etag, unchanged
from starsearch_assets.events.load import HourResult, load_hour, record_failure
from starsearch_assets.partitions import Partitions, hour_of
from starsearch_assets.range_runs import Metadata, for_each_partition_that_is_ready

EVENTS = "events"
HOUR_IS_COMPLETE = "hour_is_complete"
LIVE = "live"
"""Status of an hour of which only the Events API has told so far."""
REJECTED_SHARE_LIMIT = 0.01
"""An hour of whose lines more than this share were rejected does not pass its audit."""

_WAITED_FOR = timedelta(days=1)
_HOUR = timedelta(hours=1)
_PUBLISHED = timedelta(minutes=20)  # after the end of an hour its file may be there


class EventsConfig(dg.Config):
    """What of the hour is read."""

    hour_file: bool = Field(True, description="The hour's file too; false: only what the Events API gave in the hour.")


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
            " transaction, with the ledger, the rejected lines and the dirty days; and those that GitHub's Events"
            " API gave in the hour, from the inbox. A damaged file leaves no events; the same file again does"
            " nothing. An hour file that is not there yet is waited for, for a day."
        ),
        metadata={"table": "starsearch.events", "key": "(created_at, event_id, type)"},
    )
    def events(
        context: dg.AssetExecutionContext,
        config: EventsConfig,
        postgres: PostgresResource,
        gh_archive: GHArchiveResource,
    ) -> Iterator[dg.MaterializeResult[None]]:
        source = gh_archive.client() if config.hour_file else None
        yield from for_each_partition_that_is_ready(
            context,
            lambda key: _hour(postgres.owner, source, key, context.run_id),
            lambda keys: log_verdicts(context, postgres.owner, EVENTS, HOUR_IS_COMPLETE, keys),
        )

    return events


def _hour(database: Database, source: GHArchive | None, key: str, run_id: str) -> Metadata | None:
    """Load one hour, with its file where there is a `source`; None where nothing is there yet."""
    hour = hour_of(key)
    live = load_inbox_hour(database, hour, run_id)
    file = None if source is None else _file(database, source, key, run_id)
    if file is not None:
        _finish(database, key, file, run_id)
    elif live is not None:
        _note_live(database, key, live, run_id)
    else:
        return None
    result = file or live
    assert result is not None
    metadata: dict[str, dg.MetadataValue[Any]] = {
        "dagster/partition_row_count": dg.MetadataValue.int(result.events),
        "inserted": dg.MetadataValue.int(result.inserted),
        "rejected": dg.MetadataValue.int(result.rejected),
        "withheld": dg.MetadataValue.int(result.withheld),
        "sanitized": dg.MetadataValue.int(result.sanitized),
        "bytes": dg.MetadataValue.int(result.bytes),
        "status": dg.MetadataValue.text(result.status if file else LIVE),
        "source": dg.MetadataValue.url(result.url),
    }
    if live is not None:
        metadata["from the Events API"] = dg.MetadataValue.int(live.events)
        metadata["inserted from the Events API"] = dg.MetadataValue.int(live.inserted)
    return metadata


def _file(database: Database, source: GHArchive, key: str, run_id: str) -> HourResult | None:
    """Load the hour's file; None where it may still come."""
    hour, url = hour_of(key), source.url(hour_of(key))
    if datetime.now(UTC) < hour + _HOUR:
        _wait(database, key, hour + _HOUR + _PUBLISHED, "the hour is not over", run_id)
        return None
    try:
        with source.fetch(hour, known_etag=loaded_etag(database, url)) as file:
            return load_hour(database, file, run_id)
    except HourUnchanged:
        return unchanged(database, url)
    except HourNotFound as error:
        if datetime.now(UTC) - hour < _WAITED_FOR:
            _wait(database, key, None, str(error), run_id)
            return None
        record_failure(database, url, hour, "missing", str(error), run_id)
        return HourResult("missing", url)
    except SourceError as error:
        record_failure(database, url, hour, "failed", str(error), run_id)
        with database.transaction() as connection:
            waiting.finished(connection, EVENTS, [key])  # from here on it is a failed run that somebody looks at
        raise


def _wait(database: Database, key: str, until: datetime | None, reason: str, run_id: str) -> None:
    with database.transaction() as connection:
        waiting.postpone(connection, EVENTS, key, until, reason, run_id)


def _finish(database: Database, key: str, result: HourResult, run_id: str) -> None:
    """Audit the hour: its file is there, and nearly all of its lines were events. It no longer waits."""
    passed = result.status != "missing" and _mostly_events(result)
    with database.transaction() as connection:
        audits.record(connection, _verdict(key, result, result.status, passed=passed), run_id)
        waiting.finished(connection, EVENTS, [key])


def _note_live(database: Database, key: str, live: HourResult, run_id: str) -> None:
    """Audit what came before the hour's file. Once that was read, or is missing, its own verdict stands."""
    if audits.newest(database, EVENTS, [key]).get(key, _NONE).details.get("status", LIVE) != LIVE:
        return
    with database.transaction() as connection:
        audits.record(connection, _verdict(key, live, LIVE, passed=_mostly_events(live)), run_id)


def _verdict(key: str, result: HourResult, status: str, *, passed: bool) -> audits.Audit:
    details = {"status": status, "events": result.events, "rejected": result.rejected, "source": result.url}
    return audits.Audit(EVENTS, key, f"{result.url}#{result.events}", passed, details)


def _mostly_events(result: HourResult) -> bool:
    return result.rejected <= REJECTED_SHARE_LIMIT * max(result.events + result.rejected, 100)


_NONE = audits.Audit(EVENTS, "", "", False, {})
