"""`release list | activate | resume`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import out, print_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The search releases: what is served, what was, and the way back.", no_args_is_help=True)
    group.command("list")(list_releases)
    group.command("activate")(activate)
    group.command("resume")(resume)
    app.add_typer(group, name="release")


def list_releases(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the releases that are kept, newest first."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.index.cost import shown_bytes
    from starsearch_assets.release.control import releases

    with open_database(load_settings()) as database:
        rows = releases(database)
    if as_json:
        print_json(rows)
        return
    table = Table("release", "status", "as of", "items", "disk", "made", "reason", box=None, header_style="dim")
    for row in rows:
        status = "[green]active[/]" if row.active else row.status
        table.add_row(str(row.release_id), status, str(row.as_of), f"{row.items:,}", shown_bytes(row.bytes),
                      f"{row.created_at:%Y-%m-%d %H:%M}", escape(row.reason or ""))  # fmt: skip
    out.print(table)


def activate(number: Annotated[int, typer.Argument(help="Number of the release to serve.")]) -> None:
    """Serve an earlier release, and pause automatic activation until `release resume`."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.release.control import activate_release

    with open_database(load_settings()) as database:
        activate_release(database, number)
    out.print(f"Release {number} is active. New releases wait until `starsearch release resume`.")


def resume() -> None:
    """Activate the newest published release, and let the next ones become active by themselves."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.release.control import resume as resume_activation

    with open_database(load_settings()) as database:
        newest = resume_activation(database)
    out.print(f"Release {newest} is active." if newest else "Nothing has been published yet; activation is on.")
