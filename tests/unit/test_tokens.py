"""Counting and cutting by tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from resources.errors import ConfigurationError
from resources.settings import Settings
from resources.tokens import estimated_tokens
from starsearch_assets.summaries.tokens import TokenCounter, create_token_counter


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real tokenizer whose tokens are words, with a limit of its own of three tokens."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "cache": 1, "leak": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(3)
    path = tmp_path_factory.mktemp("model") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_tokenizer_counts_exactly(tokenizer_file: Path, folder: bool) -> None:
    """Named by its file or its folder; a limit that the file carries cuts nothing off the count."""
    path = tokenizer_file.parent if folder else tokenizer_file
    counter = create_token_counter(Settings(_env_file=None, summary_tokenizer=path))
    assert counter.exact
    assert counter.count("cache leak cache leak other") == 5
    assert counter.cut("cache leak cache leak other", 2).strip() == "cache leak"


@pytest.mark.parametrize("content", [None, "{}", "no JSON", '{"model": 1}'])
def test_a_tokenizer_that_cannot_be_read_is_a_clear_error(tmp_path: Path, content: str | None) -> None:
    """No such file, or something else than a tokenizer: the message names the setting and the file."""
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"SUMMARY_TOKENIZER is .*tokenizer\.json.*unset"):
        create_token_counter(Settings(_env_file=None, summary_tokenizer=path))


def test_without_a_tokenizer_tokens_are_estimated() -> None:
    """Nothing set: the cautious rule."""
    counter = create_token_counter(Settings(_env_file=None))
    assert not counter.exact
    assert counter.count("A cache leaks.") == estimated_tokens("A cache leaks.")


# What Qwen 3, Llama 3.1, Gemma 3, DeepSeek V3 and gpt-oss count at most, of each text.
_KNOWN = [
    ("base64", "SGVsbG8gd29ybGQsIHRoaXMgaXMgYmFzZTY0IHdpdGggc29tZSBsZW5ndGg=" * 4, 176),
    ("chinese", "修复了在高并发情况下缓存失效导致的内存泄漏问题。" * 4, 88),
    ("russian", "Исправлена утечка памяти в кэше при высокой нагрузке. " * 4, 93),
    ("hindi", "उच्च लोड पर कैश में मेमोरी रिसाव ठीक किया गया। " * 4, 172),
    ("emoji", "🎉🚀🐛🔥✨💥🧪📦" * 4, 88),
    ("code", "for (int i = 0; i < n; ++i) { sum += values[i] * weights[i]; }\n" * 4, 116),
    ("log", "2024-01-01T12:00:01.123Z ERROR 7f3c9a10-8b1e-4c6e-9d0a-1a2b3c4d5e6f 0x7fff5fbff8c0\n" * 4, 296),
]


@pytest.mark.parametrize(("text", "most"), [pytest.param(*one[1:], id=one[0]) for one in _KNOWN])
def test_the_estimate_is_not_below_what_real_tokenizers_count(text: str, most: int) -> None:
    """At least what the greediest of five counts, and less than five times as much."""
    assert most <= estimated_tokens(text) < 5 * most


@given(st.text(), st.integers(0, 40))
@settings(max_examples=300, deadline=None)
def test_a_cut_text_is_a_beginning_within_the_tokens(text: str, tokens: int) -> None:
    """Whatever the text: a beginning of it, that has at most so many tokens; all of it where it fits."""
    counter = TokenCounter()
    cut = counter.cut(text, tokens)
    assert text.startswith(cut)
    assert cut == "" or counter.count(cut) <= tokens
    assert cut == text or counter.count(text) > tokens


def test_a_cut_does_not_end_inside_a_word() -> None:
    """The last word that does not fit goes as a whole."""
    text = "one two three four five six seven"
    for tokens in range(6, 11):
        words = TokenCounter().cut(text, tokens).split()
        assert words
        assert words == text.split()[: len(words)]
