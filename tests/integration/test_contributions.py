"""Who did what on a day: each thing once, whatever told it, the same in any order, recomputed from real hour files."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest
from psycopg.types.json import Jsonb

from answering.insights.basis import DONE
from resources.kinds import COMMIT
from resources.postgres import Database
from starsearch_assets import audits
from starsearch_assets.content.process import process_day
from starsearch_assets.insights.audit import COMPLETE, KNOWN, MERGES, PEOPLE, POSSIBLE, SHARES, SUMS
from starsearch_assets.insights.process import CONTRIBUTORS, REPOSITORIES, SEEN, count_people, count_repositories
from tests.factories import REPOSITORY, comment, event, item, slim, user
from tests.integration.content import issues, pr, process, published, said, store, track
from tests.integration.git_commits import commit
from tests.integration.real_hours import counted_by_hand
from tests.integration.test_dagster_runs import RANGE_END, RANGE_START, run

DAY = date(2025, 3, 1)


def count(database: Database, day: date = DAY) -> None:
    process(database)
    count_people(database, day)
    count_repositories(database, day)


def people(database: Database, day: date = DAY) -> dict[str, dict[str, int]]:
    """What each person did on the day as readers see it, without what they did not do."""
    sums = ", ".join(f"sum({one})" for one in DONE)
    rows = database.fetch_all(
        f"SELECT person, {sums} FROM published.contributor_days WHERE day = %s AND person <> '' GROUP BY 1", [day]
    )
    return {row[0]: {what: times for what, times in zip(DONE, row[1:], strict=True) if times} for row in rows}


def stored(database: Database) -> list[list[tuple[Any, ...]]]:
    return [database.fetch_all(f"SELECT * FROM {one}") for one in (CONTRIBUTORS, REPOSITORIES, "first_contributions")]


def passed(database: Database, asset: str, name: str, day: date = DAY) -> bool:
    return audits.newest(database, asset, [f"{day}"], name)[f"{day}"].passed


def test_each_thing_counts_once_for_whoever_did_it(database, tmp_path):
    """An end counts for the author, not for who pressed the button; a merge is not also a close; bots are marked."""
    track(database)
    store(database, [
        pr(1, "2025-03-01 08:00", "opened", item(1, "One")),
        pr(2, "2025-03-01 09:00", "closed", item(1, "One", state="closed", merged=True,
                                                 merged_at="2025-03-01T09:00:00Z"), actor="eve"),
        pr(3, "2025-03-01 09:00", "closed", item(2, "Two", state="closed"), actor="eve"),
        pr(4, "2025-03-01 10:00", "opened", item(3, "Bump", user=user("dependabot[bot]"))),
        issues(5, "2025-03-01 11:00", "opened", item(4, "Four")),
        issues(6, "2025-03-01 12:00", "closed", item(4, "Four", state="closed"), actor="eve"),
        said(7, "2025-03-01 13:00", item(4, "Four"), comment(70, "yes")),
        said(8, "2025-03-01 14:00", item(4, "Four"), comment(70, "yes, indeed"), action="edited"),
        published(9, "2025-03-01 15:00", "v1"),
    ], tmp_path)  # fmt: skip
    count(database)
    counted = people(database)
    assert counted["@ada"] == {
        "pull_requests_opened": 1, "pull_requests_merged": 1, "pull_requests_closed": 1, "issues_opened": 1,
        "issues_closed": 1,
    }  # fmt: skip
    assert sorted(sum(one.values()) for person, one in counted.items() if person != "@ada") == [1, 1, 1]
    assert counted["@dependabot[bot]"] == {"pull_requests_opened": 1}
    assert "@eve" not in counted
    bots = database.fetch_all("SELECT person FROM contributor_days WHERE is_bot ORDER BY 1")
    assert bots == [("@dependabot[bot]",), ("@rel[bot]",)]
    assert all(passed(database, CONTRIBUTORS, name) for name in (POSSIBLE, PEOPLE, KNOWN))
    assert passed(database, REPOSITORIES, SUMS)


def test_a_slim_merge_counts_for_the_author_that_is_known(database, tmp_path):
    """Since October 2025 a payload does not tell the author: who opened it does; before that, nobody known did it."""
    day, two = date(2025, 11, 2), {"number": 2, "pull_request": slim(2)}
    track(database)
    merged = event(2, "PullRequestEvent", "2025-11-02 08:00", {"action": "merged"} | two, actor="eve")
    store(database, [merged], tmp_path / "first")
    count(database, day)
    assert people(database, day) == {}
    assert not passed(database, CONTRIBUTORS, KNOWN, day)
    opened = event(
        1, "PullRequestEvent", "2025-11-01 08:00", {"action": "opened", "number": 2, "pull_request": slim(2)}
    )
    store(database, [opened], tmp_path / "second")
    count(database, day)
    assert people(database, day) == {"@ada": {"pull_requests_merged": 1}}
    assert database.fetch_value("SELECT pull_requests_merged FROM repository_days") == 1


def test_commits_count_for_authors_and_co_authors_but_once_for_the_repository(database):
    """A merge commit is nobody's; a name without a login is a person of its own."""
    track(database)
    commit(database, 1, "One", co_authors=(("Ravi K", "ravi@corp.example"),), day=DAY)
    commit(database, 2, "Merge", parents=2, day=DAY)
    commit(database, 3, "Three", ("Ravi K", "ravi@corp.example"), day=DAY)
    process_day(database, COMMIT, DAY)
    count_people(database, DAY)
    count_repositories(database, DAY)
    assert people(database) == {"@jane-doe": {"commits": 1}, "Ravi K": {"commits": 2}}
    assert database.fetch_value("SELECT commits FROM repository_days") == 2
    database.execute("INSERT INTO same_people VALUES (0, 'Ravi K', '@ravi', 'override')")
    assert people(database) == {"@jane-doe": {"commits": 1}, "@ravi": {"commits": 2}}
    firsts = "SELECT person, day FROM published.first_contributions ORDER BY 1"
    assert database.fetch_all(firsts) == [("@jane-doe", DAY), ("@ravi", DAY)]
    assert passed(database, CONTRIBUTORS, SHARES)


@pytest.mark.parametrize(
    ("person", "is_bot"),
    [
        ("@dependabot[bot]", True), ("@Houndci", True), ("@k8s-ci-robot", True), ("release_bot", True),
        ("@coveralls", True), ("@talbot", False), ("@robotics", False), ("@bot-lover", False), ("@ada", False),
        ("", False),
    ],
)  # fmt: skip
def test_programs_that_act_like_people_are_known_by_name(database, person, is_bot):
    """By an ending or by name; a name that only looks like it is somebody's."""
    assert database.fetch_value("SELECT published.is_bot_name(%s)", [person]) is is_bot


def test_names_that_are_merged_add_up(database):
    """Should readers see more or less than was counted, the check says where."""
    track(database)
    commit(database, 1, "One", day=DAY)
    process_day(database, COMMIT, DAY)
    database.execute("INSERT INTO same_people VALUES (0, '@jane-doe', '@jane', 'override')")
    count_people(database, DAY)
    assert passed(database, CONTRIBUTORS, SHARES)
    with database.transaction() as connection:
        connection.execute("ALTER TABLE same_people DROP CONSTRAINT same_people_pkey")
        connection.execute("INSERT INTO same_people VALUES (0, '@jane-doe', '@other', 'override')")
    count_people(database, DAY)
    verdict = audits.newest(database, CONTRIBUTORS, [f"{DAY}"], SHARES)[f"{DAY}"]
    assert (verdict.passed, verdict.details["examples"]) == (False, [{"repository": REPOSITORY[1], "sum of shares": 2}])


def test_what_a_delivery_and_an_event_tell_counts_once(database, tmp_path):
    """A webhook delivery tells the same pull request as the event, and a review that no event told."""
    track(database)
    opened = {"action": "opened", "number": 1, "pull_request": item(1, "One")}
    reviewed = {
        "action": "submitted",
        "pull_request": item(1, "One"),
        "review": {"id": 9, "user": user("bob"), "submitted_at": "2025-03-01T09:00:00Z", "state": "approved"},
    }
    store(database, [event(1, "PullRequestEvent", "2025-03-01 08:00", opened)], tmp_path)
    for number, (kind, payload) in enumerate([("PullRequestEvent", opened), ("PullRequestReviewEvent", reviewed)]):
        database.execute(
            "INSERT INTO deliveries (sha256, event, type, action, repo_id, repo_name, actor_login, payload, item_at,"
            " observed_at, received_at) VALUES (%s, 'x', %s, %s, %s, %s, 'eve', %s, %s, %s, now())",
            [bytes([number]), kind, payload["action"], *REPOSITORY, Jsonb(payload), datetime(2025, 3, 1, 9, tzinfo=UTC),
             datetime(2025, 3, 1, 9, tzinfo=UTC)],
        )  # fmt: skip
    count(database)
    assert people(database) == {"@ada": {"pull_requests_opened": 1}, "@bob": {"reviews": 1}}
    assert database.fetch_all("SELECT pull_requests_opened, reviews FROM repository_days") == [(1, 1)]


def test_first_days_are_right_in_any_order(database, tmp_path):
    """An earlier day that comes late takes the first day over; what goes gives it back."""
    track(database)
    store(database, [pr(1, "2025-03-04 08:00", "opened", item(1, "One"))], tmp_path / "late")
    count(database, date(2025, 3, 4))
    first = "SELECT day FROM first_contributions WHERE person = '@ada'"
    assert database.fetch_value(first) == date(2025, 3, 4)
    store(database, [pr(2, "2025-03-01 08:00", "opened", item(2, "Two"))], tmp_path / "early")
    count(database)
    assert database.fetch_value(first) == DAY
    database.execute("DELETE FROM events WHERE event_id = 2")
    count(database)
    assert database.fetch_value(first) == date(2025, 3, 4)


def test_answers_and_merges_tell_how_long_they_took(database, tmp_path):
    """The first answer by somebody else counts; the author's own and a bot's do not."""
    track(database)
    store(database, [
        issues(1, "2025-03-01 08:00", "opened", item(4, "Four", created_at="2025-03-01T08:00:00Z")),
        event(2, "IssueCommentEvent", "2025-03-01 08:10", {
            "action": "created", "issue": item(4, "Four", created_at="2025-03-01T08:00:00Z"),
            "comment": comment(69, "me again") | {"user": user("ada"), "created_at": "2025-03-01T08:10:00Z"}}),
        event(3, "IssueCommentEvent", "2025-03-01 09:00", {
            "action": "created", "issue": item(4, "Four", created_at="2025-03-01T08:00:00Z"),
            "comment": comment(70, "yes") | {"user": user("bob"), "created_at": "2025-03-01T09:00:00Z"}}),
        pr(4, "2025-03-01 10:00", "closed", item(1, "One", state="closed", created_at="2025-03-01T06:00:00Z",
                                                 merged=True, merged_at="2025-03-01T10:00:00Z")),
    ], tmp_path)  # fmt: skip
    count(database)
    row = database.fetch_all("SELECT what, ref, seconds FROM waits ORDER BY 1")
    assert row == [("issue_answer", "4", 3600), ("merge", "1", 4 * 3600)]


def push(event_id: int, time: str, ref: str = "refs/heads/main", actor: str = "eve") -> dict[str, Any]:
    return event(event_id, "PushEvent", time, {"ref": ref, "head": f"{event_id:040x}", "before": "0" * 40}, actor=actor)


def test_pushes_beside_no_merge_into_their_branch_bypass_review(database, tmp_path):
    """A merge within a minute, also across midnight, stands for a review; other branches are nobody's business."""
    track(database)
    into = {"base": {"ref": "main"}, "state": "closed", "merged": True, "merged_at": "2025-03-01T09:00:00Z"}
    late = into | {"merged_at": "2025-03-02T00:00:10Z"}
    store(database, [
        push(1, "2025-03-01 08:00"),
        push(2, "2025-03-01 09:00"),
        pr(3, "2025-03-01 09:00", "closed", item(1, "One", **into)),
        push(4, "2025-03-01 10:00", "refs/heads/topic"),
        push(5, "2025-03-01 11:00", actor="ci[bot]"),
        event(6, "PushEvent", "2025-03-01 23:59:30", {"ref": "refs/heads/main", "head": "f" * 40}, actor="eve"),
        pr(7, "2025-03-02 00:00:10", "closed", item(2, "Two", **late)),
    ], tmp_path)  # fmt: skip
    count(database)
    count(database)
    assert database.fetch_all("SELECT event_id, person, is_bot, branch FROM unreviewed_pushes ORDER BY 1") == [
        (1, "@eve", False, "main"), (5, "@ci[bot]", True, "main")]  # fmt: skip
    assert database.fetch_all("SELECT pushes, main_pushes FROM repository_days") == [(5, 4)]


def test_the_first_star_and_fork_of_a_person_are_kept_in_any_order(database, tmp_path):
    """A later day that is counted first does not stay the first; bots are nobody."""
    track(database)
    starred = [event(1, "WatchEvent", "2025-03-02 08:00", {"action": "started"}, actor="zoe")]
    store(database, starred, tmp_path / "late")
    count(database, date(2025, 3, 2))
    store(database, [
        event(2, "WatchEvent", "2025-03-01 08:00", {"action": "started"}, actor="Zoe"),
        event(3, "ForkEvent", "2025-03-01 08:00", {"forkee": {"id": 7}}, actor="zoe"),
        event(4, "WatchEvent", "2025-03-01 08:00", {"action": "started"}, actor="fan[bot]"),
    ], tmp_path / "early")  # fmt: skip
    count(database)
    assert database.fetch_all("SELECT person, what, day FROM first_interests ORDER BY 2") == [
        ("@zoe", "fork", DAY), ("@zoe", "star", DAY)]  # fmt: skip


def test_days_of_which_hours_are_missing_say_so(database, tmp_path):
    """One hour of a day was read: 23 are missing; a day without a single hour, of git alone, is whole."""
    track(database)
    store(database, [pr(1, "2025-03-01 08:00", "opened", item(1, "One"))], tmp_path)
    count(database)
    verdict = audits.newest(database, CONTRIBUTORS, [f"{DAY}"], COMPLETE)[f"{DAY}"]
    assert (verdict.passed, verdict.details) == (False, {"hours read": 1, "hours missing": 23})
    count(database, date(2025, 3, 2))
    assert passed(database, CONTRIBUTORS, COMPLETE, date(2025, 3, 2))


def test_a_day_counted_again_changes_nothing(database, tmp_path):
    """Not even the run that is named: the rows are the same."""
    track(database)
    store(database, [pr(1, "2025-03-01 08:00", "opened", item(1, "One"))], tmp_path)
    process(database)
    count_people(database, DAY, "first")
    count_repositories(database, DAY, "first")
    before = [
        database.fetch_all(f"SELECT * FROM {table}") for table in (CONTRIBUTORS, REPOSITORIES, "first_contributions")
    ]
    count_people(database, DAY, "second")
    count_repositories(database, DAY, "second")
    after = [
        database.fetch_all(f"SELECT * FROM {table}") for table in (CONTRIBUTORS, REPOSITORIES, "first_contributions")
    ]
    assert before == after
    assert before[0][0][-1] == "first"


def test_impossible_counts_fail_their_check(database, tmp_path):
    """A bot that goes as a person, and more than anybody can do, are told by name."""
    track(database)
    thousands = [
        event(n, "IssueCommentEvent", "2025-03-01 08:00", {
            "action": "created", "issue": {"number": 1, "title": "x", "user": user("ada")},
            "comment": {"id": n, "user": user("mallory"), "created_at": "2025-03-01T08:00:00Z"}})
        for n in range(1, 5003)
    ]  # fmt: skip
    store(database, thousands, tmp_path)
    count_people(database, DAY)
    verdict = audits.newest(database, CONTRIBUTORS, [f"{DAY}"], POSSIBLE)[f"{DAY}"]
    assert not verdict.passed
    assert verdict.details["examples"] == [
        {"repository": REPOSITORY[1], "person": "@mallory", "contributions": 5002}
    ]  # fmt: skip


def flat(rows: list[tuple[Any, ...]], names: tuple[str, ...]) -> Counter[tuple[Any, ...]]:
    """Each count that is not 0, under what stands before it in its row, and its name."""
    keys = len(rows[0]) - len(names)
    return Counter(
        {(*row[:keys], name): times for row in rows for name, times in zip(names, row[keys:], strict=True) if times}
    )


@pytest.mark.parametrize("name", ["2015-01-01-3", "2015-01-01-4", "2015-01-01-5", "2016-01-01-1", "2016-01-01-2"])
def test_real_hours_are_what_reading_them_by_hand_gives(database, real_data, name):
    """Every count of every person and repository of a real hour, recomputed in Python from the file's lines."""
    day, done, seen = counted_by_hand(database, real_data, name)
    assert flat(database.fetch_all(f"SELECT repo_id, person, {', '.join(DONE)} FROM contributor_days"), DONE) == done
    assert flat(database.fetch_all(f"SELECT repo_id, {', '.join(SEEN)} FROM repository_days"), SEEN) == seen
    assert passed(database, REPOSITORIES, SUMS, day)


def test_runs_count_and_show_a_range_of_days(settings, database, tmp_path, monkeypatch):
    """Both assets in one range run with their checks: rows, sums, a table of people and a plot, for each day."""
    monkeypatch.setenv("DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("TOOLS_DATABASE_URL", settings.tools_database_url.get_secret_value())
    later = date(2025, 3, 2)
    configured = settings.model_copy(update={"starsearch_start": DAY, "starsearch_end": later})
    track(database)
    store(database, [
        pr(1, "2025-03-01 08:00", "opened", item(1, "One")),
        pr(2, "2025-03-02 08:00", "opened", item(2, "Two")),
        pr(3, "2025-03-02 09:00", "opened", item(3, "Bump", user=user("dependabot[bot]"))),
    ], tmp_path)  # fmt: skip
    with dg.instance_for_test() as instance:
        tags = {RANGE_START: f"{DAY}", RANGE_END: f"{later}"}
        result = run(configured, instance, [CONTRIBUTORS, REPOSITORIES], tags=tags)
        assert result.success
        assert instance.get_materialized_partitions(dg.AssetKey(CONTRIBUTORS)) == {f"{DAY}", f"{later}"}
        newest = result.asset_materializations_for_node(CONTRIBUTORS)[-1].metadata
        assert newest["dagster/partition_row_count"].value == 2
        shown = [one.data for one in newest["most active"].records]
        assert [(one["person"], one["contributions"], one["pull requests opened"]) for one in shown] == [("@ada", 1, 1)]
        carried = newest["who carries projects, the last 60 days"].md_str
        assert carried.startswith("![Each project's contributions by person")
        drawn = result.asset_materializations_for_node(REPOSITORIES)[-1].metadata
        assert drawn["pull requests opened"].value == 2
        assert drawn["the last 60 days"].md_str.startswith("![Commits, pull requests")
    checked = {one.check_name: one.passed for one in result.get_asset_check_evaluations()}
    assert checked == dict.fromkeys((POSSIBLE, PEOPLE, SHARES, KNOWN, MERGES, SUMS), True) | {COMPLETE: False}
