"""One partition or a range of them in one run, with the same result for each.

A range run finishes its good partitions, then fails naming the bad ones. What was done stays done: on
failure the good partitions' materializations are logged one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import dagster as dg

from resources.errors import LLMUnavailable
from starsearch_assets.progress import announce

Metadata = Mapping[str, dg.MetadataValue]


def for_each_partition(context: dg.AssetExecutionContext, work: Callable[[str], Metadata]) -> None:
    """Call `work` for every partition of the run and attach the metadata that it returns to each.

    Raises:
        dagster.Failure: naming the partitions that failed, and why.
    """
    keys = list(context.partition_keys)
    asset = context.asset_key.to_user_string()
    done: dict[str, Metadata] = {}
    failed: dict[str, Exception] = {}
    for position, key in enumerate(keys):
        announce(asset, position, len(keys), key)
        started = time.monotonic()
        try:
            metadata = work(key)
        except LLMUnavailable as error:
            failed |= dict.fromkeys(keys[position:], error)  # the server is down for the others too
            break
        except Exception as error:  # noqa: BLE001 - one bad partition must not stop the others; it is named below
            context.log.warning(f"{asset} {key}: {error}")
            failed[key] = error
        else:
            seconds = dg.MetadataValue.float(round(time.monotonic() - started, 2))
            done[key] = {**metadata, "seconds": seconds}
    announce(asset, len(keys), len(keys), "")
    if failed:
        for key, metadata in done.items():
            context.log_event(
                dg.AssetMaterialization(asset_key=context.asset_key, partition=key, metadata=dict(metadata))
            )
        raise _failure(asset, failed, len(done))
    for key, metadata in done.items():
        context.add_asset_metadata(dict(metadata), asset_key=context.asset_key, partition_key=key)


def _failure(asset: str, failed: Mapping[str, Exception], done: int) -> dg.Failure:
    first = next(iter(failed.values()))
    listed = "\n".join(f"{key}: {error}" for key, error in list(failed.items())[:20])
    failure = dg.Failure(
        description=f"{len(failed)} of {len(failed) + done} partitions of {asset} failed.\n{listed}",
        metadata={
            "failed partitions": dg.MetadataValue.json(sorted(failed)),
            "finished partitions": dg.MetadataValue.int(done),
        },
        allow_retries=not isinstance(first, ValueError),
    )
    failure.__cause__ = first
    return failure
