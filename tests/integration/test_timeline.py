"""Hours before 2015: the timeline format to rows and content, against another author's reading of the same hour."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from resources.gh_archive import GHArchive
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets.content import tracking
from starsearch_assets.content.process import process_day
from starsearch_assets.events import rejects
from starsearch_assets.events.projection import project
from starsearch_assets.events.rejects import Replay
from starsearch_assets.events.timeline import TimelineParser
from tests.factories import at, comment, event, item, line, write_hour
from tests.integration.commands import starsearch
from tests.integration.hours import event_ids, fetched, ledger

HOUR_2012, HOUR_2013 = at("2012-04-11 15:00"), at("2013-02-15 00:00")
OLD = at("2013-03-01 07:00")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = "created_at, event_id, type, repo_id, repo_name, actor_id, actor_login, payload"
Object = dict[str, Any]


@pytest.fixture
def legacy(real_data: Path) -> Path:
    return real_data / "gharchive" / "legacy"


def told(kind: str, payload: Object | None = None, **fields: Any) -> Object:
    """A timeline object as 2013 wrote it."""
    return {
        "created_at": "2013-03-01T07:10:00-08:00",
        "payload": payload,
        "public": True,
        "type": kind,
        "url": "https://github.com/acme/rocket/issues/7#issuecomment-5",
        "actor": "ada",
        "actor_attributes": {"login": "ada", "email": "ada@example.com"},
        "repository": {"id": 1001, "name": "rocket", "owner": "acme"},
    } | fields


def _twins(legacy: Path) -> Iterator[Object]:
    with gzip.open(legacy / "2013-02-15-0.transformed.json.gz") as file:
        yield from map(json.loads, file)


def _meant(twin: Object) -> Object:
    """What the twin's payload says, in the words of the Events API; addresses are not compared."""
    said = json.loads(twin["payload"]) or {}
    url = json.loads(twin["other"]).get("url", "")
    match twin["type"]:
        case "IssuesEvent":
            return {"action": said["action"], "issue": {"id": said["issue"], "number": said["number"]}}
        case "IssueCommentEvent":
            number = int(url.split("/issues/")[1].split("#")[0])
            return {"issue": {"id": said["issue_id"], "number": number}, "comment": {"id": said["comment_id"]}}
        case "PullRequestReviewCommentEvent":
            return project(said | {"pull_request": {"number": int(url.split("/pull/")[1].split("#")[0])}})
        case "PushEvent":
            shas = [[sha, message, name, distinct] for sha, _, message, name, distinct in said["shas"]]
            return said | {"shas": shas}
        case "FollowEvent":
            return {"target": {name: said["target"][name] for name in ("id", "login")}}
    return project(said)


def test_every_event_of_2013_is_what_another_reader_found(database: Database, legacy: Path) -> None:
    """Type, UTC time, actor, repository and what the payload means, for all 6,851 events in their order."""
    result = fetched(database, legacy, HOUR_2013)
    assert (result.events, result.inserted, result.rejected) == (6851, 6851, 0)
    with GHArchive(str(legacy)).fetch(HOUR_2013) as file:
        parser = TimelineParser(NOW)
        order = [parser(raw).event_id for _, raw in file.lines()]
    rows = {row[1]: row for row in database.fetch_all(f"SELECT {COLUMNS} FROM events")}
    assert len(rows) == len(order) == 6851
    assert all(-(2**63) <= event_id < 0 for event_id in order)
    for event_id, twin in zip(order, _twins(legacy), strict=True):
        created_at, _, kind, repo_id, repo_name, actor_id, login, payload = rows[event_id]
        repo = twin.get("repo", {"id": 0, "url": "https://github.com//"})
        assert kind == twin["type"]
        assert created_at == at(twin["created_at"])
        assert (actor_id, login) == (None, twin.get("actor", {}).get("login"))
        assert (repo_id, f"https://github.com/{repo_name}".rstrip("/")) == (repo["id"], repo["url"].rstrip("/"))
        if kind == "PushEvent":
            payload["shas"] = [[sha, message, name, distinct] for sha, _, message, name, distinct in payload["shas"]]
        assert payload == _meant(twin)


def test_addresses_of_committers_are_not_stored(database: Database, legacy: Path) -> None:
    """Of 6,686 commits what follows the @ is kept, and nothing of an address without one."""
    fetched(database, legacy, HOUR_2013)
    pushes = database.fetch_all("SELECT payload -> 'shas' FROM events WHERE type = 'PushEvent'")
    domains = [sha[1] for (shas,) in pushes for sha in shas]
    assert len(domains) == 6686
    assert [domain for domain in domains if "@" in domain] == []
    assert domains.count("gmail.com") > 1000
    assert "darren" not in str(domains)


def test_the_hour_of_2012_without_newlines(database: Database, legacy: Path) -> None:
    """5,712 events of one line, 31 without actor; repositories, which had no ids, have derived ones; twice is once."""
    result = fetched(database, legacy, HOUR_2012)
    assert (result.events, result.inserted, result.rejected, result.sanitized) == (5712, 5712, 0, 0)
    figures = "events, rejected, sanitized, first_event_at, last_event_at"
    before = ledger(database, figures), _rows(database)
    assert database.fetch_value("SELECT count(*) FROM events WHERE actor_login IS NULL") == 31
    nowhere = database.fetch_all("SELECT repo_name, type, count(*) FROM events WHERE repo_id = 0 GROUP BY 1, 2")
    assert sorted(nowhere) == [("/", "FollowEvent", 147), ("/", "GistEvent", 255)]
    assert database.fetch_value("SELECT max(repo_id) FROM events WHERE repo_name <> '/'") < 0
    assert database.fetch_value("SELECT min(created_at) FROM events") >= at("2012-04-11 22:00")
    names, ids = database.fetch_all("SELECT count(DISTINCT lower(repo_name)), count(DISTINCT repo_id) FROM events")[0]
    assert names == ids
    database.execute("DELETE FROM ingest_ledger")
    assert fetched(database, legacy, HOUR_2012).inserted == 0
    assert (ledger(database, figures), _rows(database)) == before


def test_ids_do_not_depend_on_the_order_of_the_lines(legacy: Path) -> None:
    """A file whose lines were shuffled has the same events; identical lines are as many events as there are."""
    with GHArchive(str(legacy)).fetch(HOUR_2013) as file:
        lines = [raw for _, raw in file.lines()]
    lines += lines[:5] + lines[:2]
    forward, backward = TimelineParser(NOW), TimelineParser(NOW)
    found = [forward(raw).event_id for raw in lines]
    assert len(set(found)) == 6851 + 7
    assert sorted(found) == sorted(backward(raw).event_id for raw in reversed(lines))


@pytest.mark.parametrize(
    ("fields", "login"),
    [
        ({}, "ada"),
        ({"actor": None}, "ada"),
        ({"actor": None, "actor_attributes": None}, None),
        ({"actor": {"id": 7, "login": "bob"}}, "bob"),
        ({"actor": 5, "actor_attributes": {"login": 5}}, None),
    ],
)
def test_the_actor_is_a_name_or_unknown(database: Database, tmp_path: Path, fields: Object, login: str | None) -> None:
    """From the string, else from the attributes; the id is not known."""
    write_hour(tmp_path, OLD, [line(told("WatchEvent", {"action": "started"}, **fields))])
    fetched(database, tmp_path, OLD)
    assert database.fetch_all("SELECT actor_id, actor_login FROM events") == [(None, login)]


def test_an_old_hour_may_hold_ordinary_events_and_bad_lines(database: Database, tmp_path: Path) -> None:
    """A line with an id is read as ever; what is neither is a reject with its number among the objects."""
    lines: list[bytes] = [
        line(told("WatchEvent")) + line(event(5, "WatchEvent", "2013-03-01 07:00", {})),
        b'{"type": "WatchEvent"} nonsense',
        line(told("WatchEvent", created_at="2013/03/01 07:10:00 -0800")),
    ]
    write_hour(tmp_path, OLD, lines)
    result = fetched(database, tmp_path, OLD)
    assert (result.events, result.rejected) == (3, 2)
    assert [number for (number,) in database.fetch_all("SELECT line_number FROM rejected_events")] == [3, 4]
    assert [one for one in event_ids(database) if one >= 0] == [5]
    times = database.fetch_all("SELECT DISTINCT created_at FROM events WHERE event_id < 0")
    assert times == [(at("2013-03-01 15:10"),)]


def test_rejected_timeline_lines_are_replayed_under_the_ids_of_the_file(database: Database, tmp_path: Path) -> None:
    """Identical lines are told apart by their occurrence, as when the file is read whole."""
    lines = [told("WatchEvent"), told("WatchEvent"), told("ForkEvent"), told("WatchEvent")]
    write_hour(tmp_path, OLD, [line(one) for one in lines])
    fetched(database, tmp_path, OLD)
    whole = _rows(database), ledger(database, "events, inserted, rejected, first_event_at")
    database.execute("DELETE FROM events")
    source = database.fetch_value("UPDATE ingest_ledger SET events = 0, inserted = 0, rejected = 4 RETURNING source_id")
    for number, one in enumerate(lines, 1):
        database.execute("INSERT INTO rejected_events VALUES (%s, %s, 'once refused', %s)", [source, number, line(one)])
    assert rejects.replay(database) == Replay(4, 0)
    assert (_rows(database), ledger(database, "events, inserted, rejected, first_event_at")) == whole
    assert len(whole[0]) == 4


def test_old_events_say_what_they_can_of_items(database: Database, tmp_path: Path) -> None:
    """Author, state and comments without their text; items without title wait for it."""
    issue = {"action": "opened", "issue": 4074429, "number": 7}
    review = comment(8, "Looks right", login="eve")
    write_hour(
        tmp_path,
        OLD,
        [
            told("IssuesEvent", issue),
            told("IssueCommentEvent", {"issue_id": 4074429, "comment_id": 5}, actor="bob"),
            told("IssueCommentEvent", {"issue_id": 1, "comment_id": 6}, url="https://github.com/acme/rocket/pull/9#issuecomment-6"),
            told("PullRequestReviewCommentEvent", {"comment": review}, url="https://github.com/acme/rocket/pull/9#discussion_r8"),
        ],
    )  # fmt: skip
    fetched(database, tmp_path, OLD)
    tracking.add(database, ["acme/rocket"])
    for kind in (ISSUE, PULL_REQUEST):
        process_day(database, kind, OLD.date())
    assert database.fetch_all("SELECT number, title, hydrated_at, author_login, state, created_at FROM issues") == [
        (7, None, None, "ada", "open", at("2013-03-01 15:10"))
    ]
    assert database.fetch_all("SELECT number, title, hydrated_at FROM pull_requests") == [(9, None, None)]
    assert database.fetch_all(
        "SELECT comment_id, kind, ref, author_login, body, body_observed_at IS NULL FROM comments ORDER BY 1"
    ) == [
        (5, "issue", "7", "bob", "", True),
        (6, "pull_request", "9", "ada", "", True),
        (8, "pull_request", "9", "eve", "Looks right", False),
    ]


def test_a_repository_whose_owner_was_not_told_keeps_its_name(database: Database, tmp_path: Path) -> None:
    """In 0.6 % of 2013's events the owner is empty: the event is the repository's, its "/name" is no name of it."""
    nameless = told("ForkEvent", {}, repository={"id": 1001, "name": "rocket", "owner": ""}, actor="bob")
    later = nameless | {"created_at": "2013-03-01T07:11:00-08:00"}
    write_hour(tmp_path, OLD, [told("IssuesEvent", {"action": "opened", "issue": 1, "number": 7}), later])
    fetched(database, tmp_path, OLD)
    assert database.fetch_value("SELECT repo_name FROM events WHERE type = 'ForkEvent' AND repo_id = 1001") == "/rocket"
    tracking.add(database, ["acme/rocket"])
    process_day(database, ISSUE, OLD.date())
    assert database.fetch_all("SELECT name FROM repositories") == [("acme/rocket",)]
    assert database.fetch_all("SELECT name FROM repository_names") == [("acme/rocket",)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_a_comment_without_its_text_blanks_none(database: Database, tmp_path: Path, order: tuple[int, ...]) -> None:
    """Whichever day is processed first, and also within one day: the newest text that was seen stays."""
    days = ["2025-03-01", "2025-03-02", "2025-03-03"]
    for number, day in enumerate(days):
        said = comment(5, f"text of {day}") if number < 2 else {"id": 5}
        about = {"action": "edited", "issue": item(1, "A"), "comment": said}
        bare = {"action": "edited", "issue": item(1, "A"), "comment": {"id": 5}}
        lines = [
            event(10 + number, "IssueCommentEvent", f"{day} 07:00", about),
            event(20 + number, "IssueCommentEvent", f"{day} 08:00", bare),
        ]
        write_hour(tmp_path, at(f"{day} 07:00"), lines)
        fetched(database, tmp_path, at(f"{day} 07:00"))
    tracking.add(database, ["acme/rocket"])
    for number in order:
        process_day(database, ISSUE, at(f"{days[number]} 00:00").date())
    assert database.fetch_all("SELECT body, body_event, observed_at, event_id FROM comments") == [
        ("text of 2025-03-02", 11, at("2025-03-03 08:00"), 22)
    ]


def test_pushes_of_all_three_shapes_read_alike(database: Database, tools: Database, tmp_path: Path) -> None:
    """Who pushed what to which ref, with the commits where the push lists them; the tools' role sees them, too."""
    author = {"email": "x@example.com", "name": "Ada"}
    commit = {"sha": "a1", "author": author, "message": "Fix", "distinct": True, "url": "https://x"}
    fat = {"push_id": 1, "size": 1, "distinct_size": 1, "ref": "refs/heads/main", "head": "a1", "before": "a0",
           "commits": [commit]}  # fmt: skip
    slim = {"push_id": 2, "repository_id": 1001, "ref": "refs/heads/main", "head": "b1", "before": "b0"}
    old = {
        "shas": [["c1", "ada@example.com", "Start", "Ada", False]],
        "size": 1,
        "ref": "refs/heads/main",
        "head": "c1",
    }
    odd = {"shas": ["c2", []], "size": "many", "commits": 5}
    write_hour(tmp_path, at("2025-03-01 07:00"), [event(1, "PushEvent", "2025-03-01 07:00", fat)])
    write_hour(tmp_path, at("2025-11-01 07:00"), [event(2, "PushEvent", "2025-11-01 07:00", slim)])
    write_hour(tmp_path, OLD, [told("PushEvent", old)])
    for hour in (at("2025-03-01 07:00"), at("2025-11-01 07:00"), OLD):
        fetched(database, tmp_path, hour)
    query = "SELECT created_at, repo_id, actor_login, ref, before, head, size, commits FROM {}pushes ORDER BY 1"
    main = ("ada", "refs/heads/main")
    expected = [
        (at("2013-03-01 15:10"), 1001, *main, None, "c1", 1,
         [{"sha": "c1", "message": "Start", "author": "Ada", "distinct": False}]),
        (at("2025-03-01 07:00"), 1001, *main, "a0", "a1", 1,
         [{"sha": "a1", "message": "Fix", "author": "Ada", "distinct": True}]),
        (at("2025-11-01 07:00"), 1001, *main, "b0", "b1", None, None),
    ]  # fmt: skip
    assert database.fetch_all(query.format("")) == expected
    assert tools.fetch_all(query.format("published.")) == expected
    write_hour(tmp_path, at("2013-03-01 09:00"), [told("PushEvent", odd)])
    fetched(database, tmp_path, at("2013-03-01 09:00"))
    nothing = {"sha": None, "message": None, "author": None, "distinct": None}
    assert database.fetch_all("SELECT size, commits FROM pushes WHERE ref IS NULL") == [
        (None, [nothing | {"sha": "c2"}, nothing])
    ]


def test_the_pushes_of_2013_list_all_their_commits(database: Database, legacy: Path) -> None:
    """3,048 pushes with 6,686 commits between them, none without a message."""
    fetched(database, legacy, HOUR_2013)
    assert database.fetch_all(
        "SELECT count(DISTINCT event_id), count(*) FILTER (WHERE c ->> 'message' IS NOT NULL)"
        " FROM pushes LEFT JOIN LATERAL jsonb_array_elements(commits) c ON true"
    ) == [(3048, 6686)]


def test_a_demo_of_old_hours_runs_to_its_end(legacy: Path) -> None:
    """It reads both, tracks the busiest repositories, publishes a release, and says which items have no text."""
    home = Path(tempfile.mkdtemp(prefix="starsearch-demo-"))
    try:
        output = starsearch(home, "demo", "--data", str(legacy), "--max-items", "300").stdout
    finally:
        starsearch(home, "down")
        shutil.rmtree(home, ignore_errors=True)
    assert "12,563 events, 0 rejected lines" in output
    assert "release 1 is active" in output
    assert "items have no text yet" in output


def _rows(database: Database) -> Counter[str]:
    """All events without the number of their source."""
    rows = database.fetch_all(f"SELECT ({COLUMNS})::text FROM events")
    return Counter(row[0] for row in rows)
