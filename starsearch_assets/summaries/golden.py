"""The golden set of a prompt: invented items, and what a good summary of each says and does not say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import orjson

from starsearch_assets.summaries.fit import fit
from starsearch_assets.summaries.prompt import PROMPT_VERSION
from starsearch_assets.summaries.source import Failure, Outcome, Source, Summarizer
from starsearch_assets.summaries.tokens import TokenCounter

_TOKENS = 3000


@dataclass(frozen=True)
class GoldenItem:
    """mentions: groups of words of which the summary has one each; technologies: that are found; change_types: any of
    them is right, none: all are; absent: what the summary must not say."""

    name: str
    source: Source
    mentions: tuple[tuple[str, ...], ...]
    technologies: tuple[str, ...]
    change_types: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of one item. problems: empty where everything holds."""

    item: GoldenItem
    outcome: Outcome
    problems: tuple[str, ...]


def golden_set(version: str = PROMPT_VERSION) -> list[GoldenItem]:
    """The items of a prompt's version."""
    text = (files(__package__) / "prompts" / version / "golden.jsonl").read_text(encoding="utf-8")
    return [_item(orjson.loads(line)) for line in text.splitlines()]


def rendered_digest(version: str = PROMPT_VERSION) -> str:
    """SHA-256 over what the LLM would read of each item: another one is another version of the prompt."""
    texts = [fit(item.source, _TOKENS, TokenCounter()).text for item in golden_set(version)]
    return hashlib.sha256(orjson.dumps(texts)).hexdigest()


def evaluate(summarizer: Summarizer, items: Sequence[GoldenItem] | None = None) -> list[Verdict]:
    """Summarize the golden set and judge each summary.

    Raises:
        LLMUnavailable: the server is down.
    """
    items = golden_set() if items is None else items
    outcomes: dict[Source, Outcome] = {}
    summarizer.summarize([item.source for item in items], outcomes.update)
    return [Verdict(item, outcomes[item.source], tuple(problems(item, outcomes[item.source]))) for item in items]


def problems(item: GoldenItem, outcome: Outcome) -> list[str]:
    """What of an item's expectations an outcome does not meet, in words."""
    if isinstance(outcome, Failure):
        return [outcome.reason]
    text = outcome.text.casefold()
    found = [
        f"says nothing of {' or '.join(group)}"
        for group in item.mentions
        if not any(word.casefold() in text for word in group)
    ]
    found += [f"says {word!r}" for word in item.absent if word.casefold() in text]
    found += [f"does not find {name}" for name in item.technologies if name not in outcome.technologies]
    if item.change_types and outcome.change_type is not None and outcome.change_type not in item.change_types:
        found.append(f"calls it {outcome.change_type} instead of {' or '.join(item.change_types)}")
    return found


def _item(told: dict[str, Any]) -> GoldenItem:
    source: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told["source"].items()
    }
    expect = told["expect"]
    return GoldenItem(
        told["name"],
        Source(**source),
        tuple(map(tuple, expect["mentions"])),
        tuple(expect["technologies"]),
        tuple(expect["change_types"]),
        tuple(expect["absent"]),
    )
