"""`cost`: what summaries and answers have cost, and what others would have asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import fail, out, parse_day, print_json

if TYPE_CHECKING:
    from resources.prices import Prices
    from starsearch_assets.summaries.ledger import Spent

REPOSITORIES, WORDS_A_DAY, TOKENS_A_WORD = 40_000, 190, 4 / 3
"""The original's arithmetic: what a day brings, read once by an LLM. English has about four tokens in three words."""

_DAYS_BY_DAY = 31


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(cost)


@dataclass(frozen=True)
class Estimate:
    """What reading the text of all repositories of the original would cost: US dollars; None: no price is set."""

    repositories: int
    words_a_day: int
    tokens_a_word: float
    tokens: int
    hosted_a_day: float
    hosted_a_year: float
    own_a_day: float | None
    own_a_year: float | None


def cost(
    first: Annotated[str | None, typer.Option("--from", help="First day (YYYY-MM-DD) of the summarized items.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day, inclusive.")] = None,
    by_kind: Annotated[bool, typer.Option("--by-kind", help="Each kind of item on a line of its own.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what summaries and answers have cost, and what a hosted API would have asked for the same tokens."""
    from answering.answer import spent_on_answers
    from resources.postgres import open_database
    from resources.prices import Prices
    from resources.settings import load_settings
    from starsearch_assets.summaries.ledger import spent

    start = None if first is None else parse_day(first, "--from")
    end = None if last is None else parse_day(last, "--to")
    if start is not None and end is not None and end < start:
        fail(f"--to {end} lies before --from {start}.", 2)
    settings = load_settings()
    own, hosted = Prices.of(settings), Prices.hosted(settings)
    with open_database(settings) as database:
        rows = spent(database, start, end, _period(start, end), by_kind=by_kind)
        total = spent(database, start, end, "all", by_kind=False)
        answers, on_answers = spent_on_answers(database, start, end)
    if as_json:
        print_json(
            {
                "from": start,
                "to": end,
                "spent": [_as_dict(row, hosted) for row in rows],
                "total": [_as_dict(row, hosted) for row in total],
                "answers": {"count": answers} | asdict(on_answers),
                "original": asdict(_estimate(own, hosted)),
            }
        )
        return
    if rows:
        out.print(_table(rows, total, hosted))
        _explain(total, own)
    else:
        within = "" if start is None and end is None else " for these days"
        if settings.llm_configured:
            out.print(f"Nothing has been spent{within}: no summary was asked of the LLM yet.")
        else:
            out.print(f"Nothing has been spent{within}: summaries are extractive; no LLM is configured (LLM_BASE_URL).")
    if answers:
        cost = on_answers.dollars
        each = "" if cost is None else f", {_dollars(cost / answers)} each"
        out.print(
            f"Answers: {answers:,} asked the LLM, {on_answers.requests:,} requests, {on_answers.tokens_in:,} tokens in,"
            f" {on_answers.tokens_out:,} out, cost {_dollars(cost)}{each}.", soft_wrap=True,
        )  # fmt: skip
    _arithmetic(_estimate(own, hosted), hosted, own)


def _period(start: date | None, end: date | None) -> str:
    """Lines of days where there are few, else of months."""
    return "day" if start is not None and end is not None and (end - start).days < _DAYS_BY_DAY else "month"


def _table(rows: Sequence[Spent], total: Sequence[Spent], hosted: Prices) -> Table:
    kinds = any(row.kind for row in rows)
    versions = len({(row.model, row.prompt_version) for row in total}) > 1
    title = None if versions or not total else f"{total[0].model}, {total[0].prompt_version}"
    table = Table("of", box=None, header_style="dim", title=title and escape(title), title_justify="left")
    for name in [*(["kind"] if kinds else []), *(["model", "prompt"] if versions else [])]:
        table.add_column(name)
    counts = ["items", *(["failed"] if any(row.failed for row in rows) else []), "requests",
              *(["retries"] if any(row.retries for row in rows) else [])]  # fmt: skip
    for name in (*counts, "tokens in", "tokens out", "hours", "cost", "hosted"):
        table.add_column(name, justify="right")
    for period, style, some in (*((row.period, None, row) for row in rows), *(("all", "bold", row) for row in total)):
        table.add_row(
            period,
            *([some.kind] if kinds else []),
            *([escape(some.model), escape(some.prompt_version)] if versions else []),
            *(f"{getattr(some, name):,}" for name in counts),
            *_cells(some, hosted),
            style=style,
        )
    return table


def _cells(row: Spent, hosted: Prices) -> list[str]:
    return [
        f"{row.tokens_in:,}",
        f"{row.tokens_out:,}",
        f"{row.seconds / 3600:,.2f}",
        _dollars(row.cost),
        _dollars(hosted.cost(row.tokens_in, row.tokens_out)),
    ]


def _explain(total: Sequence[Spent], own: Prices) -> None:
    if own.cost(0, 0) is None:
        out.print("Costs are estimated of what is spent from when LLM_PRICE_IN and LLM_PRICE_OUT are set.")
    if any(0 < row.priced < 1 for row in total):
        out.print("A part was spent while no prices were set: `cost` leaves it out.")


def _estimate(own: Prices, hosted: Prices) -> Estimate:
    tokens = round(REPOSITORIES * WORDS_A_DAY * TOKENS_A_WORD)
    asked, ours = hosted.cost(tokens, 0) or 0.0, own.cost(tokens, 0)
    return Estimate(
        REPOSITORIES, WORDS_A_DAY, TOKENS_A_WORD, tokens, asked, asked * 365, ours, None if ours is None else ours * 365
    )


def _arithmetic(estimate: Estimate, hosted: Prices, own: Prices) -> None:
    ours = (
        ""
        if estimate.own_a_day is None or estimate.own_a_year is None
        else f"; at LLM_PRICE_IN (${own.tokens_in:g}) {_dollars(estimate.own_a_day)} a day,"
        f" {_dollars(estimate.own_a_year)} a year"
    )
    out.print(
        f"[dim]For comparison, {estimate.repositories:,} repositories of {estimate.words_a_day} words a day"
        f" ({estimate.tokens / 1e6:.1f} million tokens at 4 a 3 words), read once:"
        f" {_dollars(estimate.hosted_a_day)} a day, {_dollars(estimate.hosted_a_year)} a year at HOSTED_PRICE_IN"
        f" (${hosted.tokens_in:g} a million tokens){ours}.[/]",
        soft_wrap=True,
    )


def _as_dict(row: Spent, hosted: Prices) -> dict[str, object]:
    return asdict(row) | {"hosted": hosted.cost(row.tokens_in, row.tokens_out)}


def _dollars(amount: float | None) -> str:
    if amount is None:
        return "-"
    return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
