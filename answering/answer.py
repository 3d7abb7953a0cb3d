"""An answer: what it says, what it rests on, how it was made; kept, and found again for the same question."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from answering.evidence import Citation
from answering.releases import Release
from resources.kinds import KINDS
from resources.llm_session import Usage
from resources.postgres import Database
from resources.prices import Prices


@dataclass(frozen=True)
class Spending:
    """What an LLM was asked for one answer. dollars: None where no price is set; 0 where none was asked."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float | None = 0.0

    @classmethod
    def of(cls, usage: Usage, prices: Prices) -> Spending:
        """The usage, at these prices."""
        dollars = prices.cost(usage.tokens_in, usage.tokens_out) if usage.requests else 0.0
        return cls(usage.requests, usage.tokens_in, usage.tokens_out, dollars)


@dataclass(frozen=True)
class Answer:
    """An answer and what it rests on.

    mode: extractive (no LLM asked), llm, or degraded (the LLM failed: composed by rule, or finished by rule).
    coverage: the release's own figures, and `text`, one sentence for people. dropped: sentences of the LLM that nothing
    backed. widgets: measures and cards to be drawn, with their figures. cached: made before, for the same question.
    spending: what making it took.
    """

    answer_id: str
    question: str
    answer: str
    mode: str
    abstained: bool
    release: int
    coverage: dict[str, Any]
    citations: tuple[Citation, ...]
    dropped: int = 0
    cached: bool = False
    widgets: tuple[dict[str, Any], ...] = ()
    spending: Spending = Spending()

    def as_json(self) -> dict[str, Any]:
        """The shape that `ask --json` and POST /v1/ask give out."""
        return {
            "answer_id": self.answer_id,
            "answer": self.answer,
            "mode": self.mode,
            "abstained": self.abstained,
            "release": self.release,
            "coverage": self.coverage,
            "citations": [citation.as_json() for citation in self.citations],
            "dropped": self.dropped,
            "cached": self.cached,
            "widgets": list(self.widgets),
            "spending": asdict(self.spending),
        }


def new_id() -> str:
    """Of an answer."""
    return str(uuid.uuid4())


def cache_key(*parts: Any) -> bytes:
    """A digest of everything that an answer depends on."""
    return hashlib.sha256(orjson.dumps(parts, default=str)).digest()


class Answers:
    """Answers kept in the service's own schema."""

    def __init__(self, service: Database) -> None:
        self.service = service

    def keep(self, answer: Answer, traced: dict[str, Any], key: bytes | None) -> None:
        """Keep an answer with the trace of its citations. key: under which it is found again; None: never."""
        self.service.execute(
            "INSERT INTO answers (answer_id, question, answer, mode, abstained, release_id, coverage, citations, trace,"
            " dropped, widgets, requests, tokens_in, tokens_out, dollars, cache_key)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                answer.answer_id, answer.question, answer.answer, answer.mode, answer.abstained, answer.release,
                Jsonb(answer.coverage), Jsonb([citation.as_json() for citation in answer.citations]), Jsonb(traced),
                answer.dropped, Jsonb(list(answer.widgets), dumps=_dumps),
                answer.spending.requests, answer.spending.tokens_in, answer.spending.tokens_out,
                answer.spending.dollars, key,
            ],
        )  # fmt: skip

    def stored(self, answer_id: UUID) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """An answer's fields, citations included, and the trace of those by number; None where it is not kept."""
        rows = self.service.fetch_all(
            "SELECT question, mode, abstained, release_id, created_at, citations, trace FROM answers"
            " WHERE answer_id = %s",
            [answer_id],
        )
        if not rows:
            return None
        question, mode, abstained, release, created_at, citations, traced = rows[0]
        told = {
            "answer_id": str(answer_id), "question": question, "mode": mode, "abstained": abstained,
            "release": release, "created_at": created_at.isoformat(), "citations": citations,
        }  # fmt: skip
        return told, traced

    def find(self, key: bytes) -> Answer | None:
        """The newest answer that was kept under `key`."""
        rows = self.service.fetch_all(
            f"SELECT {COLUMNS} FROM answers a WHERE cache_key = %s ORDER BY created_at DESC LIMIT 1", [key]
        )
        return answer_of(rows[0], cached=True) if rows else None


def spent_on_answers(database: Database, first: date | None, last: date | None) -> tuple[int, Spending]:
    """Answers of these days (inclusive; None: no bound) for which an LLM was asked, and what all of it took.

    dollars: of those that were made while prices were set; None where none was.
    """
    ((count, *spent),) = database.fetch_all(
        "SELECT count(*)::int, coalesce(sum(requests), 0)::int, coalesce(sum(tokens_in), 0)::bigint,"
        " coalesce(sum(tokens_out), 0)::bigint, sum(dollars) FROM service.answers WHERE requests > 0"
        " AND (created_at AT TIME ZONE 'UTC')::date BETWEEN coalesce(%s, '-infinity'::date)"
        " AND coalesce(%s, 'infinity'::date)",
        [first, last],
    )
    return count, Spending(*spent)


COLUMNS = (
    "a.answer_id::text, a.question, a.answer, a.mode, a.abstained, a.release_id, a.coverage, a.citations, a.dropped,"
    " a.widgets, a.requests, a.tokens_in, a.tokens_out, a.dollars"
)
"""What `answer_of` takes of the table of answers `a`."""


def answer_of(row: Sequence[Any], *, cached: bool) -> Answer:
    """An answer as it was stored. cached: whether it had been made for an earlier question."""
    answer_id, question, text, mode, abstained, release, coverage, citations, dropped, widgets, *spent = row
    cited = tuple(Citation(**one) for one in citations)
    return Answer(
        answer_id, question, text, mode, abstained, release, coverage, cited, dropped, cached, tuple(widgets),
        Spending(*spent),
    )  # fmt: skip


def _dumps(value: Any) -> bytes:
    """Days in figures are text in JSON."""
    return orjson.dumps(value, default=str)


def coverage_text(release: Release) -> str:
    """One sentence on what the release rests on."""
    c = release.coverage
    parts = [
        f"Covered: {c['items']:,} {_kinds(release)} of {c['repositories']:,} repositories,"
        f" active from {c['since']} to {c['as_of']}, from {c['hours_loaded']:,} hours of GitHub events"
    ]
    if cloned := c.get("git_repositories"):
        parts[0] += f" and the git history of {cloned:,} of them"
    if live := c.get("hours_live"):
        parts.append(f"{live:,} hours are known only from GitHub's Events API so far")
    if gaps := c["hours_missing"] + c["hours_failed"]:
        parts.append(f"{gaps:,} hours are missing or damaged")
    if c.get("capture_rate") is not None:
        parts.append(f"the events told of {c['capture_rate']:.0%} of what GitHub lists")
    if c["items_without_text"]:
        parts.append(f"{c['items_without_text']:,} items have no text yet")
    return "; ".join(parts) + f". Release {release.release_id}."


def _kinds(release: Release) -> str:
    """The kinds that a release has items of: pull requests, issues and releases."""
    *most, last = [f"{kind.label}s" for kind in KINDS if release.of_kind(kind.name)]
    return f"{', '.join(most)} and {last}" if most else last
