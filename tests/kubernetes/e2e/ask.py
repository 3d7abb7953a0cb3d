"""After the sample is in: a backfill through Dagster's UI, whose runs are pods, and a question to the service.

Standard library and kubectl only. Exit 0: the backfill ended well in pods of its own, and the answer has citations.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

KUBECTL = ("kubectl", "--context", "kind-starsearch", "-n", "starsearch")
ASSET, DAYS = "contributor_days", ["2025-10-06", "2025-10-07", "2025-10-08"]
QUESTION = "What type of pull requests has @brandonroberts worked on?"
MINUTES = 10

LAUNCH = """
mutation Launch($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status }
    ... on PythonError { message }
  }
}
"""


@contextmanager
def forwarded(service: str, port: int) -> Iterator[str]:
    """A port of the service, here: its base URL, once something answers there."""
    forwarding = subprocess.Popen([*KUBECTL, "port-forward", f"svc/{service}", f"{port}"], stdout=subprocess.PIPE)
    try:
        assert forwarding.stdout is not None
        if not forwarding.stdout.readline():
            raise RuntimeError(f"kubectl port-forward to {service} ended: what it said stands above.")
        yield f"http://127.0.0.1:{port}"
    finally:
        forwarding.terminate()
        forwarding.wait()


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """JSON there and back."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as reply:
        return dict(json.load(reply))


def asked(url: str, query: str, field: str, **variables: Any) -> dict[str, Any]:
    """A field of Dagster's GraphQL API."""
    reply = post(f"{url}/graphql", {"query": query, "variables": variables})
    if "data" not in reply or reply["data"] is None:
        raise RuntimeError(f"Dagster did not answer {field}: {reply}")
    return dict(reply["data"][field])


def backfill(url: str) -> None:
    """Materialize the asset's days, and wait for the end."""
    parameters = {"assetSelection": [{"path": [ASSET]}], "partitionNames": DAYS}
    launched = asked(url, LAUNCH, "launchPartitionBackfill", parameters=parameters)
    if "backfillId" not in launched:
        raise RuntimeError(f"The backfill was not launched: {launched}")
    until = time.monotonic() + 60 * MINUTES
    while (told := asked(url, STATUS, "partitionBackfillOrError", id=launched["backfillId"])).get("status") not in {
        "COMPLETED_SUCCESS", "COMPLETED", "COMPLETED_FAILED", "FAILED", "CANCELED",
    } and time.monotonic() < until:  # fmt: skip
        time.sleep(5)
    if told.get("status") != "COMPLETED_SUCCESS":
        raise RuntimeError(f"The backfill of {ASSET} did not end well within {MINUTES} minutes: {told}")
    jobs = subprocess.run(
        [*KUBECTL, "get", "jobs", "-l", "dagster/run-id", "-o", "name"], capture_output=True, text=True
    )
    if not jobs.stdout.split():
        raise RuntimeError(f"No Job of a run is there, but the backfill ended well. {jobs.stderr}")
    print(f"{ASSET}: {len(DAYS)} days in {len(jobs.stdout.split())} run pods")


def question(url: str) -> None:
    """Ask until the service has taken in the release, and look for citations."""
    until = time.monotonic() + 60 * MINUTES
    while True:
        try:
            answer = post(f"{url}/v1/ask", {"question": QUESTION})
            if answer["citations"]:
                break
        except (urllib.error.URLError, ConnectionError) as error:
            answer = {"error": str(error)}
        if time.monotonic() > until:
            raise RuntimeError(f"No answer with citations within {MINUTES} minutes; the last one: {answer}")
        time.sleep(5)
    print(f"{answer['answer']}\n\n{len(answer['citations'])} citations, release {answer['release']}")


def main() -> None:
    """Both; the first that fails ends it."""
    with forwarded("dagster-webserver", 3000) as dagster:
        backfill(dagster)
    with forwarded("starsearch-service", 8080) as service:
        question(service)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"error: {error}")
