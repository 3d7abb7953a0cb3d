"""A day as GitHub counts it against what the events told, with a double of GitHub over real HTTP."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from resources.errors import GitHubUnavailable
from resources.kinds import ISSUE, KINDS, PULL_REQUEST, RELEASE
from resources.postgres import Database
from starsearch_assets.content.process import process_day
from starsearch_assets.reconciliation.process import DayResult, reconcile_day
from tests.doubles.github import Account, GitHubDouble, Release, Repository, replies
from tests.factories import REPOSITORY, at, item, slim
from tests.integration.content import issues, pr, published, store, track
from tests.integration.github import DAY, NOON, hydrate, issue, opener, pull, rocket, titles
from tests.integration.hours import dirty

BEFORE, AFTER = at("2025-10-31 23:59"), at("2025-11-02 00:00")


def reconcile(database: Database, double: GitHubDouble, day: date = DAY, **fields: object) -> DayResult:
    """Reconcile a day from the double."""
    return reconcile_day(database, day, opener(double, **fields), 0.1, "run-1")


def test_what_the_events_missed_is_found(database: Database, double: GitHubDouble, tmp_path: Path) -> None:
    """Items of the day get their activity, the day is asked for again, and hydration brings their text."""
    track(database)
    rocket(double).add(
        pull(1, "Told"), pull(2, "Missed"), issue(3, "Told too"), issue(4, "Missed too"),
        issue(5, "Of the day before", created_at=BEFORE, updated_at=BEFORE),
        issue(6, "Of the day after", created_at=AFTER, updated_at=AFTER),
        issue(7, "Of before, updated on the day", created_at=BEFORE, updated_at=NOON),
        issue(8, "Of the day, updated after", created_at=NOON, updated_at=AFTER),
    )  # fmt: skip
    store(
        database,
        [pr(1, "2025-11-01 12:00", "opened", slim(1)), issues(2, "2025-11-01 12:00", "opened", item(3, "Told too"))],
        tmp_path,
    )
    for kind in KINDS:
        process_day(database, kind, DAY)
    result = reconcile(database, double)
    assert (result.repositories, result.items, result.known, result.capture_rate) == (1, 6, 2, 2 / 6)
    assert set(dirty(database)) == {("pull_request", DAY), ("issue", DAY)}
    hydrate(database, double, PULL_REQUEST)
    hydrate(database, double, ISSUE)
    assert titles(database) == {1: "Told", 2: "Missed"}
    assert titles(database, ISSUE) == {
        3: "Told too", 4: "Missed too", 7: "Of before, updated on the day", 8: "Of the day, updated after",
    }  # fmt: skip
    ((rate, finished),) = database.fetch_all("SELECT capture_rate, finished_at FROM reconciliations")
    assert (round(rate, 4), finished is not None) == (0.3333, True)
    assert database.fetch_all("SELECT passed FROM newest_audits WHERE asset = 'reconciliation'") == [(True,)]


def test_a_second_run_finds_nothing_new(database: Database, double: GitHubDouble) -> None:
    """The same rows; no day is asked for again."""
    track(database)
    rocket(double).add(pull(1), issue(2))
    reconcile(database, double)
    rows = database.fetch_all("SELECT * FROM activity ORDER BY 1, 3")
    database.execute("DELETE FROM dirty_days")
    again = reconcile(database, double)
    assert (again.items, again.known) == (2, 0)  # no event told of them, still
    assert database.fetch_all("SELECT * FROM activity ORDER BY 1, 3") == rows
    assert dirty(database) == {}


def test_a_missed_release_comes_with_its_text(database: Database, double: GitHubDouble, tmp_path: Path) -> None:
    """Of the day only, no drafts; an event about the same tag is newer and wins."""
    track(database)
    rocket(double).publish(
        Release(1, "v2", "Two", "Notes of two", NOON, NOON, author=Account("rel")),
        Release(2, "v3", "Three", "Draft", NOON, None, draft=True),
        Release(3, "v1", "One", "Old", BEFORE, BEFORE),
        Release(4, "v4", "Four as GitHub lists it", "Listed", NOON, NOON),
    )
    store(database, [published(1, "2025-11-01 13:00", "v4")], tmp_path)
    process_day(database, RELEASE, DAY)
    result = reconcile(database, double)
    assert (result.items, result.known) == (2, 1)
    assert database.fetch_all("SELECT tag, title, body FROM releases ORDER BY 1") == [
        ("v2", "Two", "Notes of two"), ("v4", "Release v4", "notes"),
    ]  # fmt: skip
    assert database.fetch_all("SELECT ref FROM activity ORDER BY 1") == [("v2",), ("v4",)]


def test_a_busy_repository_is_read_to_its_end(database: Database, double: GitHubDouble) -> None:
    """Page after page until the day before; a page that comes twice counts once."""
    track(database)
    rocket(double).add(
        *(pull(number, updated_at=NOON + timedelta(seconds=number)) for number in range(1, 251)),
        *(issue(number, updated_at=NOON + timedelta(seconds=number)) for number in range(300, 420)),
        pull(500, created_at=BEFORE, updated_at=BEFORE),
    )
    double.misbehave("/graphql", replies.hang(0), replies.repeat_page())
    result = reconcile(database, double)
    assert (result.items, result.cut) == (370, 0)
    assert database.fetch_value("SELECT count(*) FROM activity") == 370


def test_more_changes_than_are_read_are_recorded_as_cut(
    database: Database, double: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day's audit says so instead of passing the count off as whole."""
    monkeypatch.setattr("resources.github_updates.PAGES_A_REPOSITORY", 2)
    track(database)
    rocket(double).add(*(pull(number) for number in range(1, 251)))
    result = reconcile(database, double)
    assert (result.items, result.cut) == (110, 1)
    assert database.fetch_all("SELECT passed FROM newest_audits") == [(False,)]


def test_the_hours_get_their_capture_rate(database: Database, double: GitHubDouble, tmp_path: Path) -> None:
    """Of the items opened in an hour, the share whose opening is in the events; an hour without any has none."""
    track(database)
    rocket(double).add(
        *(
            issue(number, created_at=at("2025-11-01 08:30"), updated_at=at("2025-11-01 08:30"))
            for number in range(1, 5)
        ),
        issue(9, created_at=at("2025-11-01 09:30"), updated_at=at("2025-11-01 09:30")),
    )
    told = [issues(1, "2025-11-01 08:30", "opened", item(1, "A", created_at="2025-11-01T08:30:00Z"))]
    store(database, [*told, issues(2, "2025-11-01 10:00", "labeled", item(77, "Old"))], tmp_path)
    process_day(database, ISSUE, DAY)
    reconcile(database, double)
    assert database.fetch_all("SELECT hour, capture_rate FROM ingest_ledger ORDER BY hour") == [
        (at("2025-11-01 08:00"), 0.25), (at("2025-11-01 10:00"), None),
    ]  # fmt: skip


def test_renamed_and_hidden_repositories(database: Database, double: GitHubDouble) -> None:
    """A rename is followed by id, also where another has taken the name; a private one is forgotten."""
    track(database, REPOSITORY, (2002, "else/where"), (3003, "was/private"))
    repository = rocket(double)
    repository.owner, repository.name = "moved", "away"
    repository.add(issue(1))
    usurper = Repository(id=9, owner="acme", name="rocket")
    double.state.add(usurper)
    usurper.add(issue(2))
    double.state.add(Repository(id=3003, owner="was", name="private", private=True))
    double.token_sees_private = True
    result = reconcile(database, double)
    assert (result.items, result.forgotten, result.failed) == (1, 1, 0)
    assert database.fetch_all("SELECT repo_id, name, hidden_as FROM repositories ORDER BY 1") == [
        (REPOSITORY[0], "moved/away", None), (2002, "else/where", "unavailable"),
    ]  # fmt: skip
    assert database.fetch_all("SELECT repo_id, ref FROM activity") == [(REPOSITORY[0], "1")]


def many(database: Database, double: GitHubDouble, count: int) -> None:
    """So many tracked repositories with an issue each."""
    for number in range(1, count + 1):
        repository = Repository(id=number, owner="octo", name=f"r{number}")
        double.state.add(repository)
        repository.add(issue(1))
        database.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, %s)", [number, repository.full_name])


def test_a_stopped_day_goes_on_where_it_was(database: Database, double: GitHubDouble) -> None:
    """The budget ends in the middle: what is left waits, and the next run asks only for that."""
    many(database, double, 200)
    double.limits.hourly_points = 4
    first = reconcile(database, double, github_reserve=0.0, github_concurrency=1)
    assert first.rest.until is not None
    assert first.repositories + first.rest.left == 200
    assert 0 < first.repositories < 200
    assert database.fetch_all("SELECT finished_at FROM reconciliations") == [(None,)]
    double.limits.hourly_points = 5000
    before = double.stats.items_served
    second = reconcile(database, double)
    assert (second.repositories, second.items, second.rest.left) == (200, 200, 0)
    assert double.stats.items_served - before == first.rest.left
    assert database.fetch_value("SELECT count(*) FROM reconciled_repositories") == 0


def test_many_repositories_a_query(database: Database, double: GitHubDouble) -> None:
    """The plan holds: so many points, and not one more."""
    many(database, double, 100)
    result = reconcile(database, double)
    assert result.items == 100
    assert double.stats.points_used <= result.plan.points
    assert result.plan.queries == 4 + 5
    assert not double.stats.limit_violations


def test_an_outage_fails_the_day_and_keeps_what_came(
    database: Database, double: GitHubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub dies in the middle: the error says so, the finished repositories stay."""
    monkeypatch.setattr("resources.github_pages._BACKOFF", 0.001)
    many(database, double, 120)
    double.misbehave("/graphql", replies.hang(0), *[replies.bad_gateway()] * 500)
    with pytest.raises(GitHubUnavailable, match="in a row"):
        reconcile(database, double, github_concurrency=1)
    assert 0 < database.fetch_value("SELECT count(*) FROM reconciled_repositories") < 120


def test_without_a_token_nothing_is_asked(database: Database) -> None:
    """And nothing is claimed: the day does not pass its audit."""
    track(database)
    result = reconcile_day(database, DAY, lambda: None, 0.1)
    assert (result.note, result.repositories, result.capture_rate) == (
        "GITHUB_TOKEN is not set: nothing was asked", 0, None,
    )  # fmt: skip
    assert database.fetch_all("SELECT * FROM reconciliations") == []
    assert database.fetch_all("SELECT passed FROM newest_audits") == [(False,)]


def test_a_day_is_a_day_in_utc(database: Database, double: GitHubDouble) -> None:
    """[00:00, 24:00): the first second counts, the next day's first does not."""
    track(database)
    start = datetime.fromisoformat("2025-11-01T00:00:00Z")
    rocket(double).add(issue(1, created_at=start, updated_at=start), issue(2, created_at=AFTER, updated_at=AFTER))
    assert reconcile(database, double).items == 1


def test_invented_repositories_are_nothing_to_ask_about(database: Database, double: GitHubDouble) -> None:
    """The bundled sample's days pass, with a token too, and GitHub is not even asked for the budget."""
    track(database)
    database.execute("UPDATE repositories SET synthetic = true")
    result = reconcile(database, double)
    assert (result.note, result.plan.repositories) == ("no repository to ask about", 0)
    assert double.stats.total_requests == 0
    assert database.fetch_all("SELECT passed FROM newest_audits") == [(True,)]
