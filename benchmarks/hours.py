"""Generated hour files: slim events of the shapes and shares that GitHub's feed has had since October 2025."""

from __future__ import annotations

import gzip
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from resources.gh_archive import GHArchive

HOUR = datetime(2026, 3, 20, 12, tzinfo=UTC)

# Type -> share of an hour, per mille.
_SHARES = {
    "PushEvent": 600, "CreateEvent": 130, "PullRequestEvent": 90, "WatchEvent": 60, "IssueCommentEvent": 50,
    "DeleteEvent": 30, "IssuesEvent": 20, "ForkEvent": 20,
}  # fmt: skip
_WORDS = [
    "fix",
    "the",
    "parser",
    "when",
    "a",
    "line",
    "is",
    "empty",
    "and",
    "the",
    "cache",
    "holds",
    "an",
    "older",
    "entry",
    "for",
    "this",
    "route",
    "so",
    "that",
    "users",
    "see",
    "“stale”",
    "rows",
    "after",
    "upgrade",
    "please",
    "add",
    "tests\nfor",
    "windows",
    "paths",
    "too",
    "it",
    "fails",
    "on",
    "C:\\temp",
    "with",
    "a",
    "trace",
]

Object = dict[str, Any]


def write_hour(folder: Path, events: int, *, hour: datetime = HOUR, seed: int = 7) -> Path:
    """Write one hour file of `events` slim events, about 640 bytes each; the same for the same arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{hour:%Y-%m-%d}-{hour.hour}.json.gz"
    chance = random.Random(seed)
    with gzip.open(path, "wb", compresslevel=3) as file:
        for number in range(events):
            created_at = hour + timedelta(seconds=int(3600 * number / events))
            file.write(orjson.dumps(_event(chance, number, created_at)))
            file.write(b"\n")
    return path


def source(folder: Path) -> GHArchive:
    """The folder as a source of hour files."""
    return GHArchive(str(folder))


def _event(chance: random.Random, number: int, created_at: datetime) -> Object:
    kind = chance.choices(list(_SHARES), list(_SHARES.values()))[0]
    person, repository = chance.randrange(200_000), chance.randrange(300_000)
    login, name = f"person-{person}", f"person-{person}/repository-{repository}"
    return {
        "id": str(5_004_270_166 + 3 * number),
        "type": kind,
        "actor": {**_user(person, login), "display_login": login, "gravatar_id": ""},
        "repo": {"id": 10_000_000 + repository, "name": name, "url": f"https://api.github.com/repos/{name}"},
        "payload": _payload(chance, kind, 10_000_000 + repository, name, login),
        "public": True,
        "created_at": f"{created_at:%Y-%m-%dT%H:%M:%SZ}",
    }


def _user(person: int, login: str) -> Object:
    return {
        "id": 1000 + person,
        "login": login,
        "url": f"https://api.github.com/users/{login}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{1000 + person}?",
    }


def _payload(chance: random.Random, kind: str, repo_id: int, name: str, login: str) -> Object:
    number = chance.randrange(1, 5000)
    if kind == "PushEvent":
        return {
            "repository_id": repo_id, "push_id": 31_914_545_596 + number, "ref": "refs/heads/main",
            "head": _sha(chance), "before": _sha(chance),
        }  # fmt: skip
    if kind in ("CreateEvent", "DeleteEvent"):
        return {
            "ref": f"topic-{number}", "ref_type": "branch", "full_ref": f"refs/heads/topic-{number}",
            "master_branch": "main", "description": _text(chance, 8), "pusher_type": "user",
        }  # fmt: skip
    if kind == "PullRequestEvent":
        repo = {"id": repo_id, "url": f"https://api.github.com/repos/{name}", "name": name.split("/")[1]}
        ends = {end: {"ref": f"topic-{number}", "sha": _sha(chance), "repo": repo} for end in ("head", "base")}
        stub = {"url": f"https://api.github.com/repos/{name}/pulls/{number}", "id": number, "number": number}
        return {"action": "opened", "number": number, "pull_request": stub | ends}
    if kind in ("IssuesEvent", "IssueCommentEvent"):
        url = f"https://api.github.com/repos/{name}/issues/{number}"
        issue = {
            "url": url, "labels_url": url + "/labels{/name}", "comments_url": url + "/comments",
            "events_url": url + "/events", "html_url": f"https://github.com/{name}/issues/{number}",
            "id": number, "number": number, "title": _text(chance, 7), "user": _user(number, login),
            "labels": [{"id": 1, "name": "bug", "color": "d73a4a", "default": True}], "state": "open",
            "comments": 1, "created_at": "2026-03-20T10:00:00Z", "updated_at": "2026-03-20T10:00:00Z",
            "body": _text(chance, 80),
        }  # fmt: skip
        if kind == "IssuesEvent":
            return {"action": "opened", "issue": issue}
        comment = {"id": number, "url": url, "user": _user(number, login), "body": _text(chance, 40)}
        return {"action": "created", "issue": issue, "comment": comment}
    if kind == "ForkEvent":
        return {"action": "forked", "forkee": {"id": repo_id + 1, "full_name": name, "name": "fork", "private": False}}
    return {"action": "started"}


def _sha(chance: random.Random) -> str:
    return f"{chance.getrandbits(160):040x}"


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))
