"""What commands print with: one console, one progress display, one way to show an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import NoReturn

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from starsearch_assets.progress import listening

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print an error to stderr and leave with `code`."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)


def print_json(value: object) -> None:
    """JSON for programs, on standard output and nothing else there."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def parse_day(value: str, option: str) -> date:
    """A day given to an option; anything else ends the command with code 2."""
    try:
        return date.fromisoformat(value)
    except ValueError:
        fail(f"{option} {value}: expected a day like 2025-10-06.", 2)


@contextmanager
def progress_bars() -> Iterator[None]:
    """A bar an asset while the block runs; on a pipe or in CI, a line an asset when it is done."""
    if not err.is_terminal:
        said: set[tuple[str, float]] = set()

        def line(asset: str, done: float, total: float, detail: str) -> None:
            if done >= total and (asset, total) not in said:
                said.add((asset, total))
                err.print(f"  {asset}: {total:g} {detail or 'partition' + 's' * (total != 1)}", soft_wrap=True)

        with listening(line):
            yield
        return
    display = Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
        console=err,
    )
    tasks: dict[str, TaskID] = {}

    def draw(asset: str, done: float, total: float, detail: str) -> None:
        if asset not in tasks:
            tasks[asset] = display.add_task(asset, total=total, detail=detail)
        display.update(tasks[asset], completed=round(done, 2), total=total, detail=detail)

    with display, listening(draw):
        yield
