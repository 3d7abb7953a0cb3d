"""Deliveries that tell of what is gone: private and deleted repositories, deleted issues; and what is kept how long."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from resources.postgres import Database
from starsearch_assets.forgetting import forget_repository
from starsearch_assets.inbox_retention import delete_read
from tests.factories import REPOSITORY, item
from tests.integration.content import row, track
from tests.integration.test_deliveries import HISTORY, RENAMED, pr
from tests.integration.test_fates import leftovers
from tests.integration.webhooks import arrive, delivery, process_dirty, read_all


def news(hidden: str, repo_id: int = REPOSITORY[0]) -> tuple[str, bytes]:
    return "repository", json.dumps({"repository": repo_id, "hidden": hidden, "delivery": "0" * 64}).encode()


def hear(database: Database, *told: tuple[str, bytes]) -> None:
    """News, as the service notes it."""
    arrive(database, told)
    database.execute(
        'UPDATE service.inbox SET headers = headers || \'{"x-starsearch-news": "x"}\' WHERE body LIKE \'%%"hidden"%%\''
    )


def test_a_repository_that_turned_private_is_forgotten_at_once(database: Database) -> None:
    """Rows, deliveries and inbox; what still comes of it is withheld; the note is read once, also after a return."""
    track(database)
    track(database, (2002, "else/where"))
    arrive(database, [*HISTORY, ("issues", delivery("opened", (2002, "else/where"), issue=item(1, "Stays")))])
    read_all(database)
    process_dirty(database)
    hear(database, news("private"))
    arrive(database, [("pull_request", pr("edited", "05T10:00:00", "Too late"))])
    assert read_all(database).withheld in (0, 1)  # forgotten already where the note was read first
    assert leftovers(database, *REPOSITORY) == {}
    assert leftovers(database, *RENAMED) == {}
    assert row(database, "issues", "title") == ("Stays",)
    assert database.fetch_all("SELECT subject_id, reason FROM tombstones") == [(REPOSITORY[0], "private")]
    arrive(database, [("pull_request", pr("edited", "06T10:00:00", "Later still"))])
    assert read_all(database).withheld == 1
    database.execute("DELETE FROM tombstones")
    track(database)
    assert read_all(database).stored == 1
    assert database.fetch_value("SELECT count(*) FROM repositories") == 2


def test_news_older_than_the_last_sight_of_a_repository_is_no_news(database: Database) -> None:
    """GitHub showed it publicly after the note came."""
    track(database)
    hear(database, news("private"))
    database.execute("UPDATE repositories SET seen_at = now() + interval '1 minute'")
    read_all(database)
    assert database.fetch_all("SELECT hidden_as FROM repositories") == [(None,)]


def test_a_deleted_repository_is_noted_as_hidden(database: Database) -> None:
    """It is forgotten when GitHub still does not show it a day later."""
    track(database)
    hear(database, news("deleted"), news("deleted", 5))
    read_all(database)
    assert database.fetch_all("SELECT repo_id, hidden_as FROM repositories") == [(REPOSITORY[0], "unavailable")]
    assert database.fetch_all("SELECT * FROM tombstones") == []


def test_deleted_and_transferred_issues_leave_their_place(database: Database) -> None:
    """Gone at once; a transferred one takes its days along where its new place is tracked."""
    track(database, REPOSITORY, (2002, "else/where"))
    moved = {"new_issue": {"number": 9}, "new_repository": {"id": 2002, "private": False}}
    arrive(
        database,
        [
            ("issues", delivery("opened", issue=item(3, "Third", updated_at="2025-11-01T10:00:00Z"))),
            ("issues", delivery("opened", issue=item(2, "Second", updated_at="2025-11-01T10:00:00Z"))),
        ],
    )
    read_all(database)
    process_dirty(database)
    arrive(
        database,
        [
            ("issues", delivery("deleted", issue=item(3, "Third", updated_at="2025-11-01T10:00:00Z"))),
            (
                "issues",
                delivery("transferred", issue=item(2, "Second", updated_at="2025-11-01T10:00:00Z"), changes=moved),
            ),
        ],
    )
    for _ in range(2):
        read_all(database)
        process_dirty(database)
        assert database.fetch_all("SELECT repo_id, ref FROM items ORDER BY 1") == []
        assert database.fetch_all("SELECT ref, status FROM hydrations ORDER BY 1") == [("2", "moved"), ("3", "deleted")]
    assert database.fetch_all("SELECT ref FROM activity WHERE repo_id = 2002") == [("9",)]


def test_forgetting_takes_deliveries_and_inbox_along(database: Database) -> None:
    """Physically: no row of them, and none of the other repository's less."""
    track(database)
    arrive(
        database, [*HISTORY, ("issues", b"{"), ("issues", delivery("opened", (2002, "a/b"), issue=item(1, "Stays")))]
    )
    read_all(database)
    forget_repository(database, REPOSITORY[0], "test")
    assert database.fetch_all("SELECT repo_id FROM deliveries ORDER BY 1") == [(2002,), (None,)]
    assert database.fetch_all("SELECT repo_id FROM service.inbox ORDER BY 1") == [(2002,), (None,)]


def test_what_was_read_is_deleted_after_its_time(database: Database) -> None:
    """Not before, and never what nobody has read."""
    old = datetime.now(UTC) - timedelta(days=40)
    arrive(database, HISTORY[:2], old)
    arrive(database, HISTORY[2:3])
    assert delete_read(database, 30) == 0
    read_all(database)
    assert delete_read(database, 50) == 0
    assert delete_read(database, 30) == 2
    assert database.fetch_value("SELECT count(*) FROM service.inbox") == 1
    assert database.fetch_value("SELECT count(*) FROM deliveries") == 3
