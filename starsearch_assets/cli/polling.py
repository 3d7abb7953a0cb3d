"""`poll`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from starsearch_assets.cli.console import out

if TYPE_CHECKING:
    from resources.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(poll)


def poll(
    once: Annotated[bool, typer.Option("--once", help="Poll every feed that is due once, and say what came.")] = False,
    lease_seconds: Annotated[
        float, typer.Option(min=1, help="A second poller takes over when this one has been silent for so long.")
    ] = 30,
) -> None:
    """Follow the tracked repositories and organizations live through GitHub's Events API.

    What comes goes to the inbox. It runs until SIGTERM or Ctrl-C; one poller works at a time, others wait.
    """
    from resources.settings import load_settings
    from starsearch_assets.polling.process import check_settings

    settings = load_settings()
    check_settings(settings)
    log = logging.getLogger("starsearch_assets.polling")
    if not once:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
    time_to_live = timedelta(seconds=lease_seconds)
    asyncio.run(_once(settings, time_to_live) if once else _follow(settings, time_to_live))


async def _once(settings: Settings, time_to_live: timedelta) -> None:
    from starsearch_assets.polling.process import poll_once

    def told(feed: str, outcome: str) -> None:
        out.print(f"{escape(feed)}: {escape(outcome)}", soft_wrap=True)

    session = await poll_once(settings, told, time_to_live)
    counts = session.counts
    out.print(
        f"{counts['changed'] + counts['unchanged']:,} feeds polled, {counts['events']:,} new events;"
        f" {counts['failed'] + counts['absent']:,} not read; {counts['requests']:,} requests, of which"
        f" {counts['charged']:,} count."
    )


async def _follow(settings: Settings, time_to_live: timedelta) -> None:
    from starsearch_assets.polling.process import follow

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await follow(settings, stop, time_to_live=time_to_live)
