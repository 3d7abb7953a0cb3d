"""A webhook's two ends: deliveries as GitHub signs and sends them, and `starsearch serve`, which takes them."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx

from resources.inbox import WEBHOOK, Arrival, put
from resources.kinds import KINDS
from resources.postgres import Database
from resources.settings import Settings
from resources.webhooks import EVENT_HEADER
from starsearch_assets.content.process import process_day
from starsearch_assets.deliveries.process import HourResult, read_hour
from tests.factories import REPOSITORY, user
from tests.integration.commands import ROOT, command, environment, free_port

Object = dict[str, Any]
SECRET = "s3cret-of-the-webhook"


def signed(body: bytes, secret: str = SECRET) -> str:
    """The value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers(event: str, body: bytes, **changed: str | None) -> dict[str, str]:
    """What GitHub sends along; `changed` replaces (underscores for hyphens) or, with None, leaves out."""
    sent: dict[str, str | None] = {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/0000000",
        "x-github-event": event,
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        "x-hub-signature-256": signed(body),
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in sent.items() if value is not None}


def delivery(
    action: str | None,
    repository: tuple[int, str] = REPOSITORY,
    *,
    private: bool = False,
    changed_at: str = "2025-11-01T00:00:00Z",
    **parts: Any,
) -> Object:
    """A payload as GitHub renders it. changed_at: when the repository's settings changed."""
    return ({} if action is None else {"action": action}) | parts | {
        "repository": {
            "id": repository[0],
            "full_name": repository[1],
            "private": private,
            "visibility": "private" if private else "public",
            "updated_at": changed_at,
        },
        "sender": user("ada") | {"url": "https://api.github.com/users/ada"},
    }  # fmt: skip


def encoded(payload: Object) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


class Service:
    """A `starsearch serve` process. It finds no embedder, so that it answers no questions: webhooks need none."""

    def __init__(self, settings: Settings, **extra: str) -> None:
        assert settings.database_url is not None
        assert settings.service_database_url is not None
        self._environment = environment(
            settings.home,
            DATABASE_URL=settings.database_url.get_secret_value(),
            SERVICE_DATABASE_URL=settings.service_database_url.get_secret_value(),
            EMBEDDING_BASE_URL="http://127.0.0.1:9/v1",
            **{"GITHUB_WEBHOOK_SECRET": SECRET} | extra,
        )
        self._home = settings.home
        self._home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = self.start()

    @property
    def log(self) -> str:
        return (self._home / "service.log").read_text(errors="replace")

    def start(self) -> subprocess.Popen[bytes]:
        """Start, or start again, on the same port."""
        with (self._home / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                command(self._home, "serve", "--port", str(self.port)),
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        for _ in range(600):
            assert self.process.poll() is None, self.log
            try:
                httpx.get(f"{self.url}/healthz", timeout=5)
            except httpx.HTTPError:
                time.sleep(0.05)
            else:
                return self.process
        raise AssertionError(f"the service did not start: {self.log}")

    def deliver(self, event: str, body: bytes | Object, **changed: str | None) -> httpx.Response:
        """Send one delivery."""
        raw = body if isinstance(body, bytes) else encoded(body)
        return httpx.post(
            f"{self.url}/webhooks/github", content=raw, headers=headers(event, raw, **changed), timeout=30
        )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@contextmanager
def service(settings: Settings, **extra: str) -> Iterator[Service]:
    """A running service, ended with the block."""
    running = Service(settings, **extra)
    try:
        yield running
    finally:
        running.kill()


def waited_for(found: Any, seconds: float = 30) -> bool:
    """Whether `found()` becomes true in time."""
    deadline = time.monotonic() + seconds
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def outcomes(database: Database) -> dict[tuple[str, str], int]:
    """The counters."""
    rows = database.fetch_all("SELECT event, outcome, count FROM service.webhook_counts")
    return {(event, outcome): count for event, outcome, count in rows}


def inbox(database: Database) -> list[tuple[bytes, Mapping[str, str], int | None]]:
    """Body, headers and repository of what is in it, in the order in which it came."""
    return database.fetch_all("SELECT body, headers, repo_id FROM service.inbox ORDER BY inbox_id")


def arrive(
    database: Database, deliveries: Iterable[tuple[str, bytes | Object]], received_at: datetime | None = None
) -> None:
    """Put deliveries into the inbox, as the service does; received_at: as if they had come then."""
    for event, body in deliveries:
        raw = body if isinstance(body, bytes) else encoded(body)
        try:
            repo_id = json.loads(raw)["repository"]["id"]
        except (ValueError, LookupError, TypeError):
            repo_id = None
        with database.transaction() as connection:
            put(connection, [Arrival(WEBHOOK, raw, {EVENT_HEADER: event}, repo_id)])
            if received_at is not None:
                sha256 = hashlib.sha256(raw).digest()
                connection.execute("UPDATE service.inbox SET received_at = %s WHERE sha256 = %s", [received_at, sha256])
                connection.execute("DELETE FROM service.inbox_hours WHERE hour = date_trunc('hour', now(), 'UTC')")
                connection.execute(
                    "INSERT INTO service.inbox_hours (source, hour)"
                    " VALUES ('webhook', date_trunc('hour', %s::timestamptz, 'UTC')) ON CONFLICT DO NOTHING",
                    [received_at],
                )


def read_all(database: Database) -> HourResult:
    """Read every hour in which something arrived; the results added up."""
    results = [HourResult()]
    for (hour,) in database.fetch_all(
        "SELECT DISTINCT date_trunc('hour', received_at, 'UTC') FROM service.inbox WHERE source = 'webhook' ORDER BY 1"
    ):
        results.append(read_hour(database, hour, "run-1"))
    return HourResult(*map(sum, zip(*map(astuple, results), strict=True)))


def process_dirty(database: Database) -> None:
    """Process every day that is asked for, of all kinds."""
    for (day,) in database.fetch_all("SELECT DISTINCT day FROM dirty_days ORDER BY 1"):
        for kind in KINDS:
            process_day(database, kind, day)


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def today() -> date:
    return datetime.now(UTC).date()


def real_deliveries(real_data: Path) -> dict[str, tuple[str, bytes]]:
    """Name -> event and body of every real payload."""
    folder = real_data / "rest" / "octokit_webhooks"
    return {path.name: (path.name.split(".")[0], path.read_bytes()) for path in sorted(folder.glob("*.json"))}
