"""The asset `git_history` on a real Dagster instance, its sensor, its commands, and what doctor says of it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from resources.errors import ConfigurationError
from resources.github_items import RepositoryState
from resources.kinds import ISSUE
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.content.process import process_day
from starsearch_assets.content.tracking import Resolved, add, remove
from starsearch_assets.definitions import build_definitions
from starsearch_assets.doctor import examine
from starsearch_assets.events.timeline import derived_repository_id
from starsearch_assets.forgetting import forget_repository
from tests.factories import at
from tests.git_remotes import Remote
from tests.integration.commands import starsearch
from tests.integration.content import store
from tests.integration.git_histories import ID, NAME, opt_in
from tests.integration.sensors import Looks
from tests.integration.test_dagster_runs import run
from tests.integration.test_tracking import opened, tracked

URL = f"https://github.com/{NAME}.git"


@pytest.fixture
def configured(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the test's database, as environment variables too, because resources read secrets there."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    return settings


def wishes(database: Database) -> dict[int, str]:
    """Id and URL of what is wanted."""
    return dict(database.fetch_all("SELECT repo_id, url FROM git_repositories WHERE removed_at IS NULL"))


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, dg.MetadataValue]:
    """Of the run's materialization."""
    (event,) = result.asset_materializations_for_node("git_history")
    return dict(event.metadata)


def test_a_run_tells_what_came_of_each_repository(
    configured: Settings, database: Database, remote: Remote
) -> None:  # fmt: skip
    """One fails and is listed; the run is green, its check is not. The table, the totals and the plot are there."""
    remote.commit()
    remote.commit()
    opt_in(database, remote.url)
    opt_in(database, f"file://{remote.path}-absent", 2, "octo/absent")
    with dg.instance_for_test() as instance:
        result = run(configured, instance, ["git_history"])
        assert result.success
        values = metadata(result)
        assert values["new commits"].value == 2
        assert values["repositories failed"].value == 1
        records = {record.data["repository"]: record.data for record in values["repositories"].records}
        assert records[NAME]["new commits"] == 2
        assert "not there for everybody" in records["octo/absent"]["outcome"]
        assert "data:image/png" in values["commits by month of these repositories"].value
        (check,) = result.get_asset_check_evaluations()
        assert not check.passed
        assert "octo/absent" in check.metadata["which"].value
        config = {"ops": {"git_history": {"config": {"repositories": ["octo/absent"]}}}}
        alone = dg.materialize(
            [*(build_definitions(configured).assets or [])],
            selection=["git_history"],
            resources=build_definitions(configured).resources,
            run_config=config,
            instance=instance,
            raise_on_error=False,
        )
        assert not alone.success  # all that it tried failed
        remove(database, "octo/absent")
        again = run(configured, instance, ["git_history"])
        assert metadata(again)["dagster/row_count"].value == 2  # of the table, though nothing was new
        assert again.get_asset_check_evaluations()[0].passed
    assert database.fetch_value("SELECT count(DISTINCT run_id) FROM git_commits") == 1


def test_the_sensor_requests_a_reason_once(configured: Settings, database: Database, remote: Remote) -> None:
    """What is due is requested once; a new reason again; and once more where nothing came of it for two hours."""
    with dg.instance_for_test() as instance:
        looks = Looks(configured, instance, "git_sensor")

        def requests() -> int:
            return len(next(looks))

        assert requests() == 0
        opt_in(database, remote.url)
        assert [requests(), requests()] == [1, 0]
        opt_in(database, remote.url)
        assert [requests(), requests()] == [1, 0]
        database.execute("UPDATE git_repositories SET requested_at = requested_at - interval '3 hours'")
        assert [requests(), requests()] == [1, 0]
        assert run(configured, instance, ["git_history"]).success
        assert requests() == 0
        assert json.loads(looks.cursor or "") == {}


def test_a_known_name_is_opted_in_and_out(database: Database) -> None:
    """By its id, from GitHub or from a URL; other commands leave the wish alone; removing ends it."""
    resolved = Resolved({NAME: RepositoryState(ID, NAME, False)})
    add(database, [NAME], resolved, {NAME: URL})
    assert wishes(database) == {ID: URL}
    add(database, [NAME], resolved)
    assert wishes(database) == {ID: URL}
    add(database, [NAME], resolved, {NAME: None})
    assert (wishes(database), tracked(database)) == ({}, {ID: NAME})
    add(database, [NAME], resolved, {NAME: "file:///srv/rocket.git"})
    assert wishes(database) == {ID: "file:///srv/rocket.git"}
    remove(database, NAME)
    assert wishes(database) == {}


def test_the_wish_for_an_unknown_name_waits_for_its_id(database: Database, tmp_path: Path) -> None:
    """An event tells the id; or GitHub does, to a later command that says nothing of git."""
    urls = {"Acme/Rocket": URL, "octo/later": "https://github.com/octo/later.git", "octo/never": URL}
    add(database, list(urls), git_urls=urls)
    add(database, ["octo/never"], git_urls={"octo/never": None})
    add(database, ["acme/rocket"])
    assert wishes(database) == {}
    store(database, [opened(1, "2025-03-01 08:00", 1)], tmp_path)
    process_day(database, ISSUE, at("2025-03-01").date())
    assert (tracked(database), wishes(database)) == ({ID: NAME}, {ID: URL})
    add(database, ["octo/later"], Resolved({"octo/later": RepositoryState(7, "octo/later", False)}))
    assert wishes(database) == {ID: URL, 7: "https://github.com/octo/later.git"}
    assert database.fetch_all("SELECT name, git_url FROM repository_requests") == [("octo/never", None)]


def test_a_repository_elsewhere_needs_no_github(database: Database) -> None:
    """It is tracked at once under an id of its own, also where GitHub knows no such name; forgotten, it stays away."""
    own = derived_repository_id("Local/Thing")
    assert own < 0
    result = add(database, ["Local/Thing"], Resolved(unknown=("Local/Thing",)), {"Local/Thing": "file:///srv/x.git"})
    assert (result.found, result.waiting, result.unknown) == (("Local/Thing",), (), ())
    assert (tracked(database), wishes(database)) == ({own: "Local/Thing"}, {own: "file:///srv/x.git"})
    forget_repository(database, own, "asked for")
    with pytest.raises(ConfigurationError, match="was forgotten"):
        add(database, ["local/thing"], git_urls={"local/thing": "file:///srv/x.git"})


def test_the_commands_opt_in_show_and_refuse(settings: Settings, database: Database, remote: Remote) -> None:
    """`repos add --git-url`, `--git`, `--no-git`, `repos list`, with and without --json; no credentials are shown."""
    environment = {"DATABASE_URL": settings.database_url.get_secret_value()}

    def command(*arguments: str, check: bool = True) -> tuple[int, str, str]:
        result = starsearch(settings.home, *arguments, check=check, **environment)
        return result.returncode, result.stdout, result.stderr

    command("repos", "add", "local/thing", "--git-url", remote.url.replace("://", "://ada:hunter2@"))
    command("repos", "add", "acme/rocket", "--git")
    listed = json.loads(command("repos", "list", "--json")[1])
    assert listed["tracked"][0]["git"] == {"url": remote.url, "fetched_at": None, "error": None}
    assert listed["waiting"] == ["acme/rocket"]
    assert "not fetched yet" in (text := command("repos", "list")[1])
    assert "waiting for its first event; git" in text
    assert database.fetch_value("SELECT git_url FROM repository_requests") == URL
    for arguments, words in {
        ("local/thing", "--git-url", "ext::sh -c x"): "no URL for git",
        ("a/b", "c/d", "--git-url", remote.url): "one name",
        ("a/b", "--git", "--git-url", remote.url): "one name",
    }.items():
        code, _, error = command("repos", "add", *arguments, check=False)
        assert code != 0
        assert words in error
    command("repos", "add", "local/thing", "--no-git")
    assert wishes(database) == {}


def test_doctor_says_how_git_stands(configured: Settings, database: Database, remote: Remote) -> None:
    """The version and the cache; of the repositories the last fetch, the lag, what fails, and the size of clones."""

    def findings() -> dict[str, tuple[str, str]]:
        found = examine(configured.model_copy(update={"gh_archive_url": "http://127.0.0.1:1"}))
        return {one.subject: (one.level, one.message) for one in found}

    found = findings()
    assert found["git"][0] == "ok"
    assert str(configured.git_cache) in found["git"][1]
    assert not any(subject.startswith("git_history") for subject in found)
    remote.commit()
    opt_in(database, remote.url)
    opt_in(database, f"file://{remote.path}-absent", 2, "octo/absent")
    with dg.instance_for_test() as instance:
        run(configured, instance, ["git_history"])
    database.execute("UPDATE git_repositories SET fetched_at = fetched_at - %s", [timedelta(hours=5)])
    ((subject, (level, message)),) = [one for one in findings().items() if one[0].startswith("git_history")]
    assert subject == "git_history of 2 repositories, 0.0 MB of clones"
    assert level == "warn"
    assert "lag 5 h; 1 failed the last time (octo/absent); 1 never fetched" in message
