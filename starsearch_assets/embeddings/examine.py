"""What `doctor` says of the embedding models: which serves, which the settings name, how complete each is."""

from __future__ import annotations

from typing import Literal

from resources.embedders import Embedders, registered_models
from resources.errors import ResourceError
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.embeddings.models import serving_model
from starsearch_assets.embeddings.overview import SpaceOverview, less_complete, overview

Told = tuple[Literal["ok", "warn", "bad"], str]


def examine_spaces(database: Database, settings: Settings) -> list[Told]:
    """Level and message of each finding; none before the first model is registered."""
    embedders = Embedders(settings)
    own = embedders.own.model
    with database.transaction() as connection:
        models, serving = registered_models(connection), serving_model(connection)
        spaces = overview(connection) if models else []
    told: list[Told] = []
    if serving is not None and own == serving:
        told.append(("ok", f"{serving} serves: releases are made of it"))
    elif serving is not None:
        fill = f"`starsearch spaces fill {own}`, then " if less_complete(spaces, own) else ""
        told.append(
            (
                "warn",
                f"EMBEDDING_MODEL is {own}, but {serving} serves: {fill}`starsearch spaces activate {own}` switches to"
                f" it, or set EMBEDDING_MODEL back to {serving}",
            )
        )
    told += [
        _completeness(model, [one for one in spaces if one.model == model])
        for model in dict.fromkeys(one.model for one in spaces)
    ]
    for row in models:
        if row.model == own:
            continue
        try:
            embedders.of(row).encode(["a first text"])
            told.append(("ok", f"{row.model} answers, {row.where}"))
        except ResourceError as error:
            told.append(("bad", str(error)))
    return told


def _completeness(model: str, spaces: list[SpaceOverview]) -> Told:
    short = any(one.passed < one.days for one in spaces)
    days = ", ".join(f"{one.kind} {one.passed:,} of {one.days:,}" for one in spaces)
    hint = f"; `starsearch spaces fill {model}` completes it" if short else ""
    return ("warn" if short else "ok", f"{model} has the vectors of these days: {days}{hint}")
