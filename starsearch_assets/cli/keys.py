"""`keys create | list | revoke`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import err, out, parse_day, print_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The keys with which the service is used.", no_args_is_help=True)
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(
    name: Annotated[str, typer.Argument(help="Who or what uses it.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="ask, search, threads, mcp or metrics; repeatable. Without: the first four."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/min", help="Requests a minute; without: RATE_PER_MINUTE.")
    ] = None,
    tokens_per_day: Annotated[
        int | None, typer.Option(min=0, help="LLM tokens a day (UTC); without: TOKENS_PER_DAY.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Last day on which it is good (YYYY-MM-DD, UTC).")] = None,
) -> None:
    """Make a key and print it. It is not stored, only its digest: it cannot be printed again."""
    from answering.keys import SCOPES, create_key
    from resources.postgres import open_database
    from resources.settings import load_settings

    last_day = None if expires is None else parse_day(expires, "--expires")
    per_minute = None if rate is None else _per_minute(rate)
    with open_database(load_settings()) as database:
        key = create_key(
            database, name, scope or SCOPES, per_minute=per_minute, tokens_per_day=tokens_per_day, last_day=last_day
        )
    sys.stdout.write(f"{key}\n")  # alone, so that a program can take it
    err.print("It is shown this once. Send it as `Authorization: Bearer …`; `starsearch keys revoke` ends it.")


def list_keys(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the keys by their first characters, newest first."""
    from answering import keys
    from resources.postgres import open_database
    from resources.settings import load_settings

    with open_database(load_settings()) as database:
        found = keys.list_keys(database)
    if as_json:
        print_json([key.as_json() for key in found])
        return
    table = Table("key", "name", "state", "scopes", "a minute", "tokens a day", "made", "ends", box=None,
                  header_style="dim")  # fmt: skip
    for key in found:
        table.add_row(
            f"{key.prefix}…", escape(key.name), key.state, " ".join(key.scopes), str(key.per_minute or ""),
            "" if key.tokens_per_day is None else f"{key.tokens_per_day:,}", f"{key.created_at:%Y-%m-%d}",
            f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "",
        )  # fmt: skip
    out.print(table)


def revoke(prefix: Annotated[str, typer.Argument(help="Its first characters, as `keys list` shows them.")]) -> None:
    """Make a key useless from its next request on, with the sessions of pages that used it."""
    from answering.keys import revoke_key
    from resources.postgres import open_database
    from resources.settings import load_settings

    with open_database(load_settings()) as database:
        revoked = revoke_key(database, prefix)
    out.print(f"{revoked}… is revoked.")


def _per_minute(rate: str) -> int:
    """30/min, or 30."""
    number = rate.removesuffix("/min")
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 2**31):
        raise typer.BadParameter(f"expected a number of requests a minute like 30/min, found {rate!r}")
    return int(number)
