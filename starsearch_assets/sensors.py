"""What requests runs: dirty days, dirty months, new indexes; and the hourly schedule.

Sensors only look and request; they fetch nothing. Each keeps a cursor of its own, because an
`@asset_sensor` sees only the newest of several materializations between two ticks.
"""

import json
from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.configurable import PostgresResource
from resources.kinds import BY_NAME, Kind
from starsearch_assets.partitions import Partitions
from starsearch_assets.release.publish import ASSET as RELEASE

RUNS_A_TICK = 20


def dirty_days_sensor(kinds: Sequence[Kind], partitions: Partitions) -> dg.SensorDefinition:
    """Requests content, summaries and embeddings of days whose events changed, newest first."""

    @dg.sensor(
        name="dirty_days_sensor",
        target=[asset for kind in kinds for asset in (kind.table, kind.summaries, kind.embeddings)],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Days whose events changed since they were last processed, also when the change came late.",
    )
    def sensor(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult | dg.SkipReason:
        rows = postgres.owner.fetch_all("SELECT day, kind, version FROM dirty_days ORDER BY day DESC, kind")
        return _requests(
            context,
            [(f"{day}", kind, version) for day, kind, version in rows if f"{day}" in _keys(partitions.daily)],
            lambda kind: (kind.table, kind.summaries, kind.embeddings),
        )

    return sensor


def dirty_months_sensor(kinds: Sequence[Kind], partitions: Partitions) -> dg.SensorDefinition:
    """Requests the indexes of months in which vectors or filter columns changed, newest first."""

    @dg.sensor(
        name="dirty_months_sensor",
        target=[kind.index for kind in kinds],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Months whose vectors changed since their index was last built.",
    )
    def sensor(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult | dg.SkipReason:
        rows = postgres.owner.fetch_all("SELECT month, kind, version FROM dirty_months ORDER BY month DESC, kind")
        return _requests(
            context,
            [(f"{month}", kind, version) for month, kind, version in rows if f"{month}" in _keys(partitions.monthly)],
            lambda kind: (kind.index,),
        )

    return sensor


def release_sensor(kinds: Sequence[Kind]) -> dg.SensorDefinition:
    """Requests a release when an index was materialized since the last look."""

    @dg.sensor(
        name="release_sensor",
        target=[RELEASE],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="New index artifacts; the requested run decides whether they are served.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        after = int(context.cursor or 0)
        newest = after
        for kind in kinds:
            records = context.instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=dg.AssetKey(kind.index), after_storage_id=after), limit=1
            ).records
            newest = max([newest, *(record.storage_id for record in records)])
        if newest == after:
            return dg.SkipReason("no new index")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=f"index-{newest}")], cursor=str(newest))

    return sensor


def hourly_schedule(partitions: Partitions) -> Any:  # dagster exports no name for this type
    """Loads each hour when its file can be there. Off until someone switches it on: it needs the network."""
    job = dg.define_asset_job("load_hour", selection=["events"], partitions_def=partitions.hourly)
    return dg.build_schedule_from_partitioned_job(
        job, name="hourly_events", minute_of_hour=20, description="The last complete hour of the source."
    )


def _requests(
    context: dg.SensorEvaluationContext,
    dirty: Sequence[tuple[str, str, int]],
    assets: object,
) -> dg.SensorResult | dg.SkipReason:
    """Run requests for what is dirty and was not requested yet, one a partition.

    The cursor holds the version last requested of everything that is still dirty, so that a version is
    requested once, and what a tick leaves out is requested by the next one.
    """
    requested: dict[str, int] = json.loads(context.cursor or "{}")
    wanted: dict[str, list[tuple[str, int]]] = {}
    for partition, kind, version in dirty:
        if requested.get(f"{partition}/{kind}") != version:
            wanted.setdefault(partition, []).append((kind, version))
    chosen = dict(list(wanted.items())[:RUNS_A_TICK])
    still = {f"{partition}/{kind}" for partition, kind, _ in dirty}
    cursor = {name: version for name, version in requested.items() if name in still}
    requests = []
    for partition, marks in chosen.items():
        cursor |= {f"{partition}/{kind}": version for kind, version in marks}
        names = [name for kind, _ in marks for name in assets(BY_NAME[kind])]  # type: ignore[operator]
        requests.append(
            dg.RunRequest(
                run_key=f"{partition}:" + ",".join(f"{kind}={version}" for kind, version in marks),
                partition_key=partition,
                asset_selection=[dg.AssetKey(name) for name in names],
            )
        )
    if not requests:
        return dg.SensorResult(skip_reason="nothing is dirty that was not requested", cursor=json.dumps(cursor))
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor))


def _keys(partitions: dg.TimeWindowPartitionsDefinition) -> set[str]:
    return set(partitions.get_partition_keys())
