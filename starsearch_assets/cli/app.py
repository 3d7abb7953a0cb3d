"""The command line: one function a command, errors shown as what to do next.

Heavy imports happen inside the commands, so that `starsearch --help` answers at once.
"""

from __future__ import annotations

import logging
import warnings

import typer

from answering.errors import AnsweringError
from resources.errors import ResourceError
from starsearch_assets.cli import (
    cost,
    data,
    demo,
    insights,
    keys,
    people,
    polling,
    questions,
    releases,
    relevance,
    repos,
    serving,
    size,
    spaces,
    summaries,
)
from starsearch_assets.cli.console import fail

app = typer.Typer(
    name="starsearch",
    help="Ask questions of GitHub's history. GitHub events in, cited answers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
demo.register(app)
serving.register(app)
questions.register(app)
data.register(app)
cost.register(app)
size.register(app)
summaries.register(app)
repos.register(app)
people.register(app)
keys.register(app)
insights.register(app)
polling.register(app)
releases.register(app)
spaces.register(app)
relevance.register(app)


def main() -> None:
    """Entry point: errors that people can act on are printed as one line, without a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    warnings.filterwarnings("ignore", module="dagster.*")
    try:
        app()
    except (ResourceError, AnsweringError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted; run the same command again to go on where it stopped", 130)
