"""The vocabulary of technologies: one name for each, whatever people call it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

_CASED: Final = frozenset(
    "Ada Airflow Angular Apex Arrow Assembly Astro Babel Backbone Bash Beam Biome Bootstrap Bun Cargo Cassandra"
    " Celery Chef Clang Composer Conda Consul Crystal Cypress Dart Django Echo Electron Elm Ember Envoy Express"
    " Fastify Fiber Flask Flink Flutter Gatsby Gin Git Groovy Hadoop Helm Hibernate Hive Iceberg Ionic Jaeger Jest"
    " Julia Keras Ktor Leaflet Less Linux Lit Lua Make mamba MATLAB Maven Meson Mocha Mongo Nim Ninja Nix Node Nomad"
    " Nx Packer Parquet Pascal Perl Phoenix Pinia Playwright Poetry Polymer Preact Prefect Presto Prettier Prisma"
    " Prolog Pulsar Puppet Puppeteer Qwik Racket Rails Ray React Redux Remix Renovate REST Rollup Ruby Ruff Rust"
    " Salt Sass Scala Selenium Sentry Sinatra Snowflake Solid Solr Spark Sphinx Spring Storybook Superset Svelte SWC"
    " Swift Tornado Triton Unicode Unity Vagrant Vala Vault Vite Vue Windows Yarn Zig Zod".split()
)
"""Words of everyday language as well: only as they are written, and not at a sentence's beginning."""

_SPELT_OUT: Final = frozenset(("C", "D", "Go", "R", "V", "Make"))
"""Names that are no sign at all: only by another name of theirs, or by files."""

_NOT_WORD = re.compile(r"[^a-z0-9+#]+")
_SHORTEST_ALIAS = 3


class _Vocabulary(NamedTuple):
    by_key: dict[str, str]
    suffixes: dict[str, str]
    file_names: dict[str, str]
    words: re.Pattern[str]
    cased: re.Pattern[str]


def normalize(name: str) -> str | None:
    """The vocabulary's name for it; None where it has none. Case, spaces, dots and hyphens do not matter."""
    return _vocabulary().by_key.get(_key(name))


def sorted_out(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the vocabulary, and those that it lacks, each once, in their order."""
    known: dict[str, None] = {}
    others: dict[str, None] = {}
    for name in names:
        if (found := normalize(name)) is not None:
            known[found] = None
        elif name:
            others[name[:60]] = None
    return tuple(known), tuple(others)


def mentioned(text: str, paths: Iterable[str] = ()) -> tuple[str, ...]:
    """Technologies that a text names as a whole word, or that its files show; the one met first comes first."""
    vocabulary = _vocabulary()
    found: dict[str, int] = {}
    for match in vocabulary.words.finditer(text):
        found.setdefault(vocabulary.by_key[_key(match.group())], match.start())
    for match in vocabulary.cased.finditer(text):
        before = text[: match.start()].rstrip(" \t")
        if before and before[-1] not in ".!?\n:;":
            name = vocabulary.by_key[_key(match.group())]
            found[name] = min(match.start(), found.get(name, match.start()))
    names = [name for name, _ in sorted(found.items(), key=lambda one: one[1])]
    for path in paths:
        file = path.rsplit("/", 1)[-1].lower()
        shown = vocabulary.file_names.get(file) or vocabulary.suffixes.get("." + file.rsplit(".", 1)[-1])
        if shown is not None:
            names.append(shown)
    return tuple(dict.fromkeys(names))


@cache
def _vocabulary() -> _Vocabulary:
    """technologies.toml, read."""
    groups = tomllib.loads((files(__package__) / "technologies.toml").read_text(encoding="utf-8"))
    by_key: dict[str, str] = {}
    suffixes: dict[str, str] = {}
    file_names: dict[str, str] = {}
    words: list[str] = []
    for group in groups.values():
        for name, others in group.items():
            by_key[_key(name)] = name
            if name not in _SPELT_OUT:
                words.append(name)
            for other in others:
                if other.startswith("."):
                    suffixes[other] = name
                elif other.startswith("="):
                    file_names[other[1:].lower()] = name
                else:
                    by_key[_key(other)] = name
                    words.append(other)
    known = [word for word in words if len(word) >= _SHORTEST_ALIAS]
    return _Vocabulary(
        by_key,
        suffixes,
        file_names,
        _pattern([word for word in known if word not in _CASED], re.IGNORECASE),
        _pattern([word for word in known if word in _CASED]),
    )


def _pattern(words: Iterable[str], flags: int = 0) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile(rf"(?<![\w.@/-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w/@-]|\.\w)", flags)


def _key(name: str) -> str:
    return _NOT_WORD.sub("", name.lower())
