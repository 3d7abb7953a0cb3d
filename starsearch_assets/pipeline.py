"""The whole way for a set of hour files: events, days, months, release. Used by `demo` and `backfill`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from resources.kinds import GIT_HISTORY, KINDS
from resources.postgres import Database
from resources.settings import Settings, save_settings
from starsearch_assets import waiting
from starsearch_assets.content.tracking import Selection, track_busiest
from starsearch_assets.deliveries.assets import DELIVERIES
from starsearch_assets.events.assets import EVENTS
from starsearch_assets.insights.assets import ASSETS as INSIGHTS
from starsearch_assets.instance import LocalRuns
from starsearch_assets.partitions import hour_key
from starsearch_assets.reconciliation.process import ASSET as RECONCILIATION
from starsearch_assets.release.assets import STEPS
from starsearch_assets.sensors import day_assets
from starsearch_assets.waiting import Waiting

DAILY = [*(name for kind in KINDS for name in day_assets(kind)), *INSIGHTS]
MONTHLY = [kind.index for kind in KINDS]

Moment = TypeVar("Moment", date, datetime)


@dataclass
class PipelineReport:
    """What a run of the pipeline came to.

    waiting: hours that are not there yet; problems: partitions that failed, in words.
    """

    hours: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    days: int = 0
    selection: Selection | None = None
    problems: list[str] = field(default_factory=list)


def run_pipeline(
    settings: Settings,
    database: Database,
    hours: Sequence[datetime],
    *,
    max_items: int | None = None,
    closed: bool = False,
    synthetic: bool = False,
    histories: Mapping[int, str] | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> PipelineReport:
    """Run every stage for `hours`. Repeating it changes nothing; a killed run is completed by the next.

    max_items: track the busiest repositories of the stored events up to so many items; None: leave the
    tracked repositories as they are. closed: the hours are all there will be, so partitions end with them. synthetic:
    their repositories are invented: GitHub is not asked about them. histories: URLs of git repositories to opt in, by
    the id of the tracked repository.
    """
    report = PipelineReport(hours=len(hours))
    settings = _widen(settings, min(hours).date(), max(hours).date(), closed=closed)
    stage("reading events")
    for first, last in _stretches(hours, timedelta(hours=1)):
        _run(settings, report, [EVENTS, DELIVERIES], hour_key(first), hour_key(last))
    keys = {hour_key(hour) for hour in hours}
    report.waiting = [one for one in waiting.listing(database, EVENTS) if one.partition in keys]
    if max_items is not None:
        report.selection = track_busiest(database, max_items, synthetic=synthetic)
    fetch_histories(settings, database, report, histories or {}, stage)
    days = _days(database, hours)
    report.days = len(days)
    if days:
        settings = _widen(settings, days[0], days[-1], closed=closed)
        if settings.github_token is not None or synthetic:  # invented ones are nothing to ask about, and it says so
            stage("what GitHub lists for these days")
            for start, end in _stretches(days, timedelta(days=1)):
                _run(settings, report, [RECONCILIATION], f"{start}", f"{end}")
        stage("pull requests, issues, releases, commits; summaries; vectors")
        for start, end in _stretches(days, timedelta(days=1)):
            _run(settings, report, DAILY, f"{start}", f"{end}")
        stage("indexes")
        for month in sorted({day.replace(day=1) for day in days} | _dirty_months(database)):
            _run(settings, report, MONTHLY, f"{month}", f"{month}")
        stage("release")
        _run(settings, report, STEPS)
    return report


def fetch_histories(
    settings: Settings,
    database: Database,
    report: PipelineReport,
    histories: Mapping[int, str],
    stage: Callable[[str], None],
) -> None:
    """Opt in the git repositories of `histories` that are tracked, and fetch all that are opted in."""
    with database.transaction() as connection:
        connection.cursor().executemany(
            "INSERT INTO git_repositories (repo_id, url) SELECT repo_id, %s FROM repositories WHERE repo_id = %s"
            " ON CONFLICT (repo_id) DO NOTHING",
            [(url, repo_id) for repo_id, url in sorted(histories.items())],
        )
    opted_in = database.fetch_value("SELECT count(*) FROM git_repositories WHERE removed_at IS NULL")
    if opted_in:
        stage("git history")
        _run(settings, report, [GIT_HISTORY])


def _run(
    settings: Settings, report: PipelineReport, assets: Sequence[str], first: str | None = None, last: str | None = None
) -> None:
    runs = LocalRuns(settings)
    try:
        outcome = runs.run(assets, first, last)
    finally:
        runs.close()
    report.problems += outcome.problems


def _widen(settings: Settings, first: date, last: date, *, closed: bool) -> Settings:
    """Settings whose partitions hold the days from `first` to `last`, remembered for `starsearch up`."""
    start = min(first, settings.starsearch_start or first)
    values = {"STARSEARCH_START": f"{start}"}
    end = settings.starsearch_end
    if end is not None or (closed and settings.starsearch_start is None):
        values["STARSEARCH_END"] = f"{max(last, end or last)}"
    save_settings(settings.home, values)
    changed: dict[str, date] = {"starsearch_start": start}
    if "STARSEARCH_END" in values:
        changed["starsearch_end"] = date.fromisoformat(values["STARSEARCH_END"])
    return settings.model_copy(update=changed)


def _days(database: Database, hours: Sequence[datetime]) -> list[date]:
    """Days on which the files of `hours` have events (a file can hold events of neighbouring hours), and those among
    the days of `hours` that ask to be processed: for commits, which no event tells, and for deliveries."""
    rows = database.fetch_all(
        "SELECT first_event_at, last_event_at FROM ingest_ledger"
        " WHERE hour = ANY (%s) AND status = 'loaded' AND first_event_at IS NOT NULL",
        [list(hours)],
    )
    days: set[date] = set()
    for first, last in rows:
        day = first.astimezone(UTC).date()
        while day <= last.astimezone(UTC).date():
            days.add(day)
            day += timedelta(days=1)
    asked = database.fetch_all(
        "SELECT DISTINCT day FROM dirty_days WHERE day BETWEEN %s AND %s", [min(hours).date(), max(hours).date()]
    )
    return sorted(days.union(day for (day,) in asked))


def _dirty_months(database: Database) -> set[date]:
    return {row[0] for row in database.fetch_all("SELECT DISTINCT month FROM dirty_months")}


def _stretches(moments: Iterable[Moment], step: timedelta) -> Iterator[tuple[Moment, Moment]]:
    """First and last of each stretch without a gap."""
    ordered = sorted(set(moments))
    start = previous = ordered[0]
    for moment in ordered[1:]:
        if moment - previous != step:
            yield start, previous
            start = moment
        previous = moment
    yield start, previous
