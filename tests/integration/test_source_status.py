"""What `starsearch doctor` says of each source: last success, lag, capture rate, what is missing."""

from __future__ import annotations

from datetime import timedelta

from pydantic import SecretStr

from resources.kinds import PULL_REQUEST
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import waiting
from starsearch_assets.doctor import Finding, examine
from starsearch_assets.sources import SourceStatus, source_statuses
from tests.doubles.archive_server import archive_server
from tests.doubles.github import GitHubDouble
from tests.factories import at
from tests.integration.content import track
from tests.integration.github import active, hydrate, pull, rocket

NOW = at("2025-11-03 06:30")


def hour(database: Database, url: str, time: str, status: str = "loaded", capture: float | None = None) -> None:
    """A row of the ledger."""
    database.execute(
        "INSERT INTO ingest_ledger (url, hour, status, loaded_at, capture_rate) VALUES (%s, %s, %s, %s, %s)",
        [url, at(time), status, at(time) + timedelta(hours=2), capture],
    )


def statuses(database: Database) -> dict[str, SourceStatus]:
    """By name."""
    return {one.name: one for one in source_statuses(database, NOW)}


def test_each_source_of_hour_files_has_its_own_line(database: Database) -> None:
    """Newest first; its lag from the end of its newest hour, its measured capture, its gaps in words."""
    hour(database, "https://a.example/2025-11-02-0.json.gz", "2025-11-02 00:00", capture=0.5)
    hour(database, "https://a.example/2025-11-02-1.json.gz", "2025-11-02 01:00", "failed")
    hour(database, "https://a.example/2025-11-02-4.json.gz", "2025-11-02 04:00", capture=0.7)
    hour(database, "https://b.example/x/2025-11-01-23.json.gz", "2025-11-01 23:00")
    hour(database, "https://b.example/x/2025-11-01-22.json.gz", "2025-11-01 22:00", "missing")
    with database.transaction() as connection:
        waiting.postpone(connection, "events", "2025-11-02-05:00", NOW, "not there yet", None)
    found = statuses(database)
    first, second = list(found)[:2]
    assert first == "hour files https://a.example"
    assert found[first].lag == timedelta(days=1, hours=1, minutes=30)
    assert round(found[first].capture_rate or 0, 3) == 0.6
    assert found[first].missing == (
        "1 failed (2025-11-02 01:00); 2 between the first and the newest never read (2025-11-02 02:00,"
        " 2025-11-02 03:00); 1 waited for (2025-11-02-05:00)"
    )
    assert second == "hour files https://b.example/x"
    assert found[second].missing == "1 missing at the source (2025-11-01 22:00)"
    assert found[first].as_text(NOW).startswith("last success 24 h ago; lag 25 h; capture rate 60.0% of what GitHub")


def test_hydration_says_what_has_no_text(database: Database, double: GitHubDouble) -> None:
    """Items without text, failures, and days that wait for the budget."""
    track(database)
    rocket(double).add(pull(1), pull(2))
    double.poison = {("acme/rocket", 2): "error"}
    active(database, [1, 2])
    assert statuses(database)["pull_request_hydration"].as_text(NOW) == "2 items without text"
    hydrate(database, double)
    with database.transaction() as connection:
        waiting.postpone(connection, PULL_REQUEST.hydration, "2025-11-02", NOW, "used up", None)
    status = statuses(database)["pull_request_hydration"]
    assert status.missing == (
        "1 items without text; 1 failed the last time; 1 days wait for the hourly budget (2025-11-02)"
    )
    assert status.last_success is not None


def test_reconciliation_says_its_capture_and_its_gaps(database: Database) -> None:
    """Of the last week; days between that were never reconciled are named."""
    for day, items, known in (("2025-10-30", 100, 100), ("2025-11-01", 100, 60), ("2025-11-02", 300, 60)):
        database.execute(
            "INSERT INTO reconciliations (day, items, known, finished_at) VALUES (%s, %s, %s, %s)",
            [day, items, known, NOW - timedelta(hours=4)],
        )
    status = statuses(database)["reconciliation"]
    assert (status.capture_rate, status.lag) == (220 / 500, timedelta(hours=6, minutes=30))
    assert status.missing == "1 days never reconciled (2025-10-31)"


def findings(settings: Settings, **changes: object) -> dict[str, Finding]:
    """By subject."""
    return {one.subject: one for one in examine(settings.model_copy(update=changes))}


def test_doctor_asks_the_sources_that_are_configured(settings: Settings, double: GitHubDouble) -> None:
    """Hour files and GitHub answer: so it says, with the budget and the plan; the token is not shown."""
    token = {"github_token": SecretStr(double.token), "github_api_url": double.url}
    with archive_server() as archive:
        found = findings(settings, gh_archive_url=archive.url, **token)
    assert (found["GH_ARCHIVE_URL"].level, found["GITHUB_TOKEN"].level) == ("ok", "ok")
    assert "is not there (yet)" in found["GH_ARCHIVE_URL"].message
    assert "5,000 of 5,000 points" in found["GITHUB_TOKEN"].message
    assert "of an hour's budget" in found["reconciliation plan"].message
    assert not any(double.token in one.message for one in found.values())


def test_doctor_says_what_does_not_answer(settings: Settings, double: GitHubDouble) -> None:
    """A dead archive warns, a wrong token is bad, and no token is fine."""
    wrong = {"github_token": SecretStr("wrong-one"), "github_api_url": double.url}
    found = findings(settings, gh_archive_url="http://127.0.0.1:1", **wrong)
    assert (found["GH_ARCHIVE_URL"].level, found["GITHUB_TOKEN"].level) == ("warn", "bad")
    assert "wrong-one" not in found["GITHUB_TOKEN"].message
    none = findings(settings, gh_archive_url="http://127.0.0.1:1")
    assert none["GITHUB_TOKEN"].level == "ok"
    assert "without text" in none["GITHUB_TOKEN"].message
