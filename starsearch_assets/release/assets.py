"""The two ends of a release: the candidate, and the asset that readers see change. Between them it is judged."""

from collections.abc import Sequence

import dagster as dg

from resources.configurable import EmbedderResource, PostgresResource
from resources.kinds import Kind
from resources.settings import Settings
from starsearch_assets.embeddings.models import model_of_releases
from starsearch_assets.release.candidate import ASSET as CANDIDATE
from starsearch_assets.release.candidate import newest_candidate, newest_release, propose
from starsearch_assets.release.decide import ASSET as RELEASE
from starsearch_assets.release.decide import decide
from starsearch_assets.relevance.judging import ASSET as JUDGING
from starsearch_assets.tables import table

STEPS = (CANDIDATE, JUDGING, RELEASE)
"""The assets that a release takes, in order."""


def candidate_asset(kinds: Sequence[Kind], settings: Settings) -> dg.AssetsDefinition:
    """The asset `release_candidate`."""

    @dg.asset(
        name=CANDIDATE,
        deps=[kind.index for kind in kinds],
        group_name="release",
        kinds={"postgres", "pgvector"},
        owners=["team:search"],
        description=(
            "The newest audited index artifact of every month, measured together through the real search function:"
            " recall@10 against exact search decides ef_search. Nobody is served by it yet. The same artifacts make no"
            " new one; what a killed run left is taken up."
        ),
        metadata={"table": "starsearch.search_releases"},
    )
    def release_candidate(
        context: dg.AssetExecutionContext, postgres: PostgresResource, embedder: EmbedderResource
    ) -> dg.MaterializeResult[None]:
        model = model_of_releases(postgres.owner, embedder.embedders())
        one = propose(postgres.owner, postgres.tools, model, settings.recall_floor, context.run_id)
        if one is None:
            return dg.MaterializeResult(
                metadata={"dagster/row_count": 0, "release": f"none: no audited index of {model}"}
            )
        context.log.info(f"release {one.release_id}: {'published before' if one.decided else 'measured'}")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": dg.MetadataValue.int(one.items),
                "release": dg.MetadataValue.text(str(one.release_id)),
                "model": dg.MetadataValue.text(model),
                "new": dg.MetadataValue.bool(not one.decided),
                "artifacts": dg.MetadataValue.int(one.artifacts),
                "coverage": dg.MetadataValue.json(one.coverage),
                "recall": table([space.row() for space in one.recall], "not measured"),
            },
            data_version=dg.DataVersion(one.fingerprint),
        )

    return release_candidate


def release_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `search_release`."""

    @dg.asset(
        name=RELEASE,
        deps=[CANDIDATE, JUDGING],
        group_name="release",
        kinds={"postgres", "pgvector"},
        owners=["team:search"],
        description=(
            "What is served. A candidate whose recall reaches the floor, and that finds what the active release finds,"
            " is activated in one step. A refused one leaves the active release as it is;"
            " `starsearch release activate N` goes back."
        ),
        metadata={"table": "starsearch.active_release"},
    )
    def search_release(
        context: dg.AssetExecutionContext, postgres: PostgresResource, embedder: EmbedderResource
    ) -> dg.MaterializeResult[None]:
        model = model_of_releases(postgres.owner, embedder.embedders())
        with postgres.owner.transaction() as connection:
            release_id = newest_candidate(connection, model) or newest_release(connection, model)
        result = decide(postgres.owner, release_id, model, settings.recall_floor, context.run_id)
        context.log.info(f"release {result.release_id}: {result.outcome} ({result.reason})")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": dg.MetadataValue.int(result.items),
                "release": dg.MetadataValue.text(str(result.release_id)),
                "outcome": dg.MetadataValue.text(result.outcome),
                "reason": dg.MetadataValue.text(result.reason),
                "artifacts": dg.MetadataValue.int(result.artifacts),
                "recall": table([space.row() for space in result.recall], "not measured"),
                "coverage": dg.MetadataValue.json(result.coverage or {}),
            },
            data_version=dg.DataVersion(f"{result.release_id}/{result.outcome}"),
        )

    return search_release
