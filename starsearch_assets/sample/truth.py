"""What is known about the sample without reading it: the answers that tests compare with."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from starsearch_assets.sample.cast import BOTS, RENAMED_AT, REPOSITORIES
from starsearch_assets.sample.items import Item, Release

Ref: TypeAlias = tuple[str, int]
"""A repository's full name at the end of the window, and a number."""

LOTTERY_REPOSITORY = "remix-run/react-router"
PERSON = "brandonroberts"
TYPE_NAMES = {
    "feature": "feature",
    "bug": "bug fix",
    "docs": "documentation",
    "refactor": "refactoring",
    "performance": "performance",
    "test": "test",
}
UNANSWERABLE = (
    "How does the payroll module compute overtime for part-time staff?",
    "Which pull request added support for quantum annealing hardware?",
    "Why did the satellite ground station lose its telemetry link?",
    "What is the lottery factor of the acme-corp/rocket-engine project?",
    "Who fixed the colour calibration of the thermal printer driver?",
)


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line that is not JSON: its file and its number, counted from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Rename:
    """A repository that got a new name; its id stayed."""

    repo_id: int
    old_name: str
    new_name: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Retitled:
    """An item whose title differs between its first and its later observations."""

    kind: str
    repo: str
    number: int
    old_title: str
    new_title: str


@dataclass(frozen=True, slots=True)
class ItemRef:
    """Names one item: kind, repository at the end of the window, number."""

    kind: str
    repo: str
    number: int


@dataclass(frozen=True, slots=True)
class Lottery:
    """Opened pull requests by author, most first, without bots.

    `people` is the smallest group that reaches half of them. `counts` takes everything whose author the
    events tell, `counts_with_text` only what has a title; the group is the same either way.
    """

    repo: str
    counts: tuple[tuple[str, int], ...]
    counts_with_text: tuple[tuple[str, int], ...]
    people: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a person answers the fourth question: pull requests on one side, any items on the other."""

    tailwind_pull_requests: tuple[Ref, ...]
    rust_authored: tuple[ItemRef, ...]
    rust_discussed: tuple[ItemRef, ...]


@dataclass(frozen=True, slots=True)
class SampleTruth:
    """Everything that a test can know of the sample.

    Counts are of distinct things: `events` by (created_at, id, type), `items` by kind and key. Items
    count where some event carries their title; `untitled_pull_requests` are those that no event names.
    """

    files: tuple[str, ...]
    events: int
    lines: int
    events_by_type: Mapping[str, int]
    duplicate_lines: int
    late_lines: int
    broken_lines: tuple[BrokenLine, ...]
    shared_event_id: str
    slim_since: datetime
    items: Mapping[str, int]
    untitled_pull_requests: tuple[Ref, ...]
    bots: tuple[str, ...]
    rename: Rename
    retitled: tuple[Retitled, ...]
    nul_item: ItemRef
    longest_item: ItemRef
    pull_request_types: Mapping[Ref, str]
    typescript_ranking: tuple[tuple[str, int], ...]
    lottery: Lottery
    tailwind_and_rust: Mapping[str, Evidence]
    searches: Mapping[str, ItemRef]
    unanswerable: tuple[str, ...]


def mentions(word: str, text: str) -> bool:
    """Whether `text` has `word` as a word of its own, in any case."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def rename() -> Rename:
    """The one repository that changes its name."""
    found = next(r for r in REPOSITORIES if r.name_before)
    return Rename(found.id, found.name_before or "", found.name, RENAMED_AT)


def item_counts(items: list[Item], releases: list[Release]) -> dict[str, int]:
    """How many distinct items of each kind have a text."""
    counts = Counter(item.kind for item in items if item.has_text)
    return {"pull_request": counts["pull_request"], "issue": counts["issue"], "release": len(releases)}


def untitled(items: list[Item]) -> tuple[Ref, ...]:
    """Pull requests that occur in events, none of which carries a title."""
    return tuple(sorted(i.ref for i in items if i.is_pull_request and i.seen and not i.has_text))


def retitled(items: list[Item]) -> tuple[Retitled, ...]:
    """Items whose title was edited between two events."""
    return tuple(
        Retitled(i.kind, *i.ref, i.entry.fact("was") or "", i.title)
        for i in items
        if i.entry.fact("was") and i.opening_seen and i.comments
    )


def flagged(items: list[Item], flag: str) -> ItemRef:
    """The item whose catalogue entry has that flag."""
    return _name(next(i for i in items if flag in i.entry.flags))


def searches(items: list[Item]) -> dict[str, ItemRef]:
    """Paraphrases, each with the one item that it describes."""
    found = {i.entry.fact("query") or "": _name(i) for i in items if i.has_text}
    return {query: ref for query, ref in found.items() if query}


def pull_request_types(items: list[Item]) -> dict[Ref, str]:
    """Question 1: the pull requests of one person, with their types."""
    return {i.ref: TYPE_NAMES[i.entry.type] for i in items if i.is_pull_request and i.author == PERSON}


def typescript_ranking(items: list[Item]) -> tuple[tuple[str, int], ...]:
    """Question 2: people by pull requests whose title or body mentions TypeScript, most first."""
    return _ranked(i.author for i in _pulls(items) if i.has_text and mentions("typescript", f"{i.title}\n{i.body}"))


def lottery(items: list[Item]) -> Lottery:
    """Question 3: who opens half of a repository's pull requests."""
    here = [i for i in _pulls(items) if i.repository.name == LOTTERY_REPOSITORY]
    counts = _ranked(i.author for i in here if i.has_text or i.opening_seen)
    total, reached, people = sum(count for _, count in counts), 0, []
    for login, count in counts:
        if 2 * reached >= total:
            break
        people.append(login)
        reached += count
    with_text = _ranked(i.author for i in here if i.has_text)
    return Lottery(LOTTERY_REPOSITORY, counts, with_text, tuple(people), reached / total)


def tailwind_and_rust(items: list[Item]) -> dict[str, Evidence]:
    """Question 4: people with pull requests about Tailwind who write about Rust as well."""
    rust = [i for i in items if i.has_text and i.repository.language == "Rust"]
    result: dict[str, Evidence] = {}
    for login in sorted({i.author for i in _pulls(items)}):
        styling = [i.ref for i in _pulls(items) if i.author == login and i.has_text and _about(i, "tailwind")]
        authored = [_name(i) for i in rust if i.author == login]
        discussed = [_name(i) for i in rust if login in i.speakers]
        if styling and (authored or discussed):
            result[login] = Evidence(tuple(styling), tuple(authored), tuple(discussed))
    return result


def _about(item: Item, word: str) -> bool:
    return mentions(word, f"{item.title}\n{item.body}")


def _pulls(items: list[Item]) -> list[Item]:
    return [i for i in items if i.is_pull_request and i.author not in BOTS and i.seen]


def _name(item: Item) -> ItemRef:
    return ItemRef(item.kind, *item.ref)


def _ranked(logins: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(Counter(logins).items(), key=lambda pair: (-pair[1], pair[0])))
