"""The double as a process of its own: prints its URL and serves until it is told to end."""

from __future__ import annotations

import argparse
import gc
import signal
import sys

from tests.doubles.github.limits import Limits
from tests.doubles.github.populate import populate
from tests.doubles.github.server import github_double


def main() -> None:
    """Read the command line and serve."""
    allowed = Limits()
    parser = argparse.ArgumentParser("python -m tests.doubles.github", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before each reply")
    parser.add_argument("--concurrency-limit", type=int, default=allowed.concurrency, help="requests at a time")
    parser.add_argument("--hourly-points", type=int, default=allowed.hourly_points, help="of GraphQL")
    parser.add_argument("--points-a-minute", type=int, default=allowed.graphql_points_a_minute, help="of GraphQL")
    parser.add_argument("--retry-after", type=int, default=allowed.retry_after, help="seconds, after a secondary limit")
    parser.add_argument("--max-items-a-query", type=int, default=None, help="more are answered with 502")
    parser.add_argument("--repositories", type=int, default=1, help="octo/repository-1…")
    parser.add_argument("--items", type=int, default=100, help="in each repository; every third is an issue")
    parser.add_argument("--busy-items", type=int, default=None, help="instead, in every twentieth repository")
    parser.add_argument("--token", default="double-token")
    given = parser.parse_args()
    limits = Limits(
        hourly_points=given.hourly_points,
        graphql_points_a_minute=given.points_a_minute,
        concurrency=given.concurrency_limit,
        retry_after=given.retry_after,
    )
    sys.setswitchinterval(0.0005)  # requests that come while a query is executed are seen, and counted, at once
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with github_double(
        given.port,
        token=given.token,
        latency=given.latency_ms / 1000,
        limits=limits,
        max_items_a_query=given.max_items_a_query,
    ) as double:
        populate(double.state, given.repositories, given.items, given.busy_items)
        gc.freeze()  # what it holds stays for good: no use in looking through it again and again
        print(double.url, flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
