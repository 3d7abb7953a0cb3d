"""`python -m benchmarks [NAME …]`: run the named benchmarks, or all; exit 1 when a target is missed."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    answers,
    contributions,
    definitions,
    demo,
    embeddings,
    events,
    git,
    github,
    index,
    insights,
    live,
    polling,
    relevance,
    search,
    stores,
    summaries,
    thresholds,
    webhooks,
)
from benchmarks.report import Report


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="definitions, events, contributions, insights, git, github, webhooks, summaries, index, embeddings,"
        " relevance, thresholds, search, stores, polling, live, demo; default: all",
    )
    parser.add_argument("--events", type=int, default=100_000, help="events in the generated hour file (100,000)")
    parser.add_argument("--repetitions", type=int, help="pairs of measurements; default: each benchmark's own")
    parser.add_argument("--rows", type=int, help="rows of search (1,000,000), stores (100,000), insights (5,000,000)")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="answers, insights, relevance, thresholds, search: keep their databases here",
    )
    parser.add_argument(
        "--collection", action="append", default=[], help="relevance, thresholds: only this one; repeatable"
    )
    parser.add_argument(
        "--documents", choices=relevance.DOCUMENTS, default="summaries", help="relevance, thresholds: what is embedded"
    )
    parser.add_argument(
        "--weights", nargs="+", default=[], metavar="NAME=VALUE", help="relevance: weights of the ranking"
    )
    options = parser.parse_args()
    rows = {} if options.rows is None else {"rows": options.rows}
    repetitions = {} if options.repetitions is None else {"repetitions": options.repetitions}
    benchmarks: dict[str, Callable[[], Report]] = {
        "definitions": lambda: definitions.run(**repetitions),
        "events": lambda: events.run(options.events, **repetitions),
        "contributions": lambda: contributions.run(options.events, **repetitions),
        "insights": lambda: insights.run(keep=options.keep, **rows),
        "git": lambda: git.run(**repetitions),
        "github": lambda: github.run(**repetitions),
        "webhooks": lambda: webhooks.run(**repetitions),
        "summaries": summaries.run,
        "index": lambda: index.run(**repetitions),
        "embeddings": lambda: embeddings.run(**repetitions),
        "search": lambda: search.run(keep=options.keep, **rows),
        "answers": lambda: answers.run(keep=options.keep, **rows),
        "stores": lambda: stores.run(**rows),
        "relevance": lambda: relevance.run(options.keep, options.collection, options.documents, options.weights),
        "thresholds": lambda: thresholds.run(options.keep, options.collection, options.documents),
        "polling": lambda: polling.run(**repetitions),
        "live": lambda: live.run(**repetitions),
        "demo": demo.run,
    }
    if unknown := set(options.names) - benchmarks.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: choose among {', '.join(benchmarks)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a benchmark that is ended stops its server
    names = options.names or list(benchmarks)
    print(f"Benchmarks: {', '.join(benchmarks)}. Running: {', '.join(names)}.")
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores / 2:
        print(f"Load average {load:.1f} on {cores} cores: other work disturbs figures that need more than one core.")
    verdicts = [(name, verdict) for name in names for verdict in benchmarks[name]().verdicts]
    print("\nAgainst the targets")
    for name, verdict in verdicts:
        print(f"  {name:<12} {verdict}")
    return 0 if all(verdict.met for _, verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
