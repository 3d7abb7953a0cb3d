"""From `repos add` to a search hit, with the commands as their user runs them and a double of GitHub."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from resources.postgres import Database
from resources.settings import Settings
from tests.doubles.github import GitHubDouble, github_double
from tests.factories import at, slim, write_hour
from tests.git_remotes import Remote
from tests.integration.commands import as_json, starsearch
from tests.integration.content import pr
from tests.integration.github import NOON, issue, pull, rocket

DAY = f"{NOON:%Y-%m-%d}"
TITLES = {
    1: "Sharpen the telescope mirror",
    2: "Rewrite the tokenizer in Rust",
    3: "Cache thumbnails of holiday photographs",
    4: "Translate the manual into Portuguese",
}


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """A double of GitHub with the pull requests of the events, and an issue that the events missed."""
    with github_double() as running:
        rocket(running).add(
            *(pull(number, title) for number, title in TITLES.items()), issue(9, "The coffee machine is on fire")
        )
        yield running


@pytest.fixture
def environment(settings: Settings, double: GitHubDouble, tmp_path: Path) -> dict[str, str]:
    """What a user sets: the database, a folder of a day's hour files, a token."""
    for hour in (at(DAY) + timedelta(hours=number) for number in range(24)):
        events = [pr(number, f"{NOON:%Y-%m-%d %H:%M}", "opened", slim(number)) for number in TITLES]
        write_hour(tmp_path / "hours", hour, events if hour == NOON else [])
    return {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "SERVICE_DATABASE_URL": settings.service_database_url.get_secret_value(),
        "TOOLS_DATABASE_URL": settings.tools_database_url.get_secret_value(),
        "GH_ARCHIVE_URL": str(tmp_path / "hours"),
        "GITHUB_TOKEN": double.token,
        "GITHUB_API_URL": double.url,
    }


def test_from_a_name_to_a_hit(
    settings: Settings, database: Database, environment: dict[str, str], double: GitHubDouble
) -> None:
    """An unknown name is told after the others are tracked; a day's slim events, and what they missed, can be found."""
    home = settings.home
    added = starsearch(home, "repos", "add", "acme/rocket", "no/where", check=False, **environment)
    assert added.returncode == 1
    assert "no/where" in added.stderr
    assert "acme/rocket" not in added.stderr
    assert "Tracked: 1." in added.stdout
    listed = as_json(home, "repos", "list", **environment)
    assert [(one["name"], one["id"]) for one in listed["tracked"]] == [("acme/rocket", 1001)]
    assert listed["waiting"] == []
    filled = starsearch(home, "backfill", "--from", DAY, "--to", DAY, **environment)
    assert "24 hours, 1 days." in filled.stdout
    assert as_json(home, "status", **environment)["release"] == 1
    for query, kind, number in (("telescope mirror", "pull_request", 1), ("coffee machine on fire", "issue", 9)):
        found = as_json(home, "search", query, **environment)
        assert found["release"] == 1
        assert (found["hits"][0]["kind"], found["hits"][0]["ref"]) == (kind, str(number))
    answered = as_json(home, "ask", "What has @ada worked on?", **environment)
    content = database.fetch_value("SELECT trace #> '{1,content}' FROM service.answers")
    assert content["from"] == "GitHub's API"
    assert content["run"]
    assert "the events told of 80% of what GitHub lists" in answered["coverage"]["text"]
    examined = starsearch(home, "doctor", **environment)
    assert double.token not in examined.stdout
    assert not double.stats.limit_violations


def test_git_history_alone_can_be_filled_and_asked_about(
    settings: Settings, environment: dict[str, str], tmp_path: Path
) -> None:
    """A repository that GitHub does not know, without any event: its commits of the day are found and counted."""
    remote, when = Remote(tmp_path / "tool.git"), int(NOON.timestamp())
    sha = remote.commit(message=b"Teach the teleprinter to print Cyrillic letters", when=when)
    remote.commit(message=b"Replace the ribbon of the teleprinter", when=when + 60)
    alone = {name: value for name, value in environment.items() if not name.startswith("GITHUB")}
    added = starsearch(settings.home, "repos", "add", "local/tool", "--git-url", remote.url, **alone)
    assert "Tracked: 1." in added.stdout
    starsearch(settings.home, "backfill", "--from", DAY, "--to", DAY, **alone)
    (hit, *_) = as_json(settings.home, "search", "Cyrillic teleprinter", "--kind", "commit", **alone)["hits"]
    assert (hit["repo"], hit["ref"], hit["url"]) == ("local/tool", sha, f"{remote.url}#{sha}")
    answered = as_json(settings.home, "ask", "lottery factor by commits of local/tool", **alone)
    assert "is 1 (very high risk)" in answered["answer"]
    assert answered["citations"][0]["url"] == remote.url  # GitHub may have somebody else's local/tool
