"""Items that events left without text, asked of a double of GitHub over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from resources.errors import GitHubRefused, GitHubUnavailable
from resources.github_items import ItemKey, ItemState, RepositoryState
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets.content.process import process_day
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.hydration.process import hydrate_day
from starsearch_assets.hydration.store import store_items
from tests.doubles.github import Account, Comment, GitHubDouble, Repository, Review, replies
from tests.factories import REPOSITORY, at, item, slim
from tests.integration.content import pr, store, track
from tests.integration.github import DAY, NOON, active, hydrate, issue, opener, pull, rocket, statuses, titles


def test_a_pull_request_gets_all_that_github_shows(database: Database, double: GitHubDouble) -> None:
    """Title, body, state, labels, author, merge, changed files, reviews and comments; the day stays the day."""
    track(database)
    merged = at("2025-11-02 09:00")
    rocket(double).add(
        pull(
            7, "Teach the parser about tabs", state="MERGED", labels=["parser", "bug"], closed_at=merged,
            merged_at=merged, merged_by=Account("eve"), author=Account("renovate", is_bot=True),
            files=["src/parser.py", "tests/test_parser.py"], updated_at=merged, commits=["Add tabs", "Add a test"],
            reviews=[Review(5_000_000_001, "Please add a test.", author=Account("bob"), submitted_at=NOON)],
            comments=[Comment(4_000_000_002, "It has one.\x00", Account("ada"), NOON), Comment(3, "gone", None, NOON)],
        )
    )  # fmt: skip
    active(database, [7])
    result = hydrate(database, double)
    assert (result.wanted, result.found, result.without_text, result.rest.left) == (1, 1, 0, 0)
    assert database.fetch_all(
        "SELECT title, body, state, labels, author_login, author_is_bot, merged_at, merged_by, closed_at, created_at,"
        " files, files_total, commit_headlines, commits_total, hydrated_event FROM pull_requests"
    ) == [
        (
            "Teach the parser about tabs", "Body of Teach the parser about tabs", "closed", ["bug", "parser"],
            "renovate[bot]", True, merged, "eve", merged, NOON, ["src/parser.py", "tests/test_parser.py"], 2,
            ["Add tabs", "Add a test"], 2, 0,
        )
    ]  # fmt: skip
    assert database.fetch_all(
        "SELECT source, comment_id, kind, ref, author_login, author_is_bot, body FROM comments ORDER BY 1, 2"
    ) == [
        ("comment", 3, "pull_request", "7", None, False, "gone"),
        ("comment", 4_000_000_002, "pull_request", "7", "ada", False, "It has one.\\u0000"),
        ("review", 5_000_000_001, "pull_request", "7", "bob", False, "Please add a test."),
    ]
    assert database.fetch_all("SELECT DISTINCT day FROM activity") == [(DAY,)]


def test_headlines_are_of_the_newest_look(database: Database, double: GitHubDouble, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The last twenty, oldest first; a newer look replaces them, also by fewer or none; events never erase them."""
    track(database)
    pulled = pull(1, commits=[f"Part {number}" for number in range(1, 23)])
    rocket(double).add(pulled)
    active(database, [1])
    hydrate(database, double)
    assert headlines(database) == [([f"Part {number}" for number in range(3, 23)], 22)]
    store(database, [pr(1, "2025-11-01 09:00", "closed", slim(1))], tmp_path / "slim")
    process_day(database, PULL_REQUEST, DAY)
    tomorrow = datetime.now(UTC) + timedelta(hours=12)
    store(database, [pr(2, f"{tomorrow:%Y-%m-%d %H:%M}", "edited", item(1, "Newer"))], tmp_path / "fat")
    process_day(database, PULL_REQUEST, tomorrow.date())
    assert titles(database) == {1: "Newer"}
    assert headlines(database) == [([f"Part {number}" for number in range(3, 23)], 22)]
    for commits in (["All in one"], []):
        pulled.commits = commits
        assert hydrate(database, double).found == 1  # the fat event is still newer
        assert headlines(database) == [(commits, len(commits))]


def test_an_older_look_leaves_the_headlines_and_absence_erases_nothing(database: Database) -> None:
    """Looks can be stored out of order, and GitHub may not tell files or commits in one of them."""
    track(database)
    active(database, [1])
    look(database, "2025-11-02 10:00", commits=("Second",), commits_total=1, files=None, files_total=None)
    look(database, "2025-11-02 09:00", commits=("First",), commits_total=1)
    assert headlines(database) == [(["Second"], 1)]
    look(database, "2025-11-02 11:00", commits=None, commits_total=None, files=("b.py",))
    look(database, "2025-11-02 12:00", commits=("Third",), commits_total=1, files=None, files_total=None)
    assert headlines(database) == [(["Third"], 1)]
    assert database.fetch_all("SELECT files, files_total FROM pull_requests") == [(["b.py"], 1)]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("Repair what ada@example.com saw", "Repair what saw"),
        ("Thanks to Ada <ada@example.com>", "Thanks to Ada"),
        ("Reported at length by somebody, who is Ada Lovelace <ada@example.c\u2026",
         "Reported at length by somebody, who is Ada Lovelace \u2026"),
        ("Reported at length by ada.lovelace@mail.example.\u2026", "Reported at length by \u2026"),
        ("Bump @types/node and use logo@2x.png\u2026", "Bump @types/node and use \u2026"),
        ("Bump checkout@v4, @types/node, logo@2x.png", "Bump checkout@v4, @types/node, logo@2x.png"),
        ("Read\u202e\u200b \x1b[31mred\ttabs\x00 ", "Read [31mred tabs\\u0000"),
        ("Ж" * 300, "Ж" * 200),
        (" ", None),
        ("ada@example.com", None),
    ],
)  # fmt: skip
def test_headlines_are_shown_text(database: Database, double: GitHubDouble, told: str, kept: str | None) -> None:
    """On one line, without e-mail addresses or halves of them, cut at 200 characters; nothing left is none."""
    track(database)
    rocket(double).add(pull(1, commits=["Before", told, "After"]))
    active(database, [1])
    hydrate(database, double)
    assert headlines(database) == [(["Before", *([] if kept is None else [kept]), "After"], 3)]


def test_a_forgotten_repository_leaves_no_headlines(database: Database, double: GitHubDouble) -> None:
    """They go with the pull request."""
    track(database)
    rocket(double).add(pull(1, commits=["Secret plan"]))
    active(database, [1])
    hydrate(database, double)
    forget_repository(database, REPOSITORY[0], "private")
    assert headlines(database) == []


def test_an_issue_gets_the_same(database: Database, double: GitHubDouble) -> None:
    """Text, state, labels and comments."""
    track(database)
    rocket(double).add(issue(3, "Crash on tabs", state="CLOSED", closed_at=NOON, labels=["bug"]))
    active(database, [3], ISSUE)
    assert hydrate(database, double, ISSUE).found == 1
    assert database.fetch_all("SELECT title, body, state, closed_at, labels FROM issues") == [
        ("Crash on tabs", "Body of Crash on tabs", "closed", NOON, ["bug"])
    ]


def test_a_slim_event_never_blanks_what_a_hydration_brought(database: Database, double: GitHubDouble, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Whichever is processed first: the text is the hydration's, the state the newest observation's."""
    track(database)
    rocket(double).add(pull(1, "Brought by hydration"))
    store(database, [pr(1, "2025-11-01 08:00", "opened", slim(1))], tmp_path / "one")
    process_day(database, PULL_REQUEST, DAY)
    assert titles(database) == {1: None}
    hydrate(database, double)
    store(database, [pr(2, "2025-11-01 09:00", "closed", slim(1))], tmp_path / "two")
    process_day(database, PULL_REQUEST, DAY)
    assert database.fetch_all("SELECT title, state FROM pull_requests") == [("Brought by hydration", "open")]


def test_fat_text_newer_than_the_hydration_wins(database: Database, double: GitHubDouble, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Newer wins, whoever observed it."""
    track(database)
    rocket(double).add(pull(1, "Older"))
    active(database, [1])
    hydrate(database, double)
    tomorrow = datetime.now(UTC) + timedelta(hours=12)
    store(database, [pr(1, f"{tomorrow:%Y-%m-%d %H:%M}", "edited", item(1, "Newer"))], tmp_path)
    process_day(database, PULL_REQUEST, tomorrow.date())
    assert titles(database) == {1: "Newer"}


def test_asked_once_and_again_when_it_changed(database: Database, double: GitHubDouble) -> None:
    """A second run asks nothing, not even for the budget; a newer event brings the item back."""
    track(database)
    repository = rocket(double)
    repository.add(pull(1, "First"))
    active(database, [1])
    hydrate(database, double)
    before = double.stats.total_requests
    assert hydrate(database, double).wanted == 0
    assert double.stats.total_requests == before
    repository.items[1].title = "Second"
    database.execute("UPDATE pull_requests SET last_active_at = now() + interval '1 second'")
    assert hydrate(database, double).found == 1
    assert titles(database) == {1: "Second"}


def test_without_a_token_nothing_fails(database: Database) -> None:
    """The item stays without text and is counted; the day passes its audit."""
    track(database)
    active(database, [1, 2])
    result = hydrate_day(database, PULL_REQUEST, DAY, lambda: None)
    assert (result.wanted, result.found, result.without_text, result.requests) == (2, 0, 2, 0)
    ((passed, details),) = database.fetch_all("SELECT passed, details FROM newest_audits")
    assert (passed, details["without text"], details["asked of GitHub"]) == (True, 2, 0)


def test_many_items_a_query(database: Database, double: GitHubDouble) -> None:
    """120 items of two repositories take three queries."""
    track(database, REPOSITORY, (2002, "else/where"))
    rocket(double).add(*(pull(number) for number in range(1, 61)))
    other = Repository(id=2002, owner="else", name="where")
    double.state.add(other)
    other.add(*(pull(number) for number in range(1, 61)))
    active(database, range(1, 61))
    active(database, range(1, 61), repo_id=2002)
    result = hydrate(database, double)
    assert (result.found, double.stats.requests["/graphql"]) == (120, 3)
    assert not double.stats.limit_violations


@pytest.mark.parametrize("how", ["502", "hang"])
def test_the_page_shrinks_until_github_finishes_it(database: Database, double: GitHubDouble, how: str) -> None:
    """A query that asks for too much answers 502, or nothing: smaller ones bring every item."""
    track(database)
    double.max_items_a_query, double.too_many_items, double.hang_seconds = 7, how, 3.0  # type: ignore[assignment]
    rocket(double).add(*(pull(number) for number in range(1, 31)))
    active(database, range(1, 31))
    result = hydrate(database, double, github_concurrency=2, timeout=1.0 if how == "hang" else 10.0)
    assert (result.found, result.failed) == (30, 0)
    assert len(titles(database)) == 30


def test_one_poisoned_item_does_not_hold_up_the_others(database: Database, double: GitHubDouble) -> None:
    """It is recorded as failed with the reason and asked again by the next run; the rest is there."""
    track(database)
    double.poison = {(REPOSITORY[1], 4): "502"}
    rocket(double).add(*(pull(number) for number in range(1, 9)))
    active(database, range(1, 9))
    result = hydrate(database, double)
    assert (result.found, result.failed) == (7, 1)
    assert database.fetch_all("SELECT ref, reason FROM hydrations WHERE status = 'failed'") == [
        ("4", "GitHub did not finish a query: 502.")
    ]
    double.poison = {}
    assert hydrate(database, double).found == 1
    assert set(statuses(database).values()) == {"found"}


def test_partial_data_is_kept_beside_errors(database: Database, double: GitHubDouble) -> None:
    """An error at one item leaves the others of the same response; that one is tried again alone, then recorded."""
    track(database)
    double.poison = {(REPOSITORY[1], 2): "error"}
    rocket(double).add(*(pull(number) for number in range(1, 6)))
    active(database, range(1, 6))
    result = hydrate(database, double)
    assert (result.found, result.failed) == (4, 1)
    assert double.stats.requests["/graphql"] == 3  # all five, then the one alone, twice
    assert "Something went wrong" in database.fetch_value("SELECT reason FROM hydrations WHERE status = 'failed'")


MISBEHAVIOUR = {
    "500": replies.server_error(),
    "502": replies.bad_gateway(),
    "timed out": replies.query_timed_out(),
    "cut": replies.cut(),
    "invalid JSON": replies.invalid_json(),
    "hang": replies.hang(3),
    "hang up": replies.hang_up(),
    "secondary": replies.secondary_rate_limit(1),
    "429": replies.secondary_rate_limit(1, 429),
    "no data": replies.graphql_errors({"message": "Something went wrong while executing your query."}),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_a_passing_fault_costs_nothing_but_time(database: Database, double: GitHubDouble, name: str) -> None:
    """Whatever GitHub does once, every item comes in the same run."""
    track(database)
    rocket(double).add(*(pull(number) for number in range(1, 6)))
    active(database, range(1, 6))
    double.misbehave("/graphql", MISBEHAVIOUR[name])
    result = hydrate(database, double, timeout=1.0 if name == "hang" else 10.0)
    assert (result.found, result.failed) == (5, 0)
    assert "ignored_retry_after" not in double.stats.limit_violations


def test_an_outage_ends_the_run_with_a_reason(database: Database, double: GitHubDouble) -> None:
    """Everything answers 502: after a bounded number of tries the partition fails; what came before is kept."""
    track(database)
    rocket(double).add(*(pull(number) for number in range(1, 4)))
    active(database, range(1, 4))
    double.misbehave("/rate_limit", *[replies.bad_gateway()] * 20)
    with pytest.raises(GitHubUnavailable, match="502 for rate_limit"):
        hydrate(database, double)


def test_a_wrong_token_is_told_at_once(database: Database, double: GitHubDouble) -> None:
    """401: what to do, and not the token."""
    track(database)
    active(database, [1])
    with pytest.raises(GitHubRefused, match="GITHUB_TOKEN") as refused:
        hydrate_day(database, PULL_REQUEST, DAY, opener(double, github_token=_secret("not-the-token")))
    assert "not-the-token" not in str(refused.value)


@pytest.mark.parametrize("status", [200, 403])
def test_the_reserve_of_the_hourly_budget_is_left(database: Database, double: GitHubDouble, status: int) -> None:
    """The run stops with what is left and when to go on; the next hour brings the rest, and no limit was exceeded."""
    track(database)
    double.limits.hourly_points, double.limits.exhausted = 20, status  # type: ignore[assignment]
    rocket(double).add(*(pull(number) for number in range(1, 601)))
    active(database, range(1, 601))
    result = hydrate(database, double, github_reserve=0.5, github_concurrency=3)
    assert 0 < result.found < 600
    assert result.found + result.rest.left == 600
    assert result.rest.until is not None
    assert result.rest.until > datetime.now(UTC)
    assert double.stats.points_used <= 10
    assert not double.stats.limit_violations
    double.limits.hourly_points = 5000
    assert hydrate(database, double).found == result.rest.left


def test_a_used_up_budget_asks_for_nothing(database: Database, double: GitHubDouble) -> None:
    """The budget is known before the first query."""
    track(database)
    double.limits.hourly_points = 0
    active(database, [1])
    result = hydrate(database, double)
    assert (result.rest.left, double.stats.requests["/graphql"]) == (1, 0)


def test_the_concurrency_is_never_exceeded(database: Database, double: GitHubDouble) -> None:
    """The double counts what is in flight."""
    track(database)
    double.limits.concurrency, double.latency = 4, 0.02
    rocket(double).add(*(pull(number) for number in range(1, 1001)))
    active(database, range(1, 1001))
    assert hydrate(database, double, github_concurrency=4).found == 1000
    assert double.stats.max_in_flight == 4
    assert not double.stats.limit_violations


def test_synthetic_repositories_are_not_asked_about(database: Database, double: GitHubDouble) -> None:
    """The bundled sample's people and projects are invented; so are repositories without a known id."""
    track(database)
    database.execute("UPDATE repositories SET synthetic = true")
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (-5, 'old/one')")
    active(database, [1])
    active(database, [1], repo_id=-5)
    assert hydrate(database, double).wanted == 0
    assert double.stats.total_requests == 0


def headlines(database: Database) -> list[tuple[object, ...]]:
    """Headlines and number of commits of every pull request."""
    return database.fetch_all("SELECT commit_headlines, commits_total FROM pull_requests ORDER BY number")


def look(database: Database, moment: str, **fields: object) -> None:
    """Store what a look at pull request 1 at a moment told."""
    values: dict[str, object] = {
        "repository": RepositoryState(*REPOSITORY, private=False), "number": 1, "title": "A title", "body": "",
        "state": "open", "created_at": NOON, "closed_at": None, "merged_at": None, "merged_by": None, "author": None,
        "labels": (), "files": ("a.py",), "files_total": 1, "commits": (), "commits_total": 0, "said": (),
    }  # fmt: skip
    owner, _, name = REPOSITORY[1].partition("/")
    found = {ItemKey(REPOSITORY[0], owner, name, 1): ItemState(**values | fields)}  # type: ignore[arg-type]
    with database.transaction() as connection:
        store_items(connection, PULL_REQUEST, found, at(moment), "run-1")


def _secret(value: str) -> object:
    from pydantic import SecretStr

    return SecretStr(value)
