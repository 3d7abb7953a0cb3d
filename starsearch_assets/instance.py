"""The local Dagster instance, and runs of the asset graph inside this process.

`demo` and `backfill` run the same assets as the UI does and leave the same records, without a daemon.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
from dagster._core.instance.ref import InstanceRef

from resources.errors import ConfigurationError
from resources.postgres import dagster_url
from resources.settings import Settings
from starsearch_assets.definitions import build_definitions

PROJECT = Path(__file__).resolve().parent.parent
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
_PROCESS = "starsearch/process"
_STORAGE = """\
storage:
  postgres:
    postgres_url:
      env: DAGSTER_DATABASE_URL
"""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class RunOutcome:
    """How one in-process run ended. problems: what each failed step said."""

    run_id: str
    success: bool
    problems: list[str] = field(default_factory=list)


def render_instance(settings: Settings) -> Path:
    """Render dagster.yaml into STARSEARCH_HOME/dagster and set the environment that it reads."""
    home = settings.home / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    template = PROJECT / "dagster.yaml"
    if not template.exists():
        raise ConfigurationError(
            f"{template} is missing: run starsearch from a checkout of the project (`pip install -e .`),"
            " or in its image."
        )
    (home / "dagster.yaml").write_text(f"{template.read_text()}\n{_STORAGE}")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["DAGSTER_DATABASE_URL"] = dagster_url(settings)
    os.environ["STARSEARCH_HOME"] = str(settings.home)
    return home


class LocalRuns:
    """Runs assets in this process, recorded in the local Dagster instance."""

    def __init__(self, settings: Settings) -> None:
        home = render_instance(settings)
        # Capturing stdout would swallow the progress bars; runs of the daemon do capture it.
        overrides = {
            "compute_logs": {
                "module": "dagster._core.storage.noop_compute_log_manager",
                "class": "NoOpComputeLogManager",
            }
        }
        self._instance = dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=overrides))
        self._settings = settings
        self._reap()

    def run(self, assets: Sequence[str], first: str | None = None, last: str | None = None) -> RunOutcome:
        """Materialize `assets` for the partitions from `first` to `last` (inclusive), checks included."""
        definitions = build_definitions(self._settings)
        tags = {_PROCESS: _identity(os.getpid())}
        if first is not None and last is not None:
            tags |= {RANGE_START: first, RANGE_END: last}
        chosen = {dg.AssetKey(name) for name in assets}
        checks = [
            check
            for check in definitions.asset_checks or []
            if all(key.asset_key in chosen for key in check.check_keys)
        ]
        result = dg.materialize(
            [*(definitions.assets or []), *checks],  # type: ignore[list-item]
            selection=dg.AssetSelection.assets(*chosen),
            instance=self._instance,
            resources=dict(definitions.resources or {}),
            tags=tags,
            run_config=_QUIET,
            raise_on_error=False,
        )
        problems = [_problem(event.step_failure_data) for event in result.all_events if event.is_step_failure]
        return RunOutcome(result.run_id, result.success, problems)

    def close(self) -> None:
        """Let go of the instance's connections."""
        self._instance.dispose()

    def _reap(self) -> None:
        """Mark runs of killed processes as failed and free the pool slots that they held."""
        for run in self._instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            owner = run.tags.get(_PROCESS)
            if owner is not None and not _alive(owner):
                self._instance.report_run_failed(run, "The process of this run was killed.")
                self._instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _problem(failure: Any) -> str:
    """What a failed step said: its own description, or the innermost error."""
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error is not None else "failed without a message"


def _identity(pid: int) -> str:
    """A process that cannot be mistaken for a later one with the same number."""
    return f"{pid}@{psutil.Process(pid).create_time():.2f}"


def _alive(identity: str) -> bool:
    pid = int(identity.split("@", 1)[0])
    return psutil.pid_exists(pid) and _identity(pid) == identity
