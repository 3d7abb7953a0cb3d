"""`ask` and `search`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import err, out, parse_day, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from answering.answer import Answer
    from answering.ask import Answerer
    from answering.deltas import Delta
    from answering.retrieval import Mode, Scope

Repos = Annotated[list[str] | None, typer.Option("--repo", help="Only this repository (owner/name); repeatable.")]
Since = Annotated[str | None, typer.Option(help="Only items active on or after this day (YYYY-MM-DD, UTC).")]
Until = Annotated[str | None, typer.Option(help="Only items active before this day (YYYY-MM-DD, UTC).")]
ABSTAINED = 3
"""Exit code of a question that was not answered, because nothing that was read answers it."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(ask)
    app.command()(search)


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    as_json: AsJson = False,
    repo: Repos = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Answer a question from the active release, with citations, or say that it does not know (exit code 3)."""
    from answering.deltas import Listener

    for answerer in _answerer():
        scope = _scope(repo, since, until)
        if as_json:
            answer = answerer.ask(question, scope)
            print_json(answer.as_json())
        else:
            out.print(f"[bold]{escape(question)}[/]", soft_wrap=True)
            answer = answerer.ask(question, scope, Listener(_tell))
            out.print()
            print_sources(answer)
        if answer.abstained:
            raise typer.Exit(ABSTAINED)


def _tell(delta: Delta) -> None:
    """An answer in the making, as it comes."""
    if delta.event == "delta":
        out.print(escape(delta.data["text"]), end="", soft_wrap=True)
    elif delta.event in ("tool_call", "status"):
        err.print(f"[dim]{escape(delta.data.get('text') or '{tool} {arguments}'.format(**delta.data))}[/]")


def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    kind: Annotated[list[str] | None, typer.Option(help="pull_request, issue, release or commit; repeatable.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many hits.")] = 10,
    as_json: AsJson = False,
    repo: Repos = None,
    since: Since = None,
    until: Until = None,
    author: Annotated[list[str] | None, typer.Option(help="Only items of this author (login); repeatable.")] = None,
    state: Annotated[list[str] | None, typer.Option(help="open, closed, merged, released …; repeatable.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only items with this label; repeatable.")] = None,
    technology: Annotated[
        list[str] | None, typer.Option(help="Only items whose summary names this technology; repeatable.")
    ] = None,
    bots: Annotated[
        bool | None, typer.Option("--bots/--no-bots", help="Only items by bots, or none of them.", show_default=False)
    ] = None,
    mode: Annotated[str, typer.Option(help="hybrid, vector or text.")] = "hybrid",
) -> None:
    """List the items that fit a text best, by meaning and by words, best first, one hit an item."""
    from dataclasses import replace

    scope = replace(
        _scope(repo, since, until, kind),
        authors=tuple(author or ()),
        states=tuple(state or ()),
        labels=tuple(label or ()),
        technologies=tuple(technology or ()),
        bots=bots,
    )
    for answerer in _answerer(llm=False):
        release, hits = answerer.search(text, scope, k, _mode(mode))
        if as_json:
            print_json({"release": release.release_id, "hits": [hit.as_json() for hit in hits]})
            return
        table = Table("score", "kind", "item", "title", box=None, header_style="dim")
        for hit in hits:
            table.add_row(f"{hit.score:.2f}", hit.kind, f"[link={hit.url}]{escape(hit.place)}[/link]",
                          escape(hit.title))  # fmt: skip
        out.print(table)


def print_answer(answer: Answer) -> None:
    """An answer for the terminal: words, sources, and what they rest on."""
    out.print(f"[bold]{escape(answer.question)}[/]", soft_wrap=True)
    out.print(escape(answer.answer), soft_wrap=True)
    print_sources(answer)


def print_sources(answer: Answer) -> None:
    """The sources of an answer, how it was made, and what it rests on."""
    for citation in answer.citations:
        out.print(
            f"  [dim]{escape(f'[{citation.n}]')}[/] {escape(citation.title)}  [blue]{escape(citation.url)}[/]",
            soft_wrap=True,
        )
    labels = {
        "extractive": "extractive: composed by rule, no LLM configured",
        "degraded": "degraded: the LLM failed, composed by rule",
        "llm": "written by the LLM, checked against its sources",
    }
    asked = [labels[answer.mode], *([_spending(answer)] if answer.spending.requests else [])]
    out.print(f"  [dim]{' · '.join(asked)} · {escape(answer.coverage['text'])}[/]\n", soft_wrap=True)


def _spending(answer: Answer) -> str:
    """What the LLM was asked for it."""
    spent = answer.spending
    cost = "" if spent.dollars is None else f", ${spent.dollars:.4f}"
    return f"{spent.requests} requests, {spent.tokens_in:,} tokens read, {spent.tokens_out:,} written{cost}"


def _answerer(*, llm: bool = True) -> Iterator[Answerer]:
    from answering.session import open_answerer
    from resources.settings import load_settings

    with open_answerer(load_settings(), llm=llm) as answerer:
        yield answerer


def _mode(mode: str) -> Mode:
    from answering.retrieval import MODES

    for known in MODES:
        if known == mode:
            return known
    raise typer.BadParameter(f"{mode!r} is none of {', '.join(MODES)}", param_hint="--mode")


def _scope(repos: list[str] | None, since: str | None, until: str | None, kinds: list[str] | None = None) -> Scope:
    from answering.retrieval import Scope

    scope = Scope(
        repos=tuple(repos or ()),
        since=None if since is None else parse_day(since, "--since"),
        until=None if until is None else parse_day(until, "--until"),
    )
    if kinds:
        from dataclasses import replace

        scope = replace(scope, kinds=tuple(kinds))
    return scope
