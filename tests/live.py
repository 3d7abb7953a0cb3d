"""A whole StarSearch that runs: `starsearch up` with the double as GitHub and a real git repository, told of news."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.doubles.github import Account, GitHubDouble, Issue, PullRequest, Repository, github_double
from tests.factories import REPOSITORY, Object, event, item, user
from tests.git_remotes import Remote
from tests.integration.commands import ROOT, command, environment, free_port, starsearch
from tests.integration.webhooks import SECRET, delivery, encoded, headers

TOPICS = {
    "pull_request": "compress the walrus archive with zstandard instead of gzip",
    "issue": "the quokka exporter writes corrupt parquet footers when it is flushed twice",
    "commit": "let the pelican scheduler retry cancelled leases with exponential backoff",
    "release": "the ibis dashboard draws sparklines of heron migration",
}
"""What the news are about, by kind: nothing else in the system is near to it."""


@dataclass(frozen=True)
class News:
    """One thing that happened. ref: as a citation names it; at: of time.monotonic."""

    kind: str
    ref: str
    question: str
    at: float


class LiveSystem:
    """Everything that `starsearch up` starts, in a home of its own, following one repository."""

    def __init__(self, folder: Path, double: GitHubDouble) -> None:
        self.home, self.double = folder / "home", double
        self.service = free_port()
        self.remote = Remote(folder / "rocket.git")
        owner, _, name = REPOSITORY[1].partition("/")
        self.repository = Repository(id=REPOSITORY[0], owner=owner, name=name)
        double.state.add(self.repository)
        (folder / "no-hour-files").mkdir()
        self.variables = {
            "GITHUB_TOKEN": double.token,
            "GITHUB_API_URL": double.url,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GH_ARCHIVE_URL": str(folder / "no-hour-files"),
        }
        self.process: subprocess.Popen[str] | None = None
        self._number = 100

    def start(self) -> None:
        """Track the repository, opt its history in, start everything, and wait until it answers."""
        self.remote.commit(message=b"An ordinary beginning")
        starsearch(self.home, "repos", "add", REPOSITORY[1], "--git-url", self.remote.url, **self.variables)
        self.process = subprocess.Popen(
            command(self.home, "up", "--port", str(free_port()), "--service-port", str(self.service)),
            cwd=ROOT, env=environment(self.home, **self.variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "Ctrl-C" in line:
                return
        raise AssertionError(f"`starsearch up` ended with {self.process.wait()}")

    def stop(self) -> None:
        """Stop everything, the database included."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        starsearch(self.home, "down", check=False)

    def happen(self) -> list[News]:
        """A pull request, an issue, a commit and a release are made now.

        The feed tells of the first three, as GitHub's does today; a webhook delivers the release.
        """
        now = datetime.now(UTC)
        self._number += 10
        pull, issue = self._number, self._number + 1
        at, stamp = time.monotonic(), now.strftime("%Y-%m-%d %H:%M:%S")
        said = {kind: f"{topic}, variant {self._number}" for kind, topic in TOPICS.items()}
        made = {"author": Account("ada"), "created_at": now, "updated_at": now}
        self.repository.add(
            PullRequest(number=pull, title=said["pull_request"], body="Smaller and faster.", **made),  # type: ignore[arg-type]
            Issue(number=issue, title=said["issue"], body="Flush twice and look.", **made),  # type: ignore[arg-type]
        )
        before = self.remote.tips()["main"]
        sha = self.remote.commit(message=said["commit"].encode() + b"\n", when=int(now.timestamp()))
        slim = {"number": pull, "id": pull, "url": "u", "head": {"ref": "topic"}, "base": {"ref": "main"}}
        told: list[tuple[str, Object]] = [
            ("PullRequestEvent", {"action": "opened", "number": pull, "pull_request": slim}),
            ("IssuesEvent", {"action": "opened", "issue": item(issue, said["issue"], created_at=f"{now:%FT%TZ}")}),
            ("PushEvent", {"ref": "refs/heads/main", "before": before, "head": sha, "push_id": pull}),
        ]
        self.double.feeds.publish(
            *(event(1_000 * self._number + n, kind, stamp, payload) for n, (kind, payload) in enumerate(told))
        )
        tag = f"v{self._number}"
        self._deliver("release", delivery("published", release=_release(tag, said["release"], now)))
        refs = {"pull_request": str(pull), "issue": str(issue), "commit": sha, "release": tag}
        return [News(kind, refs[kind], f"What do we know: {said[kind]}?", at) for kind in TOPICS]

    def _deliver(self, name: str, payload: Object) -> None:
        body = encoded(payload)
        reply = httpx.post(
            f"http://127.0.0.1:{self.service}/webhooks/github", content=body, headers=headers(name, body), timeout=60
        )
        assert reply.status_code == httpx.codes.ACCEPTED, reply.text

    def cited(self, news: News) -> bool:
        """Whether an answer to the question cites the news."""
        reply = httpx.post(f"http://127.0.0.1:{self.service}/v1/ask", json={"question": news.question}, timeout=60)
        if reply.status_code != httpx.codes.OK:
            return False
        return any((one["kind"], one["ref"]) == (news.kind, news.ref) for one in reply.json()["citations"])

    def until_all_are_cited(
        self, news: list[News], deadline: float, told: Callable[[News, float], None] = lambda *_: None
    ) -> dict[str, float]:
        """Ask until every one is cited: seconds from its happening, by kind. deadline: seconds from now."""
        seconds: dict[str, float] = {}
        until = time.monotonic() + deadline
        while len(seconds) < len(news) and time.monotonic() < until:
            for one in news:
                if one.kind not in seconds and self.cited(one):
                    seconds[one.kind] = time.monotonic() - one.at
                    told(one, seconds[one.kind])
            time.sleep(0.5)
        return seconds


def _release(tag: str, title: str, at: datetime) -> Object:
    stamp = f"{at:%FT%TZ}"
    return {
        "id": int(tag.removeprefix("v")), "tag_name": tag, "name": title, "body": "Look at the charts.", "draft": False,
        "prerelease": False, "author": user("ada"), "created_at": stamp, "published_at": stamp, "updated_at": stamp,
    }  # fmt: skip


@contextmanager
def live_system(folder: Path, poll_interval: float) -> Iterator[LiveSystem]:
    """A running system. poll_interval: X-Poll-Interval of the feeds, in seconds; GitHub says 60."""
    with github_double() as double:
        double.feeds.poll_interval = poll_interval
        system = LiveSystem(folder, double)
        try:
            system.start()
            yield system
        finally:
            system.stop()
