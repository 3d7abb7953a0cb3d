"""The asset graph: events and git history -> content -> summaries -> embeddings -> index -> release."""

from __future__ import annotations

import warnings

import dagster as dg

from resources.configurable import (
    EmbedderResource,
    GHArchiveResource,
    GitHubResource,
    GitResource,
    LLMResource,
    PostgresResource,
    RerankerResource,
    secret,
)
from resources.kinds import GIT_HISTORY, KINDS
from resources.settings import Settings, load_settings
from starsearch_assets.checks import audit_check, audit_checks
from starsearch_assets.deliveries.assets import DELIVERIES, DELIVERIES_ARE_USABLE, deliveries_asset
from starsearch_assets.embeddings.runs import vector_checks
from starsearch_assets.events.assets import EVENTS, HOUR_IS_COMPLETE, events_asset
from starsearch_assets.git_history.assets import REPOSITORIES_ARE_FETCHED, git_history_asset
from starsearch_assets.git_history.sensor import git_sensor
from starsearch_assets.hydration.assets import hydration_asset
from starsearch_assets.inbox_retention import inbox_retention
from starsearch_assets.index.build import Effort
from starsearch_assets.index.checks import index_checks
from starsearch_assets.insights.assets import insight_assets, insight_checks
from starsearch_assets.kind_assets import content_asset, embeddings_asset, index_asset, summaries_asset
from starsearch_assets.partitions import Partitions
from starsearch_assets.pods import run_executor
from starsearch_assets.reconciliation.assets import DAY_IS_RECONCILED, reconciliation_asset
from starsearch_assets.reconciliation.process import ASSET as RECONCILIATION
from starsearch_assets.release.assets import candidate_asset, release_asset
from starsearch_assets.release.candidate import ASSET as CANDIDATE
from starsearch_assets.release.decide import ASSET as RELEASE
from starsearch_assets.release.jobs import artifact_retention
from starsearch_assets.relevance.assets import relevance_asset
from starsearch_assets.relevance.judging import ASSET as JUDGING
from starsearch_assets.sensors import (
    daily_reconciliation,
    dirty_days_sensor,
    dirty_months_sensor,
    gaps_sensor,
    hourly_schedule,
    inbox_sensor,
    release_sensor,
    waiting_sensor,
)
from starsearch_assets.summaries.runs import summary_checks
from starsearch_assets.summaries.summarizers import summary_version


def build_definitions(settings: Settings) -> dg.Definitions:
    """The whole code location for these settings."""
    partitions = Partitions(settings)
    version = summary_version(settings)
    daily, monthly = partitions.daily, partitions.monthly
    assets = [
        events_asset(partitions),
        deliveries_asset(partitions),
        reconciliation_asset(partitions),
        git_history_asset(),
    ]
    checks = [
        audit_check(EVENTS, HOUR_IS_COMPLETE, "The hour's file is there and nearly all its lines are events.",
                    partitions.hourly),
        audit_check(DELIVERIES, DELIVERIES_ARE_USABLE, "Nearly all deliveries of the hour could be used.",
                    partitions.hourly),
        audit_check(RECONCILIATION, DAY_IS_RECONCILED, "Every tracked repository was asked about, and none was cut.",
                    daily),
        audit_check(GIT_HISTORY, REPOSITORIES_ARE_FETCHED, "No opted-in repository failed the last time.", None),
    ]  # fmt: skip
    for kind in KINDS:
        assets += [
            content_asset(kind, partitions),
            *([hydration_asset(kind, partitions)] if kind.hydrated else []),
            *([summaries_asset(kind, partitions, version)] if kind.summarized else []),
            embeddings_asset(kind, partitions, "/".join([version] * kind.summarized + [settings.embedding_model])),
            index_asset(
                kind, partitions, settings.recall_floor, Effort(settings.index_workers, settings.index_memory_mb)
            ),
        ]
        if kind.hydrated:
            checks.append(
                audit_check(kind.hydration, "asked_items_came", "Nearly all that was asked of GitHub came.", daily)
            )
        if kind.summarized:
            checks.append(audit_checks(kind.summaries, summary_checks(), daily))
        checks += [
            audit_check(
                kind.table, "every_named_item_is_there", "Items that the day's source names have a row.", daily
            ),
            audit_checks(kind.embeddings, vector_checks(), daily),
            audit_checks(kind.index, index_checks(), monthly),
        ]
    assets += insight_assets(partitions)
    checks += insight_checks(partitions)
    assets += [candidate_asset(KINDS, settings), relevance_asset(settings), release_asset(settings)]
    checks += [
        audit_check(CANDIDATE, "recall_reaches_the_floor", "recall@10 of the whole release, at its lower bound.", None),
        audit_check(JUDGING, "relevance_is_kept", "It finds what the active release finds of judged queries.", None),
        audit_check(RELEASE, "release_was_accepted", "The newest candidate was not refused.", None),
    ]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        schedules=[
            hourly_schedule(partitions),
            daily_reconciliation(partitions),
            artifact_retention(),
            inbox_retention(settings.inbox_days),
        ],
        sensors=[
            inbox_sensor(partitions),
            dirty_days_sensor(KINDS, partitions),
            dirty_months_sensor(KINDS, partitions),
            release_sensor(),
            waiting_sensor("waiting_hours_sensor", partitions.hourly, {EVENTS: (EVENTS,)}),
            waiting_sensor("waiting_days_sensor", daily, _waiting_days()),
            git_sensor(settings.git_fetch_hours),
            gaps_sensor(partitions),
        ],
        executor=run_executor(settings),
        resources={
            "postgres": PostgresResource(
                home=str(settings.home),
                database_url=secret("DATABASE_URL"),
                tools_database_url=secret("TOOLS_DATABASE_URL"),
            ),
            "gh_archive": GHArchiveResource(base_url=settings.gh_archive_url),
            "github": GitHubResource(
                api_url=settings.github_api_url,
                token=secret("GITHUB_TOKEN") if settings.github_token is not None else "",
                concurrency=settings.github_concurrency,
                reserve=settings.github_reserve,
            ),
            "git": GitResource(
                cache_dir=str(settings.git_cache),
                cache_gb=settings.git_cache_gb,
                max_repository_mb=settings.git_max_repository_mb,
                fetch_minutes=settings.git_fetch_minutes,
                fetch_hours=settings.git_fetch_hours,
                protocols=settings.git_protocols,
            ),
            "embedder": EmbedderResource(
                model=settings.embedding_model,
                base_url=settings.embedding_base_url or "",
                api_key=secret("EMBEDDING_API_KEY"),
                dtype=settings.embedding_dtype,
            ),
            "reranker": RerankerResource(
                model=settings.reranker_model or "",
                base_url=settings.reranker_base_url or "",
                api_key=secret("RERANKER_API_KEY"),
            ),
            "llm": LLMResource(
                base_url=settings.llm_base_url or "",
                api_key=secret("LLM_API_KEY"),
                summary_model=settings.summary_model or "",
                concurrency=settings.llm_concurrency,
                price_in=settings.llm_price_in,
                price_out=settings.llm_price_out,
            ),
        },
    )


def _waiting_days() -> dict[str, tuple[str, ...]]:
    """What to request when a day's time has come: of hydrations and summaries also what is made of them."""
    hydrations = {kind.hydration: (kind.hydration, kind.summaries, kind.embeddings) for kind in KINDS if kind.hydrated}
    summaries = {kind.summaries: (kind.summaries, kind.embeddings) for kind in KINDS if kind.summarized}
    return {RECONCILIATION: (RECONCILIATION,), **hydrations, **summaries}


@dg.definitions
def defs() -> dg.Definitions:
    """The code location that workspace.yaml names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # backfill policies: stable enough, pinned, tested
        return build_definitions(load_settings())
