"""What a sensor requests, look by look."""

from __future__ import annotations

from typing import Self

import dagster as dg

from resources.settings import Settings
from starsearch_assets.definitions import build_definitions


class Looks:
    """The looks of one sensor, each with the cursor of the one before: `next` gives what it requests."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, name: str) -> None:
        self._definitions = build_definitions(settings)
        self._sensor = next(one for one in self._definitions.sensors or [] if one.name == name)
        self._instance = instance
        self.cursor: str | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[dg.RunRequest]:
        with dg.build_sensor_context(
            instance=self._instance,
            cursor=self.cursor,
            resources={name: (self._definitions.resources or {})[name] for name in ("postgres", "embedder")},
            definitions=self._definitions,
        ) as context:
            result = self._sensor(context)
        if isinstance(result, dg.SkipReason):
            return []
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return list(result.run_requests or [])


def asked(requests: list[dg.RunRequest]) -> list[tuple[str | None, set[str]]]:
    """Partition and assets of each request."""
    return [(one.partition_key, {key.to_user_string() for key in one.asset_selection or ()}) for one in requests]
