"""The assets of one kind, made from its descriptor: content, summaries, embeddings, index."""

import dagster as dg

from resources.configurable import EmbedderResource, LLMResource, PostgresResource
from resources.kinds import GIT_HISTORY, Kind
from starsearch_assets.content.process import process_day
from starsearch_assets.deliveries.process import ASSET as DELIVERIES
from starsearch_assets.embeddings.every_space import embed_day_everywhere
from starsearch_assets.embeddings.runs import vector_judge
from starsearch_assets.index.build import Effort, build_spaces
from starsearch_assets.index.cost import costs
from starsearch_assets.index.metadata import index_metadata
from starsearch_assets.partitions import Partitions, day_of, unpartitioned, upstream
from starsearch_assets.range_runs import Metadata, for_each_partition, reporter
from starsearch_assets.summaries.runs import SummariesConfig, summarize_partitions
from starsearch_assets.summaries.summarizers import create_summarizer

ROWS = "dagster/partition_row_count"
_DAYS_A_RUN = dg.BackfillPolicy.multi_run(max_partitions_per_run=31)


def content_asset(kind: Kind, partitions: Partitions) -> dg.AssetsDefinition:
    """`pull_requests`, `issues`, `releases`: items active on a day, merged from its events; `commits`: from git."""
    from_git = kind.source == GIT_HISTORY
    told = (
        "as it may be shown: without e-mail addresses. What no branch reaches any more is marked and leaves the index."
        if from_git
        else "with comments: what the day's events and webhook deliveries say is merged in groups of fields, newest"
        " observation first, in any order of days."
    )

    @dg.asset(
        name=kind.table,
        deps=[unpartitioned(kind.source)] if from_git else [upstream(kind.source), upstream(DELIVERIES)],
        group_name="content",
        kinds={"postgres", "sql"},
        description=f"Every {kind.label} of a tracked repository that was active on the day, {told}",
        metadata={"table": f"starsearch.{kind.table}", "activity": "starsearch.activity"},
        partitions_def=partitions.daily,
        backfill_policy=_DAYS_A_RUN,
        owners=["team:search"],
    )
    def content(context: dg.AssetExecutionContext, postgres: PostgresResource) -> None:
        def work(key: str) -> Metadata:
            result = process_day(postgres.owner, kind, day_of(key), context.run_id)
            return {
                ROWS: dg.MetadataValue.int(result.active),
                "without text": dg.MetadataValue.int(result.unhydrated),
                "observations" if from_git else "events": dg.MetadataValue.int(result.observations),
                "comments": dg.MetadataValue.int(result.comments),
            }

        for_each_partition(context, work)

    return content


def summaries_asset(kind: Kind, partitions: Partitions, code_version: str) -> dg.AssetsDefinition:
    """`*_summaries`: a short summary of every item active on a day, paid for once per content."""

    @dg.asset(
        name=kind.summaries,
        deps=[upstream(kind.table), *([upstream(kind.hydration)] if kind.hydrated else [])],
        group_name="summaries",
        kinds={"postgres", "openai"},
        code_version=code_version,
        pool="llm",
        description=(
            f"A summary of every {kind.label} active on the day, by the LLM, or extractive where none is"
            " configured. Memoized by content, model and prompt: a replay costs nothing."
        ),
        metadata={"table": "starsearch.summaries", "key": "(content_hash, model, prompt_version)"},
        partitions_def=partitions.daily,
        backfill_policy=_DAYS_A_RUN,
        owners=["team:search"],
    )
    def summaries(
        context: dg.AssetExecutionContext,
        config: SummariesConfig,
        postgres: PostgresResource,
        embedder: EmbedderResource,
        llm: LLMResource,
    ) -> None:
        model = embedder.client()
        summarizer = create_summarizer(llm.settings(), model)
        summarize_partitions(context, kind, postgres.owner, summarizer, llm.settings(), config, model)

    return summaries


def embeddings_asset(kind: Kind, partitions: Partitions, code_version: str) -> dg.AssetsDefinition:
    """`*_embeddings`: a vector of every item active on a day, written where no reader looks, and audited."""

    @dg.asset(
        name=kind.embeddings,
        deps=[*([upstream(kind.summaries)] if kind.summarized else []), upstream(kind.table)],
        group_name="embeddings",
        kinds={"postgres", "pytorch"},
        code_version=code_version,
        pool="embedder",
        description=(
            f"A halfvec of the served document of every {kind.label} active on the day, in the table of its"
            " embedding space, by every registered model. Only days that pass the audit of a space reach its index."
        ),
        metadata={"table": f"starsearch.{kind.name}_vectors_*", "key": "(repo_id, ref)"},
        partitions_def=partitions.daily,
        backfill_policy=_DAYS_A_RUN,
        owners=["team:search"],
    )
    def embeddings(
        context: dg.AssetExecutionContext, postgres: PostgresResource, embedder: EmbedderResource, llm: LLMResource
    ) -> None:
        embedders = embedder.embedders()
        summarizer = create_summarizer(llm.settings(), embedders.own)

        def work(key: str) -> Metadata:
            results = embed_day_everywhere(
                postgres.owner, kind, day_of(key), embedders, summarizer, context.run_id, reporter(context, key)
            )
            any_of_them = next(iter(results.values()))
            models = {
                row.model: {"embedded": one.embedded, "reused": one.reused, "dimensions": row.dimensions}
                for row, one in results.items()
            }
            return {
                ROWS: dg.MetadataValue.int(any_of_them.items),
                "embedded": dg.MetadataValue.int(sum(one.embedded for one in results.values())),
                "reused": dg.MetadataValue.int(sum(one.reused for one in results.values())),
                "documents": dg.MetadataValue.json(any_of_them.shares),
                "models": dg.MetadataValue.json(models),
            }

        for_each_partition(context, work, judge=vector_judge(context, postgres.owner, kind))

    return embeddings


def index_asset(kind: Kind, partitions: Partitions, recall_floor: float, effort: Effort) -> dg.AssetsDefinition:
    """`*_index`: the month's immutable artifact in every space, rows and HNSW, with its recall measured."""

    @dg.asset(
        name=kind.index,
        deps=[upstream(kind.embeddings)],
        partitions_def=partitions.monthly,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=12),
        group_name="index",
        kinds={"postgres", "pgvector"},
        owners=["team:search"],
        description=(
            f"An immutable index artifact of the audited {kind.label} vectors whose latest activity lies in"
            " the month, in every embedding space: a table with its HNSW index (cosine), recall@10 and latency"
            " measured against exact search."
        ),
        metadata={"table": f"artifacts.{kind.name}_*"},
    )
    def index(context: dg.AssetExecutionContext, postgres: PostgresResource) -> None:
        def work(key: str) -> Metadata:
            results = build_spaces(postgres.owner, kind, day_of(key), recall_floor, context.run_id, effort)
            for result in results:
                if result.warning:
                    context.log.warning(f"{result.table}: {result.warning}")
            return index_metadata(results, recall_floor, costs(postgres.owner, kind.name))

        for_each_partition(context, work)

    return index
