"""Days of vectors on a real database."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import numpy as np
import pytest

from resources.embedder import OpenAIEmbedder
from resources.errors import EmbedderError
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from starsearch_assets import audits
from starsearch_assets.embeddings.process import document_text, embed_day
from starsearch_assets.embeddings.spaces import ensure_space, find_space
from starsearch_assets.summaries.process import summarize_day
from tests.doubles.llm_server import LLMServer, embedding
from tests.integration.vectors import CountingEmbedder, FixedSummarizer, add

DAY, LATER = date(2026, 1, 30), date(2026, 2, 3)
GATE = "pull_request_vectors_test_model_16"


LLM_ONE, LLM_TWO = FixedSummarizer("one"), FixedSummarizer("two")
EXTRACTIVE = FixedSummarizer("extract", extractive=True)


@pytest.fixture
def embedder() -> CountingEmbedder:
    return CountingEmbedder()


def vectors(database: Database) -> list[tuple[Any, ...]]:
    """Every stored vector's row."""
    with database.transaction() as connection:
        space = find_space(connection, PULL_REQUEST, "test-model")
        assert space is not None
        name = space.table.as_string(connection)
    columns = "repo_id, ref, text_hash, document, document_source, content_hash, summary_model, prompt_version"
    return database.fetch_all(f"SELECT {columns}, embedding, run_id FROM {name} ORDER BY repo_id, ref::int")


def documents(database: Database) -> dict[str, tuple[str, str]]:
    """ref -> (document, document_source)."""
    return {row[1]: (row[3], row[4]) for row in vectors(database)}


def verdict(database: Database, day: date = DAY) -> audits.Audit:
    """The one that lets the day into an index."""
    return audits.newest(database, "pull_request_embeddings", [f"{day}"], GATE)[f"{day}"]


def test_a_day_of_documents_becomes_unit_vectors(database: Database, embedder: CountingEmbedder) -> None:
    """One vector an item, of its document, in half precision; the day passes its audit."""
    for number in (1, 2):
        add(database, number, "Body.")
    summarize_day(database, PULL_REQUEST, DAY, LLM_ONE)
    result = embed_day(database, PULL_REQUEST, DAY, embedder, LLM_ONE, "run-1")
    assert (result.items, result.embedded, result.reused, result.passed) == (2, 2, 0, True)
    assert result.shares == {"summary": 2}
    assert documents(database)["2"] == ("Change 2\none/1 of Change 2: Body.", "summary")
    row = vectors(database)[0]
    assert row[2] == hashlib.sha256(row[3].encode()).digest()
    assert np.allclose(np.fromstring(row[8].strip("[]"), sep=","), embedding(row[3], 16), atol=1e-3)
    assert verdict(database).passed
    assert verdict(database).details["vectors"] == 2


def test_what_is_withheld_is_not_served(database: Database, embedder: CountingEmbedder) -> None:
    """An older model's summary stands in for a withheld one, then the extractive one, then the source; the row names
    the version of what it serves."""

    def withhold(model: str) -> tuple[str, str]:
        database.execute("UPDATE summaries SET withheld = true WHERE model = %s", [model])
        embed_day(database, PULL_REQUEST, DAY, embedder, LLM_TWO)
        row = vectors(database)[0]
        return row[4], row[6]

    add(database, 1, "Body.")
    for summarizer in (EXTRACTIVE, LLM_ONE, LLM_TWO):
        summarize_day(database, PULL_REQUEST, DAY, summarizer)
    assert withhold("none") == ("summary", "two")
    assert withhold("two") == ("previous_summary", "one")
    assert withhold("one") == ("extractive", "extract")
    assert withhold("extract") == ("source", None)
    assert documents(database)["1"] == ("Change 1\nBody.", "source")


def test_the_best_document_is_served(database: Database, embedder: CountingEmbedder) -> None:
    """Source text, then the extractive summary, then an older LLM's or an older content's, then the current one."""

    def served() -> tuple[str, str]:
        embed_day(database, PULL_REQUEST, DAY, embedder, LLM_TWO)
        return documents(database)["1"]

    add(database, 1, "First <!-- hidden --> body.")
    assert served() == ("Change 1\nFirst body.", "source")
    summarize_day(database, PULL_REQUEST, DAY, EXTRACTIVE)
    assert served() == ("Change 1\nextract/1 of Change 1: First <!-- hidden --> body.", "extractive")
    summarize_day(database, PULL_REQUEST, DAY, LLM_ONE)
    assert served() == ("Change 1\none/1 of Change 1: First <!-- hidden --> body.", "previous_summary")
    add(database, 1, "Second body.")
    summarize_day(database, PULL_REQUEST, DAY, EXTRACTIVE)
    assert served()[1] == "previous_summary"
    assert "First" in served()[0]
    summarize_day(database, PULL_REQUEST, DAY, LLM_ONE)
    assert served() == ("Change 1\none/1 of Change 1: Second body.", "previous_summary")
    summarize_day(database, PULL_REQUEST, DAY, LLM_TWO)
    assert served() == ("Change 1\ntwo/1 of Change 1: Second body.", "summary")
    summarize_day(database, PULL_REQUEST, DAY, FixedSummarizer("two", prompt_version="0"))
    assert served() == ("Change 1\ntwo/1 of Change 1: Second body.", "summary")
    assert len(vectors(database)) == 1


def test_the_same_text_is_encoded_once(database: Database, embedder: CountingEmbedder) -> None:
    """Twins in a day, a repeated run, another day and another item of the same text: one text encoded, ever."""
    for number in (1, 2):
        add(database, number, "Same.", title="Bump vite")
    result = embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    assert (result.embedded, result.reused) == (1, 1)
    before = vectors(database)
    again = embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE, "another run")
    assert (again.embedded, again.reused) == (0, 2)
    assert vectors(database) == before
    add(database, 3, "Same.", day=LATER, title="Bump vite")
    assert embed_day(database, PULL_REQUEST, LATER, embedder, EXTRACTIVE).embedded == 0
    assert len({str(row[8]) for row in vectors(database)}) == 1
    assert len(vectors(database)) == 3
    assert embedder.calls == [["Bump vite\nSame."]]


def test_only_a_changed_text_is_encoded_again(database: Database, embedder: CountingEmbedder) -> None:
    """One new body of two: its row is replaced, the other one is untouched."""
    for number in (1, 2):
        add(database, number, f"Body {number}.")
    embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    one, two = vectors(database)
    add(database, 2, "New body.")
    embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    assert embedder.calls[1:] == [["Change 2\nNew body."]]
    assert vectors(database)[0] == one
    assert vectors(database)[1][2] != two[2]


def test_the_row_names_the_summary_that_it_is_made_of(database: Database, embedder: CountingEmbedder) -> None:
    """The same words from another content are traced to that content, without encoding them again."""
    add(database, 1, "Body.")
    summarizer = FixedSummarizer("one", text="Words.")
    summarize_day(database, PULL_REQUEST, DAY, summarizer)
    embed_day(database, PULL_REQUEST, DAY, embedder, summarizer)
    (first,) = vectors(database)
    add(database, 1, "Another body.")
    summarize_day(database, PULL_REQUEST, DAY, summarizer)
    embed_day(database, PULL_REQUEST, DAY, embedder, summarizer)
    (second,) = vectors(database)
    assert (second[3], second[8]) == (first[3], first[8])
    assert second[5] != first[5]
    assert len(embedder.calls) == 1


def test_other_dimensions_than_the_space_are_refused(database: Database, embedder: CountingEmbedder) -> None:
    """A model of the same name with other dimensions: both are named, and nothing is written."""
    add(database, 1, "Body.")
    embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    add(database, 1, "New body.")
    before = vectors(database), verdict(database)
    with pytest.raises(
        EmbedderError, match=r"pull_requests for model 'test-model' has 16 dimensions, .* gives 17.*EMBEDDING_MODEL"
    ):
        embed_day(database, PULL_REQUEST, DAY, CountingEmbedder(dimensions=17), EXTRACTIVE)
    assert (vectors(database), verdict(database)) == before
    assert database.fetch_value("SELECT count(*) FROM embedding_spaces") == 1


@pytest.mark.parametrize("what", ["NaN", "zero vector", "wrong dimensions", "fewer vectors"])
def test_unusable_vectors_are_refused(what: str, database: Database, llm_server: LLMServer) -> None:
    """A server that returns them: an error, no vector, no verdict, no dirty month; a later run completes the day."""
    for number in (1, 2):
        add(database, number, "Body.")
    embedder = OpenAIEmbedder(llm_server.url, "test-model")
    assert embedder.dimensions == 16
    llm_server.misbehave(what)  # type: ignore[arg-type]
    with pytest.raises(EmbedderError):
        embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    assert vectors(database) == []
    assert database.fetch_value("SELECT count(*) FROM audits") == 0
    assert database.fetch_value("SELECT count(*) FROM dirty_months") == 0
    llm_server.behave()
    assert embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE).passed
    assert len(vectors(database)) == 2


def test_an_embedder_that_checks_nothing_is_checked(database: Database) -> None:
    """NaN from any embedder is an EmbedderError, not a database error."""
    add(database, 1, "Body.")
    broken = CountingEmbedder()
    broken.encode = lambda texts: np.full((len(texts), 16), np.nan, dtype=np.float32)  # type: ignore[method-assign]
    with pytest.raises(EmbedderError, match="NaN"):
        embed_day(database, PULL_REQUEST, DAY, broken, EXTRACTIVE)
    assert vectors(database) == []


def months(database: Database) -> list[date]:
    return [row[0] for row in database.fetch_all("SELECT month FROM dirty_months ORDER BY 1")]


def test_the_month_of_the_latest_activity_becomes_dirty(database: Database, embedder: CountingEmbedder) -> None:
    """An item of January that was active in February again stands in February's index: both are marked."""
    add(database, 1, "Body.", day=DAY)
    embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    assert months(database) == [date(2026, 1, 1)]
    add(database, 1, "New body.", day=LATER)
    embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    assert months(database) == [date(2026, 1, 1), date(2026, 2, 1)]
    version = database.fetch_value("SELECT min(version) FROM dirty_months")
    embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    assert database.fetch_value("SELECT min(version) FROM dirty_months") > version


def test_an_empty_day_passes(database: Database, embedder: CountingEmbedder) -> None:
    """Nothing active: no call of the model, a passed verdict."""
    result = embed_day(database, PULL_REQUEST, DAY, embedder, EXTRACTIVE)
    assert (result.items, result.embedded, result.passed, embedder.calls) == (0, 0, True, [])


def test_every_kind_and_model_has_a_table_of_its_own(database: Database) -> None:
    """Names that differ only behind their 24th character, or in punctuation, share no table; asking twice does."""
    models = ["nomic-ai/nomic-embed-text-v1", "nomic-ai/nomic-embed-text-v1.5", "a.b", "a-b", "a_b", "é", "M" * 200]
    with database.transaction() as connection:
        spaces = [ensure_space(connection, PULL_REQUEST, CountingEmbedder(model)) for model in models]
        spaces.append(ensure_space(connection, ISSUE, CountingEmbedder("a-b")))
        names = {space.table.as_string(connection) for space in spaces}
        again = ensure_space(connection, PULL_REQUEST, CountingEmbedder("a-b"))
        assert again == spaces[3] == find_space(connection, PULL_REQUEST, "a-b")
        assert find_space(connection, ISSUE, "a.b") is None
    assert len(names) == len(spaces)
    assert all(len(name.split(".")[1].strip('"')) <= 50 for name in names)


def test_a_long_text_keeps_the_files_that_a_commit_changed():
    """The beginning of an item's own text and its last line, where that names files; a summary stays whole."""
    body = "word " * 400
    text = document_text("Title", f"{body}\n\nChanged: src/__init__.py, b.py", "source")
    assert text.startswith("Title\nword word")
    assert text.endswith("word\nChanged: src/__init__.py, b.py")
    assert len(text) == len("Title\n") + 1000
    assert len(document_text("Title", f"{body}\n\nChanged: {'x' * 5000}", "source")) == len("Title\n") + 1000
    assert document_text("Title", f"{body}\n\nThe end.", "source") == f"Title\n{body}"[: len("Title\n") + 1000]
    assert document_text("Title", "<b>short</b>", "source") == "Title\nshort"
    assert document_text("Title", body, "summary") == f"Title\n{body}"
