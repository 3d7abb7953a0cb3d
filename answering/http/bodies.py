"""What several routes take and give in their bodies."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

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
