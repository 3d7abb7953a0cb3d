"""Judged queries decide over a release, through the real search function in a real database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pgvector import HalfVector

from answering.releases import load_release
from answering.retrieval import Ranking
from resources.kinds import PULL_REQUEST
from starsearch_assets.release.publish import publish
from starsearch_assets.relevance.judging import ASSET, Judging
from starsearch_assets.relevance.names import ItemName
from starsearch_assets.relevance.sets import JudgedQuery, JudgementsUnreadable, write_set
from starsearch_assets.relevance.store import history
from tests.integration.test_index_and_release import DIMENSIONS, MODEL, OCTOBER, build, store, vectors

DAY, LATER = date(2025, 10, 6), date(2025, 10, 7)


class NearFive:
    """Stands where a model stands: every text means what item 5 means."""

    model = MODEL
    dimensions = DIMENSIONS

    def encode(self, texts):
        return np.tile(vectors(60, seed=1)[4], (len(texts), 1))


@pytest.fixture
def judging(tmp_path: Path) -> Judging:
    queries = (
        JudgedQuery("five", "something like five", {ItemName("pull_request", "acme/web", "5"): 1}),
        JudgedQuery("elsewhere", "what is not here", {ItemName("issue", "acme/none", "1"): 1}),
    )
    write_set(tmp_path, "mine", queries)
    return Judging(tmp_path, 0.02, lambda _: NearFive(), Ranking())


def decide(database, tools, judging):
    return publish(database, tools, MODEL, 0.5, judging=judging)


def test_a_release_that_finds_less_is_refused_with_the_figures(database, tools, judging):
    """The first release is stored with its figures; one that loses the judged item leaves it active."""
    store(database, DAY, 1, 60)
    build(database)
    first = decide(database, tools, judging)
    assert first.outcome == "activated"
    rows = {row.mode: row for row in history(database)}
    assert rows.keys() == {"vector", "text", "hybrid"}
    assert (rows["hybrid"].recall, rows["hybrid"].mrr, rows["hybrid"].queries) == (1.0, 1.0, 1)
    store(database, LATER, 101, 20, seed=3)
    table = database.fetch_value("SELECT table_name FROM embedding_spaces")
    away = HalfVector((-vectors(60, seed=1)[4]).astype(np.float16)).to_text()
    database.execute(f"UPDATE {table} SET embedding = %s::halfvec, text_hash = 'x' WHERE ref = '5'", [away])
    build(database, OCTOBER, PULL_REQUEST, 0.5)
    second = decide(database, tools, judging)
    assert second.outcome == "refused"
    assert f"against release {first.release_id}: hybrid's recall@10 1.000 -> 0.000" in second.reason
    assert load_release(tools).release_id == first.release_id
    verdict = database.fetch_all("SELECT passed, data_version FROM newest_audits WHERE asset = %s", [ASSET])
    assert verdict == [(False, f"{second.release_id}")]


def test_without_judged_queries_a_release_passes_and_says_so(database, tools, judging, tmp_path):
    """Nobody has to judge anything."""
    store(database, DAY, 1, 20)
    build(database)
    for path in tmp_path.glob("mine.*"):
        path.unlink()
    assert "nothing was judged" in decide(database, tools, judging).reason
    assert history(database) == []


def test_a_set_without_an_answer_in_the_release_is_no_relevance_of_nothing(database, tools, judging, tmp_path):
    """It is counted in the notes; neither a figure is stored nor a verdict given on it."""
    store(database, DAY, 1, 20)
    build(database)
    for path in tmp_path.glob("mine.*"):
        path.unlink()
    write_set(tmp_path, "far", (JudgedQuery("1", "what is not here", {ItemName("issue", "acme/none", "1"): 1}),))
    assert decide(database, tools, judging).outcome == "activated"
    assert history(database) == []


def test_unreadable_judgements_stop_the_decision_and_the_active_release_stays(database, tools, judging, tmp_path):
    """A malformed file is told with its place; nothing is activated by oversight."""
    store(database, DAY, 1, 20)
    build(database)
    (tmp_path / "mine.qrels").write_text("five 0 nothing 1\n")
    with pytest.raises(JudgementsUnreadable, match="line 1"):
        decide(database, tools, judging)
    assert database.fetch_value("SELECT release_id FROM active_release") is None
