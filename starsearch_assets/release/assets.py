"""The asset that readers see change: a release, activated only when its audits pass."""

from collections.abc import Sequence

import dagster as dg

from resources.configurable import EmbedderResource, PostgresResource, RerankerResource
from resources.kinds import Kind
from resources.settings import Settings
from starsearch_assets.embeddings.models import serving_model
from starsearch_assets.release.publish import ASSET, publish
from starsearch_assets.relevance.judging import Judging


def release_asset(kinds: Sequence[Kind], settings: Settings) -> dg.AssetsDefinition:
    """The asset `search_release`."""

    @dg.asset(
        name=ASSET,
        deps=[kind.index for kind in kinds],
        group_name="release",
        kinds={"postgres", "pgvector"},
        owners=["team:search"],
        description=(
            "The newest audited index artifact of every month, judged together through the real search"
            " function: recall@10 against exact search decides ef_search, and judged queries whether it finds what"
            " the active release finds. Then it is activated in one step. A refused release leaves the active one"
            " as it is; `starsearch release activate N` goes back."
        ),
        metadata={"table": "starsearch.search_releases"},
    )
    def search_release(
        context: dg.AssetExecutionContext,
        postgres: PostgresResource,
        embedder: EmbedderResource,
        reranker: RerankerResource,
    ) -> dg.MaterializeResult[None]:
        judging = Judging.of(settings, embedder.embedders(), postgres.tools, reranker.client())
        with postgres.owner.transaction() as connection:
            model = serving_model(connection) or embedder.client().model
        result = publish(postgres.owner, postgres.tools, model, settings.recall_floor, context.run_id, judging=judging)
        context.log.info(f"release {result.release_id}: {result.outcome} ({result.reason})")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": dg.MetadataValue.int(result.items),
                "release": dg.MetadataValue.text(str(result.release_id)),
                "outcome": dg.MetadataValue.text(result.outcome),
                "reason": dg.MetadataValue.text(result.reason),
                "artifacts": dg.MetadataValue.int(result.artifacts),
                "coverage": dg.MetadataValue.json(result.coverage),
                "recall@10": dg.MetadataValue.json(
                    {str(one.space_id): [one.recall, one.lower_bound, one.ef_search] for one in result.recall}
                ),
            },
            data_version=dg.DataVersion(f"{result.release_id}/{result.outcome}"),
        )

    return search_release
