"""Tracked repositories in the database and the same ones in a double of GitHub."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime

from pydantic import SecretStr

from resources.github import GitHub
from resources.kinds import PULL_REQUEST, Kind
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.hydration.process import DayResult, hydrate_day
from tests.doubles.github import Account, GitHubDouble, Issue, PullRequest, Repository
from tests.factories import REPOSITORY, at

DAY = date(2025, 11, 1)
NOON = at("2025-11-01 12:00")


def opener(double: GitHubDouble, *, timeout: float = 10.0, **fields: object) -> Callable[[], GitHub]:
    """What opens a client of the double. timeout: short where the double is told to hang."""
    values = {"github_token": SecretStr(double.token), "github_api_url": double.url, "github_reserve": 0.1} | fields
    settings = Settings(_env_file=None).model_copy(update=values)
    return lambda: GitHub(settings, timeout=timeout)


def rocket(double: GitHubDouble) -> Repository:
    """The repository of the factories, at GitHub."""
    owner, _, name = REPOSITORY[1].partition("/")
    repository = Repository(id=REPOSITORY[0], owner=owner, name=name)
    double.state.add(repository)
    return repository


def pull(number: int, title: str = "A pull request", **fields: object) -> PullRequest:
    """A pull request at GitHub, by ada."""
    values = {"body": f"Body of {title}", "author": Account("ada"), "created_at": NOON, "updated_at": NOON} | fields
    return PullRequest(number=number, title=title, **values)  # type: ignore[arg-type]


def issue(number: int, title: str = "An issue", **fields: object) -> Issue:
    """An issue at GitHub, by ada."""
    values = {"body": f"Body of {title}", "author": Account("ada"), "created_at": NOON, "updated_at": NOON} | fields
    return Issue(number=number, title=title, **values)  # type: ignore[arg-type]


def active(
    database: Database, numbers: Iterable[int], kind: Kind = PULL_REQUEST, day: date = DAY, repo_id: int = REPOSITORY[0]
) -> None:
    """As if slim events of the day had named these numbers."""
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=NOON.tzinfo)
    with database.transaction() as connection:
        for number in numbers:
            connection.execute(
                f"INSERT INTO {kind.table} (repo_id, number, last_active_at) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [repo_id, number, moment],
            )
            connection.execute(
                "INSERT INTO activity (kind, repo_id, ref, day) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [kind.name, repo_id, str(number), day],
            )


def hydrate(
    database: Database, double: GitHubDouble, kind: Kind = PULL_REQUEST, day: date = DAY, **fields: object
) -> DayResult:
    """Hydrate a day from the double."""
    return hydrate_day(database, kind, day, opener(double, **fields), "run-1")


def statuses(database: Database, kind: Kind = PULL_REQUEST) -> dict[int, str]:
    """How the newest look at each item ended."""
    rows = database.fetch_all("SELECT ref::integer, status FROM hydrations WHERE kind = %s", [kind.name])
    return dict(rows)


def titles(database: Database, kind: Kind = PULL_REQUEST) -> dict[int, str | None]:
    """Title by number, of the items that GitHub still shows."""
    rows = database.fetch_all("SELECT ref::integer, title FROM items WHERE kind = %s", [kind.name])
    return dict(rows)
