"""What type of change a pull request is, from its title."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

CHANGE_TYPES: Final = (
    "feature", "bug fix", "documentation", "refactoring", "performance", "test", "build and CI", "maintenance",
    "revert", "other",
)  # fmt: skip
_CONVENTIONAL = re.compile(r"^\s*([a-z]+)(?:\([^)]*\))?!?:", re.IGNORECASE)
_BY_PREFIX: Final = {
    "feat": "feature", "feature": "feature", "fix": "bug fix", "bugfix": "bug fix", "hotfix": "bug fix",
    "docs": "documentation", "doc": "documentation", "refactor": "refactoring", "perf": "performance",
    "test": "test", "tests": "test", "ci": "build and CI", "build": "build and CI", "chore": "maintenance",
    "deps": "maintenance", "style": "maintenance", "revert": "revert",
}  # fmt: skip
_BY_WORD: Final = (
    ("revert", re.compile(r"^\s*revert", re.IGNORECASE)),
    ("documentation", re.compile(r"\b(docs?|documentation|document|readme|typos?|guide|changelog)\b", re.IGNORECASE)),
    ("test", re.compile(r"\b(tests?|coverage|flaky)\b", re.IGNORECASE)),
    ("bug fix", re.compile(r"\b(fix(es|ed)?|bugs?|crash(es)?|prevent|avoid|handle|correct|stop)\b", re.IGNORECASE)),
    ("performance", re.compile(r"\b(speed|faster|perf(ormance)?|optimi[sz]e|cache|reduce)\b", re.IGNORECASE)),
    ("refactoring", re.compile(r"\b(refactor|clean ?up|rename|simplify|extract|move|split|remove)\b", re.IGNORECASE)),
    ("build and CI", re.compile(r"\b(ci|build|workflow|pipeline|lint|docker)\b", re.IGNORECASE)),
    ("maintenance", re.compile(r"\b(bump|upgrade|update|dependenc(y|ies))\b", re.IGNORECASE)),
    ("feature", re.compile(r"\b(add(s|ed)?|support|allow|introduce|implement|new|expose|enable)\b", re.IGNORECASE)),
)  # fmt: skip


@lru_cache(10_000)
def change_type(title: str) -> str:
    """One of CHANGE_TYPES. A Conventional Commits prefix decides (conventionalcommits.org), then the title's words."""
    if (match := _CONVENTIONAL.match(title)) and (named := _BY_PREFIX.get(match.group(1).lower())):
        return named
    return next((name for name, pattern in _BY_WORD if pattern.search(title)), "other")
