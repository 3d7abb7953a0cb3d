"""The assets of contributions, a partition a day: by person, and by repository."""

from collections.abc import Callable, Sequence
from datetime import date

import dagster as dg

from resources.configurable import PostgresResource
from resources.kinds import KINDS
from resources.postgres import Database
from starsearch_assets.checks import Check, audit_checks, log_verdicts
from starsearch_assets.deliveries.process import ASSET as DELIVERIES
from starsearch_assets.events.assets import EVENTS
from starsearch_assets.insights.audit import people_checks, repository_checks
from starsearch_assets.insights.metadata import days_before, most_active_people
from starsearch_assets.insights.process import CONTRIBUTORS, REPOSITORIES, Counted, count_people, count_repositories
from starsearch_assets.partitions import Partitions, day_of, upstream
from starsearch_assets.range_runs import Metadata, for_each_partition

ASSETS = (CONTRIBUTORS, REPOSITORIES)
_SOURCES = (EVENTS, DELIVERIES, *(kind.table for kind in KINDS))
_DAYS_A_RUN = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)


def insight_assets(partitions: Partitions) -> list[dg.AssetsDefinition]:
    """`contributor_days` and `repository_days`."""
    return [
        _asset(
            CONTRIBUTORS,
            _SOURCES,
            partitions,
            count_people,
            people_checks(),
            most_active_people,
            "What everybody did in tracked repositories on the day: commits, pull requests, issues, reviews, comments,"
            " releases. One row a person and repository; bots are marked, co-authors counted.",
        ),
        _asset(
            REPOSITORIES,
            (*_SOURCES, CONTRIBUTORS),
            partitions,
            count_repositories,
            repository_checks(),
            days_before,
            "What every tracked repository saw on the day, stars, forks and pushes as well, how long those had waited"
            " who got their first answer, and how long it took what was merged.",
        ),
    ]


def insight_checks(partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """Their checks."""
    return [
        audit_checks(CONTRIBUTORS, people_checks(), partitions.daily),
        audit_checks(REPOSITORIES, repository_checks(), partitions.daily),
    ]


def _asset(
    name: str,
    sources: Sequence[str],
    partitions: Partitions,
    count: Callable[[Database, date, str | None], Counted],
    checks: Sequence[Check],
    shown: Callable[[Database, date], Metadata],
    description: str,
) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        deps=[upstream(source) for source in sources],
        group_name="insights",
        kinds={"postgres", "sql"},
        description=description,
        metadata={"table": f"starsearch.{name}"},
        partitions_def=partitions.daily,
        backfill_policy=_DAYS_A_RUN,
        owners=["team:search"],
    )
    def days(context: dg.AssetExecutionContext, postgres: PostgresResource) -> None:
        def work(key: str) -> Metadata:
            counted = count(postgres.owner, day_of(key), context.run_id)
            return {
                "dagster/partition_row_count": dg.MetadataValue.int(counted.rows),
                **{what.replace("_", " "): dg.MetadataValue.int(times) for what, times in counted.totals.items()},
                **shown(postgres.owner, day_of(key)),
            }

        def judge(keys: Sequence[str]) -> None:
            for check in checks:
                log_verdicts(context, postgres.owner, name, check.name, keys, check.name, check.severity)

        for_each_partition(context, work, judge=judge)

    return days
