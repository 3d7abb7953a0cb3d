"""Pull requests of one tracked repository, put where the content assets would put them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from resources.kinds import PULL_REQUEST
from resources.postgres import Database

REPO_ID = 1
KIND = PULL_REQUEST


def store_pull_requests(database: Database, texts: Sequence[tuple[str, str]], days: Sequence[date]) -> None:
    """Store (title, body) pairs as numbers 1, 2, …; `days` are dealt out in turn as their days of activity."""
    with database.transaction() as connection:
        connection.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, 'bench/bench')", [REPO_ID])
        cursor = connection.cursor()
        with cursor.copy(
            "COPY pull_requests (repo_id, number, title, body, hydrated_at, author_login, author_is_bot, created_at,"
            " state) FROM STDIN"
        ) as copy:
            for number, (title, body) in enumerate(texts, 1):
                day = days[number % len(days)]
                copy.write_row((REPO_ID, number, title, body, day, f"person-{number % 997}", False, day, "open"))
        with cursor.copy("COPY activity (kind, repo_id, ref, day) FROM STDIN") as copy:
            for number in range(1, len(texts) + 1):
                copy.write_row((KIND.name, REPO_ID, str(number), days[number % len(days)]))
    for table in ("pull_requests", "activity"):
        database.execute(f"ANALYZE {table}")
