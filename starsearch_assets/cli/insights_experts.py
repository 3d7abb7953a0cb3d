"""`insights experts`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

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
    from answering.answer import coverage_text
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
        _draw(figures.people)
    out.print(f"[dim]{escape(coverage_text(release))}[/]", soft_wrap=True)


def _draw(people: tuple[Expert, ...]) -> None:
    """A person, below each topic, and below that the items of the evidence."""
    for one in people:
        out.print(f"[bold]{one.score:5.2f}  {escape(one.person)}[/]")
        for work in one.topics:
            out.print(f"       {_counted(work)}, newest {work.newest}", soft_wrap=True)
            for link in work.evidence:
                out.print(f"         [dim]{escape(link.title)}[/]  [link={link.url}]{escape(link.url)}[/link]",
                          soft_wrap=True)  # fmt: skip


def _counted(work: TopicWork) -> str:
    counts = f"{work.authored:,} authored, {work.merged:,} merged"
    if work.interested:
        counts += f", {work.discussed:,} discussed"
    return f"{escape(work.topic)}: {counts}"
