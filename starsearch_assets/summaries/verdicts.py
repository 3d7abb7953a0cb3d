"""What the summaries of a day promise, and the verdicts on it: counts in SQL, nothing is read again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from resources.kinds import Kind
from resources.postgres import Connection, sql
from starsearch_assets import audits
from starsearch_assets.summaries import quality
from starsearch_assets.summaries.source import Summarizer

COVERAGE, SIMILARITY = "coverage", "similarity"

SIMILARITY_FLOOR = 0.3
"""Cosine between a summary and its source below which they hardly speak of the same.

Of 1,200 real items' extractive summaries, 0.7 % lie below it from their own source, and 98.9 % from another's
(docs/decisions/0021)."""

EXAMPLES = 10
"""Findings that a verdict shows at most."""


@dataclass(frozen=True)
class Promise:
    """One check. rule: whose findings it counts; limit: share of the summaries that may break it; None: a setting.

    strict: breaking it is an error rather than a warning.
    """

    name: str
    rule: str
    limit: float | None
    strict: bool
    description: str


PROMISES: Final = (
    Promise("summaries_cover_items", COVERAGE, None, True, "Items with text have a current summary."),
    Promise("summaries_have_length", quality.LENGTH, 0.1, False, "Summaries have two to four sentences."),
    Promise("summaries_are_english", quality.LANGUAGE, 0.1, False, "Summaries are English, as the index is."),
    Promise("summaries_echo_no_prompt", quality.ECHO, 0.01, True,
            "Summaries repeat nothing of the prompt, its fences or the model's manners. Those that do are withheld."),
    Promise("summaries_invent_no_links", quality.LINKS, 0.02, True,
            "Links, logins and references in summaries stand in their sources. Those with others are withheld."),
    Promise("summaries_invent_no_entities", quality.ENTITIES, 0.2, False,
            "Identifiers, paths, versions and numbers in summaries stand in their sources."),
    Promise("summaries_resemble_sources", SIMILARITY, 0.05, True,
            "A sample of the LLM's summaries lies near its sources in the embedding space."),
    Promise("technologies_are_known", quality.TECHNOLOGIES, 0.3, False,
            "The technologies that summaries name are in the vocabulary."),
)  # fmt: skip
"""The checks of every `*_summaries` asset."""


@dataclass(frozen=True)
class _Counts:
    """Of one day. least, mean: of the similarities measured."""

    items: int
    summaries: int
    withheld: int
    unjudged: int
    extractive: int
    measured: int
    least: float | None
    mean: float | None
    digest: str


def record_verdicts(
    connection: Connection, kind: Kind, day: date, summarizer: Summarizer, failure_limit: float, run_id: str | None
) -> None:
    """Record a verdict for each promise on one day, from what is stored of its summaries."""
    version = {"model": summarizer.model, "prompt_version": summarizer.prompt_version}
    connection.execute(sql(__package__, "judged"), {"kind": kind.name, "day": day, **version})
    row = connection.execute(sql(__package__, "counts"), {"quality_version": quality.QUALITY_VERSION}).fetchone()
    assert row is not None
    counts = _Counts(*row)
    totals: dict[str, int] = {}
    examples: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for rule, total, item, found, summary in connection.execute(
        sql(__package__, "findings"), {"floor": SIMILARITY_FLOOR, "examples": EXAMPLES, **version}
    ):
        totals[rule] = total
        examples[rule].append({"item": item, "found": found, "summary": summary})
    connection.execute("DROP TABLE judged")
    data_version = f"{summarizer.model}/{summarizer.prompt_version}/{quality.QUALITY_VERSION}/{counts.digest}"
    for promise in PROMISES:
        limit = failure_limit if promise.limit is None else promise.limit
        of, details = _details(promise.rule, counts, summarizer)
        broken = totals.get(promise.rule, 0)
        details |= {_NAMES[promise.rule]: broken, "limit": limit, "share": round(broken / of, 4) if of else 0.0}
        passed = broken <= limit * of
        audits.record(
            connection,
            audits.Audit(kind.summaries, f"{day}", data_version, passed,
                         details | {"examples": examples[promise.rule]}, promise.name),
            run_id,
        )  # fmt: skip


_NAMES: Final = {
    COVERAGE: "without a current summary",
    quality.LENGTH: "too short or too long",
    quality.LANGUAGE: "not English",
    quality.ECHO: "repeating the prompt",
    quality.LINKS: "with links of their own",
    quality.ENTITIES: "with entities of their own",
    SIMILARITY: "unlike their source",
    quality.TECHNOLOGIES: "with technologies outside of the vocabulary",
}
"""What a rule's count is called."""


def _details(rule: str, counts: _Counts, summarizer: Summarizer) -> tuple[int, dict[str, Any]]:
    """How many a share is of, and the figures beside it."""
    if rule == COVERAGE:
        return counts.items, {"items with text": counts.items, "model": summarizer.model}
    if rule == SIMILARITY:
        figures = {"measured": counts.measured, "floor": SIMILARITY_FLOOR}
        if counts.least is not None and counts.mean is not None:
            figures |= {"least similarity": round(counts.least, 3), "mean similarity": round(counts.mean, 3)}
        return counts.measured, figures
    figures = {"summaries": counts.summaries, "extractive": counts.extractive, "not judged": counts.unjudged}
    return counts.summaries, figures | ({"withheld": counts.withheld} if rule in quality.WITHHELD else {})
