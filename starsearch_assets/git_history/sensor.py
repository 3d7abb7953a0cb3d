"""Requests the asset `git_history` when a repository is due."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from resources.configurable import PostgresResource
from resources.kinds import GIT_HISTORY
from starsearch_assets.git_history.process import due_repositories
from starsearch_assets.run_requests import LOOK_EVERY, at_work

ASK_AGAIN = timedelta(hours=2)
"""A repository that is still due after so long is requested once more: its run may have been killed."""


def git_sensor(hours: float) -> dg.SensorDefinition:
    """Requests a run when repositories are due that no run was requested for. hours: as in `due_repositories`."""

    @dg.sensor(
        name="git_sensor",
        target=[GIT_HISTORY],
        minimum_interval_seconds=LOOK_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opted-in repositories that were never fetched, asked for, pushed to, or not fetched for long.",
    )
    def sensor(context: dg.SensorEvaluationContext, postgres: PostgresResource) -> dg.SensorResult:
        if at_work(context, "git_sensor"):
            return dg.SensorResult(
                skip_reason="a fetch is at work; what became due meanwhile comes after it", cursor=context.cursor
            )
        now = datetime.now(UTC)
        due = {str(one.repo_id): one.due_since for one in due_repositories(postgres.owner, hours, now=now)}
        times = {repo_id: _stands_for(since, now) for repo_id, since in due.items() if since is not None}
        requested: dict[str, str] = json.loads(context.cursor or "{}")
        new = sorted(f"{repo_id}@{time}" for repo_id, time in times.items() if requested.get(repo_id) != time)
        cursor = json.dumps(times)
        if not new:
            return dg.SensorResult(skip_reason="nothing is due that was not requested", cursor=cursor)
        key = hashlib.sha256("\n".join(new).encode()).hexdigest()
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key)], cursor=cursor)

    return sensor


def _stands_for(since: datetime, now: datetime) -> str:
    """The time that a request stands for: once, and once more every two hours while nothing comes of it."""
    return (since + (now - since) // ASK_AGAIN * ASK_AGAIN).isoformat()
