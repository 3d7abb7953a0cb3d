"""The double of GitHub, against recordings of GitHub itself."""

from __future__ import annotations

import gzip
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.github import Account, Issue, PullRequest, Repository
from tests.doubles.github.node_ids import node_id, read_node_id
from tests.doubles.github.rest_objects import issue_object, pull_request_object, repository_object
from tests.doubles.github.state import START


def recorded(folder: Path) -> Iterator[Any]:
    """Each JSON value of the REST recordings."""
    for path in sorted(folder.glob("octokit_*/*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(folder.glob("pygithub_replay/*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(("{", "[{")) and not line.startswith(("{'", "[{'")):
                yield json.loads(line)
    for path in sorted(folder.parent.glob("retrieval/*/*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, itertools.islice(lines, 300))


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Each object in a value, at any depth."""
    if isinstance(value, dict):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(below)


def types(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, type) of everything in a value."""
    yield path, type(value).__name__
    if isinstance(value, dict):
        for name, below in value.items():
            yield from types(below, f"{path}.{name}")
    elif isinstance(value, list):
        for below in value:
            yield from types(below, f"{path}[]")


@pytest.fixture(scope="session")
def real_objects(real_data: Path) -> dict[str, list[dict[str, Any]]]:
    """Real repositories, issues and pull requests."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for value in recorded(real_data / "rest"):
        for one in objects(value):
            if {"full_name", "forks_url"} <= one.keys():
                found["repository"].append(one)
            elif {"number", "diff_url", "head"} <= one.keys():
                found["pull_request"].append(one)
            elif {"number", "events_url", "comments_url"} <= one.keys():
                found["issue"].append(one)
    return found


@pytest.mark.parametrize("kind", ["repository", "issue", "pull_request"])
def test_rest_objects_are_a_part_of_githubs(real_objects: dict[str, list[dict[str, Any]]], kind: str) -> None:
    """Each field that the double serves is in a real object of its kind, with the same type."""
    bot, ann = Account("renovate", is_bot=True), Account("ann")
    merged = PullRequest(
        number=1, body=None, state="MERGED", author=bot, closed_at=START, merged_at=START, merged_by=ann, labels=["bug"]
    )
    pulls, issues = [merged, PullRequest(number=2)], [Issue(number=3, author=ann), Issue(number=4, state="CLOSED")]
    held = Repository(id=7, owner="octo", name="app", description="An app")
    held.add(*pulls, *issues)
    api = "https://api.github.com"
    served = {
        "repository": [repository_object(held, api)],
        "issue": [issue_object(item, api) for item in (*pulls, *issues)],
        "pull_request": [pull_request_object(item, api) for item in pulls],
    }
    real = {pair for one in real_objects[kind] for pair in types(one)}
    assert len(real_objects[kind]) > 10
    assert {pair for one in served[kind] for pair in types(one)} - real == set()


def test_node_ids_are_githubs(real_objects: dict[str, list[dict[str, Any]]]) -> None:
    """Global ids in GitHub's current form come out of the database ids, and the other way round."""
    repositories = {one["node_id"]: (one["id"],) for one in real_objects["repository"] if "node_id" in one}
    pulls = {
        one["node_id"]: (one["base"]["repo"]["id"], one["id"])
        for one in real_objects["pull_request"]
        if "node_id" in one
    }
    for kind, prefix, known in (("Repository", "R_", repositories), ("PullRequest", "PR_", pulls)):
        current = {node: ids for node, ids in known.items() if node.startswith(prefix)}
        assert current
        assert {node_id(kind, *ids): ids for ids in current.values()} == current
        assert {node: read_node_id(node) for node in current} == {node: (kind, ids) for node, ids in current.items()}
    assert read_node_id("nothing of GitHub's") is None
