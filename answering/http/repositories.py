"""GET /v1/repos/{owner}/{name}/lottery-factor: the measure as agents use it, with everything that it rests on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel

from answering.ask import Answerer
from answering.http.problems import Refused
from answering.insights.contributors import By, Level
from answering.insights.definitions import definition_of
from answering.retrieval import Scope

Name = Annotated[str, Path(min_length=1, max_length=100, examples=["emberdb"])]


class PersonShare(BaseModel):
    """What one person contributed. share: of all contributions by people, 0 to 1."""

    person: str
    contributions: int
    share: float


class Window(BaseModel):
    """Days in UTC that were counted, until exclusive; both null where none was."""

    since: date | None
    until: date | None


class MeasureCoverage(BaseModel):
    """What a measure rests on, as `answering.insights.basis.Coverage` describes it; text: the same for people."""

    days: int
    counted: int
    hours_read: int
    capture_rate: float | None
    repositories: int
    with_commits: int
    unknown: int
    text: str


class MeasureDefinition(BaseModel):
    """What is counted, by which formula, after whom. tool: the function that computes it."""

    tool: str
    text: str


class Page(BaseModel):
    """Where the figures can be looked up."""

    title: str
    url: str


class LotteryFactorReply(BaseModel):
    """A repository's lottery factor.

    repository: what it is called today; note: said where it was asked for by an earlier name. as_of: the last day that
    the release has. factor, level, total: null where the measure is undefined, and `undefined` says why. people: who
    contributed, most first.
    """

    repository: str
    note: str | None
    release: int
    as_of: date | None
    by: By
    window: Window
    factor: int | None
    level: Level | None
    total: int | None
    people: list[PersonShare]
    undefined: str | None
    definition: MeasureDefinition
    coverage: MeasureCoverage
    evidence: list[Page]


def repository_routes(answerer: Callable[[], Answerer]) -> APIRouter:
    """The routes over repositories, to be included in the service."""
    router = APIRouter(prefix="/v1/repos")

    @router.get(
        "/{owner}/{name}/lottery-factor",
        summary="How few people made half of a repository's pull requests, or commits.",
        description="An earlier name of a repository is followed; for a name that none bears or bore, 404 says which"
        " are near. Without `since` it counts from the first day on that was counted, without `until` to the last one"
        " of the release.",
    )
    def lottery_factor(
        owner: Name,
        name: Name,
        since: date | None = None,
        until: date | None = None,
        by: Literal["pull_requests", "commits"] = "pull_requests",
    ) -> LotteryFactorReply:
        asked, loaded = f"{owner}/{name}", answerer()
        loaded.release()  # without one there is nothing to be asked about
        found = loaded.repository(asked)
        if found.name is None:
            raise Refused(404, found.text)
        if not found.exact:
            raise Refused(404, f"{asked} is not tracked. Did you mean {found.name}?")
        release, insight = loaded.lottery_factor(Scope(repos=(found.name,), since=since, until=until), by)
        figures, coverage = insight.figures, insight.coverage
        definition = definition_of(insight.measure)
        assert definition is not None, "every measure has a definition"
        return LotteryFactorReply(
            repository=found.name,
            note=found.text or None,
            release=release.release_id,
            as_of=release.as_of,
            by=by,
            window=Window(since=coverage.since, until=coverage.until),
            factor=figures.factor if figures else None,
            level=figures.level if figures else None,
            total=figures.total if figures else None,
            people=[PersonShare(**vars(one)) for one in figures.people] if figures else [],
            undefined=insight.undefined or None,
            definition=MeasureDefinition(**vars(definition)),
            coverage=MeasureCoverage(**vars(coverage), text=coverage.text()),
            evidence=[Page(**vars(one)) for one in insight.evidence],
        )

    return router
