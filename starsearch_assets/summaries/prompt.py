"""Prompts are versioned files: a folder of prompts/ a version, with its schema and its golden set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from starsearch_assets.summaries.fit import RENDERING

PROMPT_VERSION = "summary-2"

INSTRUCTION_TOKENS = 600
"""Tokens of the instructions and of the chat template around them, about."""

REPLY_TOKENS = 400


@dataclass(frozen=True)
class Prompt:
    """One version. digest: of everything that decides what is sent; prompts/versions.json remembers it."""

    version: str
    system: str
    repair: str
    schema: Mapping[str, Any]
    digest: str


@cache
def load_prompt(version: str = PROMPT_VERSION) -> Prompt:
    """The files of a version."""
    folder = files(__package__) / "prompts" / version
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("system.md", "repair.md", "schema.json")}
    digest = hashlib.sha256(json.dumps([RENDERING, sorted(texts.items())]).encode()).hexdigest()
    return Prompt(version, texts["system.md"], texts["repair.md"], json.loads(texts["schema.json"]), digest)
