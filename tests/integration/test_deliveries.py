"""Deliveries into content: the same rows in any order of arrival, beside events and the API."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from answering.evidence import Evidence
from answering.lineage import trace
from answering.releases import load_release
from resources.configurable import PostgresResource
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import audits
from starsearch_assets.checks import audit_check
from starsearch_assets.content import tracking
from starsearch_assets.deliveries.assets import DELIVERIES, DELIVERIES_ARE_USABLE, deliveries_asset
from starsearch_assets.deliveries.process import read_hour
from starsearch_assets.deliveries.rejects import listing
from starsearch_assets.partitions import Partitions, hour_key
from starsearch_assets.sources import source_statuses
from tests.doubles.github import GitHubDouble
from tests.factories import REPOSITORY, at, comment, event, item, labels, slim, user
from tests.integration import test_index_and_release as vectors
from tests.integration.content import content, process, row, store, track
from tests.integration.github import hydrate, pull, rocket
from tests.integration.webhooks import arrive, delivery, encoded, process_dirty, read_all, real_deliveries, this_hour

Object = dict[str, Any]
RENAMED = (REPOSITORY[0], "acme/rocket-ng")


@dataclass(frozen=True)
class HitOf:
    """What a trace reads of a hit."""

    kind: str
    repo_id: int
    ref: str
    artifact_id: int


def pr(action: str, time: str, title: str = "First", repository: tuple[int, str] = REPOSITORY, **fields: Any) -> Object:
    thing = item(1, title, updated_at=f"2025-11-{time}Z", labels=[]) | fields
    return delivery(action, repository, number=1, pull_request=thing)


def said(action: str, time: str, words: Object, item_time: str, **fields: Any) -> Object:
    thing = item(2, "Second", updated_at=f"2025-11-{item_time}Z", labels=[]) | fields
    return delivery(action, issue=thing, comment=words | {"updated_at": f"2025-11-{time}Z"})


def review(action: str, body: str) -> Object:
    words = {"id": 80, "body": body, "user": user("eve"), "submitted_at": "2025-11-01T12:00:00Z"}
    return delivery(action, pull_request=item(1, "Second title", updated_at="2025-11-01T12:00:00Z"), review=words)


HISTORY: list[tuple[str, Object]] = [
    # all of one second, as when a pull request is opened and labelled at once, and closed with a comment
    ("pull_request", pr("opened", "01T10:00:00", labels=labels("bug"))),
    ("pull_request", pr("labeled", "01T10:00:00", labels=labels("bug", "api"))),
    ("pull_request", pr("edited", "01T11:00:00", "Second title", labels=labels("bug", "api"))),
    ("pull_request", pr("closed", "02T10:00:00", "Second title", state="closed", closed_at="2025-11-02T10:00:00Z",
                        merged=True, merged_at="2025-11-02T10:00:00Z", merged_by=user("eve"))),
    ("issues", delivery("opened", issue=item(2, "Second", updated_at="2025-11-01T10:00:00Z"))),
    ("issue_comment", said("created", "01T12:00:00", comment(70, "hm"), "01T12:00:00")),
    ("issue_comment", said("edited", "01T12:00:00", comment(70, "hm!"), "01T12:00:01")),
    ("issue_comment", said("created", "02T12:00:00", comment(71, "bye"), "02T12:00:00")),
    ("issues", delivery("closed", issue=item(2, "Second", updated_at="2025-11-02T12:00:00Z", state="closed",
                                             closed_at="2025-11-02T12:00:00Z"))),
    ("issue_comment", said("deleted", "02T12:00:00", comment(71, "bye"), "02T12:00:00", state="closed",
                           closed_at="2025-11-02T12:00:00Z")),
    ("pull_request_review", review("submitted", "fine")),
    ("pull_request_review", review("edited", "fine!")),
    ("release", delivery("published", release={
        "tag_name": "v1", "name": "One", "body": "notes", "author": user("rel[bot]"), "draft": False,
        "prerelease": False, "created_at": "2025-11-01T00:00:00Z", "published_at": "2025-11-01T01:00:00Z"})),
    ("release", delivery("edited", release={
        "tag_name": "v1", "name": "One, edited", "body": "notes", "author": user("rel[bot]"), "draft": False,
        "prerelease": False, "created_at": "2025-11-01T00:00:00Z", "published_at": "2025-11-01T01:00:00Z",
        "updated_at": "2025-11-03T00:00:00Z"})),
    ("repository", delivery("renamed", RENAMED, changed_at="2025-11-02T00:00:00Z")),
    ("pull_request", pr("labeled", "03T10:00:00", "Third title", RENAMED, state="closed", labels=labels("x"))),
]  # fmt: skip


def visible(database: Database) -> Object:
    """Content without the times of arrival, which differ between any two tests."""
    rows = content(database)
    rows["comments"] = database.fetch_all(
        "SELECT source, comment_id, kind, ref, author_login, body, created_at, deleted FROM comments ORDER BY 1, 2"
    )
    today = datetime.now(UTC).date()
    rows["activity"] = [one for one in rows["activity"] if today not in one]
    return rows


@pytest.fixture(scope="module")
def in_order() -> Object:
    """Filled by the first of the order tests: the rows that all orders must end in."""
    return {}


@pytest.mark.parametrize("seed", range(8))
def test_any_order_of_arrival_ends_in_the_same_rows(database: Database, in_order: Object, seed: int) -> None:
    """As they happened, and shuffled: read one by one, each with its days processed, or all at once."""
    track(database)
    history = list(HISTORY)
    if seed:
        random.Random(seed).shuffle(history)
    for one in [history] if seed % 2 else [[one] for one in history]:
        arrive(database, one)
        read_all(database)
        process_dirty(database)
    found = visible(database)
    if not in_order:
        in_order |= found
    assert found == in_order
    assert row(database, "pull_requests", "title, state, merged_by, labels, hydrated_event") == (
        "Third title", "closed", "eve", ["x"], -1,
    )  # fmt: skip
    assert row(database, "issues", "state, closed_at", 2) == ("closed", at("2025-11-02 12:00"))
    assert found["comments"][:2] == [
        ("comment", 70, "issue", "2", "bob", "hm!", at("2025-03-01 09:00"), False),
        ("comment", 71, "issue", "2", "bob", "bye", at("2025-03-01 09:00"), True),
    ]
    assert found["comments"][2][5] == "fine!"
    assert row(database, "releases", "title, published_at", "v1") == ("One, edited", at("2025-11-01 01:00"))
    assert database.fetch_all("SELECT name FROM repositories") == [(RENAMED[1],)]
    assert database.fetch_value("SELECT count(*) FROM events") == 0


def test_an_old_redelivery_overwrites_nothing(database: Database) -> None:
    """A delivery that failed, sent again by hand after newer ones: its own time decides, not that of its arrival."""
    track(database)
    arrive(database, HISTORY[1:])
    read_all(database)
    process_dirty(database)
    before = visible(database)
    arrive(database, HISTORY[:1])
    read_all(database)
    process_dirty(database)
    after = visible(database)
    assert after == before | {"pull_requests": after["pull_requests"]}
    assert row(database, "pull_requests", "title, labels") == ("Third title", ["x"])


def test_event_delivery_and_api_merge_in_any_order(database: Database, double: GitHubDouble, tmp_path: Path) -> None:
    """Each wins where it is the newest, whatever comes first."""
    track(database)
    rocket(double).add(pull(1, "By the API", state="CLOSED", updated_at=at("2025-11-04 12:00")))
    events = [
        event(1, "PullRequestEvent", "2025-11-01 09:00", {"action": "opened", "pull_request": slim(1)}),
        event(2, "IssueCommentEvent", "2025-11-01 09:30", {"action": "created", "comment": comment(70, "hm"),
              "issue": item(1, "By an event", pull_request={"url": "x"})}),
        event(3, "PullRequestEvent", "2025-11-03 09:30", {"action": "reopened", "pull_request": slim(1)}),
    ]  # fmt: skip
    deliveries = [("pull_request", pr("edited", "02T10:00:00", "By a delivery", labels=labels("x")))]

    def from_events() -> None:
        store(database, events, tmp_path)
        process(database)

    def from_deliveries() -> None:
        arrive(database, deliveries)
        read_all(database)
        process_dirty(database)

    seen = []
    columns = "title, hydrated_event, state, state_event, labels, labels_event"
    for steps in itertools.permutations((from_events, from_deliveries)):
        for step in steps:
            step()
        assert row(database, "pull_requests", columns) == ("By a delivery", -1, "open", 3, ["x"], -1)
        seen.append(visible(database))
        database.execute(
            "TRUNCATE events, ingest_ledger, dirty_days, deliveries, service.inbox, pull_requests, comments, activity"
            " CASCADE"
        )
    assert seen[0] == seen[1]
    from_deliveries()
    assert hydrate(database, double, day=at("2025-11-02 00:00").date()).found == 1
    from_events()
    assert row(database, "pull_requests", columns)[:4] == ("By the API", 0, "closed", 0)


def test_a_delivery_asks_the_api_only_for_what_it_does_not_tell(database: Database, double: GitHubDouble) -> None:
    """Text, state and labels are told; changed files are not, so that new commits make it be asked again."""
    track(database)
    day = at("2025-11-01 00:00").date()
    rocket(double).add(pull(1, "By the API"))
    arrive(database, [("pull_request", pr("opened", "01T10:00:00"))])
    read_all(database)
    process_dirty(database)
    assert row(database, "pull_requests", "hydrated_event") == (-1,)
    assert hydrate(database, double, day=day).wanted == 1  # once, for files and earlier comments
    now = datetime.now(UTC) + timedelta(minutes=5)
    for action, wanted in (("labeled", 0), ("edited", 0), ("synchronize", 1)):
        later = pr(action, "01T10:00:00") | {}
        later["pull_request"]["updated_at"] = f"{now:%Y-%m-%dT%H:%M:%SZ}"
        arrive(database, [("pull_request", later)])
        read_all(database)
        process_dirty(database)
        assert hydrate(database, double, day=day).wanted == wanted, action


def test_what_cannot_be_used_is_listed_and_stops_nothing(database: Database) -> None:
    """A row with its reason; the hour's audit says how many; read again it stays one row."""
    track(database)
    bad: list[tuple[str, bytes | Object]] = [
        ("issues", b"{"),
        ("issues", delivery("opened")),
        ("issues", delivery("opened", issue={"number": 1.5})),
        ("pull_request", delivery("opened", pull_request={"number": -1})),
        ("release", delivery("published", release={"tag_name": None})),
        ("issue_comment", delivery("created", issue={"number": 1}, comment=None)),
        ("deployment", delivery("created")),
        ("issues", delivery("opened", (7, "x" * 400), issue={"number": 1})),
    ]
    arrive(database, [*bad, *HISTORY])
    for _ in range(2):
        result = read_all(database)
        assert (result.deliveries, result.rejected) == (len(bad) + len(HISTORY), len(bad))
    assert len(listing(database)) == len(bad)
    assert {one.reason.split(" ")[0] for one in listing(database)} == {"expected", "not"}
    assert not audits.newest(database, DELIVERIES, [hour_key(this_hour())])[hour_key(this_hour())].passed
    assert database.fetch_value("SELECT count(*) FROM deliveries WHERE payload IS NOT NULL") == len(HISTORY)


def test_an_hour_is_cleared_only_in_the_version_that_was_read(database: Database) -> None:
    """What comes while an hour is read brings the hour back."""
    arrive(database, HISTORY[:1])
    ((hour, version),) = database.fetch_all("SELECT hour, version FROM service.inbox_hours")
    database.execute("UPDATE service.inbox_hours SET version = version + 1")
    database.execute(
        "CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE service.inbox_hours SET version = version + 1; RETURN NULL; END $$"
    )
    database.execute("CREATE TRIGGER later AFTER INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION later()")
    read_hour(database, hour)
    assert database.fetch_all("SELECT version FROM service.inbox_hours") == [(version + 2,)]
    read_hour(database, hour)
    assert database.fetch_all("SELECT version FROM service.inbox_hours") == []


def test_only_tracked_repositories_get_content_and_later_ones_their_past(database: Database) -> None:
    """Untracked deliveries are kept beside; one that was asked for by name is tracked when it delivers."""
    arrive(database, HISTORY[:5])
    read_all(database)
    assert database.fetch_all("SELECT * FROM dirty_days") == []
    assert tracking.add(database, ["acme/ROCKET"]).waiting == ("acme/ROCKET",)
    arrive(database, HISTORY[5:6])
    read_all(database)
    assert database.fetch_all("SELECT repo_id, name FROM repositories") == [REPOSITORY]
    process_dirty(database)
    assert row(database, "pull_requests", "title")[0]
    assert database.fetch_all("SELECT * FROM repository_requests") == []


def test_pushes_ask_for_a_fetch_and_leave_no_address(database: Database, real_data: Path) -> None:
    """Of a cloned repository; read again, nothing is asked for again. Commits come by git."""
    name, (_, body) = next(one for one in real_deliveries(real_data).items() if one[0] == "push.payload.json")
    repo_id = json.loads(body)["repository"]["id"]
    track(database, (repo_id, "Codertocat/Hello-World"))
    long_ago = at("2025-01-01 00:00")
    database.execute(
        "INSERT INTO git_repositories (repo_id, url, requested_at) VALUES (%s, 'x', %s), (5, 'y', %s)",
        [repo_id, long_ago, long_ago],
    )
    arrive(database, [("push", body)])
    read_all(database)
    requested = dict(database.fetch_all("SELECT repo_id, requested_at FROM git_repositories"))
    assert requested[5] == long_ago
    assert requested[repo_id] > long_ago + timedelta(days=1), name
    assert "@" not in database.fetch_value("SELECT payload::text FROM deliveries")
    read_all(database)
    assert dict(database.fetch_all("SELECT repo_id, requested_at FROM git_repositories")) == requested


def test_the_asset_in_dagster(settings: Settings, database: Database) -> None:
    """A range with an empty hour: figures a partition, and the check's verdict on each."""
    track(database)
    hour = this_hour() - timedelta(hours=2)
    arrive(database, HISTORY, hour)
    start = settings.model_copy(update={"starsearch_start": hour.date() - timedelta(days=1)})
    partitions = Partitions(start)
    keys = [hour_key(hour - timedelta(hours=1)), hour_key(hour)]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [
                deliveries_asset(partitions),
                audit_check(DELIVERIES, DELIVERIES_ARE_USABLE, "usable", partitions.hourly),
            ],
            instance=instance,
            resources={
                "postgres": PostgresResource(
                    home=str(settings.home), database_url=settings.database_url.get_secret_value()
                )
            },
            tags={"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[1]},
        )
        assert result.success
        rows = {
            one.partition_key: one.asset_materialization.metadata["dagster/partition_row_count"].value
            for one in instance.fetch_materializations(dg.AssetKey(DELIVERIES), limit=10).records
        }
    assert rows == {keys[0]: 0, keys[1]: len(HISTORY)}
    assert audits.newest(database, DELIVERIES, keys)[keys[1]].passed
    assert database.fetch_all("SELECT DISTINCT kind FROM dirty_days ORDER BY 1") == [
        (ISSUE.name,), (PULL_REQUEST.name,), ("release",),
    ]  # fmt: skip


def test_the_source_says_what_came(database: Database) -> None:
    """Counts by outcome, the last delivery, and what is left to read."""
    assert "webhooks" not in {one.name for one in source_statuses(database)}
    arrive(database, [("issues", b"{")])
    database.execute(
        "INSERT INTO service.webhook_counts (event, outcome, count)"
        " VALUES ('issues', 'accepted', 3), ('push', 'accepted', 1), ('-', 'wrong_signature', 2)"
    )
    read_all(database)
    arrive(database, HISTORY[:1])
    (found,) = [one for one in source_statuses(database) if one.name == "webhooks"]
    assert found.last_success is not None
    assert found.counts == "4 accepted, 2 wrong signature"
    assert "1 could not be used" in found.missing
    assert "1 hours not read yet" in found.missing
    assert "4 accepted" in found.as_text(datetime.now(UTC))
    assert encoded({}) == b"{}"


def test_a_citation_whose_text_a_delivery_brought_names_it(database: Database, tools: Database) -> None:
    """The trace says so, with the digest of the delivery's body and the run that read it."""
    vectors.store(database, at("2025-11-01 00:00").date(), 1, 300)
    database.execute("UPDATE pull_requests SET hydrated_at = '2025-10-01'")
    thing = item(5, "By a delivery", pull_request={"url": "x"}, updated_at="2025-11-01T10:00:00Z")
    body = encoded(delivery("edited", (1, "acme/web"), issue=thing))
    arrive(database, [("issues", body)])
    read_all(database)
    process_dirty(database)
    built = vectors.build(database, at("2025-11-01 00:00").date())
    vectors.release(database, tools)
    release = load_release(tools)
    hits = {number: HitOf(PULL_REQUEST.name, 1, f"{number}", built.artifact_id) for number in (5, 6)}
    traced = trace(tools, release, Evidence(items=hits))
    assert traced["5"]["content"]["from"] == "a webhook delivery"
    found = traced["5"]["webhook_delivery"]
    assert (found["event"], found["sha256"], found["run"]) == ("issues", hashlib.sha256(body).hexdigest(), "run-1")
    assert traced["5"]["source_event"]["id"] is None
    assert traced["6"]["content"]["from"] == "an event"
    assert "webhook_delivery" not in traced["6"]
