"""Which repositories are tracked, and that their days are asked for."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from resources.errors import ConfigurationError
from resources.kinds import ISSUE, PULL_REQUEST, RELEASE
from resources.postgres import Database
from starsearch_assets.content.process import process_day
from starsearch_assets.content.tracking import Resolved, Selection, Tracked, add, remove, resolve, track_busiest
from tests.doubles.github import GitHubDouble, Repository
from tests.factories import Object, event, item
from tests.integration.content import process, published, store
from tests.integration.github import opener
from tests.integration.hours import REAL_HOURS, dirty, fetched, push

ROCKET, OTHER, BIG = (1001, "acme/rocket"), (2002, "else/where"), (3003, "huge/monorepo")


def opened(event_id: int, time: str, number: int, repository: tuple[int, str] = ROCKET) -> Object:
    """An issue."""
    payload = {"action": "opened", "issue": item(number, f"Issue {number}")}
    return event(event_id, "IssuesEvent", time, payload, repository=repository)


def tracked(database: Database) -> dict[int, str]:
    """repo_id -> name."""
    return dict(database.fetch_all("SELECT repo_id, name FROM repositories"))


def asked(database: Database) -> list[str]:
    """Names that wait for their first event."""
    return [row[0] for row in database.fetch_all("SELECT name FROM repository_requests ORDER BY 1")]


def clean(database: Database) -> None:
    """As if every day had been processed."""
    database.execute("DELETE FROM dirty_days")


def test_a_repository_that_has_events_is_found(database: Database, tmp_path: Path) -> None:
    """Whatever the case of the name, its days of every kind are asked for, and no one else's."""
    events = [
        opened(1, "2025-03-01 08:00", 1),
        published(2, "2025-03-03 08:00", "v1"),
        opened(3, "2025-03-02 08:00", 1, OTHER),
    ]
    store(database, events, tmp_path)
    clean(database)
    assert add(database, ["ACME/Rocket"]) == Tracked(("acme/rocket",), ())
    assert tracked(database) == dict([ROCKET])
    assert set(dirty(database)) == {
        ("issue", date(2025, 3, 1)), ("pull_request", date(2025, 3, 1)), ("release", date(2025, 3, 3)),
    }  # fmt: skip
    assert asked(database) == []


def test_a_name_that_was_taken_over_means_its_newest_bearer(database: Database, tmp_path: Path) -> None:
    """Ids are identity: the repository that had the name before is not tracked."""
    store(database, [opened(1, "2025-03-01 08:00", 1), opened(2, "2025-03-02 08:00", 1, (9, "acme/rocket"))], tmp_path)
    add(database, ["acme/rocket"])
    assert tracked(database) == {9: "acme/rocket"}


def test_an_unseen_name_waits_and_is_met_by_its_first_event(database: Database, tmp_path: Path) -> None:
    """Then its content appears without another command."""
    assert add(database, ["Acme/Rocket", "not/yet"]) == Tracked((), ("Acme/Rocket", "not/yet"))
    assert (tracked(database), asked(database)) == ({}, ["Acme/Rocket", "not/yet"])
    store(database, [opened(1, "2025-03-01 08:00", 1)], tmp_path)
    process_day(database, ISSUE, date(2025, 3, 1))
    assert (tracked(database), asked(database)) == (dict([ROCKET]), ["not/yet"])
    assert database.fetch_all("SELECT title FROM issues") == [("Issue 1",)]


def test_days_processed_before_a_name_was_met_are_asked_for(database: Database, tmp_path: Path) -> None:
    """Events under an earlier name, on a day that was processed while nobody tracked the repository, come in."""
    add(database, ["acme/rocket"])
    store(database, [opened(1, "2025-03-01 08:00", 1, (1001, "acme/old-name"))], tmp_path / "old")
    process_day(database, ISSUE, date(2025, 3, 1))
    store(database, [opened(2, "2025-03-05 08:00", 2)], tmp_path / "new")
    process_day(database, ISSUE, date(2025, 3, 5))
    assert ("issue", date(2025, 3, 1)) in dirty(database)
    assert ("issue", date(2025, 3, 5)) not in dirty(database)
    process(database)
    assert database.fetch_all("SELECT number FROM issues ORDER BY 1") == [(1,), (2,)]
    assert database.fetch_all("SELECT name FROM repository_names ORDER BY 1") == [("acme/old-name",), ("acme/rocket",)]


def test_a_request_for_what_is_tracked_already_does_not_wait_for_ever(database: Database, tmp_path: Path) -> None:
    """The new name of a tracked repository: met by its first event; asking again when it is known, too."""
    store(database, [opened(1, "2025-03-01 08:00", 1)], tmp_path / "old")
    add(database, ["acme/rocket"])
    add(database, ["acme/renamed", "acme/later"])
    store(database, [push(2, "2025-03-02 08:00") | {"repo": {"id": 1001, "name": "acme/renamed"}}], tmp_path / "new")
    process_day(database, RELEASE, date(2025, 3, 2))
    assert (tracked(database), asked(database)) == ({1001: "acme/renamed"}, ["acme/later"])
    store(database, [opened(3, "2025-03-03 08:00", 1, (5, "acme/later"))], tmp_path / "later")
    assert add(database, ["acme/later"]) == Tracked(("acme/later",), ())
    assert asked(database) == []


@pytest.mark.parametrize(
    "name",
    ["rocket", "acme/", "/rocket", "a/b/c", "https://github.com/acme/rocket", "acme/roc ket", "acme/rocket\n", ""],
)
def test_a_bad_name_is_refused_before_anything_is_written(database: Database, name: str) -> None:
    """The message shows what came and what was expected; good names beside it are not half done."""
    with pytest.raises(ConfigurationError, match="expected owner/name") as caught:
        add(database, ["good/name", name])
    assert repr(name) in str(caught.value)
    assert asked(database) == []


def test_an_owner_is_followed_for_good(database: Database, tmp_path: Path) -> None:
    """All that events have of it is tracked now, and whatever an event names later; never what was forgotten."""
    events = [
        opened(1, "2025-03-01 08:00", 1),
        opened(2, "2025-03-02 08:00", 1, (1002, "Acme/Other")),
        opened(3, "2025-03-02 08:00", 1, (1003, "acme/gone")),
        opened(4, "2025-03-02 08:00", 1, (1004, "acmes/rocket")),
    ]
    database.execute("INSERT INTO tombstones VALUES ('repository', 1003, 'private'), ('repository', 1005, 'private')")
    store(database, events, tmp_path / "first")
    found = add(database, ["ACME/*", "not/yet", "acme/*"])
    assert set(found.found) == {"acme/rocket", "Acme/Other"}
    assert (found.waiting, found.followed) == (("not/yet",), ("acme/*",))
    assert asked(database) == ["acme/*", "not/yet"]
    later = [opened(number, "2025-03-05 08:00", 1, (number, f"acme/r{number}")) for number in (1005, 1006)]
    store(database, later, tmp_path / "later")
    process_day(database, ISSUE, date(2025, 3, 5))
    assert tracked(database) == {1001: "acme/rocket", 1002: "Acme/Other", 1006: "acme/r1006"}
    assert database.fetch_value("SELECT count(*) FROM issues WHERE repo_id = 1006") == 1
    assert asked(database) == ["acme/*", "not/yet"]
    assert remove(database, "Acme/*")
    assert asked(database) == ["not/yet"]
    assert len(tracked(database)) == 3


@pytest.mark.parametrize("user", [False, True])
def test_an_owner_is_listed_by_github(database: Database, double: GitHubDouble, user: bool) -> None:
    """An organization or a user: all public repositories over all pages, without those that were forgotten."""
    double.state.add(*(Repository(id=number, owner="Acme", name=f"r{number}") for number in range(1, 131)))
    double.state.add(
        Repository(id=500, owner="acme", name="secret", private=True), Repository(id=9, owner="b", name="c")
    )
    double.state.users |= {"acme"} if user else set()
    database.execute("INSERT INTO tombstones VALUES ('repository', 7, 'private')")
    names = ["acme/*", "nobody/*", "b/c"]
    found = add(database, names, asyncio.run(resolve(opener(double)(), names)))
    assert (found.followed, found.unknown, found.waiting) == (("acme/*",), ("nobody/*",), ())
    assert set(tracked(database)) == (set(range(1, 131)) - {7}) | {9}
    assert asked(database) == ["acme/*"]
    assert database.fetch_value("SELECT count(*) FROM tombstones") == 1


def test_remove(database: Database, tmp_path: Path) -> None:
    """Whether tracked or waiting, by name in any case; its items are no longer seen; again says no."""
    store(database, [opened(1, "2025-03-01 08:00", 1)], tmp_path)
    add(database, ["acme/rocket", "not/yet"])
    process(database, [ISSUE, PULL_REQUEST])
    assert database.fetch_value("SELECT count(*) FROM items") == 1
    assert [remove(database, name) for name in ("ACME/rocket", "Not/Yet", "acme/rocket")] == [True, True, False]
    assert (tracked(database), asked(database)) == ({}, [])
    assert database.fetch_value("SELECT count(*) FROM items") == 0
    assert database.fetch_all("SELECT kind, month::text FROM dirty_months") == [("issue", "2025-03-01")]


def busy(database: Database, folder: Path) -> None:
    """Three repositories with 6, 3 and 2 items; comments do not count as further items; one only with pushes."""
    sizes = [(BIG, 6), (ROCKET, 3), (OTHER, 2)]
    events = [
        opened(100 * index + number, "2025-03-01 08:00", number, repository)
        for index, (repository, size) in enumerate(sizes)
        for number in range(size)
    ]
    again = opened(999, "2025-03-01 09:00", 1, OTHER)
    pushed = push(998, "2025-03-01 08:00") | {"repo": {"id": 4, "name": "only/pushes"}}
    store(database, [*events, again, pushed], folder)


@pytest.mark.parametrize(
    ("limit", "expected", "selection"),
    [
        (11, {3003, 1001, 2002}, Selection(3, 11, 0, 0)),
        (9, {3003, 1001}, Selection(2, 9, 1, 2)),
        (8, {3003, 2002}, Selection(2, 8, 1, 3)),
        (5, {1001, 2002}, Selection(2, 5, 1, 6)),
        (2, {2002}, Selection(1, 2, 2, 9)),
        (1, set(), Selection(0, 0, 3, 11)),
    ],
)
def test_the_busiest_that_fit(
    database: Database, tmp_path: Path, limit: int, expected: set[int], selection: Selection
) -> None:
    """Busiest first; what is too big for what is left is passed over; what is left out is said; repeating is stable."""
    busy(database, tmp_path)
    assert track_busiest(database, limit) == selection
    assert set(tracked(database)) == expected
    assert track_busiest(database, limit) == selection
    assert set(tracked(database)) == expected


def test_the_busiest_have_their_days_asked_for(database: Database, tmp_path: Path) -> None:
    """Also days that were processed before; not again when nothing new is tracked."""
    busy(database, tmp_path)
    clean(database)
    track_busiest(database, 5)
    first = dirty(database)
    assert set(first) == {("issue", date(2025, 3, 1)), ("pull_request", date(2025, 3, 1))}
    track_busiest(database, 5)
    assert dirty(database) == first


def test_what_is_tracked_already_counts(database: Database, tmp_path: Path) -> None:
    """A repository that somebody chose stays, and takes its part of the limit."""
    busy(database, tmp_path)
    add(database, ["huge/monorepo"])
    assert track_busiest(database, 8) == Selection(2, 8, 1, 3)


def test_real_hours(database: Database, real_data: Path) -> None:
    """Real repositories: as many items as the limit allows, and every one that is left out is said."""
    for hour in REAL_HOURS:
        fetched(database, real_data / "gharchive" / "2015", hour)
    everything = track_busiest(database, 10**9)
    database.execute("TRUNCATE repositories")
    part = track_busiest(database, 500)
    assert 0 < part.items <= 500
    assert part.repositories + part.left_out_repositories == everything.repositories
    assert part.items + part.left_out_items == everything.items
    assert everything.repositories > 1000
    assert part.items == 500  # repositories with a single item fill the rest


def resolved(double: GitHubDouble, *names: str, **fields: object) -> Resolved:
    """The names as GitHub resolves them."""
    return asyncio.run(resolve(opener(double, **fields)(), names))


def test_names_are_resolved_to_ids_by_github(database: Database, double: GitHubDouble) -> None:
    """Before any event: a former name is tracked under the present one, an unknown or private name is not tracked."""
    hidden = Repository(id=5, owner="acme", name="secret", private=True)
    renamed = Repository(id=6, owner="acme", name="new", former_names=["acme/old"])
    double.state.add(Repository(id=4, owner="acme", name="rocket"), hidden, renamed)
    double.token_sees_private = True
    names = ["ACME/Rocket", "acme/secret", "acme/old", "no/where"]
    found = add(database, names, resolved(double, *names))
    assert found == Tracked(("acme/rocket", "acme/new"), (), ("acme/secret", "no/where"))
    assert tracked(database) == {4: "acme/rocket", 6: "acme/new"}
    assert asked(database) == []
    assert double.stats.requests["/graphql"] == 1


def test_a_name_that_waited_is_met_by_github(database: Database, double: GitHubDouble) -> None:
    """Asked for without a token, and again with one."""
    add(database, ["acme/rocket"])
    assert asked(database) == ["acme/rocket"]
    double.state.add(Repository(id=4, owner="acme", name="rocket"))
    add(database, ["acme/rocket"], resolved(double, "acme/rocket"))
    assert (tracked(database), asked(database)) == ({4: "acme/rocket"}, [])


def test_a_forgotten_repository_comes_back_only_when_github_shows_it(
    database: Database, double: GitHubDouble, tmp_path: Path
) -> None:
    """Its tombstone keeps its events out; asked for by name while it is public again, it is lifted."""
    database.execute("INSERT INTO tombstones (subject, subject_id, reason) VALUES ('repository', 1001, 'private')")
    store(database, [opened(1, "2025-03-01 08:00", 1)], tmp_path)
    assert add(database, ["acme/rocket"]) == Tracked((), ("acme/rocket",))
    double.state.add(Repository(id=1001, owner="acme", name="rocket"))
    assert add(database, ["acme/rocket"], resolved(double, "acme/rocket")).found == ("acme/rocket",)
    assert database.fetch_all("SELECT * FROM tombstones") == []


def test_names_that_github_did_not_answer_for_wait(database: Database, double: GitHubDouble) -> None:
    """The budget is used up: nothing is lost, the names wait for their first event."""
    double.limits.hourly_points = 0
    names = ["acme/rocket"]
    assert add(database, names, resolved(double, *names)) == Tracked((), ("acme/rocket",))


def test_many_names_take_a_hundredth_as_many_queries(database: Database, double: GitHubDouble) -> None:
    """And they are all tracked."""
    double.state.add(*(Repository(id=number, owner="octo", name=f"r{number}") for number in range(1, 1001)))
    names = [f"octo/r{number}" for number in range(1, 1001)]
    assert len(add(database, names, resolved(double, *names)).found) == 1000
    assert double.stats.requests["/graphql"] == 10


def test_a_repository_is_removed_under_a_former_name(database: Database, double: GitHubDouble) -> None:
    """An alias means the repository that bears it."""
    double.state.add(Repository(id=6, owner="acme", name="new", former_names=["acme/old"]))
    add(database, ["acme/old"], resolved(double, "acme/old"))
    database.execute("INSERT INTO repository_names VALUES (6, 'acme/old', now(), now() - interval '1 day')")
    assert remove(database, "acme/old")
    assert tracked(database) == {}
