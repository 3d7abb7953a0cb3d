"""Real judgements, issue to pull request, as collections: documents, queries, and which answers which."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.report import REAL_DATA

HARD = 0.2
"""Jaccard similarity of the two titles' words below which a judgement is a hard one."""


@dataclass(frozen=True)
class Document:
    """One pull request."""

    repo: str
    number: int
    title: str
    body: str
    author: str
    state: str
    created_at: datetime

    @property
    def name(self) -> str:
        """As files of judgements name it."""
        return f"pull_request:{self.repo}#{self.number}"


@dataclass(frozen=True)
class Query:
    """An issue's title, the names of the pull requests that answer it, and whether their titles share few words."""

    query_id: str
    text: str
    relevant: dict[str, int]
    hard: bool


@dataclass(frozen=True)
class Collection:
    """Documents that are searched together, and the queries over them."""

    name: str
    documents: list[Document]
    queries: list[Query]


def collections() -> Iterator[Collection]:
    """The collections that are there."""
    folder = REAL_DATA / "retrieval"
    for name, read in (("aidev", _aidev), ("bitcoin_gui", _bitcoin_gui), ("hf_datasets", _hf_datasets)):
        if (folder / name).is_dir():
            yield read(folder / name)


def _aidev(folder: Path) -> Collection:
    documents = [
        Document(
            _repo(row["html_url"]), int(row["number"]), row["title"], row["body"], row["user"], row["state"],
            datetime.fromisoformat(row["created_at"]),
        )
        for row in _csv(folder / "Copilot.prs.csv.gz")
    ]  # fmt: skip
    titles = {row["html_url"]: row["title"] for row in _csv(folder / "Copilot.issues.csv.gz")}
    with (folder / "qrels.tsv").open(encoding="utf-8", newline="") as file:
        judgements = [
            (row["query_issue_url"], _name(row["doc_pr_url"]), int(row["rel"]), float(row["title_jaccard"]))
            for row in csv.DictReader(file, delimiter="\t")
        ]
    return Collection("aidev", documents, _queries(titles, judgements))


def _bitcoin_gui(folder: Path) -> Collection:
    return _of_one_repository(
        "bitcoin_gui", "bitcoin-core/gui", _json(folder / "bitcoin-core-gui.issues.jsonl.gz"),
        _json(folder / "bitcoin-core-gui.pulls.jsonl.gz"), folder / "bitcoin-core-gui.qrels.tsv",
    )  # fmt: skip


def _hf_datasets(folder: Path) -> Collection:
    rows = list(_json(folder / "datasets-issues.jsonl.gz"))
    return _of_one_repository(
        "hf_datasets", "huggingface/datasets", [row for row in rows if not row.get("pull_request")],
        [row for row in rows if row.get("pull_request")], folder / "qrels.tsv",
    )  # fmt: skip


def _of_one_repository(
    name: str, repo: str, issues: Iterable[dict[str, Any]], pulls: Iterable[dict[str, Any]], qrels: Path
) -> Collection:
    by_number = {
        int(pull["number"]): Document(
            repo, int(pull["number"]), pull["title"], pull.get("body") or "", pull["user"]["login"], pull["state"],
            datetime.fromisoformat(pull["created_at"]),
        )
        for pull in pulls
    }  # fmt: skip
    titles = {str(issue["number"]): issue["title"] for issue in issues if "/issues/" in issue["html_url"]}
    judgements = []
    with qrels.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            issue, pull = row["query_issue"], by_number.get(int(row["doc_pull"]))
            if issue in titles and pull is not None:
                judgements.append((issue, pull.name, int(row["rel"]), _jaccard(titles[issue], pull.title)))
    return Collection(name, list(by_number.values()), _queries(titles, judgements))


def _queries(titles: dict[str, str], judgements: Iterable[tuple[str, str, int, float]]) -> list[Query]:
    """A query is hard when no title of what answers it is near to its own."""
    relevant: dict[str, dict[str, int]] = {}
    nearest: dict[str, float] = {}
    for issue, pull, grade, jaccard in judgements:
        relevant.setdefault(issue, {})[pull] = grade
        nearest[issue] = max(nearest.get(issue, 0.0), jaccard)
    return [Query(issue, titles[issue], grades, nearest[issue] < HARD) for issue, grades in relevant.items()]


def _jaccard(one: str, other: str) -> float:
    mine, theirs = words(one), words(other)
    return len(set(mine) & set(theirs)) / max(1, len({*mine, *theirs}))


def words(text: str) -> list[str]:
    """The words of a text, as the judgements' similarity of titles counts them."""
    return re.findall(r"\w+", text.lower())


def _name(url: str) -> str:
    return f"pull_request:{_repo(url)}#{url.rsplit('/', 1)[1]}"


def _repo(url: str) -> str:
    return "/".join(url.split("/")[3:5])


def _csv(path: Path) -> Iterator[dict[str, str]]:
    csv.field_size_limit(2**24)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _json(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
