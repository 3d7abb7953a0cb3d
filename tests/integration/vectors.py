"""What the tests of vectors have in common: embedders and summarizers without a model, and items to embed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

import numpy as np

from resources.embedder import Vectors
from resources.postgres import Database
from starsearch_assets.summaries.source import Source, Store, Summary
from tests.doubles.llm_server import embedding

DAY = date(2026, 1, 30)


class CountingEmbedder:
    """Vectors that only the text decides; remembers what it was asked for."""

    def __init__(self, model: str = "test-model", dimensions: int = 16) -> None:
        self.model, self.dimensions = model, dimensions
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.calls.append(list(texts))
        return np.asarray([embedding(text, self.dimensions) for text in texts], dtype=np.float32)


class Flooded(CountingEmbedder):
    """A broken model: the same vector for every text."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        return super().encode(["same"] * len(texts))


class FixedSummarizer:
    """“<name>/<version> of <title>: <body>” for every source, or always `text`."""

    def __init__(self, name: str, *, extractive: bool = False, prompt_version: str = "1", text: str = "") -> None:
        self.model, self.prompt_version, self.extractive, self._text = name, prompt_version, extractive, text

    def summarize(self, sources: Iterable[Source], store: Store, limit: Callable[[], int] | None = None) -> None:
        store(
            [
                (one, Summary(self._text or f"{self.model}/{self.prompt_version} of {one.title}: {one.body}"))
                for one in sources
            ]
        )


def add(database: Database, number: int, body: str, day: date = DAY, title: str | None = None) -> None:
    """A pull request of repository 1 with text, active on `day`; or its new body."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (1, 'acme/web') ON CONFLICT DO NOTHING")
    database.execute(
        "INSERT INTO pull_requests (repo_id, number, title, body, hydrated_at) VALUES (1, %s, %s, %s, now())"
        " ON CONFLICT (repo_id, number) DO UPDATE SET body = excluded.body",
        [number, title or f"Change {number}", body],
    )
    database.execute(
        "INSERT INTO activity VALUES ('pull_request', 1, %s, %s) ON CONFLICT DO NOTHING", [str(number), day]
    )
