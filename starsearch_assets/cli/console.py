"""What commands print with: one console, one progress display, one way to show an error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from starsearch_assets.progress import listening

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def fail(message: str, code: int = 1) -> None:
    """Print an error to stderr and leave with `code`."""
    err.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    sys.exit(code)


@contextmanager
def progress_bars() -> Iterator[None]:
    """A bar an asset while the block runs; on a pipe or in CI, a line an asset when it is done."""
    if not err.is_terminal:
        said: set[tuple[str, float]] = set()

        def line(asset: str, done: float, total: float, _: str) -> None:
            if done >= total and (asset, total) not in said:
                said.add((asset, total))
                err.print(f"  {asset}: {total:g} partition{'' if total == 1 else 's'}", soft_wrap=True)

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
