"""Asset checks: the verdicts in `audits`, reported per partition, in single and in range runs alike.

The only module that touches a private name of dagster: in a range run a partitioned check has to log
one evaluation a partition itself (dagster issues 17005, 17560, 27747). tests/unit/test_checks.py fails
when an upgrade changes this.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from resources.configurable import PostgresResource
from resources.postgres import Database
from starsearch_assets import audits

UNPARTITIONED = ""
"""The partition under which verdicts on unpartitioned assets are recorded."""


def audit_check(
    asset: str, name: str, description: str, partitions_def: dg.PartitionsDefinition[str] | None
) -> dg.AssetChecksDefinition:
    """A check that reports the newest verdict on each partition that the run materialized."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.asset_check(asset=asset, name=name, description=description, partitions_def=partitions_def)
        def check(context: dg.AssetCheckExecutionContext, postgres: PostgresResource) -> dg.AssetCheckResult:
            operation = context.op_execution_context
            keys = list(operation.partition_keys) if operation.has_partitions else [UNPARTITIONED]
            verdicts = audits.newest(postgres.owner, asset, keys)
            if operation.has_partition_key_range:
                log_verdicts(operation, postgres.owner, asset, name, keys)
            bad = [key for key in keys if not _passed(verdicts, key)]
            metadata = _metadata(verdicts.get(keys[0])) if len(keys) == 1 else {"failed": dg.MetadataValue.json(bad)}
            return dg.AssetCheckResult(passed=not bad, severity=dg.AssetCheckSeverity.ERROR, metadata=metadata)

    return check


def log_verdicts(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    database: Database,
    asset: str,
    name: str,
    keys: Sequence[str],
) -> None:
    """Log the newest verdict on each of `keys` as an evaluation of the check `name`, on its own materialization."""
    key = dg.AssetKey(asset)
    verdicts = audits.newest(database, asset, list(keys))
    records = (
        context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=list(keys)), limit=2 * len(keys)
        ).records
        if keys
        else []
    )
    latest: dict[str, dg.EventLogRecord] = {}
    for record in records:
        if record.partition_key is not None:
            latest.setdefault(record.partition_key, record)
    for partition in keys:
        if (materialized := latest.get(partition)) is None:
            continue
        evaluation: Any = dg.AssetCheckEvaluation(  # log_event's annotation leaves this type out
            asset_key=key,
            check_name=name,
            passed=_passed(verdicts, partition),
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=_metadata(verdicts.get(partition)),
            partition=partition,
            target_materialization_data=AssetCheckEvaluationTargetMaterializationData(
                storage_id=materialized.storage_id,
                run_id=materialized.run_id,
                timestamp=materialized.timestamp,
            ),
        )
        context.log_event(evaluation)


def _passed(verdicts: Mapping[str, audits.Audit], partition: str) -> bool:
    return partition in verdicts and verdicts[partition].passed


def _metadata(verdict: audits.Audit | None) -> dict[str, dg.MetadataValue]:
    if verdict is None:
        return {"verdict": dg.MetadataValue.text("there is none: the partition was not audited")}
    return {
        name: dg.MetadataValue.float(float(value))
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else dg.MetadataValue.text(str(value))
        for name, value in verdict.details.items()
    }
