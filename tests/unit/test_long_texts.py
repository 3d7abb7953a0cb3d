"""Texts beyond a model's window: in this process, and with servers that cut them or refuse them."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from resources.embedder import OpenAIEmbedder, SentenceTransformerEmbedder
from resources.errors import EmbedderError
from resources.long_texts import CUTS, says_too_long, says_too_many
from tests.doubles.llm_server import EmbeddingLimits, LLMServer, embedding

LONG = " ".join(f"w{number}" for number in range(100))
KEY = "sk-very-secret"


def test_in_process_a_long_text_counts_by_its_beginning() -> None:
    """What lies beyond the window of the bundled model changes nothing; what lies before its end does."""
    window = " ".join(["word"] * 300)
    one, longer, other = SentenceTransformerEmbedder(dtype="float32").encode(
        [window, f"{window} and an end about bread", f"bread {window}"]
    )
    assert np.allclose(one, longer, atol=1e-5)
    assert one @ other < 0.9999


@pytest.mark.parametrize("says", ["vLLM", "TEI"])
def test_a_refused_text_is_halved_until_it_is_taken(
    llm_server: LLMServer, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """100 words for a window of 40: the text's first quarter stands for it, others are whole; the log says so."""
    llm_server.embedding_limits = EmbeddingLimits(window=40, says=says)  # type: ignore[arg-type]
    texts = ["a short one", LONG, "another short one"]
    with caplog.at_level(logging.WARNING):
        vectors = OpenAIEmbedder(llm_server.url, "test-model").encode(texts)
    taken = LONG[: len(LONG) // 4]
    expected = [embedding(text, 16) for text in (texts[0], taken, texts[2])]
    assert np.allclose(vectors, expected, atol=1e-6)
    told = [record.getMessage() for record in caplog.records if "window" in record.getMessage()]
    assert told == [
        f"1 of 3 texts were longer than the window of test-model: they count by their beginnings, the shortest of"
        f" {len(taken)} characters"
    ]


def test_a_server_that_cuts_is_left_to_it(llm_server: LLMServer, caplog: pytest.LogCaptureFixture) -> None:
    """Text Embeddings Inference with --auto-truncate: one request, and nothing is said."""
    llm_server.embedding_limits = EmbeddingLimits(window=40, cuts=True)
    OpenAIEmbedder(llm_server.url, "test-model").encode([LONG, "short"])
    assert [len(batch) for batch in llm_server.embedded] == [1, 2]
    assert "window" not in caplog.text


def test_long_texts_among_many_are_found_without_asking_for_each(llm_server: LLMServer) -> None:
    """Of 64 texts three are too long: their vectors are of their beginnings, those of the others of the whole texts."""
    llm_server.embedding_limits = EmbeddingLimits(window=60)
    texts = [f"text {number}" for number in range(64)]
    for number in (5, 30, 63):
        texts[number] = f"{number} {LONG}"
    vectors = OpenAIEmbedder(llm_server.url, "test-model").encode(texts)
    expected = [embedding(text[: len(text) // 2] if len(text) > 100 else text, 16) for text in texts]
    assert np.allclose(vectors, expected, atol=1e-6)
    assert len(llm_server.embedded) < 25


@pytest.mark.parametrize("most", [32, 10, 1])
def test_a_server_that_takes_fewer_texts_gets_fewer(llm_server: LLMServer, most: int) -> None:
    """Text Embeddings Inference takes 32 texts a request: that is learned once, and all vectors come."""
    llm_server.embedding_limits = EmbeddingLimits(most=most)
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    texts = [f"text {number}" for number in range(150)]
    for _ in range(2):
        assert np.allclose(embedder.encode(texts), [embedding(text, 16) for text in texts], atol=1e-6)
    asked_again = llm_server.embedded[-math.ceil(150 / embedder._most) :]
    assert max(len(batch) for batch in asked_again) <= most


def test_what_no_cutting_helps_is_an_error(llm_server: LLMServer) -> None:
    """A server that calls everything too long is given up after a few halvings."""
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    assert embedder.dimensions == 16
    llm_server.embedding_limits = EmbeddingLimits(window=0)
    with pytest.raises(EmbedderError, match=r"context length is only 0 tokens.*Even the first \d+ characters"):
        embedder.encode([LONG])
    assert len(llm_server.embedded) == 2 + CUTS


@pytest.mark.parametrize("status", ["400", "413", "422"])
def test_another_refusal_is_no_reason_to_cut(llm_server: LLMServer, status: str) -> None:
    """A refusal that does not speak of length is an error at once: nothing is sent again, halved or in parts."""
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    assert embedder.dimensions == 16
    llm_server.misbehave(status)  # type: ignore[arg-type]
    with pytest.raises(EmbedderError, match=rf"gave no vectors.*{status}"):
        embedder.encode([LONG, "short"])
    assert len(llm_server.embedded) == 2


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("NaN", r"unusable vector for a first text: .*NaN or infinity.*EMBEDDING_MODEL"),
        ("zero vector", r"unusable vector for a first text: .*unit length"),
        ("fewer vectors", "asked for 1 vectors and returned 0"),
        ("503", "gave no vectors"),
    ],
)
@pytest.mark.usefixtures("without_waiting")
def test_a_server_is_verified_before_it_is_used(llm_server: LLMServer, what: str, message: str) -> None:
    """The first vector has to be sound: dimensions are not told of a server that gives NaN, zeros or nothing."""
    llm_server.misbehave(what)  # type: ignore[arg-type]
    with pytest.raises(EmbedderError, match=message):
        OpenAIEmbedder(llm_server.url, "test-model").dimensions  # noqa: B018


def test_vectors_that_are_not_normalized_are_scaled(llm_server: LLMServer) -> None:
    """A server that does not normalize is as good as one that does."""
    llm_server.misbehave("not normalized")
    vectors = OpenAIEmbedder(llm_server.url, "test-model").encode(["one", "two"])
    assert np.allclose(vectors, [embedding(text, 16) for text in ("one", "two")], atol=1e-6)


def test_the_key_stays_hidden_where_texts_are_too_long(llm_server: LLMServer) -> None:
    """Neither the error nor its causes have the key."""
    embedder = OpenAIEmbedder(llm_server.url, "test-model", KEY)
    assert embedder.dimensions == 16
    llm_server.embedding_limits = EmbeddingLimits(window=0)
    with pytest.raises(EmbedderError) as caught:
        embedder.encode([LONG])
    assert KEY not in f"{caught.value}{caught.getrepr(chain=True)}"


@pytest.mark.parametrize(
    ("status", "message", "long", "many"),
    [
        (400, "This model's maximum context length is 512 tokens. However, you requested 900 tokens", True, False),
        (400, "However, the model's context length is only 512 tokens, resulting in a maximum", True, False),
        (413, "Input validation error: `inputs` must have less than 512 tokens. Given: 534", True, False),
        (413, "Input validation error: `inputs` must have less than 32000 characters. Given: 67337", True, False),
        (500, "input is too large to process. increase the physical batch size", True, False),
        (413, "batch size 64 > maximum allowed batch size 32", False, True),
        (413, "Failed to buffer the request body: length limit exceeded", False, True),
        (400, "`inputs` cannot be empty", False, False),
        (404, "The model `maximum context length` does not exist", False, False),
        (503, "Model is overloaded: its maximum context length", False, False),
    ],
)
def test_servers_words_are_told_apart(status: int, message: str, long: bool, many: bool) -> None:
    """The wordings of servers: a text too long, too many of them, or something else."""
    assert (says_too_long(status, message), says_too_many(status, message)) == (long, many)
