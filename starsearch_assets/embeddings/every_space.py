"""One day of one kind in the spaces of every registered model, and one verdict over all of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from resources.embedders import Embedders, EmbeddingModel, registered_models
from resources.errors import EmbedderError
from resources.kinds import Kind
from resources.postgres import Connection, Database
from starsearch_assets import audits
from starsearch_assets.embeddings.models import register_own
from starsearch_assets.embeddings.process import DayResult, embed_day
from starsearch_assets.embeddings.spaces import spaces_of
from starsearch_assets.summaries.source import Summarizer

logger = logging.getLogger(__name__)


def embed_day_everywhere(
    database: Database,
    kind: Kind,
    day: date,
    embedders: Embedders,
    summarizer: Summarizer,
    run_id: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[EmbeddingModel, DayResult]:
    """Embed a day with every registered model, the serving one first; the settings' own is registered if it is new.

    A model that fails does not keep the others from their vectors.

    Raises:
        EmbedderError: when all others are done, naming the models that failed and why.
    """
    failed: dict[str, EmbedderError] = {}
    results: dict[EmbeddingModel, DayResult] = {}
    verdicts: dict[str, dict[str, audits.Audit]] = {}
    try:
        register_own(database, embedders)
    except EmbedderError as error:
        failed[embedders.own.model] = error
    with database.transaction() as connection:
        models = registered_models(connection)
    for number, row in enumerate(models):
        report = progress and _part_of(progress, number, len(models))
        try:
            embedder = embedders.of(row)
            results[row] = embed_day(database, kind, day, embedder, summarizer, run_id, report)
        except EmbedderError as error:
            logger.warning("a model failed", extra={"model": row.model, "day": f"{day}", "reason": str(error)})
            failed[row.model] = error
            continue
        with database.transaction() as connection:
            verdicts[row.model] = _verdicts(connection, kind, day)
    if len(verdicts) > 1:
        with database.transaction() as connection:
            _record_together(connection, verdicts, run_id)
    if failed:
        told = "; ".join(f"{model}: {error}" for model, error in failed.items())
        done = f" Done: {', '.join(row.model for row in results)}." if results else ""
        raise EmbedderError(f"{len(failed)} of {len(failed) + len(results)} embedding models failed. {told}{done}")
    return results


def _part_of(progress: Callable[[int, int], None], number: int, models: int) -> Callable[[int, int], None]:
    """Progress of one model as a part of that of all."""
    return lambda done, total: progress(number * total + done, models * total)


def _verdicts(connection: Connection, kind: Kind, day: date) -> dict[str, audits.Audit]:
    """The verdicts that checks report, by check: all of the day but those that are one space's gate."""
    gates = [space.gate for space in spaces_of(connection, kind)]
    rows = connection.execute(
        "SELECT check_name, data_version, passed, details FROM newest_audits"
        " WHERE asset = %s AND partition = %s AND check_name <> ALL (%s)",
        [kind.embeddings, f"{day}", gates],
    ).fetchall()
    return {
        name: audits.Audit(kind.embeddings, f"{day}", version, passed, details, name)
        for name, version, passed, details in rows
    }


def _record_together(
    connection: Connection, verdicts: Mapping[str, Mapping[str, audits.Audit]], run_id: str | None
) -> None:
    """A check passes when it does in every space; its figures are told by model."""
    for name in dict.fromkeys(name for ofmodel in verdicts.values() for name in ofmodel):
        each = {model: ofmodel[name] for model, ofmodel in verdicts.items() if name in ofmodel}
        first = next(iter(each.values()))
        details: dict[str, Any] = {"models": ", ".join(each)}
        for model, one in each.items():
            details[f"{model}: passed"] = "yes" if one.passed else "no"
            details |= {f"{model}: {figure}": value for figure, value in one.details.items() if figure != "model"}
        version = hashlib.sha256("/".join(one.data_version for one in each.values()).encode()).hexdigest()
        passed = all(one.passed for one in each.values())
        audits.record(connection, audits.Audit(first.asset, first.partition, version, passed, details, name), run_id)
