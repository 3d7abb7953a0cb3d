"""One partition or a range of them in one run, with the same result for each.

A range run finishes its good partitions, then fails naming the bad ones. What was done stays done: where
not all partitions were finished, the materializations of those that were are logged one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from resources.errors import GitHubRefused, GitHubUnavailable, LLMUnavailable
from starsearch_assets.progress import announce

Metadata = Mapping[str, dg.MetadataValue]
_DOWN = (LLMUnavailable, GitHubUnavailable, GitHubRefused)


@dataclass
class _Outcome:
    """What became of each partition of a run."""

    done: dict[str, Metadata] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)


def for_each_partition(
    context: dg.AssetExecutionContext,
    work: Callable[[str], Metadata],
    on_down: Callable[[Sequence[str], Exception], None] | None = None,
    judge: Callable[[Sequence[str]], None] | None = None,
) -> None:
    """Call `work` for every partition of the run and attach the metadata that it returns to each.

    on_down: called with the partitions that were not finished when the server that `work` asks is down. judge: called
    with those that were, when others failed: the checks' steps are skipped then, and their verdicts have to be told.

    Raises:
        dagster.Failure: naming the partitions that failed, and why.
    """
    _attach(context, _run(context, work, on_down, judge).done)


def for_each_partition_that_is_ready(
    context: dg.AssetExecutionContext,
    work: Callable[[str], Metadata | None],
    judge: Callable[[Sequence[str]], None],
) -> Iterator[dg.MaterializeResult[None]]:
    """The same for an asset whose partitions may not be ready: where `work` returns None, nothing is materialized.

    The asset has output_required=False and yields what this yields. Dagster materializes all partitions of a range
    when a result is yielded; when one of them waits, none is, so the checks' steps are skipped. judge: called with
    the materialized partitions then, to report their verdicts.

    Raises:
        dagster.Failure: as above.
    """
    outcome = _run(context, work)
    if not outcome.waiting:
        _attach(context, outcome.done)
        yield dg.MaterializeResult()
        return
    _materialize(context, outcome.done)
    judge(list(outcome.done))
    context.log.info(
        f"{len(outcome.waiting)} of {len(context.partition_keys)} partitions are not ready and wait, first"
        f" {outcome.waiting[0]}; a sensor requests them again"
    )


def reporter(context: dg.AssetExecutionContext, key: str) -> Callable[[int, int], None]:
    """Reports (done, total) of the work on one partition of a run, to its log and to whoever listens."""
    asset = context.asset_key.to_user_string()
    keys = list(context.partition_keys)

    def report(done: int, total: int) -> None:
        context.log.info(f"{asset} {key}: {done:,} of {total:,}")
        announce(asset, keys.index(key) + done / max(total, 1), len(keys), key)

    return report


def _run(
    context: dg.AssetExecutionContext,
    work: Callable[[str], Metadata | None],
    on_down: Callable[[Sequence[str], Exception], None] | None = None,
    judge: Callable[[Sequence[str]], None] | None = None,
) -> _Outcome:
    keys = list(context.partition_keys)
    asset = context.asset_key.to_user_string()
    outcome = _Outcome()
    for position, key in enumerate(keys):
        announce(asset, position, len(keys), key)
        started = time.monotonic()
        try:
            metadata = work(key)
        except _DOWN as error:
            outcome.failed |= dict.fromkeys(keys[position:], error)  # the server is down for the others too
            if on_down is not None:
                on_down(keys[position:], error)
            break
        except Exception as error:  # noqa: BLE001 - one bad partition must not stop the others; it is named below
            context.log.warning(f"{asset} {key}: {error}")
            outcome.failed[key] = error
        else:
            if metadata is None:
                outcome.waiting.append(key)
                continue
            seconds = dg.MetadataValue.float(round(time.monotonic() - started, 2))
            outcome.done[key] = {**metadata, "seconds": seconds}
    announce(asset, len(keys), len(keys), "")
    if outcome.failed:
        _materialize(context, outcome.done)
        if judge is not None:
            judge(list(outcome.done))
        raise _failure(asset, outcome)
    return outcome


def _attach(context: dg.AssetExecutionContext, done: Mapping[str, Metadata]) -> None:
    for key, metadata in done.items():
        context.add_asset_metadata(dict(metadata), asset_key=context.asset_key, partition_key=key)


def _materialize(context: dg.AssetExecutionContext, done: Mapping[str, Metadata]) -> None:
    for key, metadata in done.items():
        context.log_event(dg.AssetMaterialization(asset_key=context.asset_key, partition=key, metadata=dict(metadata)))


def _failure(asset: str, outcome: _Outcome) -> dg.Failure:
    failed, total = outcome.failed, len(outcome.failed) + len(outcome.waiting) + len(outcome.done)
    first = next(iter(failed.values()))
    listed = "\n".join(f"{key}: {error}" for key, error in list(failed.items())[:20])
    failure = dg.Failure(
        description=f"{len(failed)} of {total} partitions of {asset} failed.\n{listed}",
        metadata={
            "failed partitions": dg.MetadataValue.json(sorted(failed)),
            "finished partitions": dg.MetadataValue.int(len(outcome.done)),
            "waiting partitions": dg.MetadataValue.int(len(outcome.waiting)),
        },
        allow_retries=not isinstance(first, ValueError),
    )
    failure.__cause__ = first
    return failure
