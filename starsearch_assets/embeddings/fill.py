"""Filling the spaces of a registered model, in Dagster runs inside this process, as `backfill` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from resources.embedders import Embedders
from resources.errors import NothingLoaded
from resources.kinds import KINDS
from resources.postgres import Database
from resources.settings import Settings, today
from starsearch_assets.embeddings.create import verify
from starsearch_assets.embeddings.models import find_model
from starsearch_assets.embeddings.overview import due_days
from starsearch_assets.embeddings.spaces import find_space
from starsearch_assets.instance import LocalRuns

_DAYS_A_RUN = 31


@dataclass
class FillReport:
    """What a fill came to. days, months: run now. left: days that still lack the model's vectors, by kind.

    problems: what failed runs said; also of other models, which are filled in the same runs.
    """

    days: int = 0
    months: int = 0
    left: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def fill_model(
    settings: Settings,
    database: Database,
    model: str,
    first: date | None = None,
    last: date | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> FillReport:
    """Run `*_embeddings` of the days that the model's spaces lack, then `*_index` of the months that changed.

    Killed and run again it goes on: days that passed are not run again. first, last: only days from and to these.

    Raises:
        NothingLoaded: the model is not registered.
        EmbedderError: it is not there, or not sound; nothing is run.
    """
    with database.transaction() as connection:
        row = find_model(connection, model)
    if row is None:
        raise NothingLoaded(
            f"The embedding model {model!r} is not registered: `starsearch spaces create` registers one,"
            " `starsearch spaces list` shows those that are."
        )
    verify(Embedders(settings).of(row), row.dimensions)
    report = FillReport()
    due = sorted({day for days in _due(database, model, first, last).values() for day in days})
    report.days = len(due)
    if due:
        stage(f"vectors of {len(due):,} day{'s' * (len(due) != 1)}")
        for start, end in _stretches(due):
            _run(settings, report, [kind.embeddings for kind in KINDS], start, end)
    months = [month for (month,) in database.fetch_all("SELECT DISTINCT month FROM dirty_months ORDER BY month")]
    report.months = len(months)
    if months:
        stage(f"indexes of {len(months):,} month{'s' * (len(months) != 1)}")
        for month in months:
            _run(settings, report, [kind.index for kind in KINDS], month, month)
    report.left = {kind: len(days) for kind, days in _due(database, model, first, last).items() if days}
    return report


def _due(database: Database, model: str, first: date | None, last: date | None) -> dict[str, list[date]]:
    with database.transaction() as connection:
        return {
            kind.name: [
                day
                for day in due_days(connection, kind, find_space(connection, kind, model))
                if (first is None or day >= first) and (last is None or day <= last)
            ]
            for kind in KINDS
        }


def _run(settings: Settings, report: FillReport, assets: Sequence[str], first: date, last: date) -> None:
    """One run; its partitions hold the days although those of `starsearch up` may begin later or have ended."""
    start = min(first, settings.starsearch_start or first)
    changed = {"starsearch_start": start}
    if settings.starsearch_end is not None or last > today():
        changed["starsearch_end"] = max(last, settings.starsearch_end or last)
    runs = LocalRuns(settings.model_copy(update=changed))
    try:
        report.problems += runs.run(assets, f"{first}", f"{last}").problems
    finally:
        runs.close()


def _stretches(days: Sequence[date]) -> Iterator[tuple[date, date]]:
    """First and last of stretches without a gap, of a month at most: a killed run is repeated from its last day on."""
    start = previous = days[0]
    for day in days[1:]:
        if day - previous != timedelta(days=1) or (day - start).days >= _DAYS_A_RUN:
            yield start, previous
            start = day
        previous = day
    yield start, previous
