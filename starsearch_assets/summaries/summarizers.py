"""Two ways to a summary: sentences of the source that the embedding model finds most central, or an LLM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from answering.change_types import change_type
from resources.embedder import Embedder
from resources.errors import LLMContextExceeded, LLMError, LLMReplyInvalid, LLMRequestFailed
from resources.kinds import PULL_REQUEST
from resources.llm import LLM, NOTHING_ASKED, Completion, Message, Session, create_summary_llm
from resources.settings import Settings
from starsearch_assets.batches import batched
from starsearch_assets.summaries.fit import fit
from starsearch_assets.summaries.prompt import PROMPT_VERSION, REPLY_TOKENS, load_prompt
from starsearch_assets.summaries.reply import ReplyUnusable, read_reply
from starsearch_assets.summaries.source import Failure, Outcome, Source, Store, Summarizer, Summary
from starsearch_assets.summaries.technologies import mentioned
from starsearch_assets.summaries.text import clean, one_line, sentences
from starsearch_assets.summaries.tokens import TokenCounter, create_token_counter

EXTRACTIVE_VERSION = "extractive-2"

_REPEATED = 0.92  # cosine above which a sentence says what another one said
_SENTENCES_READ = 12
_TECHNOLOGIES = 12
_SHOWN_AGAIN, _EXCERPT = 4000, 160
_BATCH = 256


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
        read = [(one_line(source.title) or "untitled", _sentences(source)) for source in sources]
        texts = sorted({text for title, found in read if found for text in (title, *found)})
        vectors = dict(zip(texts, self._embedder.encode(texts), strict=True))
        for source, (title, found) in zip(sources, read, strict=True):
            text = title
            if found:
                chosen = _central(np.stack([vectors[text] for text in found]), vectors[title], self._count)
                text = " ".join(found[index] for index in chosen) or title
            yield Summary(
                text,
                change_type(title) if source.kind == PULL_REQUEST.label else None,
                mentioned(f"{title}\n{clean(source.body)}", source.paths)[:_TECHNOLOGIES],
            )


class LLMSummarizer:
    """Summaries by an LLM: the item within a budget of tokens, the reply as JSON, one attempt to repair a bad one."""

    extractive = False

    def __init__(self, llm: LLM, *, tokens: int = 3000, counter: TokenCounter | None = None) -> None:
        self.model = llm.model
        self.prompt_version = PROMPT_VERSION
        self._llm, self._tokens, self._counter = llm, tokens, counter or TokenCounter()
        self._prompt = load_prompt()

    def summarize(self, sources: Iterable[Source], store: Store, limit: Callable[[], int] | None = None) -> None:
        """Summarize with as many requests in flight as the LLM and `limit` allow."""
        self._llm.run(sources, self._summary, store, limit=limit)

    async def _summary(self, session: Session, source: Source) -> Outcome:
        try:
            return await self._asked(session, source)
        except (LLMReplyInvalid, LLMRequestFailed) as error:
            return Failure(str(error), error.usage or NOTHING_ASKED)

    async def _asked(self, session: Session, source: Source) -> Outcome:
        """Ask; what does not fit, and a reply that cannot be used, get one more attempt."""
        messages = self._messages(source, self._tokens)
        spent, said = NOTHING_ASKED, ""
        try:
            completion = await self._ask(session, messages)
            spent, said = completion.usage, completion.text
            return read_reply(completion)
        except LLMContextExceeded as error:
            spent = error.usage or NOTHING_ASKED
            messages = self._messages(source, self._tokens // 2)
        except LLMReplyInvalid as error:
            if error.refused:
                raise  # the same would be refused again
            spent = error.usage or NOTHING_ASKED
            messages = self._repaired(messages, "(nothing)", "it was empty.")
        except ReplyUnusable as error:
            messages = self._repaired(messages, said, str(error))
        try:
            completion = await self._ask(session, messages)
            spent += completion.usage
            return replace(read_reply(completion), usage=spent)
        except ReplyUnusable as error:
            excerpt = " ".join(clean(completion.text).split())[:_EXCERPT]
            return Failure(f"The reply of {self.model} cannot be used, also after a repair: {error} ({excerpt})", spent)
        except LLMError as error:
            error.usage = spent + (error.usage or NOTHING_ASKED)
            raise

    def _repaired(self, messages: Sequence[Message], said: str, problem: str) -> list[Message]:
        """The messages that show the model what it said, and what is wrong with it."""
        return [
            *messages,
            {"role": "assistant", "content": said[:_SHOWN_AGAIN]},
            {"role": "user", "content": self._prompt.repair.format(problem=problem)},
        ]

    async def _ask(self, session: Session, messages: Sequence[Message]) -> Completion:
        return await session.ask(messages, max_tokens=REPLY_TOKENS, schema=self._prompt.schema)

    def _messages(self, source: Source, tokens: int) -> list[Message]:
        return [
            {"role": "system", "content": self._prompt.system},
            {"role": "user", "content": fit(source, tokens, self._counter).text},
        ]


def create_summarizer(settings: Settings, embedder: Embedder) -> Summarizer:
    """By LLM where one is configured, otherwise extractive.

    Raises:
        ConfigurationError: half of the LLM's settings are missing.
    """
    llm = create_summary_llm(settings)
    if llm is None:
        return ExtractiveSummarizer(embedder)
    return LLMSummarizer(llm, tokens=settings.summary_tokens, counter=create_token_counter(settings))


def summary_version(settings: Settings) -> str:
    """Version of the summaries that these settings make: the assets' code_version."""
    if settings.llm_configured:
        return f"{PROMPT_VERSION}/{settings.summary_model}"
    return f"{EXTRACTIVE_VERSION}/{settings.embedding_model}"


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
