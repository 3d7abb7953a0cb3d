"""How many tokens a text is to the model that reads it: by its tokenizer where it is here, else by a cautious rule."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from resources.errors import ConfigurationError
from resources.settings import Settings
from resources.tokens import estimated_tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHARACTERS = 8
"""A text is cut to so many characters a token before it is counted: more never fit."""


class TokenCounter:
    """Counts and cuts by a tokenizer, or by `estimated_tokens` without one. exact: which of both."""

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self._tokenizer = tokenizer

    @property
    def exact(self) -> bool:
        """Whether the model's own tokenizer counts."""
        return self._tokenizer is not None

    def count(self, text: str) -> int:
        """Tokens of `text` alone, without those that a chat template adds."""
        if self._tokenizer is None:
            return estimated_tokens(text)
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def cut(self, text: str, tokens: int) -> str:
        """The longest beginning of `text` with at most `tokens` tokens that does not end inside a word, if it can."""
        if tokens <= 0:
            return ""
        if self.count(text) <= tokens:
            return text
        fits, too_long = 0, min(len(text), tokens * _CHARACTERS) + 1
        while too_long - fits > 1:
            middle = (fits + too_long) // 2
            if self.count(text[:middle]) <= tokens:
                fits = middle
            else:
                too_long = middle
        start = text[:fits]
        whole = start[: max(start.rfind(" "), start.rfind("\n"), 0)]
        return whole if len(whole) >= fits - 40 and self.count(whole) <= tokens else start


def create_token_counter(settings: Settings) -> TokenCounter:
    """The counter that these settings ask for.

    Raises:
        ConfigurationError: SUMMARY_TOKENIZER is no tokenizer.json that can be read.
    """
    path = settings.summary_tokenizer
    return TokenCounter() if path is None else TokenCounter(_tokenizer(path.expanduser().absolute()))


@lru_cache(maxsize=4)
def _tokenizer(path: Path) -> Tokenizer:
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ConfigurationError(
            "SUMMARY_TOKENIZER is set, but the package `tokenizers` is not installed: install it, or unset"
            " SUMMARY_TOKENIZER to count tokens cautiously."
        ) from error
    try:
        tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises Exception itself
        raise ConfigurationError(
            f"SUMMARY_TOKENIZER is {path}, but {file} cannot be read as a tokenizer.json: {str(error)[:200]}. Take the"
            " file of that name from SUMMARY_MODEL's folder, or unset SUMMARY_TOKENIZER to count tokens cautiously."
        ) from error
    tokenizer.no_truncation()  # files may carry a limit of their own: what lies behind it would not be counted
    tokenizer.no_padding()
    return tokenizer
