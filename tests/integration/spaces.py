"""Items with text, filled spaces and releases of them, and a service that is asked all the time: shared by the tests of
embedding models beside each other."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

import httpx
import orjson

from resources.embedders import Embedders
from resources.kinds import ISSUE, KINDS, PULL_REQUEST
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.embeddings.create import create_model
from starsearch_assets.embeddings.every_space import embed_day_everywhere
from starsearch_assets.embeddings.spaces import find_space
from starsearch_assets.index.build import build_month
from starsearch_assets.release.decide import ReleaseResult
from starsearch_assets.release.publish import publish
from tests.doubles.llm_server import LLMServer
from tests.integration.commands import ROOT, command, environment, free_port
from tests.integration.processes import until
from tests.integration.vectors import FixedSummarizer

FIRST = date(2026, 1, 27)
DAYS = 10  # from January into February
TOPICS = ("telescope mirrors", "a tokenizer in Rust", "holiday photographs", "the coffee machine", "dark mode")
FLOOR = 0.5
Asking = TypeVar("Asking", bound="Load")
SUMMARIZER = FixedSummarizer("none")


def add_items(database: Database, days: int = DAYS, first: date = FIRST, a_day: int = 5) -> None:
    """`a_day` pull requests and issues a day, each with a text of its own."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (1, 'acme/web') ON CONFLICT DO NOTHING")
    for offset in range(days):
        day = first + timedelta(days=offset)
        for number in range(day.toordinal() * 100, day.toordinal() * 100 + a_day):
            for kind in (PULL_REQUEST, ISSUE):
                title = f"Work {number} on {TOPICS[number % len(TOPICS)]}"
                database.execute(
                    f"INSERT INTO {kind.table} (repo_id, number, title, body, hydrated_at, author_login, author_is_bot)"
                    " VALUES (1, %s, %s, %s, now(), 'ada', false) ON CONFLICT DO NOTHING",
                    [number, title, f"The {kind.label} {number} is about {TOPICS[number % len(TOPICS)]}."],
                )
                database.execute(
                    "INSERT INTO activity VALUES (%s, 1, %s, %s) ON CONFLICT DO NOTHING", [kind.name, str(number), day]
                )


def embed(database: Database, settings: Settings, days: int = DAYS, first: date = FIRST) -> None:
    """What `*_embeddings` do for these days: every registered model's spaces are filled."""
    for offset in range(days):
        for kind in (PULL_REQUEST, ISSUE):
            embed_day_everywhere(
                database, kind, first + timedelta(days=offset), Embedders(settings), SUMMARIZER, f"run-{offset}"
            )


def own(settings: Settings, server: LLMServer, model: str = "first") -> Settings:
    """Settings whose model is at the server."""
    return settings.model_copy(update={"embedding_model": model, "embedding_base_url": server.url})


@contextmanager
def two_models(
    settings: Settings, database: Database, days: int = 2, dimensions: int = 16
) -> Iterator[tuple[Settings, LLMServer]]:
    """The settings' own model `first` and beside it `second`, both at one server, their spaces filled and indexed."""
    with LLMServer(models=("first", "second"), dimensions=dimensions) as server:
        settings = own(settings, server)
        add_items(database, days=days)
        create_model(database, Embedders(settings), "second", server.url)
        embed(database, settings, days=days)
        build(database, "first")
        build(database, "second")
        yield settings, server


def build(database: Database, model: str) -> None:
    """The indexes of every month, of one model."""
    months = database.fetch_all("SELECT DISTINCT kind, date_trunc('month', day)::date FROM activity ORDER BY 2, 1")
    for kind in KINDS:
        for of, month in months:
            if of == kind.name:
                assert build_month(database, kind, month, model, FLOOR).passed


def release(database: Database, tools: Database, model: str) -> ReleaseResult:
    """A release of the model's indexes, as `search_release` makes it."""
    return publish(database, tools, model, FLOOR)


def serving(database: Database) -> list[str]:
    return [model for (model,) in database.fetch_all("SELECT model FROM embedding_models WHERE serving")]


def stored(database: Database, model: str) -> list[tuple[Any, ...]]:
    """What the model's spaces hold, without runs and times."""
    rows: list[tuple[Any, ...]] = []
    for kind in (PULL_REQUEST, ISSUE):
        with database.transaction() as connection:
            space = find_space(connection, kind, model)
        if space is not None:
            rows += database.fetch_all(
                f"SELECT '{kind.name}', repo_id, ref, text_hash, document, embedding::text"
                f" FROM {space.table.as_string()} ORDER BY repo_id, ref"
            )
    return rows


def variables(settings: Settings, **extra: str) -> dict[str, str]:
    """The settings as a user's environment has them."""
    names = ("database_url", "service_database_url", "tools_database_url")
    return {name.upper(): getattr(settings, name).get_secret_value() for name in names} | extra


@dataclass
class Load:
    """Somebody who asks all the time. problems: answers that were none, or empty. releases: in the order in which they
    were first seen."""

    url: str
    problems: list[str] = field(default_factory=list)
    releases: list[int] = field(default_factory=list)
    asked: int = 0

    def ask(self, client: httpx.Client, number: int) -> None:
        mode = ("hybrid", "vector")[number % 2]
        parameters = {"q": TOPICS[number % len(TOPICS)], "k": "10", "mode": mode}
        try:
            reply = client.get(f"{self.url}/v1/search", params=parameters)
        except httpx.HTTPError as error:
            self.problems.append(repr(error))
            return
        if reply.status_code != 200 or len(reply.json()["hits"]) != 10:
            self.problems.append(f"{reply.status_code}: {reply.text[:500]}")
        elif reply.json()["release"] not in self.releases:
            self.releases.append(reply.json()["release"])
        self.asked += 1

    def asks_on(self, times: int = 10) -> None:
        """Wait for so many more questions."""
        wanted = self.asked + times
        until(lambda: self.asked >= wanted)

    def sees(self, release_id: int | None) -> None:
        """Wait until a release answers."""
        until(lambda: release_id in self.releases)


@dataclass
class Answers(Load):
    """Somebody who has questions answered, as JSON and as a stream by turns. answers: all that came."""

    answers: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, client: httpx.Client, number: int) -> None:
        body = {"question": f"Who knows {TOPICS[number % len(TOPICS)]}?"}
        headers = {"Accept": ("application/json", "text/event-stream")[number % 2]}
        try:
            reply = client.post(f"{self.url}/v1/ask", json=body, headers=headers)
        except httpx.HTTPError as error:
            self.problems.append(repr(error))
            return
        text = reply.text
        if number % 2:
            event, _, text = text.rstrip().rpartition("\n\n")[2].partition("\ndata: ")
            if event != "event: done":
                self.problems.append(f"{reply.status_code}: the last event was {event!r} {text[:500]}")
                return
        answer = orjson.loads(text) if reply.status_code == httpx.codes.OK else {}
        if not answer.get("citations"):
            self.problems.append(f"{reply.status_code}: {text[:500]}")
            return
        self.answers.append(answer)
        if answer["release"] not in self.releases:
            self.releases.append(answer["release"])
        self.asked += 1


@contextmanager
def asked_all_the_time(load: Asking, threads: int = 2) -> Iterator[Asking]:
    """Questions from several threads until the block ends."""
    stop = threading.Event()

    def work(first: int) -> None:
        with httpx.Client(timeout=60) as client:
            number = first
            while not stop.is_set():
                load.ask(client, number)
                number += threads

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield load
    finally:
        stop.set()
        for worker in workers:
            worker.join()


@contextmanager
def running_service(settings: Settings, **extra: str) -> Iterator[str]:
    """`starsearch serve` in a process of its own, once it is ready; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command(settings.home, "serve", "--port", str(port)),
        cwd=ROOT,
        env=environment(settings.home, **variables(settings, ANONYMOUS_PER_MINUTE="1000000", **extra)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: process.poll() is not None or ready(url).get("ready") is True)
        assert process.poll() is None
        yield url
    finally:
        process.terminate()
        process.wait(30)


def ready(url: str) -> dict[str, Any]:
    """What /readyz says; nothing while nobody listens."""
    try:
        return dict(httpx.get(f"{url}/readyz", timeout=30).json())
    except httpx.HTTPError:
        return {}
