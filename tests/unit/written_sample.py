"""The bundled sample as its files tell of it."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from starsearch_assets.sample import Ref, SampleTruth, write_sample


@dataclass
class Seen:
    """One item as the lines tell of it, newest title last."""

    repo_id: int
    number: int
    titles: list[str]
    bodies: list[str]
    author: str | None = None
    opened_by: str | None = None


@dataclass
class Sample:
    """A written sample, read back without any help of its writer."""

    directory: Path
    truth: SampleTruth
    lines: list[tuple[str, int, str]]
    broken: list[tuple[str, int]]
    raw: list[tuple[str, dict[str, Any]]]
    events: list[dict[str, Any]]
    names: dict[int, str]
    pulls: dict[tuple[int, int], Seen]
    issues: dict[tuple[int, int], Seen]
    speakers: dict[tuple[int, int], set[str]]

    def ref(self, key: tuple[int, int]) -> Ref:
        """Name at the end of the window, and number."""
        return self.names[key[0]], key[1]


def at(event: dict[str, Any]) -> datetime:
    """When the event happened."""
    return datetime.fromisoformat(event["created_at"])


def is_bot(login: str) -> bool:
    """Whether a login is a bot's."""
    return login.endswith("[bot]")


def about(word: str, seen: Seen) -> bool:
    """Whether the item's text has that word."""
    text = f"{seen.titles[-1]}\n{seen.bodies[-1]}"
    return re.search(rf"\b{word}\b", text, re.IGNORECASE) is not None


def read_back(directory: Path) -> Sample:
    """The sample, written to a folder and read from it."""
    truth = write_sample(directory)
    lines: list[tuple[str, int, str]] = []
    for name in truth.files:
        text = gzip.decompress((directory / name).read_bytes()).decode()
        lines += [(name, number, line) for number, line in enumerate(text.split("\n")[:-1], 1)]
    broken: list[tuple[str, int]] = []
    raw: list[tuple[str, dict[str, Any]]] = []
    distinct: dict[tuple[str, str, str], dict[str, Any]] = {}
    for name, number, line in lines:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            broken.append((name, number))
            continue
        raw.append((name, event))
        distinct[event["created_at"], event["id"], event["type"]] = event
    events = sorted(distinct.values(), key=at)
    result = Sample(directory, truth, lines, broken, raw, events, {}, {}, {}, {})
    for event in events:
        result.names[event["repo"]["id"]] = event["repo"]["name"]
        _observe(result, event)
    return result


def _observe(sample: Sample, event: dict[str, Any]) -> None:
    payload, repo_id = event["payload"], event["repo"]["id"]
    item = payload.get("pull_request") or payload.get("issue")
    if not isinstance(item, dict):
        return
    key = (repo_id, item["number"])
    is_pull = "pull_request" in payload or "pull_request" in item
    seen = (sample.pulls if is_pull else sample.issues).setdefault(key, Seen(*key, [], []))
    if "title" in item:
        seen.titles.append(item["title"])
        seen.bodies.append(item["body"])
        seen.author = item["user"]["login"]
    if payload["action"] == "opened":
        seen.opened_by = event["actor"]["login"]
    if payload["action"] == "created":
        sample.speakers.setdefault(key, set()).add(event["actor"]["login"])
