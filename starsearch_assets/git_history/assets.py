"""The asset `git_history`: the commits of opted-in repositories, as far as they are due."""

import dagster as dg
from pydantic import Field

from resources.configurable import GitResource, PostgresResource
from resources.kinds import GIT_HISTORY
from starsearch_assets.git_history.plot import commits_by_month, commits_plot
from starsearch_assets.git_history.process import HistoryResult, RepositoryResult, take_in
from starsearch_assets.progress import announce

REPOSITORIES_ARE_FETCHED = "repositories_are_fetched"


class GitHistoryConfig(dg.Config):
    """repositories: names or ids of opted-in repositories to fetch now; empty: those that are due."""

    repositories: list[str] = Field(default_factory=list)


_SHOWN = 200  # rows of the table in the metadata, which is kept for every run


def git_history_asset() -> dg.AssetsDefinition:
    """The asset `git_history`."""

    @dg.asset(
        name=GIT_HISTORY,
        group_name="git",
        kinds={"postgres", "git"},
        owners=["team:ingestion"],
        pool="git",
        description=(
            "Commits of repositories that were opted in with `starsearch repos add NAME --git`, read from bare partial"
            " clones (no file contents) and kept for good: also those that a force-push made unreachable. Only what"
            " is due is fetched: never fetched, asked for, pushed to, or old. Each day that got commits is asked for."
        ),
        metadata={"table": "starsearch.git_commits", "key": "(repo_id, sha)"},
    )
    def git_history(
        context: dg.AssetExecutionContext, config: GitHistoryConfig, postgres: PostgresResource, git: GitResource
    ) -> dg.MaterializeResult[None]:
        def progress(done: int, total: int, detail: str) -> None:
            context.log.info(f"{GIT_HISTORY}: {done:,} of {total:,} repositories {detail}".rstrip())
            announce(GIT_HISTORY, done, total, detail or "repositories")

        settings = git.settings()
        result = take_in(
            postgres.owner,
            git.client(),
            int(settings.git_cache_gb * 1e9),
            settings.git_fetch_hours,
            only=config.repositories,
            run_id=context.run_id,
            progress=progress,
        )
        if result.all_failed:
            raise dg.Failure(
                description="No repository could be fetched.\n"
                + "\n".join(f"{one.name}: {one.error}" for one in result.failed[:20])
            )
        rows = dg.MetadataValue.int(postgres.owner.fetch_value("SELECT count(*) FROM git_commits"))
        metadata = {"dagster/row_count": rows, **_metadata(result)}
        if months := commits_by_month(postgres.owner, [one.repo_id for one in result.repositories]):
            metadata["commits by month of these repositories"] = dg.MetadataValue.md(commits_plot(months))
        return dg.MaterializeResult(metadata=metadata)

    return git_history


def _metadata(result: HistoryResult) -> dict[str, dg.MetadataValue]:
    totals = {
        "repositories fetched": sum(one.outcome == "fetched" for one in result.repositories),
        "repositories failed": len(result.failed),
        "new commits": sum(one.written.new for one in result.repositories),
        "commits reachable again": sum(one.written.reachable_again for one in result.repositories),
        "commits unreachable": sum(one.written.unreachable for one in result.repositories),
        "branches moved": sum(one.moved for one in result.repositories),
        "branches forced": sum(one.forced for one in result.repositories),
        "clones deleted": result.deleted,
        "clones evicted": result.evicted,
        "cache bytes": result.cache_bytes,
    }
    metadata: dict[str, dg.MetadataValue] = {name: dg.MetadataValue.int(value) for name, value in totals.items()}
    if result.repositories:
        metadata["repositories"] = dg.MetadataValue.table([_record(one) for one in result.repositories[:_SHOWN]])
    return metadata


def _record(one: RepositoryResult) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "repository": one.name,
            "outcome": one.outcome if not one.error else f"{one.outcome}: {one.error}",
            "new commits": one.written.new,
            "reachable again": one.written.reachable_again,
            "unreachable": one.written.unreachable,
            "branches moved": one.moved,
            "bytes": one.bytes,
            "seconds": round(one.seconds, 2),
        }
    )
