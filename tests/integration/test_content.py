"""Events into content rows: what each shape says, and the same rows in whatever order days come."""

from __future__ import annotations

import gzip
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from resources.embedded_postgres import EmbeddedPostgres
from resources.kinds import ISSUE, KINDS, PULL_REQUEST, RELEASE
from resources.postgres import Database
from starsearch_assets.content import tracking
from starsearch_assets.content.process import DayResult, process_day
from tests.factories import REPOSITORY, at, comment, event, item, labels, slim, user
from tests.integration.content import TABLES, content, days, issues, pr, process, published, row, said, store, track
from tests.integration.hours import dirty, fetched, push
from tests.integration.processes import in_threads, until, waiting

RENAMED = (REPOSITORY[0], "acme/rocket-ng")


HISTORY = [
    # 1: fat, retitled, labelled, closed, reopened, merged in the old way
    pr(1, "2025-03-01 08:00", "opened", item(1, "First title", labels=labels("bug"))),
    pr(2, "2025-03-01 09:00", "edited", item(1, "Second title", labels=labels("bug"))),
    pr(3, "2025-03-02 08:00", "labeled", item(1, "Second title", labels=labels("bug", "api"))),
    pr(4, "2025-03-02 09:00", "closed", item(1, "Second title", state="closed", closed_at="2025-03-02T09:00:00Z")),
    pr(5, "2025-03-03 08:00", "reopened", item(1, "Third title", labels=[])),
    pr(6, "2025-03-04 08:00", "closed", item(1, "Third title", state="closed", closed_at="2025-03-04T08:00:00Z",
                                            merged=True, merged_at="2025-03-04T08:00:00Z", merged_by=user("eve"))),
    # 2: slim, merged in the new way; a comment brings its text in between
    pr(10, "2025-11-01 08:00", "opened", slim(2), actor="dependabot[bot]"),
    said(11, "2025-11-02 08:00", item(2, "Text of a comment", pull_request={"url": "https://x"}), comment(70, "hm")),
    pr(12, "2025-11-03 08:00", "merged", slim(2), actor="eve"),
    # 3: slim only
    pr(13, "2025-11-01 08:00", "opened", slim(3)),
    pr(14, "2025-11-02 08:00", "closed", slim(3)),
    pr(15, "2025-11-03 08:00", "reopened", slim(3)),
    # 4: an issue, with comments, one deleted, one edited; two events in one second
    issues(20, "2025-03-01 08:00", "opened", item(4, "Issue", labels=labels("question"))),
    said(21, "2025-03-01 09:00", item(4, "Issue"), comment(71, "first")),
    said(22, "2025-03-02 09:00", item(4, "Issue, retitled"), comment(71, "first, edited"), "edited"),
    said(23, "2025-03-03 09:00", item(4, "Issue, retitled"), comment(71, "first, edited"), "deleted"),
    said(24, "2025-03-03 09:00", item(4, "Issue, retitled again"), comment(72, "second", created_at=None)),
    said(25, "2025-03-04 09:00", item(4, "Issue, retitled again"), comment(72, "second!", created_at=None), "edited"),
    issues(26, "2025-03-03 10:00", "closed", item(4, "Issue", state="closed", closed_at="2025-03-03T10:00:00Z")),
    # an issue payload that is about pull request 1
    issues(30, "2025-03-05 08:00", "labeled", item(1, "Last title", pull_request={"url": "https://x"},
                                                   state="closed", closed_at="2025-03-04T08:00:00Z")),
    # reviews
    event(40, "PullRequestReviewEvent", "2025-03-02 10:00",
          {"action": "created", "pull_request": item(1, "Second title"),
           "review": {"id": 71, "body": None, "user": user("eve"), "submitted_at": "2025-03-02T10:00:00Z"}}),
    event(41, "PullRequestReviewCommentEvent", "2025-11-02 10:00",
          {"action": "created", "pull_request": slim(2), "comment": comment(71, "line", "ci[bot]")}),
    # releases, one edited
    published(50, "2025-03-01 08:00", "v1"),
    published(51, "2025-03-03 08:00", "v1", name="Release one", prerelease=True),
    published(52, "2025-03-02 08:00", "2"),
    # the repository has a new name, and one that nobody tracks is busy too
    push(60, "2025-03-06 08:00") | {"repo": {"id": RENAMED[0], "name": RENAMED[1]}},
    pr(61, "2025-11-04 08:00", "opened", slim(5), repository=RENAMED),
    pr(62, "2025-03-01 08:00", "opened", item(1, "Elsewhere"), repository=(2002, "else/where")),
]  # fmt: skip


@pytest.fixture(scope="module")
def natural(server: EmbeddedPostgres) -> dict[str, list[tuple[Any, ...]]]:
    """Filled by the first of the order tests: the rows that all orders must end in."""
    return {}


@pytest.mark.parametrize("seed", range(6))
def test_any_order_ends_in_the_same_rows(
    database: Database, tmp_path: Path, natural: dict[str, list[tuple[Any, ...]]], seed: int
) -> None:
    """Hours loaded late and days processed in any order, some twice, some at the same time: identical rows."""
    if not natural:
        track(database)
        store(database, HISTORY, tmp_path / "natural")
        process(database)
        natural.update(content(database))
        assert [len(natural[table]) for table in ("pull_requests", "issues", "releases", "comments")] == [4, 1, 2, 5]
        database.execute(f"TRUNCATE {', '.join(TABLES)}, repositories, events, ingest_ledger, dirty_days CASCADE")
    chance = random.Random(seed)
    track(database)
    shuffled = chance.sample(HISTORY, len(HISTORY))
    half = len(shuffled) // 2
    store(database, shuffled[:half], tmp_path / "early")
    chosen = [(kind, day) for day in days(database) for kind in KINDS]
    for kind, day in chance.sample(chosen, len(chosen) * 2 // 3):
        process_day(database, kind, day)
    store(database, shuffled[half:], tmp_path / "late")
    chosen = [(kind, day) for day in days(database) for kind in KINDS]
    work = chance.sample(chosen, len(chosen)) + chance.sample(chosen, len(chosen) // 3)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda one: process_day(database, *one), work))
    assert content(database) == natural


def test_the_history_in_words(database: Database, tmp_path: Path) -> None:
    """What the natural order ends in is what happened."""
    track(database)
    store(database, HISTORY, tmp_path)
    process(database)
    columns = "title, state, merged_at, merged_by, labels, author_login, author_is_bot, closed_at, hydrated_event"
    merged = at("2025-03-04 08:00")
    assert row(database, "pull_requests", columns, 1) == (
        "Last title", "closed", merged, "eve", [], "ada", False, merged, 30,
    )  # fmt: skip
    merged = at("2025-11-03 08:00")
    assert row(database, "pull_requests", columns, 2) == (
        "Text of a comment", "closed", merged, "eve", None, "ada", True, merged, 11,
    )  # fmt: skip
    assert row(database, "pull_requests", f"{columns}, created_at", 3) == (
        None, "open", None, None, None, "ada", False, None, None, at("2025-11-01 08:00"),
    )  # fmt: skip
    assert row(database, "issues", "title, state, labels", 4) == ("Issue, retitled again", "open", ["question"])
    assert row(database, "releases", "title, prerelease, author_is_bot", "v1") == ("Release one", True, True)
    assert database.fetch_all(
        "SELECT source, comment_id, kind, ref, body, deleted, author_is_bot, created_at FROM comments ORDER BY 1, 2"
    ) == [
        ("comment", 70, "pull_request", "2", "hm", False, False, at("2025-03-01 09:00")),
        ("comment", 71, "issue", "4", "first, edited", True, False, at("2025-03-01 09:00")),
        ("comment", 72, "issue", "4", "second!", False, False, at("2025-03-03 09:00")),
        ("review", 71, "pull_request", "1", "", False, False, at("2025-03-02 10:00")),
        ("review_comment", 71, "pull_request", "2", "line", False, True, at("2025-03-01 09:00")),
    ]


def test_activity_is_every_day_on_which_something_happened(database: Database, tmp_path: Path) -> None:
    """One row an item and day, from the observations' own times."""
    track(database)
    store(database, HISTORY, tmp_path)
    process(database)
    found = database.fetch_all("SELECT day FROM activity WHERE kind = 'pull_request' AND ref = '1' ORDER BY day")
    assert [day.day for (day,) in found] == [1, 2, 3, 4, 5]
    assert database.fetch_all("SELECT ref, day FROM activity WHERE kind = 'release' ORDER BY ref, day") == [
        ("2", date(2025, 3, 2)), ("v1", date(2025, 3, 1)), ("v1", date(2025, 3, 3)),
    ]  # fmt: skip


def test_a_slim_event_never_blanks_a_title(database: Database, tmp_path: Path) -> None:
    """Newer, but silent about the text: title and body stay, the state moves on."""
    track(database)
    store(
        database,
        [pr(1, "2025-10-01 08:00", "opened", item(1, "Kept")), pr(2, "2025-11-01 08:00", "merged", slim(1))],
        tmp_path,
    )
    process(database)
    assert row(database, "pull_requests", "title, body, state, hydrated_event") == ("Kept", "Body of Kept", "closed", 1)


def test_an_item_without_text_is_counted(database: Database, tmp_path: Path) -> None:
    """Slim only: hydrated_at stays NULL, and the day's result and audit say how many."""
    track(database)
    store(
        database,
        [pr(1, "2025-11-01 08:00", "opened", slim(1)), pr(2, "2025-11-01 08:00", "opened", item(2, "B"))],
        tmp_path,
    )
    assert process_day(database, PULL_REQUEST, date(2025, 11, 1)) == DayResult(2, 1, 2, 0)
    assert row(database, "pull_requests", "hydrated_at") == (None,)
    ((passed, details),) = database.fetch_all("SELECT passed, details FROM newest_audits")
    assert (passed, details["without text"]) == (True, 1)


def test_an_issue_payload_with_pull_request_is_a_pull_request(database: Database, tmp_path: Path) -> None:
    """A comment on a pull request makes no issue; one on an issue makes no pull request."""
    track(database)
    on_pull = item(1, "Pull", pull_request={"url": "https://x", "merged_at": "2025-02-01T00:00:00Z"})
    on_issue = item(2, "Issue", pull_request=None)
    store(
        database,
        [said(1, "2025-03-01 08:00", on_pull, comment(1, "a")), said(2, "2025-03-01 08:00", on_issue, comment(2, "b"))],
        tmp_path,
    )
    process(database)
    assert database.fetch_all("SELECT number, merged_at FROM pull_requests") == [(1, at("2025-02-01 00:00"))]
    assert database.fetch_all("SELECT number FROM issues") == [(2,)]
    assert database.fetch_all("SELECT kind, ref FROM comments ORDER BY 2") == [("pull_request", "1"), ("issue", "2")]


def test_only_tracked_repositories_get_rows(database: Database, tmp_path: Path) -> None:
    """Nothing of the others in any content table, names included."""
    track(database, (2002, "else/where"))
    store(database, HISTORY, tmp_path)
    process(database)
    assert database.fetch_all("SELECT repo_id, title FROM pull_requests") == [(2002, "Elsewhere")]
    assert database.fetch_all("SELECT repo_id FROM repository_names") == [(2002,)]
    assert [database.fetch_value(f"SELECT count(*) FROM {table}") for table in ("issues", "releases", "comments")] == [
        0
    ] * 3


def test_a_renamed_repository(database: Database, tmp_path: Path) -> None:
    """Its items stay its own; the newest name is the name, the others are aliases, whichever day came last."""
    track(database)
    store(database, HISTORY, tmp_path)
    for day in reversed(days(database)):
        process_day(database, PULL_REQUEST, day)
    assert database.fetch_all("SELECT name FROM repositories") == [(RENAMED[1],)]
    assert database.fetch_all("SELECT name, first_seen, last_seen FROM repository_names ORDER BY 1") == [
        (REPOSITORY[1], at("2025-03-01 08:00"), at("2025-11-03 08:00")),
        (RENAMED[1], at("2025-03-06 08:00"), at("2025-11-04 08:00")),
    ]


def test_the_newest_name_wins_between_days_processed_at_once(database: Database, tmp_path: Path) -> None:
    """A day that still waits for its names to be stored does not put an older name back."""
    track(database, (1001, "acme/unseen"))
    named = [
        push(number, f"2025-03-{number:02} 08:00") | {"repo": {"id": 1001, "name": f"acme/n{number:02}"}}
        for number in range(1, 9)
    ]
    store(database, named, tmp_path)
    in_threads(*(lambda day=day: process_day(database, RELEASE, day) for day in days(database)[::-1][:6]))  # type: ignore[misc]
    assert database.fetch_value("SELECT name FROM repositories") == "acme/n08"


def test_a_day_is_clean_after_it_was_processed(database: Database, tmp_path: Path) -> None:
    """Only the pair that was processed."""
    track(database)
    store(
        database,
        [issues(1, "2025-03-01 08:00", "opened", item(1, "A")), published(2, "2025-03-02 08:00", "v1")],
        tmp_path,
    )
    process_day(database, ISSUE, date(2025, 3, 1))
    assert set(dirty(database)) == {("pull_request", date(2025, 3, 1)), ("release", date(2025, 3, 2))}


def test_events_that_arrive_while_a_day_is_processed_leave_it_dirty(
    database: Database, tmp_path: Path, server: EmbeddedPostgres
) -> None:
    """Processing waits in the middle, a load commits, processing goes on: the new version stays."""
    track(database)
    day = date(2025, 3, 1)
    store(database, [issues(1, "2025-03-01 08:00", "opened", item(1, "A"))], tmp_path / "early")
    before = dirty(database)["issue", day]
    with ThreadPoolExecutor(1) as pool, psycopg.connect(server.url(database=_name(database))) as other:
        other.execute("LOCK TABLE starsearch.issues IN EXCLUSIVE MODE")  # after the version and the events were read
        processing = pool.submit(process_day, database, ISSUE, day)
        until(lambda: waiting(database) > 0)
        store(database, [issues(2, "2025-03-01 09:00", "edited", item(1, "B"))], tmp_path / "late")
        other.rollback()
        processing.result()
    assert row(database, "issues", "title") == ("A",)
    assert dirty(database)["issue", day] > before
    process_day(database, ISSUE, day)
    assert row(database, "issues", "title") == ("B",)
    assert ("issue", day) not in dirty(database)


def test_a_day_without_events(database: Database) -> None:
    """Nothing happens, and the audit passes with nothing."""
    track(database)
    assert [process_day(database, kind, date(2025, 3, 1)) for kind in KINDS] == [DayResult(0, 0, 0, 0)] * 4
    assert {passed for (passed,) in database.fetch_all("SELECT passed FROM newest_audits")} == {True}


ODD = ("x", 1.5, 1e30, -1, None, [], {}, True, "2025-13-45T00:00:00Z", "x" * 9000)


@pytest.mark.parametrize("odd", ODD, ids=[str(odd)[:20] for odd in ODD])
def test_odd_values_stop_no_day(database: Database, tmp_path: Path, odd: Any) -> None:
    """A value of another type where a number, a time or a login should be: that field counts as absent."""
    track(database)
    fields = ("created_at", "closed_at", "merged_at", "user", "labels", "merged_by", "state", "pull_request")
    strange = dict.fromkeys(fields, odd)
    words = {"id": odd, "body": odd, "user": odd, "created_at": odd, "submitted_at": odd}
    noise = "".join(random.Random(1).choices("abcdefghijklmnop", k=4000))
    release = dict.fromkeys(("created_at", "published_at", "prerelease", "draft", "author", "name"), odd)
    store(
        database,
        [
            pr(1, "2025-03-01 08:00", "opened", item(1, "A") | strange),
            issues(
                2, "2025-03-01 08:00", "opened", item(2, "B") | strange | {"user": user(noise), "pull_request": None}
            ),
            pr(3, "2025-03-01 08:00", "opened", item(3, "C") | {"number": odd}),
            said(4, "2025-03-01 08:00", item(2, "B"), words),
            said(5, "2025-03-01 08:00", item(2, "B"), comment(5, "hello", noise)),
            event(6, "PullRequestReviewEvent", "2025-03-01 08:00", {"review": odd, "pull_request": odd, "issue": odd}),
            published(7, "2025-03-01 08:00", "v1", **release),
            published(8, "2025-03-01 08:00", noise),
        ],
        tmp_path,
    )
    process(database)
    assert row(database, "pull_requests", "title", 1) == ("A",)
    assert row(database, "issues", "title", 2) == ("B",)
    assert database.fetch_all("SELECT body, length(author_login) FROM comments WHERE comment_id = 5") == [
        ("hello", 255)
    ]


def test_real_hours_against_plain_python(database: Database, real_data: Path) -> None:
    """With every repository tracked, the items and comments are exactly those that the raw files name."""
    folder = real_data / "gharchive" / "2015"
    pulls, plain, tags, comments, titles = set(), set(), set(), set(), {}
    for number in (3, 4, 5):
        fetched(database, folder, at("2015-01-01 00:00") + timedelta(hours=number))
        with gzip.open(folder / f"2015-01-01-{number}.json.gz") as file:
            for one in map(orjson.loads, file):
                repo, payload = one["repo"]["id"], one["payload"]
                thing = payload.get("pull_request") or payload.get("issue")
                if one["type"] == "ReleaseEvent":
                    tags.add((repo, payload["release"]["tag_name"]))
                if one["type"] not in (*PULL_REQUEST.event_types, *ISSUE.event_types):
                    continue
                is_pull = "pull_request" in payload or "pull_request" in thing
                (pulls if is_pull else plain).add((repo, thing["number"]))
                order = (one["created_at"], int(one["id"]))
                key = (repo, thing["number"])
                titles[key] = max(titles.get(key, ((), "")), (order, thing["title"]))
                if "comment" in payload:
                    comments.add((repo, one["type"], payload["comment"]["id"]))
    assert tracking.track_busiest(database, 10**9).left_out_repositories == 0
    process(database)
    assert set(database.fetch_all("SELECT repo_id, number FROM pull_requests")) == pulls
    assert set(database.fetch_all("SELECT repo_id, number FROM issues")) == plain
    assert set(database.fetch_all("SELECT repo_id, tag FROM releases")) == tags
    assert database.fetch_value("SELECT count(*) FROM comments") == len(comments)
    stored = database.fetch_all(
        "SELECT repo_id, number, title FROM pull_requests UNION ALL SELECT repo_id, number, title FROM issues"
    )
    assert {(repo, number): title for repo, number, title in stored} == {
        key: title for key, (_, title) in titles.items()
    }
    assert dirty(database) == {}
    assert min(len(pulls), len(plain), len(tags), len(comments)) > 20


def _name(database: Database) -> str:
    return str(database.fetch_value("SELECT current_database()"))
