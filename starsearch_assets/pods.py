"""Pods of a cluster: what each asset's step asks for, and whether steps have pods of their own.

A run is one pod by default: its steps share the loaded model. What that pod asks for, and everything else that is the
same for all pods, is said in the values of Dagster's chart; docs/operations says how one leads to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent
from dagster._core.execution.plan.objects import StepRetryData

from resources.kinds import GIT_HISTORY, KINDS
from resources.settings import Settings
from starsearch_assets.deliveries.assets import DELIVERIES
from starsearch_assets.events.assets import EVENTS
from starsearch_assets.release.candidate import ASSET as CANDIDATE
from starsearch_assets.relevance.judging import ASSET as JUDGING

POOL_LABEL = "starsearch/pool"
"""Label, and taint, of the nodes of a pool: preferred by steps that name it, and needed by none."""


@dataclass(frozen=True)
class Size:
    """Quantities as Kubernetes writes them. limit: of memory; a CPU has none, so that nothing waits beside an idle one.

    pool: nodes that the step prefers.
    """

    cpu: str
    memory: str
    limit: str
    pool: str | None = None

    def as_k8s_config(self) -> dict[str, Any]:
        """As the tag `dagster-k8s/config` has it."""
        resources = {"requests": {"cpu": self.cpu, "memory": self.memory}, "limits": {"memory": self.limit}}
        pod = {} if self.pool is None else {"pod_spec_config": _preferring(self.pool)}
        return {"container_config": {"resources": resources}, **pod}


SMALL = Size("250m", "512Mi", "1Gi")
"""Statements of PostgreSQL, and nothing kept: checks, content, measures."""
_STREAM = Size("500m", "1Gi", "2Gi")
"""Files, replies and rows that pass through."""
_CLONES = Size("1", "1Gi", "4Gi")
"""git beside it."""
_MODEL = Size("2", "2Gi", "4Gi", "compute")
"""A model in the process, where no server has it."""
_MATRIX = Size("1", "2Gi", "6Gi", "memory")
"""Vectors of a whole release beside each other."""

SIZES: Mapping[str, Size] = {
    EVENTS: _STREAM,
    DELIVERIES: _STREAM,
    GIT_HISTORY: _CLONES,
    **{kind.hydration: _STREAM for kind in KINDS if kind.hydrated},
    **{kind.summaries: _MODEL for kind in KINDS if kind.summarized},
    **{kind.embeddings: _MODEL for kind in KINDS},
    **{kind.index: _STREAM for kind in KINDS},
    CANDIDATE: _MATRIX,
    JUDGING: _MODEL,
}
"""Of assets that need more than SMALL."""

_RETRIES, _RETRY_SECONDS = 2, 10
"""Of a step whose pod was lost."""

_EACH_STEP = {
    "max_concurrent": dg.Field(int, default_value=4, description="Steps of the run that have a pod at the same time.")
}


def run_executor(settings: Settings) -> dg.ExecutorDefinition:
    """All steps in the run's process, or each in a pod of its own; STEP_PODS chooses, and the launchpad for one run.

    A step that lost its pod is tried again, twice at most; so is a run that lost its own, by Dagster's daemon.
    """
    chosen: dict[str, Any] = {"step_pods": {}} if settings.step_pods else {"in_process": {}}

    @dg.executor(
        name="in_process_or_step_pods",
        config_schema=dg.Field(
            dg.Selector({"in_process": {}, "step_pods": _EACH_STEP}),  # type: ignore[no-untyped-call]
            default_value=chosen,
            description="Steps in the run's own process, which share a loaded model; or each in a pod of its own.",
        ),
        requirements=_requirements,
    )
    def in_process_or_step_pods(context: dg.InitExecutorContext) -> dg.Executor:
        asked = context.executor_config.get("step_pods")
        if asked is None:
            return _created(dg.in_process_executor, context, {})
        from dagster_k8s import k8s_job_executor  # takes a second to import, and only a cluster needs it

        assert isinstance(asked, Mapping)
        # The launcher's own pod_spec_config would win over the executor's service_account_name.
        account = settings.step_service_account
        as_whom = {} if account is None else {"pod_spec_config": {"service_account_name": account}}
        executor = _created(
            k8s_job_executor, context,
            {
                "max_concurrent": asked["max_concurrent"],
                "enable_owner_references": True,  # steps end with their run's pod
                "step_k8s_config": {**SMALL.as_k8s_config(), **as_whom},
                "per_step_k8s_config": {name: size.as_k8s_config() for name, size in SIZES.items()},
            },
        )  # fmt: skip
        return _trying_again(executor)

    return in_process_or_step_pods


def _created(executor: dg.ExecutorDefinition, context: dg.InitExecutorContext, config: dict[str, Any]) -> dg.Executor:
    assert executor.executor_creation_fn is not None
    return executor.executor_creation_fn(context._replace(executor_config={"retries": {"enabled": {}}, **config}))


def _trying_again(executor: dg.Executor) -> dg.Executor:
    """The executor, which starts a step whose pod is lost again. Of its own it asks for the asset's retry policy, which
    ours have none of: what failed for its data would fail again. A pod that is lost tells nothing of the data.
    """
    by_policy = executor.log_failure_or_retry_event_after_error

    def lost(step: Any, error: Any, known: Any) -> DagsterEvent:
        if step.op_retry_policy is not None or known.get_retry_state().get_attempt_count(step.step.key) >= _RETRIES:
            return by_policy(step, error, known)
        again = StepRetryData(error=error, seconds_to_wait=_RETRY_SECONDS)  # type: ignore[no-untyped-call]
        return DagsterEvent.step_retry_event(step, again)

    executor.log_failure_or_retry_event_after_error = lost  # type: ignore[assignment,method-assign]
    return executor


def _requirements(config: Mapping[str, object]) -> list[Any]:
    return list(dg.multiple_process_executor_requirements()) if "step_pods" in config else []


def _preferring(pool: str) -> dict[str, Any]:
    """Nodes of the pool first, whose taint is no hindrance; any other where there is none."""
    of_pool = {"match_expressions": [{"key": POOL_LABEL, "operator": "In", "values": [pool]}]}
    preference = [{"weight": 100, "preference": of_pool}]
    return {
        "affinity": {"node_affinity": {"preferred_during_scheduling_ignored_during_execution": preference}},
        "tolerations": [{"key": POOL_LABEL, "operator": "Equal", "value": pool, "effect": "NoSchedule"}],
    }
