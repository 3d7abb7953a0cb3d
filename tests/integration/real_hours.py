"""Real hour files, counted as the assets count them, and by reading their lines one after the other."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from resources.postgres import Database
from starsearch_assets.insights.process import count_people, count_repositories
from tests.integration.hours import fetched


def lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path) as file:
        for line in file:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue


def by_hand(path: Path, day: date) -> tuple[Counter[tuple[int, str, str]], Counter[tuple[int, str]]]:
    """(repository, person, what) and (repository, what) of an hour file, by reading its lines one after the other."""
    things: dict[tuple[int, str, Any], str] = {}
    seen: Counter[tuple[int, str]] = Counter()
    for one in lines(path):
        if datetime.fromisoformat(one["created_at"]).astimezone(UTC).date() != day:
            continue
        payload, kind, repo = one["payload"], one["type"], one["repo"]["id"]
        action = payload.get("action")
        if kind == "PullRequestEvent" and action in ("opened", "closed"):
            pull = payload["pull_request"]
            what = (
                "opened"
                if action == "opened"
                else "merged"
                if pull.get("merged") or pull.get("merged_at")
                else "closed"
            )
            things[repo, f"pull_requests_{what}", pull["number"]] = pull["user"]["login"]
        elif kind == "IssuesEvent" and action in ("opened", "closed"):
            things[repo, f"issues_{action}", payload["issue"]["number"]] = payload["issue"]["user"]["login"]
        elif kind == "IssueCommentEvent" and action == "created":
            things[repo, "comments", payload["comment"]["id"]] = payload["comment"]["user"]["login"]
        elif kind == "PullRequestReviewCommentEvent" and action == "created":
            things[repo, "review_comments", payload["comment"]["id"]] = payload["comment"]["user"]["login"]
        elif kind == "ReleaseEvent" and action == "published":
            things[repo, "releases", payload["release"]["tag_name"]] = payload["release"]["author"]["login"]
        elif kind in ("WatchEvent", "ForkEvent", "PushEvent"):
            seen[repo, {"WatchEvent": "stars", "ForkEvent": "forks", "PushEvent": "pushes"}[kind]] += 1
            if payload.get("ref") in ("refs/heads/main", "refs/heads/master"):
                seen[repo, "main_pushes"] += 1
    merged = {(repo, ref) for repo, what, ref in things if what == "pull_requests_merged"}
    for repo, ref in merged:  # closed first, opened again and merged on the same day: it was merged
        things.pop((repo, "pull_requests_closed", ref), None)
    done = Counter((repo, f"@{who.lower()}", what) for (repo, what, _), who in things.items())
    seen.update(Counter((repo, what) for repo, what, _ in things))
    return done, seen


def counted_by_hand(
    database: Database, real_data: Path, name: str
) -> tuple[date, Counter[tuple[int, str, str]], Counter[tuple[int, str]]]:
    """Count the day of a real hour file, all of whose repositories are tracked; the day, and what `by_hand` reads."""
    path = real_data / "gharchive" / name[:4] / f"{name}.json.gz"
    hour = datetime.strptime(name, "%Y-%m-%d-%H").replace(tzinfo=UTC)
    fetched(database, path.parent, hour)
    database.execute(
        "INSERT INTO repositories (repo_id, name)"
        " SELECT DISTINCT ON (repo_id) repo_id, repo_name FROM events ORDER BY repo_id, created_at DESC"
    )
    count_people(database, hour.date())
    count_repositories(database, hour.date())
    return hour.date(), *by_hand(path, hour.date())
