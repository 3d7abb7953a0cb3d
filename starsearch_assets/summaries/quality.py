"""The rules that judge a summary by its source. They read texts only: no model, no database.

A flag reads "rule: what was found". What an LLM made up or repeated of its prompt is no summary: those are withheld,
that is kept and counted, and never served. The other rules only count: they err where prose is free.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starsearch_assets.summaries.language import is_english
from starsearch_assets.summaries.mentions import Text, foreign_entities, foreign_links, plain
from starsearch_assets.summaries.source import Source, Summary

QUALITY_VERSION: Final = 1
"""Version of the rules: what an older one judged is judged again, from what is stored."""

LENGTH, LANGUAGE, ECHO, LINKS, ENTITIES, TECHNOLOGIES = (
    "length",
    "language",
    "echo",
    "links",
    "entities",
    "technologies",
)
WITHHELD: Final = frozenset((ECHO, LINKS))
"""Rules whose finding keeps a summary from being served."""

LLM_SENTENCES, LLM_CHARACTERS = (2, 4), (40, 1200)
EXTRACTIVE_SENTENCES, EXTRACTIVE_CHARACTERS = (1, 12), (1, 2000)
"""A chosen sentence of the source may hold several, where the splitter found no end; a title alone may be all."""

SHORT_SOURCE = 200
"""Characters of an item's own text below which one sentence says it."""

ENTITY_SHARE = 0.25
"""Share of the identifiers, paths, versions and numbers of a summary that its source may lack."""

_FOUND = 160
_PROMPT_WORDS = 6  # so many of the prompt's words in a row are no accident
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s+[^\sa-z]|\s*$)|[。！？]")
_ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|no|dr|mr|ms|inc|al|resp)\.$", re.IGNORECASE)

_REMAINS = re.compile(
    r"\b(?:BEGIN|END)[\W_]+(?:OF[\W_]+)?(?:TEXT|DATA|SOURCE|ITEM|UNTRUSTED|INPUT)\b"
    r"|<\|[^|>\n]{0,40}\|>|\[/?INST\]|</?(?:think|s|system|assistant|user|text|summary)>|<<SYS>>"
    r"|```|\A\s*[\[{]|\"(?:summary|change_type|technologies|components|user_visible)\"\s*:|\\n\\n|\\u[0-9a-f]{4}"
    r"|(?i:\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b(?! (?:feature|tool|agent|product)))"
    r"|(?i:\bI(?:'m| am) (?:an AI|a language model|sorry, but|unable to (?:help|assist|comply|summari[sz]e))\b)"
    r"|(?i:\bI can(?:no|')t (?:help|assist|comply|summari[sz]e|fulfil)\w*)"
    r"|(?i:\A\W*(?:sure|certainly|of course|absolutely|okay|ok)\b\W{1,3}\s*(?:here|i\b|this|the following|below))"
    r"|(?i:\bhere(?:'s| is| are)\s+(?:a|an|the|my|your)\s+(?:\w+[\s-]){0,3}summar(?:y|ies)\b)"
    r"|(?i:\A\W*(?:summary|system|assistant|output|response)\s*:)"
    r"|(?i:\b(?:my|these|the) (?:system prompt|instructions (?:are|say|tell|were)))"
)


@dataclass(frozen=True)
class Judgement:
    """flags: "rule: what was found", one a rule at most. withheld: the summary is not to be served."""

    flags: tuple[str, ...] = ()
    withheld: bool = False

    @property
    def rules(self) -> frozenset[str]:
        """The rules that found something."""
        return frozenset(flag.partition(":")[0] for flag in self.flags)


def judge(source: Source, summary: Summary, prompt_texts: Sequence[str], *, extractive: bool) -> Judgement:
    """What all rules find in `summary`, given everything that it may rest on and the prompts that it may repeat.

    extractive: it is made of sentences of the source, which are bound to no length and are in the source's language;
    it is never withheld: there is nothing in it that the source lacks.
    """
    text, known = plain(summary.text), source_text(source)
    found = {
        LENGTH: _length(source, text, extractive=extractive),
        LANGUAGE: "" if is_english(text, prose=not extractive) else "not English",
        ECHO: _echo(text, known, prompt_texts),
        LINKS: ", ".join(foreign_links(text, known)),
        ENTITIES: _entities(text, known),
        TECHNOLOGIES: ", ".join(summary.other_technologies),
    }
    flags = tuple(f"{rule}: {_storable(what)}" for rule, what in found.items() if what)
    return Judgement(flags, not extractive and any(found[rule] for rule in WITHHELD))


def source_text(source: Source) -> Text:
    """Everything of a source, raw, to look things up in."""
    return Text(
        source.kind, source.title, source.body, *source.labels, *source.paths, *source.reviews, *source.comments,
        *source.commits, str(source.paths_total),
    )  # fmt: skip


def count_sentences(text: str) -> int:
    """Sentences of a text; what follows the last end counts as one."""
    count, start = 0, 0
    for match in _SENTENCE_END.finditer(text):
        if _ABBREVIATED.search(text[: match.end()]) and match.end() < len(text.rstrip()):
            continue
        count, start = count + 1, match.end()
    return count + any(character.isalnum() for character in text[start:])


def _length(source: Source, text: str, *, extractive: bool) -> str:
    characters, sentences = len(text.strip()), count_sentences(text)
    fewest, most = EXTRACTIVE_SENTENCES if extractive else LLM_SENTENCES
    shortest, longest = EXTRACTIVE_CHARACTERS if extractive else LLM_CHARACTERS
    own = len(source.body) + sum(map(len, source.comments)) + sum(map(len, source.reviews))
    if own < SHORT_SOURCE:
        fewest, shortest = 1, 1
    if fewest <= sentences <= most and shortest <= characters <= longest:
        return ""
    return f"{sentences} sentences, {characters} characters"


def _echo(text: str, source: Text, prompt_texts: Sequence[str]) -> str:
    for match in _REMAINS.finditer(text):
        if match.group().strip().casefold() not in source.folded:
            return match.group().strip()
    said = _words(text)
    if len(said) < _PROMPT_WORDS:
        return ""
    grams = [" ".join(said[start : start + _PROMPT_WORDS]) for start in range(len(said) - _PROMPT_WORDS + 1)]
    own: str | None = None
    for prompt in prompt_texts:
        instructions = f" {' '.join(_words(prompt))} "
        for gram in grams:
            if f" {gram} " in instructions:
                own = f" {' '.join(_words(source.shown))} " if own is None else own
                if f" {gram} " not in own:
                    return gram
    return ""


def _entities(text: str, source: Text) -> str:
    foreign, total = foreign_entities(text, source)
    return ", ".join(foreign) if len(foreign) > ENTITY_SHARE * total else ""


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", plain(text).casefold())


def _storable(found: str) -> str:
    """One line that PostgreSQL takes."""
    line = " ".join("".join(c if c.isprintable() else " " for c in found).split())
    return line if len(line) <= _FOUND else line[: _FOUND - 1] + "…"
