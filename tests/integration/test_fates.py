"""What became of items and repositories: deleted, moved, renamed, taken over, turned private, blocked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from psycopg import sql as pgsql

from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets.forgetting import CONFIRMED_AFTER, forget_repository
from tests.doubles.github import GitHubDouble, Repository, replies
from tests.factories import REPOSITORY, item, write_hour
from tests.integration.content import pr, track
from tests.integration.github import DAY, NOON, active, hydrate, issue, pull, rocket, statuses, titles
from tests.integration.hours import fetched
from tests.integration.processes import until, waiting

OTHER = (2002, "else/where")


def months(database: Database) -> list[tuple[str, date]]:
    """Months whose index is asked for again."""
    return database.fetch_all("SELECT kind, month FROM dirty_months ORDER BY 1, 2")


@pytest.mark.parametrize("kind", [PULL_REQUEST, ISSUE], ids=str)
def test_a_deleted_item_is_recorded_and_leaves_the_items(database: Database, double: GitHubDouble, kind) -> None:  # type: ignore[no-untyped-def]
    """410 or 404: its row stays, marked; the views show it no more, and its month's index is built again."""
    track(database)
    make = pull if kind is PULL_REQUEST else issue
    rocket(double).add(make(1, "Stays"), make(2, deleted=True))
    active(database, [1, 2], kind)
    result = hydrate(database, double, kind)
    assert (result.found, result.deleted, result.failed, result.without_text) == (1, 1, 0, 0)
    assert statuses(database, kind) == {1: "found", 2: "deleted"}
    assert titles(database, kind) == {1: "Stays"}
    assert months(database) == [(kind.name, date(2025, 11, 1))]
    assert hydrate(database, double, kind).wanted == 0


@pytest.mark.parametrize("follow", [False, True], ids=["GraphQL finds nothing", "GraphQL follows"])
def test_a_transferred_issue_is_followed_by_id(database: Database, double: GitHubDouble, follow: bool) -> None:
    """Its new place gets its days, and its text with the next run of such a day; the old number is gone."""
    track(database, REPOSITORY, OTHER)
    double.follow_transfers = follow
    rocket(double).add(issue(5, transferred_to=(OTHER[0], 9)))
    other = Repository(id=OTHER[0], owner="else", name="where")
    double.state.add(other)
    other.add(issue(9, "Followed"))
    active(database, [5], ISSUE)
    result = hydrate(database, double, ISSUE)
    assert (result.moved, result.deleted, result.failed) == (1, 0, 0)
    assert database.fetch_all("SELECT status, moved_repo_id, moved_ref FROM hydrations") == [("moved", OTHER[0], "9")]
    assert database.fetch_all("SELECT kind, day FROM dirty_days") == [("issue", DAY)]
    assert hydrate(database, double, ISSUE).found == 1
    assert database.fetch_all("SELECT repo_id, ref, title FROM items") == [(OTHER[0], "9", "Followed")]


def test_an_issue_moved_to_where_nobody_sees_it_is_deleted(database: Database, double: GitHubDouble) -> None:
    """The redirect leads to a private repository."""
    track(database)
    rocket(double).add(issue(5, transferred_to=(OTHER[0], 9)))
    hidden = Repository(id=OTHER[0], owner="else", name="where", private=True)
    double.state.add(hidden)
    hidden.add(issue(9))
    active(database, [5], ISSUE)
    assert hydrate(database, double, ISSUE).deleted == 1
    assert "nobody" in database.fetch_value("SELECT reason FROM hydrations")


def test_a_number_of_the_other_kind_is_no_item(database: Database, double: GitHubDouble) -> None:
    """GitHub numbers issues and pull requests together."""
    track(database)
    rocket(double).add(issue(5))
    active(database, [5])
    assert hydrate(database, double).deleted == 1


def test_a_renamed_repository_is_followed(database: Database, double: GitHubDouble) -> None:
    """Under its former name the items are found, and the new name becomes its name; the old one is an alias."""
    track(database)
    repository = rocket(double)
    repository.rename("acme", "rocket-ng")
    repository.add(pull(1, "Here"))
    active(database, [1])
    assert hydrate(database, double).found == 1
    assert database.fetch_value("SELECT name FROM repositories") == "acme/rocket-ng"
    assert [row[0] for row in database.fetch_all("SELECT name FROM repository_names")] == ["acme/rocket-ng"]


def test_a_name_that_was_taken_over_leads_to_nobody_elses_items(database: Database, double: GitHubDouble) -> None:
    """The id decides: the items come from the renamed repository, in one more query, not from the name's new bearer."""
    track(database)
    repository = rocket(double)
    repository.owner, repository.name = "moved", "away"
    repository.add(*(pull(number, f"Right {number}") for number in range(1, 6)))
    usurper = Repository(id=777, owner="acme", name="rocket")
    double.state.add(usurper)
    usurper.add(*(pull(number, "Wrong") for number in range(1, 6)))
    active(database, range(1, 6))
    assert hydrate(database, double).found == 5
    assert set(titles(database).values()) == {f"Right {number}" for number in range(1, 6)}
    assert double.stats.requests["/graphql"] == 2
    assert database.fetch_value("SELECT name FROM repositories") == "moved/away"


def fill(database: Database) -> None:
    """Something of the repository, and of another one, in every table that can hold it."""
    active(database, [1])
    active(database, [1], repo_id=OTHER[0])
    same, own = b"\x01" * 32, b"\x02" * 32
    for repo_id, name in (REPOSITORY, OTHER):
        for statement, values in (
            ("INSERT INTO events VALUES ('2025-11-01 10:00Z', %s, 'PushEvent', %s, %s, 7, 'ada', 1, '{}')",
             [repo_id, repo_id, name]),
            ("INSERT INTO rejected_events VALUES (1, %s, 'bad', %s)", [repo_id, f'{{"repo":"{name}"'.encode()]),
            ("INSERT INTO releases (repo_id, tag, title) VALUES (%s, 'v1', 'One')", [repo_id]),
            ("INSERT INTO comments VALUES (%s, 'comment', 1, 'issue', '1', 'ada', false, 'x', now(), now(), 1)",
             [repo_id]),
            ("INSERT INTO hydrations (kind, repo_id, ref, status, fetched_at)"
             " VALUES ('issue', %s, '1', 'found', now())",
             [repo_id]),
            ("INSERT INTO item_contents (kind, repo_id, ref, content_hash) VALUES ('issue', %s, '1', %s)",
             [repo_id, same]),
            ("INSERT INTO repository_names VALUES (%s, %s, now(), now())", [repo_id, name]),
            ("INSERT INTO summary_failures VALUES (%s, 'm', 'p', 'issue', %s, '1', 'no')",
             [f"{repo_id:032}".encode(), repo_id]),
            ("INSERT INTO starsearch.issue_vectors VALUES (%s, '1', 'the text')", [repo_id]),
            ("INSERT INTO artifacts.issue_one VALUES (%s, '1', 'the text')", [repo_id]),
            ("INSERT INTO superseded VALUES (1, 1, %s, '1')", [repo_id]),
            ("INSERT INTO service.answers VALUES (gen_random_uuid(), 'q', 'a', 'llm', false, 1, '{}',"
             " jsonb_build_array(jsonb_build_object('repo', %s::text)), '{}')", [name]),
        ):  # fmt: skip
            database.execute(statement, values)
    database.execute("INSERT INTO item_contents (kind, repo_id, ref, content_hash) VALUES ('issue', %s, '2', %s)",
                     [REPOSITORY[0], own])  # fmt: skip
    for digest in (same, own):
        database.execute("INSERT INTO summaries VALUES (%s, 'm', 'p', false, 'text')", [digest])


def prepare(database: Database) -> None:
    """The tables that only a pipeline makes, small."""
    track(database, REPOSITORY, OTHER)
    database.execute("INSERT INTO ingest_ledger (url, hour, status) VALUES ('file', now(), 'loaded')")
    database.execute("CREATE TABLE starsearch.events_all PARTITION OF starsearch.events DEFAULT")
    for table in ("starsearch.issue_vectors", "artifacts.issue_one"):
        database.execute(f"CREATE TABLE {table} (repo_id bigint, ref text, document text)")
    database.execute(
        "INSERT INTO embedding_spaces (kind, model, dimensions, table_name) VALUES ('issue', 'm', 3, 'issue_vectors')"
    )
    database.execute(
        "INSERT INTO index_artifacts (space_id, month, version, table_name, fingerprint, row_count, bytes,"
        " build_seconds) VALUES (1, '2025-11-01', 1, 'issue_one', 'x', 2, 1, 1)"
    )
    database.execute("INSERT INTO search_releases (status, fingerprint) VALUES ('published', 'x')")
    database.execute("INSERT INTO release_artifacts VALUES (1, 1)")
    fill(database)


def leftovers(database: Database, repo_id: int, name: str) -> dict[str, int]:
    """Rows that still speak of a repository, in every table of every schema of ours."""
    found = {}
    tables = database.fetch_all(
        "SELECT table_schema, table_name, array_agg(column_name::text) FROM information_schema.columns"
        " JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema IN ('starsearch', 'artifacts', 'service') AND table_type = 'BASE TABLE' GROUP BY 1, 2"
    )
    for schema, table, columns in tables:
        conditions = ["strpos(one::text, %(name)s) > 0"]
        if "repo_id" in columns:
            conditions.append("repo_id = %(id)s")
        if table == "rejected_events":
            conditions.append("strpos(encode(raw, 'escape'), %(name)s) > 0")
        query = pgsql.SQL("SELECT count(*) FROM {} one WHERE " + " OR ".join(conditions)).format(
            pgsql.Identifier(schema, table)
        )
        if (count := database.fetch_value(query, {"name": name, "id": repo_id})) > 0:
            found[f"{schema}.{table}"] = count
    return found


@pytest.mark.parametrize("how", ["private", "blocked"])
def test_a_repository_that_turned_private_is_forgotten(database: Database, double: GitHubDouble, how: str) -> None:
    """Everywhere, physically, at once; the other repository keeps all it has; a tombstone is left."""
    prepare(database)
    repository = rocket(double)
    repository.add(pull(1))
    if how == "private":
        repository.private, double.token_sees_private = True, True
    else:
        repository.legally_blocked = True
    before = leftovers(database, *OTHER)
    assert len(leftovers(database, *REPOSITORY)) >= 15
    result = hydrate(database, double)
    assert (result.found, result.forgotten_repositories) == (0, 1)
    assert leftovers(database, *REPOSITORY) == {}
    assert leftovers(database, *OTHER) == before
    assert database.fetch_all("SELECT content_hash FROM summaries") == [(b"\x01" * 32,)]
    assert database.fetch_all("SELECT subject, subject_id, reason FROM tombstones") == [
        ("repository", REPOSITORY[0], how)
    ]


def test_a_repository_that_is_not_shown_is_forgotten_after_a_day(database: Database, double: GitHubDouble) -> None:
    """404 is private or deleted, or a fault: it has to be so for a day, and one sight of it starts anew."""
    track(database)
    repository = rocket(double)
    repository.add(pull(1), pull(2))
    repository.private = True  # to others: this token sees 404
    active(database, [1, 2])
    assert hydrate(database, double).forgotten_repositories == 0
    assert database.fetch_all("SELECT hidden_as FROM repositories") == [("unavailable",)]
    repository.private = False
    assert hydrate(database, double).found == 2
    assert database.fetch_all("SELECT hidden_as, hidden_since FROM repositories") == [(None, None)]
    repository.private = True
    active(database, [3])
    hydrate(database, double)
    database.execute(
        "UPDATE repositories SET hidden_since = hidden_since - %s", [CONFIRMED_AFTER + timedelta(minutes=1)]
    )
    assert hydrate(database, double).forgotten_repositories == 1
    assert database.fetch_all("SELECT reason FROM tombstones") == [("unavailable",)]
    assert database.fetch_all("SELECT * FROM pull_requests") == []


def test_only_a_404_hides_a_repository(database: Database, double: GitHubDouble) -> None:
    """An organization that keeps the token out, or a fault, is recorded and asked again; nothing is forgotten."""
    track(database)
    repository = rocket(double)
    repository.add(pull(1))
    repository.private = True
    active(database, [1])
    double.misbehave("/repositories", *[replies.error(403, "Resource protected by organization SAML enforcement.")] * 9)
    result = hydrate(database, double)
    assert (result.failed, result.hidden_repositories) == (1, 0)
    assert database.fetch_all("SELECT hidden_as FROM repositories") == [(None,)]
    assert "403" in database.fetch_value("SELECT reason FROM hydrations")


def test_what_is_being_stored_while_a_repository_is_forgotten_is_forgotten_too(
    database: Database, tmp_path: Path
) -> None:
    """A load that began before the tombstone ends first; then its rows go with all others."""
    track(database)
    folder = tmp_path / "hours"
    write_hour(folder, NOON, [pr(1, f"{NOON:%Y-%m-%d %H:%M}", "opened", item(1, "A secret"))])
    with ThreadPoolExecutor(2) as pool:
        with database.transaction() as connection:  # the load, about to end, waits for this row
            connection.execute("INSERT INTO dirty_days (kind, day) VALUES ('pull_request', %s)", [NOON.date()])
            loading = pool.submit(fetched, database, folder, NOON)
            until(lambda: waiting(database) == 1)
            forgetting = pool.submit(forget_repository, database, REPOSITORY[0], "private")
            until(lambda: waiting(database) == 2)
            assert not forgetting.done()
        assert loading.result().inserted == 1
        forgetting.result()
    assert database.fetch_value("SELECT count(*) FROM events") == 0
