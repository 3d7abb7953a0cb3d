"""A small corpus of items with vectors, words and everything that filters look at, released as the assets do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from pgvector import HalfVector

from answering.releases import Release, load_release
from resources.embedder import Vectors
from resources.kinds import PULL_REQUEST, Kind
from resources.postgres import Database
from starsearch_assets import audits
from starsearch_assets.embeddings.spaces import ensure_space
from starsearch_assets.index.build import build_month
from starsearch_assets.release.publish import publish

DIMENSIONS = 64
DAY = date(2025, 10, 6)


class BagOfWords:
    """A text's vector is the sum of fixed random vectors of its words: texts that share words are near each other."""

    model, dimensions = "bag-of-words", DIMENSIONS

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.stack([_sum(re.findall(r"\w+", text.lower())) for text in texts])


def _sum(words: Iterable[str]) -> np.ndarray:
    total = np.full(DIMENSIONS, 1e-3)
    for word in words:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
        total += np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return (total / np.linalg.norm(total)).astype(np.float32)


@dataclass(frozen=True)
class Item:
    """One pull request, issue, ... of repository `repo`."""

    number: int
    title: str
    text: str = ""
    repo: int = 1
    author: str = "ann"
    is_bot: bool = False
    state: str = "open"
    labels: tuple[str, ...] = ()
    technologies: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    day: date = DAY
    own_text: str = ""
    kind: Kind = field(default=PULL_REQUEST)


def release_of(
    database: Database, tools: Database, items: Sequence[Item], floor: float = 0.0, kinds: Iterable[Kind] = ()
) -> Release:
    """Store the items and their vectors, build the months, and publish. kinds: embedded already, to be built."""
    store(database, items)
    for kind in kinds:
        assert build_month(database, kind, DAY.replace(day=1), BagOfWords.model, floor).passed
    for kind in {item.kind.name: item.kind for item in items}.values():
        for month in sorted({item.day.replace(day=1) for item in items if item.kind == kind}):
            assert build_month(database, kind, month, BagOfWords.model, floor).passed
    assert publish(database, tools, BagOfWords.model, floor).release_id is not None
    return load_release(tools)


def store(database: Database, items: Sequence[Item]) -> None:
    """The items as content, summaries and audited vectors."""
    embedder = BagOfWords()
    vectors = embedder.encode([f"{item.title} {item.text}" for item in items])
    with database.transaction() as connection:
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            sorted({(item.repo, f"acme/repo{item.repo}") for item in items}),
        )
        merged = [(item.repo, item.number) for item in items if item.state == "merged"]
        for kind in {item.kind.name: item.kind for item in items}.values():
            some = [(item, vector) for item, vector in zip(items, vectors, strict=True) if item.kind == kind]
            space = ensure_space(connection, kind, embedder)
            cursor.executemany(
                f"INSERT INTO {kind.table} (repo_id, number, title, body, hydrated_at, hydrated_event, author_login,"
                " author_is_bot, created_at, state, labels) VALUES (%s, %s, %s, %s, now(), 1, %s, %s, now(), %s, %s)",
                [
                    (item.repo, item.number, item.title, item.text, item.author, item.is_bot,
                     "open" if item.state == "open" else "closed", list(item.labels)) for item, _ in some
                ],
            )  # fmt: skip
            cursor.executemany(
                "INSERT INTO activity VALUES (%s, %s, %s, %s)",
                [(kind.name, item.repo, str(item.number), item.day) for item, _ in some],
            )
            cursor.executemany(
                "INSERT INTO item_contents (kind, repo_id, ref, content_hash) VALUES (%s, %s, %s, %s)",
                [(kind.name, item.repo, str(item.number), _hash(item)) for item, _ in some],
            )
            cursor.executemany(
                "INSERT INTO summaries (content_hash, model, prompt_version, extractive, summary, technologies,"
                " components) VALUES (%s, 'rules', '1', true, %s, %s, %s)",
                [(_hash(item), item.text, list(item.technologies), list(item.components)) for item, _ in some],
            )
            cursor.executemany(
                f"INSERT INTO {space.table.as_string()} (repo_id, ref, text_hash, document, document_source, lexemes,"
                " content_hash, summary_model, prompt_version, embedding) VALUES (%s, %s, %s, %s, 'extractive',"
                " document_lexemes(%s, %s), %s, 'rules', '1', %s::halfvec)",
                [
                    (item.repo, str(item.number), _hash(item), document(item), document(item), item.own_text,
                     _hash(item), HalfVector(vector.astype(np.float16)).to_text()) for item, vector in some
                ],
            )  # fmt: skip
            if kind == PULL_REQUEST:
                cursor.executemany(
                    "UPDATE pull_requests SET merged_at = now() WHERE repo_id = %s AND number = %s", merged
                )
            for day in {item.day for item, _ in some}:
                audits.record(connection, audits.Audit(kind.embeddings, f"{day}", "1", True, {}, space.gate), None)


def document(item: Item) -> str:
    """The text that stands for an item."""
    return f"{item.title}\n{item.text}"


def _hash(item: Item) -> bytes:
    return hashlib.sha256(f"{item.kind.name}/{item.repo}/{item.number}/{document(item)}".encode()).digest()
