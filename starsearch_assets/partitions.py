"""Partitions: events by hour, items by day, indexes by month. All in UTC.

The first day is a setting; so is the last, for a closed set of hour files. Daily and monthly assets
accept missing upstream partitions: coverage is reported, and nothing waits for ever.
"""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from resources.settings import Settings, today

DAYS_WITHOUT_START = 30


class Partitions:
    """The three partition definitions of one configuration."""

    def __init__(self, settings: Settings) -> None:
        start = settings.starsearch_start or today() - timedelta(days=DAYS_WITHOUT_START)
        end = settings.starsearch_end
        after = None if end is None else _midnight(end + timedelta(days=1))
        # With the hour that is not over yet: what the Events API gives is stored as it comes.
        self.hourly = dg.HourlyPartitionsDefinition(
            start_date=_midnight(start), end_date=after, end_offset=0 if after else 1
        )
        self.daily = dg.DailyPartitionsDefinition(
            start_date=_midnight(start), end_date=after, end_offset=0 if after else 1
        )
        self.monthly = dg.MonthlyPartitionsDefinition(
            start_date=_midnight(start.replace(day=1)),
            end_date=None if end is None else _midnight(_next_month(end)),
            end_offset=0 if after else 1,
        )


def upstream(asset: str) -> dg.AssetDep:
    """A dependency by time window in which some upstream partitions may not exist."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    return dg.AssetDep(asset, partition_mapping=mapping)


def unpartitioned(asset: str) -> dg.AssetDep:
    """A dependency of every partition on the whole of an asset that has none."""
    return dg.AssetDep(asset, partition_mapping=dg.AllPartitionMapping())


def hour_of(key: str) -> datetime:
    """The hour that an hourly partition key names."""
    return datetime.strptime(key, "%Y-%m-%d-%H:%M").replace(tzinfo=UTC)


def hour_key(hour: datetime) -> str:
    """The hourly partition key of an hour in UTC."""
    return f"{hour:%Y-%m-%d-%H}:00"


def day_of(key: str) -> date:
    """The day that a daily key, or the first day that a monthly key, names."""
    return date.fromisoformat(key)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
