"""`demo`: the whole path, from hour files to printed answers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from starsearch_assets.cli.console import out, progress_bars
from starsearch_assets.cli.data import report_problems

if TYPE_CHECKING:
    from resources.postgres import Database
    from resources.settings import Settings

SHOWCASE = (
    "What type of pull requests has @brandonroberts worked on?",
    "Who are the most prevalent contributors to the TypeScript ecosystem?",
    "Show me the lottery factor for contributors in the remix-run/react-router project?",
    "Who are the best developers that know Tailwind and are interested in Rust?",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of GH Archive hour files (.json.gz or .json); default: a bundled sample."),
    ] = None,
    max_items: Annotated[
        int, typer.Option(min=1, help="Track the busiest repositories, up to so many items together.")
    ] = 5000,
    serve: Annotated[bool, typer.Option("--serve", help="Then start the Dagster UI and the service.")] = False,
) -> None:
    """Run the asset graph over hour files, publish a release, and ask it some questions."""
    from resources.errors import NothingLoaded
    from resources.gh_archive import GHArchive
    from resources.postgres import open_database
    from resources.settings import load_settings, save_settings
    from starsearch_assets.cli.questions import print_answer
    from starsearch_assets.pipeline import run_pipeline
    from starsearch_assets.status import read_status

    started = datetime.now(UTC)
    settings = load_settings()
    folder, histories = _sample(settings) if data is None else (data.expanduser().absolute(), {})
    source = GHArchive(str(folder))
    hours = source.hours()
    if not hours:
        raise NothingLoaded(
            f"{folder} holds no GH Archive hour files: expected names like 2025-10-06-0.json.gz (hour without a"
            " leading zero), as https://data.gharchive.org serves them."
        )
    out.print(
        f"[bold]{len(hours)}[/] hour files in {folder}, {hours[0]:%Y-%m-%d %H:00} to {hours[-1]:%Y-%m-%d %H:00} UTC"
    )
    save_settings(settings.home, {"GH_ARCHIVE_URL": str(folder)})
    settings = settings.model_copy(update={"gh_archive_url": str(folder)})
    with open_database(settings) as database:
        with progress_bars():
            report = run_pipeline(
                settings,
                database,
                hours,
                max_items=max_items,
                closed=True,
                synthetic=data is None,
                histories=histories,
                stage=lambda text: out.print(f"[dim]{text}[/]"),
            )
        if (taken := report.selection) is not None:
            out.print(
                f"Tracked {taken.repositories:,} repositories with {taken.items:,} items, busiest first;"
                f" left out {taken.left_out_repositories:,} repositories with {taken.left_out_items:,} items"
                f" (--max-items {max_items:,}).",
                soft_wrap=True,
            )
        counts = read_status(database)
        questions = SHOWCASE if data is None else _questions(database)
    out.print(
        f"{counts['events']:,} events, {counts['rejected']:,} rejected lines; {counts['pull_requests']:,}"
        f" pull requests, {counts['issues']:,} issues, {counts['releases']:,} releases, {counts['commits']:,} commits;"
        + (f" release {counts['release']} is active." if counts["release"] is not None else " no release is active."),
        soft_wrap=True,
    )
    if counts["release"] is not None:
        _ask(settings, questions, print_answer)
    out.print(
        f'[dim]{(datetime.now(UTC) - started).total_seconds():.0f} s. Next: `starsearch ask "…"`, `starsearch up`.[/]'
    )
    report_problems([escape(problem) for problem in report.problems])
    if serve:
        from starsearch_assets.cli.serving import run_up

        run_up(load_settings())


def _ask(settings: Settings, questions: tuple[str, ...], show: object) -> None:
    from answering.session import open_answerer

    with open_answerer(settings) as answerer:
        for question in questions:
            show(answerer.ask(question))  # type: ignore[operator]


def _sample(settings: Settings) -> tuple[Path, dict[int, str]]:
    """Write the sample with its judged queries: its folder, and the URLs of its git repositories, by id.

    Where git is not installed, there are no repositories, and a word about it.
    """
    from starsearch_assets.relevance.sets import write_set
    from starsearch_assets.sample import write_histories, write_sample
    from starsearch_assets.sample.judgements import SET, judged_queries

    folder = settings.home / "sample"
    write_sample(folder)
    histories = write_histories(folder / "git")
    if histories is None:
        out.print("git is not installed: the sample's git history, and with it its commits, is left out.")
    write_set(settings.relevance, SET, judged_queries(histories or ()))
    return folder, {history.repo_id: history.path.absolute().as_uri() for history in histories or ()}


def _questions(database: Database) -> tuple[str, ...]:
    """Questions that the data at hand can answer: its busiest repository, its busiest author, a recent item."""
    questions = []
    author = database.fetch_value(
        "SELECT author_login FROM items WHERE kind = 'pull_request' AND hydrated_at IS NOT NULL AND NOT author_is_bot"
        " GROUP BY author_login ORDER BY count(*) DESC, author_login LIMIT 1"
    )
    if author is not None:
        questions.append(f"What has @{author} worked on?")
    repo = database.fetch_value(
        "SELECT repo FROM items WHERE kind = 'pull_request' AND NOT author_is_bot"
        " GROUP BY repo ORDER BY count(DISTINCT author_login) DESC, repo LIMIT 1"
    )
    if repo is not None:
        questions.append(f"Show me the lottery factor of {repo}.")
    title = database.fetch_value(
        "SELECT title FROM items WHERE kind = 'issue' AND hydrated_at IS NOT NULL AND length(title) BETWEEN 30 AND 90"
        " ORDER BY (SELECT count(*) FROM comments c WHERE c.kind = items.kind AND c.repo_id = items.repo_id"
        "           AND c.ref = items.ref) DESC, repo_id, ref LIMIT 1"
    )
    if title is not None:
        questions.append(f"What is known about this: {title}?")
    return tuple(questions)
