"""How the server counts tokens."""

from __future__ import annotations

import re
from typing import Literal

from tests.doubles.llm_server.request import Request

Tokenizer = Literal["words", "characters"]
"""words: those of the user's message alone, and of the reply. characters: a token for every four, of all messages, and
four more for each message (its role and marks), as with byte-pair encodings of English."""
_WORD = re.compile(r"\S+\s*")


def prompt_tokens(request: Request, tokenizer: Tokenizer) -> int:
    """Tokens of a chat's prompt."""
    if tokenizer == "words":
        return len(request.user.split())
    return sum(count(text, tokenizer) + 4 for _, text in request.messages)


def count(text: str, tokenizer: Tokenizer) -> int:
    """Tokens of a text."""
    return len(text.split()) if tokenizer == "words" else len(text) // 4 + 1


def cut(text: str, tokens: int, tokenizer: Tokenizer) -> str:
    """The first `tokens` tokens of a text."""
    if tokenizer == "characters":
        return text[: tokens * 4 - 1]
    return "".join(match.group() for match in list(_WORD.finditer(text))[:tokens]).rstrip()
