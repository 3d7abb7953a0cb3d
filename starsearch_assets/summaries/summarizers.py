"""Two ways to a summary: sentences of the source that the embedding model finds most central, or an LLM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from importlib.resources import files
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from resources.embedder import Embedder
from resources.errors import LLMReplyInvalid, LLMRequestFailed
from resources.llm import LLM, NOTHING_ASKED, Completion, Session, create_summary_llm
from resources.settings import Settings
from starsearch_assets.summaries.source import Failure, Outcome, Source, Store, Summarizer, Summary
from starsearch_assets.summaries.text import clean, sentences

EXTRACTIVE_VERSION = "extractive-1"
PROMPT_VERSION = "summary-1"

SOURCE_BUDGET = 8_000
"""Characters of an item that the LLM sees, title included; comments fill what title and body leave."""

_FENCE = re.compile(r"\b(begin|end)\s+(text)\b", re.IGNORECASE)
_TEMPLATE_TOKEN = re.compile(r"<\|[^|>\n]{0,40}\|>")
"""Chat templates' own tokens, e.g. <|im_start|>: servers read them in a message as the end of it."""

_REPEATED = 0.92  # cosine above which a sentence says what another one said
_SENTENCES_READ = 12
_BATCH = 256

T = TypeVar("T")


class ExtractiveSummarizer:
    """The sentences nearest to the centroid of all sentences of the item and its title, in source order."""

    prompt_version = EXTRACTIVE_VERSION
    extractive = True

    def __init__(self, embedder: Embedder, sentence_count: int = 3) -> None:
        self.model = f"extractive:{embedder.model}"
        self._embedder, self._count = embedder, sentence_count

    def summarize(self, sources: Iterable[Source], store: Store, limit: Callable[[], int] | None = None) -> None:  # noqa: ARG002 - nothing is in flight
        """Summarize a batch of sources with one call of the embedding model."""
        for batch in batched(sources, _BATCH):
            store(list(zip(batch, self._summaries(batch), strict=True)))

    def _summaries(self, sources: Sequence[Source]) -> Iterator[Summary]:
        read = [(_one_line(source.title), _sentences(source)) for source in sources]
        texts = sorted({text for title, found in read if found for text in (title, *found)})
        vectors = dict(zip(texts, self._embedder.encode(texts), strict=True))
        for title, found in read:
            if not found:
                yield Summary(title)
                continue
            chosen = _central(np.stack([vectors[text] for text in found]), vectors[title], self._count)
            yield Summary(" ".join(found[index] for index in chosen) or title)


class LLMSummarizer:
    """Summaries by an LLM; the untrusted text is cleaned, cut to a budget, and fenced."""

    prompt_version = PROMPT_VERSION
    extractive = False

    def __init__(self, llm: LLM) -> None:
        self.model = llm.model
        self._llm = llm

    def summarize(self, sources: Iterable[Source], store: Store, limit: Callable[[], int] | None = None) -> None:
        """Summarize with as many requests in flight as the LLM allows."""
        self._llm.run(sources, self._summary, store, limit=limit)

    async def _summary(self, session: Session, source: Source) -> Outcome:
        messages = [{"role": "system", "content": self._system}, {"role": "user", "content": prompt_text(source)}]
        try:
            return _outcome(await session.ask(messages, max_tokens=300))
        except (LLMReplyInvalid, LLMRequestFailed) as error:
            return Failure(str(error), error.usage or NOTHING_ASKED)

    @cached_property
    def _system(self) -> str:
        return (files(__package__) / "prompts" / f"{PROMPT_VERSION}.md").read_text(encoding="utf-8")


def prompt_text(source: Source) -> str:
    """What the LLM sees of an item, between fences that the item's own text cannot forge."""
    context = f"{source.kind}; labels: {', '.join(source.labels)}" if source.labels else source.kind
    parts = [f"Kind: {_one_line(context)}", f"Title: {_one_line(source.title)}", clean(source.body)]
    parts += [f"Comment: {text[:600]}" for text in map(clean, source.comments) if text]
    text = _TEMPLATE_TOKEN.sub(" ", "\n".join(part for part in parts if part)[:SOURCE_BUDGET])
    # The fences last: what is taken out before may join two halves of one.
    fenced = _FENCE.sub(r"\1-\2", text)
    return f"BEGIN TEXT\n{fenced}\nEND TEXT"


def _outcome(completion: Completion) -> Outcome:
    """The reply as one line of plain text: the model has read strangers' text and may repeat their markup."""
    text = " ".join(clean(completion.text).split())
    if not text:
        return Failure(f"The model {completion.model} replied with nothing but markup.", completion.usage)
    return Summary(text, usage=completion.usage)


def create_summarizer(settings: Settings, embedder: Embedder) -> Summarizer:
    """By LLM where one is configured, otherwise extractive.

    Raises:
        ConfigurationError: half of the LLM's settings are missing.
    """
    llm = create_summary_llm(settings)
    return ExtractiveSummarizer(embedder) if llm is None else LLMSummarizer(llm)


def summary_version(settings: Settings) -> str:
    """Version of the summaries that these settings make: the assets' code_version."""
    if settings.llm_configured:
        return f"{PROMPT_VERSION}/{settings.summary_model}"
    return f"{EXTRACTIVE_VERSION}/{settings.embedding_model}"


def batched(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Batches of at most `size`."""
    source = iter(items)
    while batch := tuple(islice(source, size)):
        yield batch


def _one_line(text: str) -> str:
    return " ".join(clean(text).split()) or "untitled"


def _sentences(source: Source) -> list[str]:
    """Sentences of the body, then of the comments, without repeats."""
    found = sentences(source.body, _SENTENCES_READ)
    for comment in source.comments[:3]:
        found += sentences(comment, 3)
    return list(dict.fromkeys(found))[: _SENTENCES_READ + 6]


def _central(vectors: npt.NDArray[np.float32], title: npt.NDArray[np.float32], count: int) -> list[int]:
    """Indexes of the most central rows that do not repeat one another or the title, in source order."""
    centroid = vectors.sum(axis=0) + title
    # Rounded, so that noise of the vectors' last digits does not decide between equals.
    order = np.argsort(-np.round(vectors @ centroid / (np.linalg.norm(centroid) + 1e-9), 2), kind="stable")
    chosen: list[int] = []
    for index in order:
        said = [title, *(vectors[one] for one in chosen)]
        if max(float(vectors[index] @ other) for other in said) < _REPEATED:
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return sorted(chosen)
