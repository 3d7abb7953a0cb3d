"""One poll after the other: pages, cursors, gaps, refusals, and real polls replayed over real HTTP."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import orjson
import pytest

from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.content.tracking import add, remove
from starsearch_assets.events.inbox import load_inbox_hour
from tests.doubles.github import GitHubDouble, RecordedPage, recorded_poll, replies
from tests.integration.polling import FEED, OTHER, ROCKET, UNLIMITED, due, feeds, follow, gaps, happen, key, keys, once


def test_events_come_once_as_the_bytes_that_were_sent(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """The first poll takes all that is offered, the next only what is new, and no news costs nothing."""
    follow(database, double, ROCKET)
    first = happen(double, 1, 150)
    session, told = once(settings, double)
    assert told == {FEED: "150 new events on 2 pages"}
    assert (session.counts["requests"], session.counts["charged"]) == (2, 2)
    assert keys(database) == sorted(map(key, first))
    bodies = {bytes(row[0]) for row in database.fetch_all("SELECT body FROM service.inbox")}
    assert bodies == set(double.feeds.of(FEED).events)
    headers = database.fetch_all("SELECT DISTINCT repo_id, headers FROM service.inbox")
    assert headers == [(1001, {"feed": FEED})]
    due(database)
    session, told = once(settings, double)
    assert told == {FEED: "unchanged"}
    assert (session.counts["requests"], session.counts["charged"]) == (1, 0)
    second = happen(double, 151, 3)
    due(database)
    _, told = once(settings, double)
    assert told == {FEED: "3 new events on 1 pages"}
    assert keys(database) == sorted(map(key, first + second))
    assert gaps(database) == []


def test_ids_in_no_order_and_one_time_for_all_are_told_apart(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """Thirty events of one second, ids that fall, and an id that comes again with another type or time."""
    follow(database, double, ROCKET)
    same = [
        {"id": str(number), "type": "WatchEvent", "repo": {"id": 1001, "name": "acme/rocket"}, "public": True,
         "created_at": "2026-01-01T00:00:00Z"}
        for number in range(60, 30, -1)
    ]  # fmt: skip
    double.feeds.publish(*same)
    once(settings, double)
    more = [same[0] | {"type": "ForkEvent"}, same[0] | {"created_at": "2026-01-01T00:00:01Z"}, same[0] | {"id": "1"}]
    double.feeds.publish(*more)
    due(database)
    _, told = once(settings, double)
    assert told == {FEED: "3 new events on 1 pages"}
    assert keys(database) == sorted(map(key, same + more))


def test_the_walk_goes_back_to_what_is_known(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """250 new events are on three pages, of which the last has a known one: no gap."""
    follow(database, double, ROCKET)
    everything = happen(double, 1, 10)
    once(settings, double)
    everything += happen(double, 11, 250)
    due(database)
    _, told = once(settings, double)
    assert told == {FEED: "250 new events on 3 pages"}
    assert keys(database) == sorted(map(key, everything))
    assert gaps(database) == []


def test_more_than_a_feed_offers_is_a_gap(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """From the newest event known to the oldest one offered; what is offered comes in all the same."""
    follow(database, double, ROCKET)
    first = happen(double, 1, 5)
    once(settings, double)
    missed = happen(double, 6, 320)
    due(database)
    _, told = once(settings, double)
    assert "300 new events on 3 pages, events between" in told[FEED]
    assert keys(database) == sorted(map(key, first + missed[20:]))
    rate = database.fetch_value("SELECT rate FROM service.polling_feeds")
    assert rate > 300 / 86_400  # as fast as they came, not 300 in two days
    ((feed, since, until),) = gaps(database)
    assert feed == FEED
    assert [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in sorted((since, until))] == sorted(
        [first[-1]["created_at"], missed[20]["created_at"]]
    )
    due(database)
    happen(double, 400, 1)
    once(settings, double)
    assert len(gaps(database)) == 1


def test_a_feed_whose_events_have_expired_has_no_gap(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """After a month without an event the known ones are offered no more: nothing was missed."""
    follow(database, double, ROCKET)
    happen(double, 1, 5)
    once(settings, double)
    database.execute("UPDATE service.polling_feeds SET newest_at = now() - interval '40 days'")
    double.feeds.of(FEED).events.clear()
    happen(double, 6, 2)
    due(database)
    _, told = once(settings, double)
    assert told == {FEED: "2 new events on 1 pages"}
    assert gaps(database) == []


def test_a_walk_that_breaks_off_takes_nothing_and_loses_nothing(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """The second page fails: the next poll brings all, and no gap is invented."""
    follow(database, double, ROCKET)
    everything = happen(double, 1, 1)
    once(settings, double)
    everything += happen(double, 2, 150)
    double.misbehave(f"/{FEED}", replies.hang(0), replies.bad_gateway())
    due(database)
    _, told = once(settings, double)
    assert told[FEED].startswith("not read: GitHub answered 502")
    assert len(keys(database)) == 1
    assert feeds(database)[FEED][0] == 1
    due(database)
    once(settings, double)
    assert keys(database) == sorted(map(key, everything))
    assert feeds(database)[FEED] == (0, False, None)
    assert gaps(database) == []


BROKEN = {
    "no JSON": (replies.invalid_json(), "no list of events"),
    "half a body": (replies.cut(), "did not answer"),
    "502": (replies.bad_gateway(), "502"),
    "hang up": (replies.hang_up(), "did not answer"),
    "an object": (replies.Reply(200, body={"message": "no list"}), "no list of events"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_stops_no_other_feed(
    settings: Settings, database: Database, double: GitHubDouble, name: str
) -> None:
    """It is noted on its feed, counted, and tried again later; the other feed's events are there."""
    reply, reason = BROKEN[name]
    follow(database, double, ROCKET, OTHER)
    here, there = happen(double, 1, 5), happen(double, 1, 5, OTHER)
    double.misbehave(f"/{FEED}", reply)
    session, told = once(settings, double)
    assert reason in told[FEED]
    assert session.counts["failed"] == 1
    assert keys(database) == sorted(map(key, there))
    failures, absent, problem = feeds(database)[FEED]
    assert (failures, absent) == (1, False)
    assert reason in problem
    assert once(settings, double)[1].keys().isdisjoint({FEED})  # not yet
    due(database)
    once(settings, double)
    assert keys(database) == sorted(map(key, here + there))


REFUSALS = {
    403: replies.error(403, "Resource not accessible"),
    404: replies.not_found(),
    410: replies.gone(),
    451: replies.legally_blocked(),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_feed_that_github_does_not_have_is_noted(
    settings: Settings, database: Database, double: GitHubDouble, status: int
) -> None:
    """Deleted, private or blocked: asked for again in a quarter of an hour at the earliest; others go on."""
    follow(database, double, ROCKET, OTHER)
    there = happen(double, 1, 5, OTHER)
    double.misbehave(f"/{FEED}", REFUSALS[status])
    session, told = once(settings, double)
    assert session.counts["absent"] == 1
    assert str(status) in told[FEED]
    assert feeds(database)[FEED][:2] == (1, True)
    later = "SELECT next_at > now() + interval '14 minutes' FROM service.polling_feeds WHERE feed = %s"
    assert database.fetch_value(later, [FEED])
    assert keys(database) == sorted(map(key, there))


def test_an_element_that_is_no_event_is_passed_on(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """Its bytes reach the inbox once, for the loader to reject; its neighbours come as ever."""
    follow(database, double, ROCKET)
    odd = {"id": 7, "repo": {"id": 1001, "name": "acme/rocket"}}
    double.feeds.publish(odd)
    happen(double, 1, 2)
    once(settings, double)
    due(database)
    happen(double, 3, 1)
    once(settings, double)
    bodies = [orjson.loads(row[0]) for row in database.fetch_all("SELECT body FROM service.inbox")]
    assert len(bodies) == 4
    assert odd in bodies


def test_what_is_not_public_or_was_forgotten_is_withheld(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """A private event, and those of a repository and a person with a tombstone, never reach the inbox."""
    follow(database, double, ROCKET)
    public = happen(double, 1, 1)
    double.feeds.publish(
        public[0] | {"id": "2", "public": False},
        public[0] | {"id": "3", "repo": {"id": 5, "name": "acme/gone"}},
        public[0] | {"id": "4", "actor": {"id": 66, "login": "gone"}},
    )
    double.feeds.of(FEED).events.insert(0, double.feeds.of("repositories/5").events[0])
    database.execute("INSERT INTO tombstones VALUES ('repository', 5, 'private'), ('person', 66, 'asked')")
    session, _ = once(settings, double)
    assert session.counts["withheld"] == 3
    assert keys(database) == [key(public[0])]
    due(database)
    happen(double, 9, 1)
    assert once(settings, double)[0].counts["withheld"] == 0


def test_who_is_never_polled(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """The sample's repositories, those of 2012 without an id, and hidden ones, whose cursor is kept."""
    follow(database, double, ROCKET, OTHER, (-5, "old/timer"), (3003, "sample/one"))
    database.execute("UPDATE repositories SET synthetic = true WHERE repo_id = 3003")
    happen(double, 1, 3)
    once(settings, double)
    assert set(feeds(database)) == {FEED, "repositories/2002"}
    database.execute("UPDATE repositories SET hidden_as = 'unavailable' WHERE repo_id = 1001")
    due(database)
    assert set(once(settings, double)[1]) == {"repositories/2002"}
    database.execute("UPDATE repositories SET hidden_as = NULL")
    happen(double, 4, 3)
    due(database)
    assert once(settings, double)[1][FEED] == "3 new events on 1 pages"


def test_a_renamed_repository_goes_on(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """Its id is its feed: no event is lost or repeated."""
    follow(database, double, ROCKET)
    everything = happen(double, 1, 3)
    once(settings, double)
    double.state.repositories[1001].rename("acme", "rocket-2")
    everything += happen(double, 4, 2, (1001, "acme/rocket-2"))
    due(database)
    once(settings, double)
    assert keys(database) == sorted(map(key, everything))


def test_an_organization_is_one_feed(settings: Settings, database: Database, double: GitHubDouble) -> None:
    """Its repositories are not polled one by one; events of those that nobody tracks yet come with it."""
    follow(database, double, ROCKET, OTHER)
    double.feeds.organizations.add("acme")
    add(database, ["Acme/*"])
    everything = happen(double, 1, 3) + happen(double, 1, 2, OTHER) + happen(double, 7, 1, (1002, "acme/new"))
    _, told = once(settings, double)
    assert told == {"orgs/acme": "4 new events on 1 pages", "repositories/2002": "2 new events on 1 pages"}
    assert keys(database) == sorted(map(key, everything))
    assert remove(database, "acme/*")
    due(database)
    assert set(once(settings, double)[1]) == {FEED, "repositories/2002"}
    assert set(keys(database)) == set(map(key, everything))


def test_an_owner_that_is_no_organization_has_no_feed(
    settings: Settings, database: Database, double: GitHubDouble
) -> None:
    """GitHub says 404: its repositories are polled one by one then."""
    follow(database, double, ROCKET)
    add(database, ["acme/*"])
    happen(double, 1, 3)
    assert set(once(settings, double)[1]) == {"orgs/acme"}
    assert once(settings, double)[1] == {FEED: "3 new events on 1 pages"}


def test_133_real_polls_bring_647_events(
    settings: Settings, database: Database, double: GitHubDouble, real_data: Path
) -> None:
    """Replayed in order over HTTP: each once by its key, also the two whose bytes change; no gap; all become rows."""
    follow(database, double, ROCKET)
    double.limiter.limits = double.limits = UNLIMITED
    with gzip.open(real_data / "events_api/slim/polls.jsonl.gz", "rt") as lines:
        recorded = [json.loads(line)["events"] for line in lines]
    double.feeds.replay(FEED, [recorded_poll(events) for events in recorded])
    wanted = {key(one) for events in recorded for one in events}
    unchanged = 0
    for _ in recorded:
        due(database)
        unchanged += once(settings, double)[0].counts["unchanged"]
    found = keys(database)
    assert len(recorded) == 133
    assert set(found) == wanted
    assert len(found) == 647
    assert unchanged == sum(before[:100] == now[:100] for before, now in itertools.pairwise(recorded))
    assert gaps(database) == []
    for (hour,) in database.fetch_all("SELECT hour FROM service.inbox_hours"):
        load_inbox_hour(database, hour)
    assert database.fetch_value("SELECT count(*) FROM events") == 647
    assert database.fetch_value("SELECT count(*) FROM rejected_events") == 0


def test_ten_real_pages_with_their_own_headers(
    settings: Settings, database: Database, double: GitHubDouble, real_data: Path
) -> None:
    """GitHub's ETags, Link and X-Poll-Interval of 2019, ten pages of at most 30, two of which overlap."""
    follow(database, double, ROCKET)
    folder = real_data / "events_api/fat/pages_with_headers"
    pages = []
    for number in range(2, 12):
        response = json.loads((folder / f"mappings/{number}-events.json").read_text())["response"]
        headers = response["headers"]
        body = (folder / "files" / response["bodyFileName"]).read_bytes()
        pages.append(RecordedPage(body, headers["ETag"], headers["X-Poll-Interval"]))
    double.feeds.replay(FEED, [pages])
    wanted = {key(one) for page in pages for one in orjson.loads(page.body)}
    _, told = once(settings, double)
    assert told == {FEED: f"{len(wanted)} new events on 10 pages"}
    assert set(keys(database)) == wanted
    assert len(keys(database)) == len(wanted)
    assert once(settings, double)[1] == {}  # X-Poll-Interval: 60
    due(database)
    assert once(settings, double)[1] == {FEED: "unchanged"}
