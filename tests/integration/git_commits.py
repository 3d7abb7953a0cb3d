"""Commits as a fetch of git history leaves them in `git_commits`: written by hand, or read from a real repository."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from answering.ask import Answerer
from resources.embedder import Embedder, create_embedder
from resources.kinds import COMMIT
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets import dirty
from starsearch_assets.content.process import process_day
from starsearch_assets.embeddings.process import embed_day
from starsearch_assets.index.build import build_month
from starsearch_assets.insights.process import count_people
from starsearch_assets.release.decide import ReleaseResult
from starsearch_assets.release.publish import publish
from starsearch_assets.summaries.summarizers import ExtractiveSummarizer

REPOSITORY = (1001, "acme/rocket")
DAY = date(2025, 10, 6)
SEEN = datetime(2025, 10, 9, tzinfo=UTC)
JANE = ("Jane Doe", "7+jane-doe@users.noreply.github.com")
RAVI = ("Ravi K", "ravi@corp.example")


def sha(number: int) -> str:
    """A SHA that begins with the number, in hexadecimal digits that mix letters and digits."""
    return f"{number:04x}a1b" + f"{number:033x}"


def track(database: Database, repository: tuple[int, str] = REPOSITORY, url: str | None = None) -> None:
    """Track a repository and opt its git history in."""
    database.execute("INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", repository)
    database.execute(
        "INSERT INTO git_repositories (repo_id, url) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [repository[0], url or f"https://token:s3cret@git.example/{repository[1]}.git"],
    )


def commit(
    database: Database,
    number: int,
    message: str,
    author: tuple[str, str] = JANE,
    *,
    day: date = DAY,
    paths: tuple[str, ...] = ("src/main.py",),
    paths_total: int | None = None,
    parents: int = 1,
    co_authors: tuple[tuple[str, str], ...] = (),
    repo_id: int = REPOSITORY[0],
    at: datetime | None = None,
    digits: str | None = None,
) -> str:
    """One commit, first seen by the run fetch-1; returns its SHA."""
    at = at or datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    digits = digits or sha(number)
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO git_commits (repo_id, sha, parents, author_name, author_email, authored_at, committer_name,"
            " committer_email, committed_at, message, co_authors, paths, paths_total, day, first_seen_at, run_id)"
            " VALUES (%s, %s, %s, %s, %s, %s, 'GitHub', 'noreply@github.com', %s, %s, %s, %s, %s, %s, %s, 'fetch-1')"
            " ON CONFLICT DO NOTHING",
            [
                repo_id, digits, [sha(0)] * parents, *author, at, at, message,
                Jsonb([{"name": name, "email": email} for name, email in co_authors]), list(paths),
                len(paths) if paths_total is None else paths_total, day, SEEN,
            ],
        )  # fmt: skip
        dirty.mark_days(connection, [(COMMIT.name, day)])
    return digits


def fetch(database: Database, repo_id: int, path: Path) -> int:
    """Everything that the main branch of a real repository reaches; returns how many commits."""
    form = "%H%x00%P%x00%an%x00%ae%x00%ct%x00%B%x00%(trailers:key=Co-authored-by,valueonly,separator=%x01)%x02"
    done = subprocess.run(
        ["git", "log", f"--format=%x03{form}", "main"],
        cwd=path, check=True, capture_output=True, env={**os.environ, "GIT_DIR": "."},
    )  # fmt: skip
    count = 0
    for record in done.stdout.decode().split("\x03")[1:]:
        digits, parents, name, email, seconds, message, trailers = record.split("\x02")[0].split("\x00")
        at = datetime.fromtimestamp(int(seconds), UTC)
        listed = subprocess.run(
            ["git", "diff-tree", "--root", "--no-commit-id", "--name-only", "-r", "-z", "-m", "--first-parent", digits],
            cwd=path, check=True, capture_output=True, env={**os.environ, "GIT_DIR": "."},
        ).stdout.decode()  # fmt: skip
        together = tuple(
            (one.rpartition(" <")[0], one.rpartition(" <")[2].rstrip(">")) for one in trailers.split("\x01") if one
        )
        commit(
            database, 0, message, (name, email), day=at.date(), at=at, parents=len(parents.split()), digits=digits,
            paths=tuple(part for part in listed.split("\x00") if part), co_authors=together, repo_id=repo_id,
        )  # fmt: skip
        count += 1
    return count


def process(database: Database) -> list[date]:
    """Process the days that wait, as the sensor would ask for them."""
    days = [row[0] for row in database.fetch_all("SELECT day FROM dirty_days WHERE kind = 'commit' ORDER BY day")]
    for day in days:
        process_day(database, COMMIT, day, "content-1")
        count_people(database, day, "count-1")
    return days


def serve(settings: Settings, database: Database, tools: Database, embedder: Embedder | None = None) -> ReleaseResult:
    """Process, embed, index and publish what is dirty."""
    embedder = embedder or create_embedder(settings)
    for day in process(database):
        assert embed_day(database, COMMIT, day, embedder, ExtractiveSummarizer(embedder), "vectors-1").passed
    for (month,) in database.fetch_all("SELECT month FROM dirty_months WHERE kind = 'commit' ORDER BY month"):
        build_month(database, COMMIT, month, embedder.model, 0.9, "index-1")
    return publish(database, tools, embedder.model, 0.9, "release-1")


def answerer(settings: Settings, tools: Database, service: Database) -> Answerer:
    """Answers by rule, over the real model."""
    return Answerer(tools, service, create_embedder(settings), settings.relevance_threshold)


def everything(database: Database, *schemas: str) -> str:
    """The text of every row of every table and view of the schemas, but of what a fetch itself keeps."""
    names = database.fetch_all(
        "SELECT format('%%I.%%I', table_schema, table_name) FROM information_schema.tables"
        " WHERE table_schema = ANY (%s) AND table_name NOT LIKE 'git\\_%%' ORDER BY 1",
        [list(schemas)],
    )
    rows: list[Any] = [database.fetch_all(f"SELECT t::text FROM {name} t") for (name,) in names]
    return repr(rows)
