"""What several routes take and give in their bodies."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from answering.retrieval import Scope

Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]
"""PostgreSQL takes no U+0000."""


class ScopeBody(BaseModel):
    """What may be searched; empty: everything."""

    repos: list[Text] = Field(default_factory=list, max_length=100)
    since: date | None = None
    until: date | None = None

    def as_scope(self) -> Scope:
        """As it is enforced."""
        return Scope(repos=tuple(self.repos), since=self.since, until=self.until)


class CitationReply(BaseModel):
    """One source. kind: pull_request, issue, commit, release, measure or web; ref: number, SHA, tag, or a measure."""

    n: int
    kind: str
    repo: str
    ref: str
    title: str
    url: str


class SpendingReply(BaseModel):
    """What an LLM was asked for an answer. dollars: null where no price is set."""

    requests: int
    tokens_in: int
    tokens_out: int
    dollars: float | None


class AnswerReply(BaseModel):
    """An answer, as `answering.answer.Answer` describes it."""

    answer_id: str
    answer: str
    mode: Literal["extractive", "llm", "degraded"]
    abstained: bool
    release: int
    coverage: dict[str, Any]
    citations: list[CitationReply]
    dropped: int
    cached: bool
    widgets: list[dict[str, Any]]
    spending: SpendingReply


class AskedReply(AnswerReply):
    """An answer as somebody asked for it. note: what is to be said of how it was made; the thread that keeps it, and
    its message there."""

    note: str | None
    thread_id: UUID | None
    message_id: UUID | None


class Coverage(BaseModel):
    """What answers rest on, in one sentence."""

    text: str


class Readiness(BaseModel):
    """Whether questions can be asked. error: why not; or why an older release than the active one is served."""

    ready: bool
    release: int | None
    coverage: Coverage | None
    error: str | None


class HitReply(BaseModel):
    """One item found. score: cosine similarity, 0 without a vector; rank_score: what hits are ordered by."""

    kind: Literal["pull_request", "issue", "commit", "release"]
    repo: str
    ref: str
    title: str
    url: str
    score: float
    rank_score: float


class Suggestions(BaseModel):
    """Questions to begin with."""

    suggestions: list[str]


class SearchReply(BaseModel):
    """What a search found, best first."""

    release: int
    hits: list[HitReply]


class TracedCitation(CitationReply):
    """A source with the steps by which it came to be, from what was served down to where it came from."""

    steps: list[dict[str, Any]]


class LineageReply(BaseModel):
    """A stored answer's citations, traced."""

    answer_id: str
    question: str
    mode: Literal["extractive", "llm", "degraded"]
    abstained: bool
    release: int
    created_at: datetime
    citations: list[TracedCitation]


class Delivered(BaseModel):
    """What became of a webhook's delivery."""

    status: str
    message: str


EVENTS = {"schema": {"type": "string"}, "example": 'event: delta\ndata: {"text":"@ada rewrote the parser [1]."}\n\n'}
"""A stream of server-sent events, as a response in OpenAPI."""
