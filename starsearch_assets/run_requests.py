"""What the sensors that request runs have in common."""

from __future__ import annotations

import dagster as dg

LOOK_EVERY = 5
"""Seconds between two looks: what arrives now passes four sensors or more on its way to an answer."""

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def at_work(context: dg.SensorEvaluationContext, sensor: str) -> set[str]:
    """Partitions of the unfinished runs that `sensor` requested; "" for a run without a partition.

    What is at work is not requested again, so that arrivals without end make no queue without end.
    """
    runs = context.instance.get_runs(dg.RunsFilter(tags={"dagster/sensor_name": sensor}, statuses=_UNFINISHED))
    return {run.tags.get("dagster/partition", "") for run in runs}
