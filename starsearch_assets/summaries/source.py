"""What goes into a summary and what comes out: the types that the steps of summarizing hand to one another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import orjson

from resources.llm import NOTHING_ASKED, Usage


@dataclass(frozen=True)
class Source:
    """Everything of one item that a summary may rest on, as it is stored: untrusted, not cleaned, not cut.

    kind: its label, e.g. "pull request". paths: the first of paths_total changed files. comments: bodies of what
    people said, oldest first; reviews: the same of reviews and review comments. commits: headlines, oldest first.
    """

    kind: str
    title: str
    body: str
    labels: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    paths_total: int = 0
    reviews: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()

    @cached_property
    def content_hash(self) -> bytes:
        """SHA-256 of all of it: two items with the same content share a summary."""
        parts = [
            self.kind, self.title, self.body, self.labels, self.paths, self.paths_total, self.reviews, self.comments,
            self.commits,
        ]  # fmt: skip
        return hashlib.sha256(orjson.dumps(parts)).digest()


@dataclass(frozen=True)
class Summary:
    """A summary. change_type: one of answering.change_types; None where the kind has none.

    technologies: names of the vocabulary; other_technologies: names that it lacks. user_visible: whether users of the
    software notice it; None: not told. usage: what it cost.
    """

    text: str
    change_type: str | None = None
    technologies: tuple[str, ...] = ()
    other_technologies: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    user_visible: bool | None = None
    usage: Usage = NOTHING_ASKED


@dataclass(frozen=True)
class Failure:
    """Why there is no summary, in words for people, and what the attempt cost."""

    reason: str
    usage: Usage = NOTHING_ASKED


Outcome = Summary | Failure
Store = Callable[[Sequence[tuple[Source, Outcome]]], None]
"""Takes outcomes as they come, in batches; called by one thread at a time, which need not be the caller's."""


class Summarizer(Protocol):
    """Anything that summarizes; (model, prompt_version) is the version of what it writes."""

    model: str
    prompt_version: str
    extractive: bool

    def summarize(self, sources: Iterable[Source], store: Store, limit: Callable[[], int] | None = None) -> None:
        """Summarize `sources`, which are taken one by one as they are needed, and hand all outcomes to `store`.

        limit: how many may be in flight now, asked again and again; None: as many as the summarizer allows.

        Raises:
            LLMUnavailable: the server is down; what came before was stored.
        """
        ...
