"""The asset between a candidate and its decision: what it finds of what people judged relevant."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.configurable import EmbedderResource, PostgresResource, RerankerResource
from resources.settings import Settings
from starsearch_assets.embeddings.models import model_of_releases
from starsearch_assets.release.candidate import ASSET as CANDIDATE
from starsearch_assets.release.candidate import newest_candidate
from starsearch_assets.relevance.evaluate import Evaluation
from starsearch_assets.relevance.judging import ASSET, Judged, Judging, judge_candidate
from starsearch_assets.relevance.plot import relevance_plot
from starsearch_assets.relevance.store import Row, history
from starsearch_assets.tables import table


def relevance_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset `search_relevance`."""

    @dg.asset(
        name=ASSET,
        deps=[CANDIDATE],
        group_name="release",
        kinds={"postgres", "pgvector"},
        owners=["team:search"],
        description=(
            "Judged queries run against the candidate and the active release through the real search function, by"
            " vectors, by words, by both, and reranked: recall@10, MRR, nDCG@10. A candidate that loses more than"
            " RELEVANCE_MARGIN by both is refused. Where no candidate waits, the active release is measured."
        ),
        metadata={"table": "starsearch.relevance"},
    )
    def search_relevance(
        context: dg.AssetExecutionContext,
        postgres: PostgresResource,
        embedder: EmbedderResource,
        reranker: RerankerResource,
    ) -> dg.MaterializeResult[None]:
        embedders = embedder.embedders()
        model = model_of_releases(postgres.owner, embedders)
        with postgres.owner.transaction() as connection:
            release_id = newest_candidate(connection, model)
        release_id = release_id or postgres.owner.fetch_value("SELECT release_id FROM active_release")
        if release_id is None:
            return dg.MaterializeResult(metadata={"dagster/row_count": 0, "release": "none: nothing is there to judge"})
        judging = Judging.of(settings, embedders, postgres.tools, reranker.client())
        judged = judge_candidate(postgres.owner, postgres.tools, release_id, judging, context.run_id)
        context.log.info(f"release {release_id}: {judged.verdict.reason}")
        versions = sorted({one.query_set.version for one in judged.evaluations})
        return dg.MaterializeResult(
            metadata={
                "release": dg.MetadataValue.text(str(release_id)),
                **_metadata(judged, settings),
                "dagster/row_count": dg.MetadataValue.int(len(judged.evaluations)),
                **_drawn(history(postgres.owner)),
            },
            data_version=dg.DataVersion("/".join([f"{release_id}", *versions])),
        )

    return search_relevance


def _metadata(judged: Judged, settings: Settings) -> dict[str, dg.MetadataValue[Any]]:
    return {
        "verdict": dg.MetadataValue.text(judged.verdict.reason),
        "measured": table([_row(one) for one in judged.evaluations], f"no judged queries in {settings.relevance}"),
        "compared with the active release": table([one.row() for one in judged.verdict.comparisons], "nothing"),
        "notes": dg.MetadataValue.text("\n".join(judged.notes) or "none"),
    }


def _drawn(rows: Sequence[Row]) -> dict[str, dg.MetadataValue[Any]]:
    return {"relevance of releases": dg.MetadataValue.md(relevance_plot(rows))} if rows else {}


def _row(one: Evaluation) -> dict[str, str | int | float]:
    return {
        "query set": one.query_set.name,
        "mode": one.mode,
        "queries": len(one.outcomes),
        "without an answer": len(one.not_applicable),
        **one.scores.row(),
    }
