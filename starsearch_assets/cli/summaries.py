"""`summaries golden`: how good are the summaries of the configured model."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import fail, out, print_json


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The summaries that the configured model writes.", no_args_is_help=True)
    group.callback()(lambda: None)  # one command alone would take the group's place
    group.command("golden")(golden)
    app.add_typer(group, name="summaries")


def golden(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Summarize the golden set, invented items with known good answers, and judge the model by it. Exit 1 if any fails.

    Nothing is stored.
    """
    from resources.embedder import create_embedder
    from resources.settings import load_settings
    from starsearch_assets.summaries.golden import evaluate
    from starsearch_assets.summaries.source import Summary
    from starsearch_assets.summaries.summarizers import create_summarizer

    settings = load_settings()
    summarizer = create_summarizer(settings, create_embedder(settings))
    verdicts = evaluate(summarizer)
    good = sum(not verdict.problems for verdict in verdicts)
    if as_json:
        items = [
            {
                "name": one.item.name,
                "summary": one.outcome.text if isinstance(one.outcome, Summary) else None,
                "problems": one.problems,
            }
            for one in verdicts
        ]
        print_json(
            {"model": summarizer.model, "prompt_version": summarizer.prompt_version, "good": good, "items": items}
        )
    else:
        table = Table("item", "summary", "problems", box=None, header_style="dim", title=None)
        for one in verdicts:
            text = one.outcome.text if isinstance(one.outcome, Summary) else "none"
            told = "[green]none[/]" if not one.problems else f"[red]{escape('; '.join(one.problems))}[/]"
            table.add_row(one.item.name, escape(text), told)
        out.print(table)
        out.print(f"{summarizer.model}, {summarizer.prompt_version}: {good} of {len(verdicts)} as expected.")
    if good < len(verdicts):
        fail(f"{len(verdicts) - good} of {len(verdicts)} summaries are not as expected.")
