"""Asset checks: the verdicts in `audits`, reported per partition, in single and in range runs alike.

The only module that touches a private name of dagster: in a range run a partitioned check has to log
one evaluation a partition itself (dagster issues 17005, 17560, 27747). tests/unit/test_checks.py fails
when an upgrade changes this.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Check:
    """One of several checks of an asset; its verdicts are recorded under its name."""

    name: str
    description: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


def audit_check(
    asset: str, name: str, description: str, partitions_def: dg.PartitionsDefinition[str] | None
) -> dg.AssetChecksDefinition:
    """A check that reports the newest verdict on each partition that the run materialized."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)

        @dg.asset_check(asset=asset, name=name, description=description, partitions_def=partitions_def)
        def check(context: dg.AssetCheckExecutionContext, postgres: PostgresResource) -> dg.AssetCheckResult:
            return _report(context, postgres.owner, asset, Check(name, description), "")

    return check


def audit_checks(
    asset: str, checks: Sequence[Check], partitions_def: dg.PartitionsDefinition[str]
) -> dg.AssetChecksDefinition:
    """Several checks of one asset in one step, each reporting its newest verdict on each partition of the run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [
            dg.AssetCheckSpec(check.name, asset=asset, description=check.description, partitions_def=partitions_def)
            for check in checks
        ]

        @dg.multi_asset_check(name=f"{asset}_checks", specs=specs)
        def report(context: dg.AssetCheckExecutionContext, postgres: PostgresResource) -> Iterator[dg.AssetCheckResult]:
            for check in checks:
                yield _report(context, postgres.owner, asset, check, check.name)

    return report


def _report(
    context: dg.AssetCheckExecutionContext, database: Database, asset: str, check: Check, check_name: str
) -> dg.AssetCheckResult:
    operation = context.op_execution_context
    keys = list(operation.partition_keys) if operation.has_partitions else [UNPARTITIONED]
    verdicts = audits.newest(database, asset, keys, check_name)
    if operation.has_partition_key_range:
        log_verdicts(operation, database, asset, check.name, keys, check_name, check.severity)
    bad = [key for key in keys if not _passed(verdicts, key)]
    metadata = _metadata(verdicts.get(keys[0])) if len(keys) == 1 else {"failed": dg.MetadataValue.json(bad)}
    return dg.AssetCheckResult(
        asset_key=asset, check_name=check.name, passed=not bad, severity=check.severity, metadata=metadata
    )


def log_verdicts(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    database: Database,
    asset: str,
    name: str,
    keys: Sequence[str],
    check_name: str = "",
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> None:
    """Log the newest verdict on each of `keys` as an evaluation of the check `name`, on its own materialization.

    check_name: under which the verdicts are recorded.
    """
    key = dg.AssetKey(asset)
    verdicts = audits.newest(database, asset, list(keys), check_name)
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
            severity=severity,
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
    return {name: _value(value) for name, value in verdict.details.items() if value != []}


def _value(value: Any) -> dg.MetadataValue:
    if isinstance(value, list):
        return dg.MetadataValue.table([dg.TableRecord(row) for row in value])
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return dg.MetadataValue.float(float(value))
    return dg.MetadataValue.text(str(value))
