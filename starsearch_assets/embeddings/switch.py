"""The switch to another embedding model, which is one release; the way back is the same with the other name."""

from __future__ import annotations

from resources.embedders import Embedders
from resources.errors import NothingLoaded, SpaceRefused
from resources.postgres import Database
from resources.reranker import create_reranker
from resources.settings import Settings
from starsearch_assets.embeddings.create import verify
from starsearch_assets.embeddings.models import find_model
from starsearch_assets.embeddings.overview import less_complete, overview
from starsearch_assets.release.decide import ReleaseResult
from starsearch_assets.release.publish import publish
from starsearch_assets.relevance.judging import Judging


def activate_model(
    settings: Settings, database: Database, tools: Database, model: str, *, anyway: bool = False
) -> ReleaseResult:
    """Make a release of the model's newest audited artifacts and serve it; the model serves from the same moment on.

    The outcome is "activated", or "refused" or "empty", and then nothing changes. anyway: also where the model's spaces
    hold less than those of the serving one.

    Raises:
        NothingLoaded: the model is not registered.
        SpaceRefused: its spaces are less complete than those of the serving one.
        EmbedderError: it cannot be loaded or reached, so that no question could be asked of its release.
    """
    with database.transaction() as connection:
        row = find_model(connection, model)
        lacks = less_complete(overview(connection), model)
    if row is None:
        raise NothingLoaded(
            f"The embedding model {model!r} is not registered: `starsearch spaces list` shows those that are,"
            " `starsearch spaces create` registers one."
        )
    if lacks and not anyway:
        raise SpaceRefused(
            f"The spaces of {model} are less complete than those that serve: {'; '.join(lacks)}."
            f" `starsearch spaces fill {model}` completes them; --anyway switches all the same."
        )
    embedders = Embedders(settings)
    verify(embedders.of(row), row.dimensions)
    judging = Judging.of(settings, embedders, tools, create_reranker(settings))
    return publish(database, tools, model, settings.recall_floor, switch=True, judging=judging)
