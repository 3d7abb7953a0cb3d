"""`starsearch up` in a process of its own, and the API of the UI that it starts."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import httpx

from tests.integration.commands import ROOT, command, environment, free_port
from tests.integration.demo import Demo

LAUNCH_BACKFILL = """
mutation($parameters: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $parameters) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""
BACKFILL = """
query($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status runs { status tags { key value } } error { message } }
  }
}"""


class Ui:
    """The API of Dagster's UI. ui: its port."""

    def __init__(self, port: int) -> None:
        self.ui = port

    def graphql(self, query: str, **variables: Any) -> Any:
        reply = httpx.post(
            f"http://127.0.0.1:{self.ui}/graphql", json={"query": query, "variables": variables}, timeout=60
        ).json()
        assert "errors" not in reply, reply
        return reply["data"]

    def backfill(self, assets: list[str], partitions: list[str]) -> Any:
        """What the UI sends when someone materializes partitions; waits for the end."""
        return self.ended(self.launch(assets, partitions))

    def launch(self, assets: list[str], partitions: list[str]) -> str:
        """The same without waiting: the backfill's id."""
        parameters = {"assetSelection": [{"path": [name]} for name in assets], "partitionNames": partitions}
        launched = self.graphql(LAUNCH_BACKFILL, parameters=parameters)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        backfill_id: str = launched["backfillId"]
        return backfill_id

    def ended(self, backfill_id: str) -> Any:
        """The backfill at its end."""
        for _ in range(240):
            found = self.graphql(BACKFILL, id=backfill_id)["partitionBackfillOrError"]
            if found["status"] not in ("REQUESTED", "CANCELING"):
                return found
            time.sleep(1)
        raise AssertionError(f"the backfill did not end: {found}")


class Running(Ui):
    """A running `starsearch up`."""

    def __init__(self, demo: Demo, **extra: str) -> None:
        super().__init__(free_port())
        self.service = free_port()
        self.told: list[str] = []
        arguments = ("up", "--port", str(self.ui), "--service-port", str(self.service))
        self.process = subprocess.Popen(
            command(demo.home, *arguments),
            cwd=ROOT,
            env=environment(demo.home, **extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(line.strip())
            if "Ctrl-C" in line:
                return
        raise AssertionError(f"`starsearch up` ended with {self.process.wait()}")
