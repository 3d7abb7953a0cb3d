"""Items with text to be summarized, and what is left of it: shared by the tests of summaries."""

from __future__ import annotations

from datetime import date
from typing import Any

from resources.postgres import Database
from starsearch_assets import audits

DAY, LATER = date(2026, 1, 2), date(2026, 1, 3)


def add(
    database: Database, number: int, body: str, day: date = DAY, title: str | None = None, repo_id: int = 1
) -> None:
    """A pull request with text, active on `day`; or its new body."""
    database.execute(
        "INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", [repo_id, f"acme/{repo_id}"]
    )
    database.execute(
        "INSERT INTO pull_requests (repo_id, number, title, body, hydrated_at) VALUES (%s, %s, %s, %s, now())"
        " ON CONFLICT (repo_id, number) DO UPDATE SET body = excluded.body",
        [repo_id, number, title or f"Change {number}", body],
    )
    active(database, number, day, repo_id)


def add_many(database: Database, count: int, day: date = DAY, first: int = 1) -> None:
    """So many pull requests of repository 1, each with a text of its own, active on `day`."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (1, 'acme/1') ON CONFLICT DO NOTHING")
    numbers = [first, first + count - 1]
    database.execute(
        "INSERT INTO pull_requests (repo_id, number, title, body, hydrated_at)"
        " SELECT 1, n, 'Change ' || n, 'Body ' || n || '.', now() FROM generate_series(%s::int, %s::int) n"
        " ON CONFLICT DO NOTHING",
        numbers,
    )
    database.execute(
        "INSERT INTO activity SELECT 'pull_request', 1, n::text, %s FROM generate_series(%s::int, %s::int) n",
        [day, *numbers],
    )


def active(database: Database, number: int, day: date, repo_id: int = 1) -> None:
    """An item is active on one more day."""
    database.execute(
        "INSERT INTO activity VALUES ('pull_request', %s, %s, %s) ON CONFLICT DO NOTHING", [repo_id, str(number), day]
    )


def verdict(database: Database, day: date = DAY) -> audits.Audit:
    """The newest verdict on the coverage of a day."""
    return audits.newest(database, "pull_request_summaries", [f"{day}"], "summaries_cover_items")[f"{day}"]


def usage(database: Database) -> list[tuple[Any, ...]]:
    """The ledger: run, partition, items, failed, requests, retries, tokens in and out, cost."""
    return database.fetch_all(
        "SELECT run_id, partition, items, failed, requests, retries, tokens_in, tokens_out, cost FROM llm_usage"
        " ORDER BY run_id, partition"
    )
