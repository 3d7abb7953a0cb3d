"""Commits as content: what of git history becomes an item, and what of it must never be shown."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import psycopg
import pytest

from answering.releases import load_release
from answering.retrieval import Hit, Scope, newest_items
from resources.github_items import RepositoryState
from resources.kinds import COMMIT
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import dirty
from starsearch_assets.content import tracking
from starsearch_assets.content.process import DayResult, process_day
from starsearch_assets.content.tracking import Resolved
from starsearch_assets.forgetting import forget_repository
from tests.integration.git_commits import (
    DAY,
    JANE,
    RAVI,
    REPOSITORY,
    SEEN,
    answerer,
    commit,
    everything,
    process,
    serve,
    sha,
    track,
)

BOT = ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com")
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.\w+")


def content(database: Database, columns: str = "title, body") -> list[tuple[Any, ...]]:
    return database.fetch_all(f"SELECT {columns} FROM commits ORDER BY sha")


def search_all(tools: Database) -> list[Hit]:
    return newest_items(tools, load_release(tools), Scope(kinds=(COMMIT.name,)))


def one(database: Database, message: str, columns: str = "title, body", **fields: Any) -> tuple[Any, ...]:
    """Such columns of a single commit, processed."""
    track(database)
    commit(database, 1, message, **fields)
    process(database)
    (row,) = content(database, columns)
    return row


def test_a_day_becomes_items(database: Database) -> None:
    """Title, text with the changed files, author, address on GitHub; the full SHA is the ref, its day the activity."""
    track(database)
    digits = commit(database, 1, "Fix retries\n\nThe timer was never reset.\n", paths=("src/a.py", "src/b.py"))
    merge = commit(database, 2, "Merge branch 'x'", RAVI, parents=2, paths=())
    commit(database, 3, "Another day", day=date(2025, 10, 7))
    assert process_day(database, COMMIT, DAY) == DayResult(2, 0, 2, 0)
    items = database.fetch_all(
        "SELECT ref, title, body, state, author_login, author_name, author_is_bot, repo, url_path, hydrated_at,"
        " hydrated_event FROM items WHERE kind = 'commit' ORDER BY ref"
    )
    assert items == [
        (digits, "Fix retries", "The timer was never reset.\n\nChanged: src/a.py, src/b.py", None, "jane-doe",
         "Jane Doe", False, "acme/rocket", f"commit/{digits}", SEEN, None),
        (merge, "Merge branch 'x'", "", "merge", None, "Ravi K", False, "acme/rocket", f"commit/{merge}", SEEN, None),
    ]  # fmt: skip
    assert database.fetch_all("SELECT kind, ref, day FROM activity ORDER BY ref") == [
        ("commit", digits, DAY), ("commit", merge, DAY),
    ]  # fmt: skip
    assert database.fetch_all("SELECT day FROM dirty_days") == [(date(2025, 10, 7),)]
    audit = "SELECT passed, details ->> 'items named by git history' FROM newest_audits WHERE asset = 'commits'"
    assert database.fetch_all(audit) == [(True, "2")]


def test_processing_again_leaves_the_same_rows(database: Database) -> None:
    """In any order and repeatedly: the same rows, down to their places in the table."""
    track(database)
    for number in range(1, 6):
        commit(database, number, f"Change {number}\n\nText.", day=date(2025, 10, 5 + number), co_authors=(RAVI,))
    days = process(database)
    before = content(database, "ctid, *"), database.fetch_all("SELECT * FROM activity ORDER BY ref")
    for day in reversed(days):
        process_day(database, COMMIT, day)
    assert (content(database, "ctid, *"), database.fetch_all("SELECT * FROM activity ORDER BY ref")) == before


def test_only_tracked_repositories_get_commits(database: Database) -> None:
    """Nothing of an untracked one; when it is tracked, all days of its history are asked for."""
    commit(database, 1, "Unseen")
    commit(database, 2, "Unseen too", day=date(2025, 9, 1))
    process(database)
    assert content(database) == []
    database.execute("DELETE FROM dirty_days")
    tracking.add(database, ["acme/rocket"], Resolved({"acme/rocket": RepositoryState(1001, "acme/rocket", False)}))
    assert process(database) == [date(2025, 9, 1), DAY]
    assert [title for title, _ in content(database)] == ["Unseen", "Unseen too"]


def test_what_no_branch_reaches_is_gone(settings: Settings, database: Database, tools: Database) -> None:
    """An unreachable commit leaves the items, the published views and, with its month's next index, every answer."""
    track(database)
    kept, lost = commit(database, 1, "Teach the parser about tabs"), commit(database, 2, "Rewritten by a forced push")
    serve(settings, database, tools)
    assert len(search_all(tools)) == 2
    with database.transaction() as connection:
        connection.execute("UPDATE git_commits SET unreachable_since = now() WHERE sha = %s", [lost])
        dirty.mark_days(connection, [(COMMIT.name, DAY)])
    assert serve(settings, database, tools).outcome == "activated"
    assert database.fetch_all("SELECT ref FROM items") == tools.fetch_all("SELECT sha FROM commits") == [(kept,)]
    assert [hit.ref for hit in search_all(tools)] == [kept]
    assert database.fetch_all("SELECT sha FROM commits WHERE gone_at IS NOT NULL") == [(lost,)]
    assert database.fetch_value("SELECT passed FROM newest_audits WHERE asset = 'commits'")
    with database.transaction() as connection:  # a branch reaches it again
        connection.execute("UPDATE git_commits SET unreachable_since = NULL")
        dirty.mark_days(connection, [(COMMIT.name, DAY)])
    serve(settings, database, tools)
    assert {hit.ref for hit in search_all(tools)} == {kept, lost}


def test_a_forgotten_repository_leaves_nothing(settings: Settings, database: Database, tools: Database) -> None:
    """Content, vectors, activity, artifacts and answers are without it; another repository's commits stay."""
    track(database)
    track(database, (2002, "else/where"))
    commit(database, 1, "Ponder the zeppelin\n\nZeppelins float.", paths=("zeppelin.py",))
    commit(database, 2, "Keep this one", repo_id=2002)
    serve(settings, database, tools)
    assert "eppelin" in everything(database, "starsearch", "artifacts", "published")
    forget_repository(database, REPOSITORY[0], "private")
    database.execute("DELETE FROM git_commits WHERE repo_id = %s", [REPOSITORY[0]])
    assert "eppelin" not in everything(database, "starsearch", "artifacts", "published", "service")
    process_day(database, COMMIT, DAY)
    assert [title for title, _ in content(database)] == ["Keep this one"]


@pytest.mark.parametrize(
    ("email", "login"),
    [
        ("7+jane-doe@users.noreply.github.com", "jane-doe"),
        ("jane-doe@users.noreply.github.com", "jane-doe"),
        ("7+Jane_corp@USERS.noreply.GitHub.com", "Jane_corp"),
        ("49699333+dependabot[bot]@users.noreply.github.com", "dependabot[bot]"),
        ("noreply@github.com", None),
        ("jane@users.noreply.github.com.evil.example", None),
        ("x jane@users.noreply.github.com", None),
        ("7+@users.noreply.github.com", None),
        ("-jane@users.noreply.github.com", None),
        ("jane@corp.example", None),
        ("", None),
    ],
)
def test_a_login_is_known_by_githubs_own_addresses(database: Database, email: str, login: str | None) -> None:
    """ID+login@ and login@ of users.noreply.github.com tell it; no other address does."""
    assert one(database, "x", "author_login", author=("Jane", email)) == (login,)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Jane Doe", "Jane Doe"),
        ("jane@corp.example", None),
        ("Jane (jane@corp.example)", "Jane ()"),
        ("@torvalds", "torvalds"),
        ("  Jane\t Doe ", "Jane Doe"),
        ("J\u202eenaJ\u200b", "J enaJ"),
        ("x" * 300, "x" * 100),
        ("", None),
    ],
)
def test_names_are_one_line_without_addresses(database: Database, name: str, shown: str | None) -> None:
    """Nobody's name is an address, looks like a login, or hides characters."""
    assert one(database, "x", "author_name", author=(name, "a@b.example")) == (shown,)


def test_bots_are_told_by_login_or_name(database: Database) -> None:
    """As authors and as co-authors."""
    track(database)
    commit(database, 1, "a", BOT)
    commit(database, 2, "b", ("renovate[bot]", "bot@renovate.example"), co_authors=(BOT, JANE))
    commit(database, 3, "c", JANE)
    process(database)
    assert content(database, "author_is_bot") == [(True,), (True,), (False,)]
    assert content(database, "co_authors")[1] == (
        [
            {"login": "dependabot[bot]", "name": "dependabot[bot]", "is_bot": True, "person": "@dependabot[bot]"},
            {"login": "jane-doe", "name": "Jane Doe", "is_bot": False, "person": "@jane-doe"},
        ],
    )


def test_co_authors_keep_their_order_and_lose_their_addresses(database: Database) -> None:
    """By login where the address tells it, else by name; who is neither is left out."""
    listed = (("Ravi K", "ravi@corp.example"), ("nobody@corp.example", "nobody@corp.example"), JANE)
    (found,) = one(database, "x", "co_authors", co_authors=listed)
    assert [(person["login"], person["name"], person["person"]) for person in found] == [
        (None, "Ravi K", "Ravi K"), ("jane-doe", "Jane Doe", "@jane-doe"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "title", "body"),
    [
        ("Subject only", "Subject only", ""),
        ("\n\n Subject \r\n\r\nBody\r\n", "Subject", "Body"),
        ("Subject\nright below", "Subject", "right below"),
        ("", "(no message)", ""),
        ("x" * 320 + "\n\nBody", "x" * 300, "x" * 20 + "\n\nBody"),
        ("Fix\n\nWhy.\n\nSigned-off-by: J <j@x.org>\nCo-Authored-By: R <r@x.org>\nChange-Id: I12\nCC: a@b.org", "Fix",
         "Why."),
        ("Fix\n\nReviewed-by: A B <a@b.org>\nFixes: #12\nTested-by: C", "Fix", "Fixes: #12"),
        ("Mail jane@corp.example\n\nAsk <root@localhost> or a.b+c@d-e.co.uk.", "Mail", "Ask  or ."),
        ("Bump react@19.1.0 to react@19.2.0", "Bump react@19.1.0 to react@19.2.0", ""),
        ("Move logo@2x.png to @scope/assets", "Move logo@2x.png to @scope/assets", ""),
        ("Latin\\xe9 \\x00 \\u0000 50% %s {ref} \\1\n\n$$ ' \"", "Latin\\xe9 \\x00 \\u0000 50% %s {ref} \\1",
         "$$ ' \""),
        ("Hidden\u202e \U000e0041text\u200b", "Hidden   text", ""),
    ],
)  # fmt: skip
def test_messages(database: Database, message: str, title: str, body: str) -> None:
    """First line and rest, without trailers and addresses; odd characters and escapes do no harm."""
    assert one(database, message) == (title, body)


def test_a_huge_message_is_cut(database: Database) -> None:
    """What lies behind 100,000 characters says nothing new."""
    title, body = one(database, "Subject\n\n" + "word " * 400_000)
    assert title == "Subject"
    assert 99_000 < len(body) < 100_000


def test_the_files_of_a_large_commit_are_bounded(database: Database) -> None:
    """Twenty are named, the others are counted; a path with a line break stays on its line."""
    track(database)
    commit(
        database, 1, "Reformat", paths=("a\nb.py", *(f"src/f{number:02}.py" for number in range(30))), paths_total=900
    )
    process(database)
    body = database.fetch_value("SELECT body FROM items")
    assert body.startswith("\n\nChanged: a b.py, src/f00.py, ")
    assert body.endswith("src/f18.py and 880 more")


def test_addresses_reach_no_reader(settings: Settings, database: Database, tools: Database, service: Database) -> None:
    """Of author, committer, co-author, trailer, message and title: not in content, views, documents or answers."""
    track(database)
    commit(
        database, 1,
        "Explain how on-call engineers are paged by j@corp.example\n\nWrite to <ops@corp.example>.\n\nCc: z@x.example",
        ("jane@corp.example", "jane@corp.example"), co_authors=(RAVI, ("ravi2@corp.example", "ravi2@corp.example")),
    )  # fmt: skip
    serve(settings, database, tools)
    for question in ("How are on-call engineers paged?", f"What is commit {sha(1)}?", "Who changed src/main.py?",
                     "Lottery factor of acme/rocket by commits"):  # fmt: skip
        assert not answerer(settings, tools, service).ask(question).abstained
    seen = everything(database, "starsearch", "artifacts", "published", "service")
    assert "on-call engineers" in seen
    assert ADDRESS.findall(seen) == []
    assert "s3cret" not in seen  # of the repository's URL


def test_readers_see_published_views_only(database: Database, tools: Database) -> None:
    """The role of the answers can read neither what a fetch keeps nor the content table behind the views."""
    for table in ("git_commits", "commits"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            tools.fetch_all(f"SELECT * FROM starsearch.{table}")
    columns = {
        name
        for (name,) in database.fetch_all(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'published' AND table_name LIKE"
            " 'commit%%'"
        )
    }
    assert {"sha", "person", "path_keys"} <= columns
    assert not {name for name in columns if "email" in name}


def test_lookups_use_their_indexes(database: Database, tools: Database) -> None:
    """A commit by the beginning of its SHA, by a file and by a co-author: no scan of the table."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (1001, 'acme/rocket')")
    database.execute(
        "INSERT INTO commits SELECT 1001, md5(n::text), 'Title', 'Body', 'x', 'X', false,"
        " jsonb_build_array(jsonb_build_object('login', 'y' || n, 'person', '@y' || n)), now(), now(), 1,"
        " ARRAY['src/' || n / 20 || '/file' || n || '.py'], 1, now()::date, now() FROM generate_series(1, 20000) n"
    )
    database.execute("ANALYZE commits")
    for condition, index in (
        ("sha LIKE '3f2a91c%'", "commits_sha"),
        ("path_keys @> ARRAY['src/7/file150.py']", "commits_paths"),
        ("path_keys @> ARRAY['file150.py'] AND NOT is_merge", "commits_paths"),
        ('co_authors @> \'[{"person": "@y77"}]\'', "commits_co_authors"),
    ):
        query = (
            f"SELECT repo_id, sha FROM published.commits WHERE {condition} ORDER BY committed_at DESC, sha LIMIT 500"
        )
        plan = "\n".join(row[0] for row in tools.fetch_all(f"EXPLAIN {query}"))
        assert index in plan, plan
    assert tools.fetch_value("SELECT count(*) FROM published.commits WHERE path_keys @> ARRAY['src/7']") == 20
