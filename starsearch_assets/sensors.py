"""What requests runs: arrivals, dirty days, dirty months, new indexes, partitions that wait; and the schedules.

Sensors only look and request; they fetch nothing. Each keeps a cursor of its own, because an
`@asset_sensor` sees only the newest of several materializations between two ticks.
"""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from resources.configurable import EmbedderResource, PostgresResource
from resources.inbox import EVENTS_API, WEBHOOK
from resources.kinds import Kind
from starsearch_assets import waiting
from starsearch_assets.deliveries.process import ASSET as DELIVERIES
from starsearch_assets.embeddings.models import model_of_releases
from starsearch_assets.events.assets import EVENTS
from starsearch_assets.insights.assets import ASSETS as INSIGHTS
from starsearch_assets.partitions import Partitions, hour_key
from starsearch_assets.polling.state import gap_days
from starsearch_assets.reconciliation.process import ASSET as RECONCILIATION
from starsearch_assets.release.assets import STEPS
from starsearch_assets.release.candidate import undecided
from starsearch_assets.run_requests import LOOK_EVERY, at_work

RUNS_A_TICK = 20
Mark = tuple[str, str, int]
"""What has to be processed: partition key, kind (or source), version."""


def day_assets(kind: Kind) -> tuple[str, ...]:
    """The assets of a day of one kind, from its events to its vectors."""
    hydration = (kind.hydration,) if kind.hydrated else ()
    summaries = (kind.summaries,) if kind.summarized else ()
    return (kind.table, *hydration, *summaries, kind.embeddings)


def inbox_sensor(partitions: Partitions) -> dg.SensorDefinition:
    """Requests the hours in which something arrived: events of the Events API, webhook deliveries."""
    readers: dict[str, tuple[str, ...]] = {EVENTS_API: (EVENTS,), WEBHOOK: (DELIVERIES,)}
    return _dirty_sensor(
        "inbox_sensor",
        "Hours in which the inbox received what nobody has read yet. Hour files are not asked for.",
        "SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD-HH24:00'), source, version FROM service.inbox_hours"
        " ORDER BY hour DESC, source",
        partitions.hourly,
        readers,
        {EVENTS: {"config": {"hour_file": False}}},
    )


def dirty_days_sensor(kinds: Sequence[Kind], partitions: Partitions) -> dg.SensorDefinition:
    """Requests content, summaries, embeddings and contributions of days whose events changed, newest first."""
    return _dirty_sensor(
        "dirty_days_sensor",
        "Days whose events changed since they were last processed, also when the change came late.",
        "SELECT day::text, kind, version FROM dirty_days ORDER BY day DESC, kind",
        partitions.daily,
        {kind.name: (*day_assets(kind), *INSIGHTS) for kind in kinds},
    )


def dirty_months_sensor(kinds: Sequence[Kind], partitions: Partitions) -> dg.SensorDefinition:
    """Requests the indexes of months in which vectors or filter columns changed, newest first."""
    return _dirty_sensor(
        "dirty_months_sensor",
        "Months whose vectors changed since their index was last built.",
        "SELECT month::text, kind, version FROM dirty_months ORDER BY month DESC, kind",
        partitions.monthly,
        {kind.name: (kind.index,) for kind in kinds},
    )


def release_sensor() -> dg.SensorDefinition:
    """Requests a release while there are indexes of which none was decided: once, and again every two hours."""

    @dg.sensor(
        name="release_sensor",
        target=list(STEPS),
        minimum_interval_seconds=LOOK_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="New index artifacts, or a candidate that a killed run left; the requested run decides.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, postgres: PostgresResource, embedder: EmbedderResource
    ) -> dg.SensorResult | dg.SkipReason:
        model = model_of_releases(postgres.owner, embedder.embedders())
        with postgres.owner.transaction() as connection:
            fingerprint = undecided(connection, model)
        if fingerprint is None:
            return dg.SkipReason("every index is in a release, or its release was refused")
        if at_work(context, "release_sensor"):
            return dg.SkipReason("a release is at work; newer indexes come into the next one")
        attempt = f"{fingerprint}/{int(datetime.now(UTC).timestamp() // waiting.LONGEST_WAIT.total_seconds())}"
        if context.cursor == attempt:
            return dg.SkipReason("requested, and nothing came of it; it is requested again within two hours")
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=attempt)], cursor=attempt)

    return sensor


def waiting_sensor(
    name: str, partitions_def: dg.PartitionsDefinition[str], waiters: Mapping[str, tuple[str, ...]]
) -> dg.SensorDefinition:
    """Requests partitions that wait, each when its time has come.

    waiters: asset for which partitions are noted -> the assets that are requested then. They share their partitions,
    because Dagster makes one job of all that a sensor can request.
    """

    @dg.sensor(
        name=name,
        description="Partitions that are not finished: files not there yet, API budgets used up, servers down.",
        target=sorted({asset for selection in waiters.values() for asset in selection}),
        minimum_interval_seconds=LOOK_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult:
        now = datetime.now(UTC)
        due = {
            f"{one.asset}/{one.partition}": (one, _due_time(one, now))
            for one in waiting.due(postgres.owner, now)
            if one.asset in waiters and partitions_def.has_partition_key(one.partition)
        }
        requested: dict[str, str] = json.loads(context.cursor or "{}")
        cursor = {partition: time for partition, time in requested.items() if partition in due}
        requests: list[dg.RunRequest] = []
        for partition, (one, time) in due.items():
            if cursor.get(partition) == time or len(requests) == RUNS_A_TICK:
                continue
            cursor[partition] = time
            requests.append(
                dg.RunRequest(
                    run_key=f"{partition}:{one.attempts}:{time}",
                    partition_key=one.partition,
                    asset_selection=[dg.AssetKey(asset) for asset in waiters[one.asset]],
                )
            )
        skipped = None if requests else "nothing is due that was not requested"
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=json.dumps(cursor))

    return sensor


def _due_time(one: waiting.Waiting, now: datetime) -> str:
    """The time that a request stands for: once, and once more every two hours while nothing comes of it.

    A run that is killed leaves its row as it was.
    """
    passed = (now - one.not_before) // waiting.LONGEST_WAIT
    return (one.not_before + passed * waiting.LONGEST_WAIT).isoformat()


def gaps_sensor(partitions: Partitions) -> dg.SensorDefinition:
    """Requests the reconciliation of days of which a feed was not seen whole, once the day is over."""

    @dg.sensor(
        name="polling_gaps_sensor",
        description="Days in which a feed of the Events API brought more than it offers at once: GitHub is asked.",
        target=[RECONCILIATION],
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult:
        now = datetime.now(UTC)
        gaps = gap_days(postgres.owner, now)
        wanted = {day: number for day, number in gaps if partitions.daily.has_partition_key(day)}
        attempt = int(now.timestamp() // waiting.LONGEST_WAIT.total_seconds())  # a run that was killed left it open
        requested: dict[str, list[int]] = json.loads(context.cursor or "{}")
        cursor = {day: made for day, made in requested.items() if day in wanted}
        due = {day: number for day, number in wanted.items() if _is_due(cursor.get(day), number, attempt)}
        chosen = dict(list(due.items())[:RUNS_A_TICK])
        cursor |= {day: [number, attempt] for day, number in chosen.items()}
        requests = [
            dg.RunRequest(run_key=f"gap-{day}-{number}-{attempt}", partition_key=day) for day, number in chosen.items()
        ]
        skipped = None if requests else "no gap that was not requested"
        return dg.SensorResult(run_requests=requests, skip_reason=skipped, cursor=json.dumps(cursor))

    return sensor


def _is_due(made: Sequence[int] | None, gap: int, attempt: int) -> bool:
    """Whether a day has to be requested: for a newer gap, or once more after a day in which it stayed open."""
    a_day = timedelta(days=1) // waiting.LONGEST_WAIT
    return made is None or gap > made[0] or attempt >= made[1] + a_day


def hourly_schedule(partitions: Partitions) -> dg.ScheduleDefinition:
    """Loads each hour when its file can be there. Off until someone switches it on: it needs the network."""

    @dg.schedule(
        name="hourly_events",
        cron_schedule="20 * * * *",
        execution_timezone="UTC",
        target=[EVENTS],
        description="The last complete hour of the source.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        ended = context.scheduled_execution_time.astimezone(UTC) - timedelta(hours=1)
        return _scheduled(partitions.hourly, hour_key(ended))

    return schedule


def daily_reconciliation(partitions: Partitions) -> dg.ScheduleDefinition:
    """Compares each day with GitHub's own count. Off until someone switches it on: it needs a token."""

    @dg.schedule(
        name="daily_reconciliation",
        cron_schedule="0 2 * * *",
        execution_timezone="UTC",
        target=[RECONCILIATION],
        description="Yesterday as GitHub counts it, two hours after it ended (UTC).",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        yesterday = context.scheduled_execution_time.astimezone(UTC).date() - timedelta(days=1)
        return _scheduled(partitions.daily, f"{yesterday}")

    return schedule


def _scheduled(partitions_def: dg.TimeWindowPartitionsDefinition, key: str) -> dg.RunRequest | dg.SkipReason:
    """The request of a schedule for one partition, once, if it is one."""
    if not partitions_def.has_partition_key(key):
        return dg.SkipReason(f"{key} is no partition: it lies outside STARSEARCH_START and STARSEARCH_END")
    return dg.RunRequest(run_key=key, partition_key=key)


def _dirty_sensor(
    name: str,
    description: str,
    query: str,
    partitions_def: dg.TimeWindowPartitionsDefinition,
    readers: Mapping[str, tuple[str, ...]],
    config: Mapping[str, Any] | None = None,
) -> dg.SensorDefinition:
    """A sensor over a table of dirty partitions. query: the marks, newest first.

    readers: kind -> the assets that process it. config: asset -> its part of the run's config.
    """

    @dg.sensor(
        name=name,
        description=description,
        target=list(dict.fromkeys(asset for assets in readers.values() for asset in assets)),
        minimum_interval_seconds=LOOK_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult:
        marks: list[Mark] = [
            (partition, kind, version)
            for partition, kind, version in postgres.owner.fetch_all(query)
            if kind in readers and partitions_def.has_partition_key(partition)
        ]
        return _requests(context, marks, readers, config or {}, at_work(context, name))

    return sensor


def _requests(
    context: dg.SensorEvaluationContext,
    dirty: Sequence[Mark],
    readers: Mapping[str, tuple[str, ...]],
    config: Mapping[str, Any],
    busy: AbstractSet[str],
) -> dg.SensorResult:
    """Run requests for what is dirty and was not requested yet, one a partition.

    The cursor holds the version last requested of everything that is still dirty, so that a version is
    requested once, and what a tick leaves out is requested by the next one. busy: partitions whose last request
    is not finished yet; they wait for a later tick.
    """
    requested: dict[str, int] = json.loads(context.cursor or "{}")
    wanted: dict[str, list[tuple[str, int]]] = {}
    for partition, kind, version in dirty:
        if requested.get(f"{partition}/{kind}") != version:
            wanted.setdefault(partition, []).append((kind, version))
    chosen = dict([one for one in wanted.items() if one[0] not in busy][:RUNS_A_TICK])
    still = {f"{partition}/{kind}" for partition, kind, _ in dirty}
    cursor = {name: version for name, version in requested.items() if name in still}
    requests = []
    for partition, marks in chosen.items():
        cursor |= {f"{partition}/{kind}": version for kind, version in marks}
        names = list(dict.fromkeys(name for kind, _ in marks for name in readers[kind]))
        requests.append(
            dg.RunRequest(
                run_key=f"{partition}:" + ",".join(f"{kind}={version}" for kind, version in marks),
                partition_key=partition,
                asset_selection=[dg.AssetKey(name) for name in names],
                run_config={"ops": {name: config[name] for name in names if name in config}},
            )
        )
    if not requests:
        reason = "runs of all that is dirty are at work" if wanted else "nothing is dirty that was not requested"
        return dg.SensorResult(skip_reason=reason, cursor=json.dumps(cursor))
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(cursor))
