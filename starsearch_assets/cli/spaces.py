"""`spaces list | create | fill | activate | drop`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import err, fail, out, parse_day, print_json, progress_bars

if TYPE_CHECKING:
    from starsearch_assets.embeddings.overview import SpaceOverview

Model = Annotated[str, typer.Argument(help="Name of a registered model, from `spaces list`.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="The embedding models: filled beside each other, one of them serves.", no_args_is_help=True
    )
    group.command("list")(list_spaces)
    group.command("create")(create)
    group.command("fill")(fill)
    group.command("activate")(activate)
    group.command("drop")(drop)
    app.add_typer(group, name="spaces")


def list_spaces(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the embedding spaces with how full they are, those of the serving model first."""
    from resources.embedders import registered_models
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.embeddings.overview import overview

    with open_database(load_settings()) as database, database.transaction() as connection:
        spaces, models = overview(connection), registered_models(connection)
    if as_json:
        print_json(spaces)
        return
    rows = {row.model: row for row in models}
    for name in dict.fromkeys([*rows, *(one.model for one in spaces)]):
        row, own = rows.get(name), [one for one in spaces if one.model == name]
        if row is None:
            told = "not registered: nothing fills it"
        else:
            key = f", key from {row.api_key_variable}" if row.api_key_variable else ""
            place = row.source if row.base_url is None else row.where
            told = f"{row.dimensions:,} dimensions, {escape(place + key)}{', [green]serves[/]' if row.serving else ''}"
        out.print(f"[bold]{escape(name)}[/]: {told}", soft_wrap=True)
        if own:
            out.print(_table(own))
    if not models:
        out.print("No model is registered yet: the first run of the embeddings registers EMBEDDING_MODEL.")


def _table(spaces: Sequence[SpaceOverview]) -> Table:
    table = Table("  kind", "vectors", "days passed", "indexes", "items", "MB", box=None, header_style="dim")
    for one in spaces:
        table.add_row(
            f"  {one.kind}",
            f"{one.vectors:,}",
            f"{one.passed:,} of {one.days:,}",
            f"{one.artifacts:,}",
            f"{one.items:,}",
            f"{one.bytes / 1e6:,.1f}",
        )
    return table


def create(
    model: Annotated[str, typer.Argument(help="The bundled model, a model's folder, or the server's name for it.")],
    base_url: Annotated[str | None, typer.Option(help="OpenAI-compatible /v1 with /embeddings.")] = None,
    api_key_variable: Annotated[
        str | None, typer.Option(help="Environment variable with the server's key; the key itself is not stored.")
    ] = None,
    m: Annotated[int | None, typer.Option("--m", min=2, max=100, help="Links a node of its HNSW indexes (16).")] = None,
    ef_construction: Annotated[
        int | None, typer.Option(min=4, max=1000, help="Candidates looked at when one is built (64).")
    ] = None,
) -> None:
    """Register an embedding model beside the others, or say where a registered one is now. Nothing serves of it yet."""
    from resources.embedders import Embedders
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.embeddings.create import create_model

    settings = load_settings()
    with open_database(settings) as database:
        row = create_model(database, Embedders(settings), model, base_url, api_key_variable, m, ef_construction)
    out.print(
        f"{escape(row.model)} is registered: {row.dimensions:,} dimensions, {escape(row.where)}. It is filled from now"
        f" on; `starsearch spaces fill {escape(row.model)}` fills the days before.",
        soft_wrap=True,
    )


def fill(
    model: Model,
    first: Annotated[str | None, typer.Option("--from", help="First day (YYYY-MM-DD, UTC); default: all.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, inclusive.")] = None,
) -> None:
    """Make the vectors that a model lacks, and its indexes. Killed and run again it goes on."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.embeddings.fill import fill_model

    start = None if first is None else parse_day(first, "--from")
    end = None if last is None else parse_day(last, "--to")
    if start is not None and end is not None and end < start:
        fail(f"--to {end} lies before --from {start}.", 2)
    settings = load_settings()
    with open_database(settings) as database, progress_bars():
        report = fill_model(settings, database, model, start, end, lambda text: out.print(f"[dim]{text}[/]"))
    out.print(f"{_count(report.days, 'day')} and {_count(report.months, 'month')} run.")
    for problem in report.problems:
        err.print(escape(problem), soft_wrap=True)
    if report.left:
        left = ", ".join(f"{kind} {days:,}" for kind, days in report.left.items())
        fail(f"{model} still lacks days: {left}. The same command goes on.")
    out.print(
        f"Every day has its vectors of {escape(model)}."
        + (" What failed is of other models, or an index: see above." if report.problems else "")
        + f" `starsearch spaces activate {escape(model)}` makes a release of them.",
        soft_wrap=True,
    )


def activate(
    model: Model,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also when it is less complete than the serving one.")
    ] = False,
) -> None:
    """Make a release of a model's indexes and serve it, if it passes. The way back is the same with the other model."""
    from resources.postgres import Role, open_database
    from resources.settings import load_settings
    from starsearch_assets.embeddings.switch import activate_model

    settings = load_settings()
    with open_database(settings) as database, open_database(settings, Role.TOOLS) as tools:
        result = activate_model(settings, database, tools, model, anyway=anyway)
        paused = database.fetch_value("SELECT paused FROM active_release")
    if result.outcome != "activated":
        fail(f"{model} is not served, and nothing changed: {result.reason}.")
    out.print(f"Release {result.release_id} is active: {result.items:,} items, found by {escape(model)}.")
    if paused:
        out.print("Activation is still paused: newer releases wait until `starsearch release resume`.")


def drop(model: Model) -> None:
    """Drop a model's vectors, indexes and verdicts. One that serves, or that a kept release is made of, stays."""
    from resources.embedders import Embedders
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.embeddings.drop import drop_model

    settings = load_settings()
    with open_database(settings) as database:
        dropped = drop_model(database, Embedders(settings), model)
    out.print(
        f"Dropped {escape(model)}: {dropped.spaces} spaces and {dropped.artifacts} indexes,"
        f" {dropped.bytes / 1e6:,.1f} MB.",
        soft_wrap=True,
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
