"""`insights experts`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import out, parse_day, print_json

if TYPE_CHECKING:
    from answering.insights.experts import Expert, TopicWork


def experts(
    topics: Annotated[
        list[str] | None, typer.Argument(help="Technologies, components or themes that they know, each of them.")
    ] = None,
    interested_in: Annotated[
        list[str] | None, typer.Option("--interested-in", help="What they are interested in as well; repeatable.")
    ] = None,
    repo: Annotated[
        list[str] | None, typer.Option("--repo", help="Only this repository (owner/name); repeatable.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only items active on or after this day (YYYY-MM-DD, UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Only items active before this day (YYYY-MM-DD, UTC).")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many people, the best first.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank people by what they did about topics, recent and merged work before other, with the items as evidence."""
    from answering.ask import coverage_text
    from answering.retrieval import Scope
    from answering.session import open_answerer
    from resources.settings import load_settings

    scope = Scope(
        repos=tuple(repo or ()),
        since=None if since is None else parse_day(since, "--since"),
        until=None if until is None else parse_day(until, "--until"),
    )
    with open_answerer(load_settings(), llm=False) as answerer:
        release = answerer.release()
        insight = answerer.experts(topics or (), interested_in or (), scope)
    figures = insight.figures and replace(insight.figures, people=insight.figures.people[:limit])
    if as_json:
        print_json({
            "measure": insight.measure, "repositories": insight.repositories, "release": release.release_id,
            "figures": figures and figures.as_json(), "coverage": insight.coverage, "undefined": insight.undefined,
            "evidence": insight.evidence,
        })  # fmt: skip
        return
    if figures is None:
        out.print(escape(insight.undefined), soft_wrap=True)
    else:
        out.print(_table(figures.people))
    out.print(f"[dim]{escape(coverage_text(release))}[/]", soft_wrap=True)


def _table(people: tuple[Expert, ...]) -> Table:
    """A row a person and topic, and one below it for each item of the evidence."""
    table = Table("score", "person", "work", "newest", box=None, header_style="dim")
    table.columns[2].overflow = "fold"
    for one in people:
        score, person = f"{one.score:.2f}", f"[bold]{escape(one.person)}[/]"
        for work in one.topics:
            table.add_row(score, person, _counted(work), f"{work.newest}")
            score = person = ""
            for link in work.evidence:
                table.add_row("", "", f"  {escape(link.title)}  [link={link.url}][blue]{escape(link.url)}[/][/link]")
    return table


def _counted(work: TopicWork) -> str:
    counts = f"{work.authored:,} authored, {work.merged:,} merged"
    if work.interested:
        counts += f", {work.discussed:,} discussed"
    return f"{escape(work.topic)}: {counts}"
