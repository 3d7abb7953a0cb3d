"""What several routes take and give in their bodies."""

from __future__ import annotations

from datetime import date
from typing import Annotated

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
