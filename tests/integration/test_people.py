"""Who is one person, from a real git history through its identities to the measures, and by the command line."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from resources.errors import ConfigurationError
from resources.git import Git
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import audits
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.insights.overrides import Listed, list_people, merge, split
from starsearch_assets.insights.people import ABSURD, merge_verdict, note_identities, resolve
from tests.git_remotes import Remote
from tests.integration.commands import as_json, starsearch
from tests.integration.git_histories import ID, NAME, fetch, opt_in
from tests.integration.processes import until, waiting

DAY = date(2023, 11, 14)  # of git_remotes.START
OTHER = 2002
JANE = b"Jane Doe <7+Jane-Doe@users.noreply.github.com>"


def history(remote: Remote) -> None:
    """Jane by her login, at work, and as a co-author; Ravi under two names; a bot; somebody who hides an address."""
    remote.commit(author=JANE)
    remote.commit(author=b"jane doe <Jane@Corp.example>")
    remote.commit(author=b"jd <jane@corp.example>")
    remote.commit(
        author=b"Ravi Kumar <ravi@home.example>",
        message=b"Two of us\n\nCo-authored-by: jd <JANE@corp.example>\nCo-authored-by: r.kumar <ravi@home.example>\n"
        b"Co-authored-by: renovate[bot] <ravi@home.example>\nCo-authored-by: Sam\n",
    )
    remote.commit(author=b"lena@corp.example <lena@corp.example>")
    remote.commit(author=b"Long <" + b"x" * 9000 + b"@corp.example>")


def note(database: Database, day: date = DAY) -> None:
    with database.transaction() as connection:
        note_identities(connection, day)


def resolved(database: Database, repo_ids: list[int] | None = None) -> int:
    with database.transaction() as connection:
        return resolve(connection, repo_ids)


def same(database: Database, repo_id: int = ID) -> dict[str, tuple[str, str]]:
    """alias -> person and rule."""
    rows = database.fetch_all("SELECT alias, person, rule FROM same_people WHERE repo_id = %s", [repo_id])
    return {alias: (person, rule) for alias, person, rule in rows}


def identify(database: Database, *rows: tuple[str, str, str], repo_id: int = ID) -> None:
    """Identities as a day would note them."""
    with database.transaction() as connection:
        connection.cursor().executemany(
            "INSERT INTO git_identities VALUES (%s, %s, %s, %s)", [(repo_id, *row) for row in rows]
        )
        resolve(connection, [repo_id])


def work(database: Database, *people: str, repo_id: int = ID) -> None:
    """A commit of each on the day."""
    done = dict.fromkeys(
        ("pull_requests_opened", "pull_requests_merged", "pull_requests_closed", "reviews", "review_comments",
         "issues_opened", "issues_closed", "comments", "releases"), 0,
    ) | {"commits": 1}  # fmt: skip
    for person in people:
        database.execute(
            f"INSERT INTO contributor_days (day, repo_id, person, is_bot, {', '.join(done)})"
            f" VALUES (%s, %s, %s, false, {', '.join(map(str, done.values()))})",
            [DAY, repo_id, person],
        )


def counted(database: Database, repo_id: int = ID) -> dict[str, int]:
    """Commits of each person, as measures read them."""
    return dict(
        database.fetch_all(
            "SELECT person, sum(commits)::int FROM published.contributor_days WHERE repo_id = %s GROUP BY 1", [repo_id]
        )
    )


@pytest.fixture
def rocket(database: Database) -> Database:
    """Two tracked repositories; in one of them Jane Doe has two more names, and all three did something."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, %s), (%s, 'else/where')", [ID, NAME, OTHER])
    jane = ("Jane Doe", "jane@corp.example", "")
    identify(database, jane, ("jd", "jane@corp.example", ""), ("janed", "jane@corp.example", ""))
    for repo_id in (ID, OTHER):
        work(database, "Jane Doe", "jd", "janed", "@jane", repo_id=repo_id)
    return database


def test_a_real_history_tells_who_is_who(database: Database, remote: Remote, client: Git) -> None:
    """Authors and co-authors, addresses whatever their case; a bot's address merges it with nobody."""
    history(remote)
    opt_in(database, remote.url)
    fetch(database, client)
    note(database)
    assert set(database.fetch_all("SELECT name, address, login FROM git_identities WHERE repo_id = %s", [ID])) == {
        ("Jane Doe", "7+jane-doe@users.noreply.github.com", "jane-doe"), ("jane doe", "jane@corp.example", ""),
        ("jd", "jane@corp.example", ""), ("Ravi Kumar", "ravi@home.example", ""), ("r.kumar", "ravi@home.example", ""),
        ("renovate[bot]", "ravi@home.example", ""), ("Sam", "", ""), ("Long", "", ""),
    }  # fmt: skip
    assert same(database) == {
        "jane doe": ("@jane-doe", "name"), "jd": ("@jane-doe", "address"), "r.kumar": ("Ravi Kumar", "address"),
    }  # fmt: skip


def test_the_same_day_again_changes_nothing(database: Database, remote: Remote, client: Git) -> None:
    """Down to the rows' places in the tables; a later day adds what it tells."""
    history(remote)
    opt_in(database, remote.url)
    fetch(database, client)
    note(database)
    places = "SELECT ctid, xmin, t.* FROM {} t ORDER BY ctid"
    before = [database.fetch_all(places.format(one)) for one in ("git_identities", "same_people")]
    note(database)
    assert resolved(database) == resolved(database, [ID]) == 0
    assert [database.fetch_all(places.format(one)) for one in ("git_identities", "same_people")] == before
    remote.commit(author=b"Jane Doe <9+other@users.noreply.github.com>", when=1_700_100_000)
    fetch(database, client)
    note(database, date(2023, 11, 15))
    assert same(database)["jd"] == ("@jane-doe", "address"), "nothing was done on that day"
    note(database, date(2023, 11, 16))
    assert same(database) == {"jd": ("jane doe", "address"), "r.kumar": ("Ravi Kumar", "address")}


def test_only_tracked_repositories_tell_who_is_who(database: Database, remote: Remote, client: Git) -> None:
    history(remote)
    opt_in(database, remote.url)
    fetch(database, client)
    database.execute("DELETE FROM repositories")
    note(database)
    assert database.fetch_all("SELECT * FROM git_identities") == []


def test_no_address_is_published(database: Database, tools: Database, remote: Remote, client: Git) -> None:
    """Neither by a view nor in the verdict; the identities are not for those who answer."""
    history(remote)
    opt_in(database, remote.url)
    fetch(database, client)
    note(database)
    work(database, "jd", "r.kumar")
    with database.transaction() as connection:
        passed, details = merge_verdict(connection, DAY)
    assert passed
    shown = repr((details, tools.fetch_all("SELECT * FROM same_people"), list_people(database)))
    assert "r.kumar" in shown
    assert "corp.example" not in shown
    assert "home.example" not in shown
    assert not database.fetch_value("SELECT has_table_privilege('starsearch_tools', 'git_identities', 'SELECT')")


def test_a_merge_shows_at_once_and_is_taken_back(rocket: Database) -> None:
    """In one repository or everywhere, with those whom a rule merges into the alias."""
    assert counted(rocket) == {"Jane Doe": 3, "@jane": 1}
    assert merge(rocket, " Jane  Doe", "@JANE", ID) == ("Jane Doe", "@jane")
    assert (counted(rocket), counted(rocket, OTHER)["Jane Doe"]) == ({"@jane": 4}, 1)
    assert split(rocket, "Jane Doe", ID) == ("Jane Doe", False)
    assert counted(rocket) == {"Jane Doe": 3, "@jane": 1}
    merge(rocket, "Jane Doe", "@jane")
    assert (counted(rocket), counted(rocket, OTHER)) == ({"@jane": 4}, {"@jane": 2, "jd": 1, "janed": 1})
    assert same(rocket, 0) == {"Jane Doe": ("@jane", "override")}
    assert same(rocket) == {"jd": ("@jane", "address"), "janed": ("@jane", "address")}
    assert split(rocket, "Jane Doe", OTHER) == ("Jane Doe", True)
    assert (counted(rocket), counted(rocket, OTHER)["Jane Doe"]) == ({"@jane": 4}, 1)
    split(rocket, "Jane Doe")
    assert (counted(rocket), same(rocket, 0), same(rocket, OTHER)) == ({"Jane Doe": 3, "@jane": 1}, {}, {})


def test_a_merge_by_rule_is_split_for_good(rocket: Database) -> None:
    """What the next days tell does not merge it again; a merge by hand does."""
    assert split(rocket, "jd") == ("jd", True)
    assert counted(rocket) == {"Jane Doe": 2, "jd": 1, "@jane": 1}
    identify(rocket, ("Jane Q. Doe", "jane@corp.example", ""))
    assert counted(rocket) == {"Jane Doe": 1, "janed": 1, "jd": 1, "@jane": 1}, "an address of four names"
    merge(rocket, "jd", "Jane Doe")
    assert counted(rocket) == {"Jane Doe": 2, "janed": 1, "@jane": 1}
    assert list_people(rocket) == [Listed(None, "jd", "Jane Doe", "override")]


def test_what_cannot_be_said_is_refused_with_what_to_say(rocket: Database) -> None:
    """No chain, no circle, nobody merged into himself, no address as a name; and nothing was changed."""
    merge(rocket, "@j", "@jane", ID)
    before = rocket.fetch_all("SELECT * FROM person_overrides")
    for alias, person, repo_id, said in [
        ("Jane Doe", " Jane Doe ", 0, "cannot be merged into itself"),
        ("@Jane", "@jane", 0, "cannot be merged into itself"),
        ("@x", "@j", ID, "@j is @jane already: merge @x into @jane, or split @j first"),
        ("@x", "jd", ID, "jd is Jane Doe already: merge @x into Jane Doe"),
        ("@jane", "@j", ID, "@j is @jane already: split @j first"),
        ("@jane", "@other", ID, "@jane is the person of @j already: split these first, then merge each into @other"),
        ("jane@corp.example", "@jane", 0, "expected @login, or a name"),
        ("@two words", "@jane", 0, "expected @login, or a name"),
        ("Jane Doe", "  ", 0, "expected @login, or a name"),
    ]:
        with pytest.raises(ConfigurationError) as refused:
            merge(rocket, alias, person, repo_id)
        assert said in str(refused.value)
    for alias, said in [("Jane Doe", "but the person of janed, jd: split these"), ("Sam", "stands for itself")]:
        with pytest.raises(ConfigurationError) as refused:
            split(rocket, alias, ID)
        assert said in str(refused.value)
    assert rocket.fetch_all("SELECT * FROM person_overrides") == before


def test_the_verdict_shows_merges_and_fails_where_they_are_too_many(rocket: Database) -> None:
    """By rule, of those who did something on the day; a person of six names by rule comes first."""
    rocket.execute("DELETE FROM contributor_days WHERE person <> 'jd'")
    merge(rocket, "Ravi", "@ravi")
    merge(rocket, "J.", "Jane Doe")
    with rocket.transaction() as connection:
        passed, details = merge_verdict(connection, DAY)
        assert merge_verdict(connection, date(2023, 11, 15)) == (
            True, {"merges": 0, "by override": 0, "by address": 0, "by name": 0, "people of too many names": 0,
                   "examples": []},
        )  # fmt: skip
    assert passed
    assert details["examples"] == [
        {"repository": "everywhere", "alias": "J.", "person": "Jane Doe", "rule": "override"},
        {"repository": NAME, "alias": "janed", "person": "Jane Doe", "rule": "address"},
        {"repository": NAME, "alias": "jd", "person": "Jane Doe", "rule": "address"},
    ]
    assert (details["merges"], details["by override"], details["by address"]) == (3, 1, 2)
    for number in range(ABSURD - 1):
        identify(rocket, ("Jane Doe", f"jane@{number}.example", ""), (f"j{number}", f"jane@{number}.example", ""))
    with rocket.transaction() as connection:
        passed, details = merge_verdict(connection, DAY)
    assert not passed
    assert details["people of too many names"] == 1
    assert details["examples"][0]["repository"] == NAME


def test_a_forgotten_repository_leaves_nobody(rocket: Database) -> None:
    """Identities, merges, its overrides and the examples of verdicts; another repository's stay."""
    identify(rocket, ("Ravi Kumar", "ravi@home.example", ""), ("rk", "ravi@home.example", ""), repo_id=OTHER)
    merge(rocket, "janed", "@jane", ID)
    with rocket.transaction() as connection:
        passed, details = merge_verdict(connection, DAY)
        audits.record(connection, audits.Audit("contributor_days", f"{DAY}", "1", passed, details, "merges"), None)
    forget_repository(rocket, ID, "private")
    assert [row[0] for row in rocket.fetch_all("SELECT repo_id FROM git_identities")] == [OTHER, OTHER]
    assert rocket.fetch_all("SELECT repo_id, alias FROM same_people") == [(OTHER, "rk")]
    assert rocket.fetch_all("SELECT * FROM person_overrides") == []
    ((kept,),) = rocket.fetch_all("SELECT details FROM audits")
    assert "janed" not in repr(kept)
    assert kept["merges"] == details["merges"]


def test_examples_of_other_repositories_stay(rocket: Database) -> None:
    """Forgetting one repository takes no verdict that shows nothing of it."""
    shown = {"examples": [{"repository": "else/where", "alias": "a"}]}
    rocket.execute(
        "INSERT INTO audits (asset, partition, data_version, passed, details) VALUES ('a', 'p', '1', true, %s)",
        [Jsonb(shown)],
    )
    forget_repository(rocket, ID, "private")
    assert rocket.fetch_value("SELECT details FROM audits") == shown


def test_a_day_and_an_override_at_the_same_time_know_of_each_other(
    rocket: Database, remote: Remote, client: Git
) -> None:
    """Who merges waits for the day that is being noted: its names are followed to the person."""
    remote.commit(author=b"Jane Q. Doe <jane@home.example>")
    remote.commit(author=b"Jane Doe <jane@home.example>")
    opt_in(rocket, remote.url)
    fetch(rocket, client)
    with ThreadPoolExecutor(1) as pool:
        with rocket.transaction() as connection:
            note_identities(connection, DAY)
            said = pool.submit(merge, rocket, "Jane Q. Doe", "@jane")
            until(lambda: waiting(rocket) == 1)
            assert not said.done()
        said.result()
    assert counted(rocket) == {"@jane": 4}
    assert resolved(rocket) == 0


def test_the_commands(settings: Settings, rocket: Database) -> None:
    """list, merge and split, with and without a repository, and how they refuse."""
    own = {"DATABASE_URL": settings.database_url.get_secret_value()}

    def run(*arguments: str, check: bool = True) -> Any:
        return starsearch(Path(settings.home), "people", *arguments, check=check, **own)

    assert as_json(Path(settings.home), "people", "list", **own)["people"] == [
        {"repository": NAME, "alias": alias, "person": "Jane Doe", "rule": "address"} for alias in ("janed", "jd")
    ]
    assert "Jane Doe is @jane everywhere." in run("merge", "Jane Doe", "@Jane").stdout
    assert counted(rocket) == {"@jane": 4}
    assert "Nothing was done as Jain Do in acme/rocket yet" in run("merge", "Jain Do", "@jane", "--repo", NAME).stdout
    listed = run("list", "--repo", "ACME/rocket").stdout
    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["Jane", "Doe", "@jane", "override", "everywhere"], ["Jain", "Do", "@jane", "override", NAME],
        ["janed", "@jane", "address", NAME], ["jd", "@jane", "address", NAME], ["4", "aliases."],
    ]  # fmt: skip
    assert "jd stands for itself in acme/rocket; it is kept apart" in run("split", "jd", "--repo", NAME).stdout
    assert "kept apart" in run("list").stdout
    assert "Jane Doe stands for itself everywhere." in run("split", "Jane Doe").stdout
    assert counted(rocket) == {"Jane Doe": 2, "jd": 1, "@jane": 1}
    refused = run("merge", "@x", "janed", "--repo", NAME, check=False)
    assert refused.returncode == 1
    assert "janed is Jane Doe already" in refused.stderr
    assert "not a tracked repository" in run("list", "--repo", "no/where", check=False).stderr
