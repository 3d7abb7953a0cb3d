"""`people list | merge | split`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import out, print_json

if TYPE_CHECKING:
    from resources.postgres import Database

Repo = Annotated[str | None, typer.Option("--repo", help="Only in this repository (owner/name).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Alias = Annotated[str, typer.Argument(help="A name as commits tell it, or @login.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    people = typer.Typer(help="Who counts as one person, whatever they are called.", no_args_is_help=True)
    people.command("list")(list_people)
    people.command("merge")(merge)
    people.command("split")(split)
    app.add_typer(people, name="people")


def list_people(repo: Repo = None, as_json: AsJson = False) -> None:
    """List the aliases: who they are, by which rule, and where.

    Rules: override (`people merge`), address (the same e-mail address), name (a full name of one login).
    """
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.insights import overrides

    with open_database(load_settings()) as database:
        listed = overrides.list_people(database, None if repo is None else overrides.find_repository(database, repo)[0])
    if as_json:
        print_json({"people": listed})
        return
    table = Table("alias", "person", "rule", "repository", box=None, header_style="dim")
    for one in listed:
        person = "kept apart" if one.person == one.alias else escape(one.person)
        table.add_row(escape(one.alias), person, one.rule, escape(one.repository or "everywhere"))
    out.print(table)
    out.print(f"{len(listed):,} alias{'es' * (len(listed) != 1)}.")


def merge(
    alias: Alias, person: Annotated[str, typer.Argument(help="Who that is: @login, or a name.")], repo: Repo = None
) -> None:
    """Count what was done under ALIAS for PERSON, from now on and in what was counted already.

    Whoever a rule merges into ALIAS goes along.
    """
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.insights import overrides

    with open_database(load_settings()) as database:
        repo_id, where = _where(database, repo)
        known, whom = overrides.merge(database, alias, person, repo_id)
        out.print(f"{escape(known)} is {escape(whom)} {escape(where)}.", soft_wrap=True)
        for one in (known, whom):
            if not overrides.was_seen(database, one, repo_id):
                out.print(f"Nothing was done as {escape(one)} {escape(where)} yet: check the spelling.", soft_wrap=True)


def split(alias: Alias, repo: Repo = None) -> None:
    """Let ALIAS stand for itself: what `people merge` said is taken back, and no rule merges it again."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.insights import overrides

    with open_database(load_settings()) as database:
        repo_id, where = _where(database, repo)
        known, kept_apart = overrides.split(database, alias, repo_id)
    why = "; it is kept apart, whatever else would merge it" if kept_apart else ""
    out.print(f"{escape(known)} stands for itself {escape(where)}{why}.", soft_wrap=True)


def _where(database: Database, repo: str | None) -> tuple[int, str]:
    """The repository of an override, and how it is said."""
    from starsearch_assets.insights import overrides

    if repo is None:
        return overrides.EVERYWHERE, "everywhere"
    repo_id, name = overrides.find_repository(database, repo)
    return repo_id, f"in {name}"
