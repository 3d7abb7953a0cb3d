"""`starsearch relevance …` as its user runs it, over a finished demo and with sets of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.settings import Settings
from starsearch_assets.relevance.names import ItemName
from starsearch_assets.relevance.sets import JudgedQuery, read_sets, write_set
from tests.integration.commands import as_json, starsearch
from tests.integration.demo import Demo
from tests.integration.spaces import variables

MEASURES = ("recall", "mrr", "ndcg")


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Path:
    """Two sets: `exact` finds its item first, `odd` asks for one that its words do not lead to."""
    hits = as_json(demo.home, "search", "Claim jobs with SKIP LOCKED", "--kind", "pull_request", "-k", "1")["hits"]
    item = ItemName("pull_request", hits[0]["repo"], hits[0]["ref"])
    write_set(tmp_path, "exact", (JudgedQuery("locked", "SKIP LOCKED", {item: 1}), JudgedQuery("none", "zeppelin", {})))
    nowhere = ItemName("issue", "no/where", "1")
    odd = (
        JudgedQuery("odd", "screen reader announces the title twice", {item: 2}),
        JudgedQuery("gone", "x", {nowhere: 1}),
    )
    write_set(tmp_path, "odd", odd)
    return tmp_path


def test_show_has_what_was_measured_when_the_release_was_made(demo: Demo) -> None:
    """Every mode of the sample's set, as `run` measures it again."""
    rows = as_json(demo.home, "relevance", "show")
    assert [(row["release_id"], row["query_set"], row["mode"]) for row in rows] == [
        (1, "sample", mode) for mode in ("vector", "text", "hybrid")
    ]
    again = {row["mode"]: row for row in as_json(demo.home, "relevance", "run")}
    for row in rows:
        assert [row[name] for name in MEASURES] == pytest.approx([again[row["mode"]][name] for name in MEASURES])
        assert row["queries"] == again[row["mode"]]["queries"]
    table = starsearch(demo.home, "relevance", "show").stdout
    assert "recall@10" in table
    assert f"{rows[2]['recall']:.3f}" in table
    assert as_json(demo.home, "relevance", "show", "--set", "other") == []
    assert "Nothing was measured yet" in starsearch(demo.home, "relevance", "show", "--set", "other").stdout


def test_run_measures_the_named_sets_and_modes_and_stores_nothing(demo: Demo, folder: Path) -> None:
    """What is found first has full marks; queries without an answer here are counted apart."""
    own = {"RELEVANCE_DIR": str(folder)}
    before = as_json(demo.home, "relevance", "show")
    rows = as_json(demo.home, "relevance", "run", "--mode", "text", "--mode", "hybrid", **own)
    told = {(row["query_set"], row["mode"]): row for row in rows}
    assert set(told) == {(name, mode) for name in ("exact", "odd") for mode in ("text", "hybrid")}
    for mode in ("text", "hybrid"):
        assert [told["exact", mode][name] for name in MEASURES] == [1.0, 1.0, 1.0]
        assert [told["odd", mode][name] for name in MEASURES] == [0.0, 0.0, 0.0]
        assert {(told[name, mode]["queries"], told[name, mode]["not_applicable"]) for name in ("exact", "odd")} == {
            (1, 1)
        }
    one = starsearch(demo.home, "relevance", "run", "--set", "exact", "--release", "1", **own)
    assert "odd" not in one.stdout
    assert "exact, hybrid: 1 queries" in one.stderr
    assert as_json(demo.home, "relevance", "show") == before


def test_misses_show_where_the_answer_stood_and_what_was_found(demo: Demo, folder: Path) -> None:
    """The missed item with its places, and the hits that came before it."""
    own = {"RELEVANCE_DIR": str(folder)}
    (miss,) = as_json(demo.home, "relevance", "misses", **own)
    assert (miss["query_set"], miss["query_id"], miss["recall"]) == ("odd", "odd", 0.0)
    (missed,) = miss["missed"]
    assert (missed["title"], missed["grade"]) == ("Claim jobs with SKIP LOCKED", 2)
    assert missed["by_words"] is None or missed["by_words"]["rank"] > 1
    assert len(miss["found"]) == 10
    assert {hit["grade"] for hit in miss["found"]} == {0}
    assert "Dialog title is announced twice" in {hit["title"] for hit in miss["found"]}
    told = starsearch(demo.home, "relevance", "misses", **own).stdout
    assert "missed pull_request orchard-io/parcelpost#" in told
    assert "Dialog title is announced twice: similarity 0." in told
    assert "1 queries lack an answer" in told
    limited = starsearch(demo.home, "relevance", "misses", "--limit", "2").stdout
    assert limited.count("\n  1 ") == 2
    assert "2 of them shown" in limited


def test_calibrate_recommends_from_both_sorts_of_queries(demo: Demo, folder: Path) -> None:
    """Shares fall as the threshold rises; what is recommended has the greatest difference of the two."""
    told = as_json(demo.home, "relevance", "calibrate")
    (judged,) = read_sets(demo.home / "relevance")
    assert told["answered"] + told["lost"] == sum(bool(query.grades) for query in judged.queries)
    assert told["unanswered"] == sum(not query.grades for query in judged.queries)
    for name in ("ladder", "ladder_without_words"):
        for share in ("kept", "wrong"):
            shares = [point[share] for point in told[name]]
            assert shares == sorted(shares, reverse=True)
    best = max(point["kept"] - point["wrong"] for point in told["ladder"])
    assert told["recommended"]["kept"] - told["recommended"]["wrong"] == pytest.approx(best)
    assert len(told["held_out"]) == 2
    text = starsearch(demo.home, "relevance", "calibrate").stdout
    assert f"by the greatest J: {told['recommended']['threshold']:.2f}" in text
    lacking = starsearch(demo.home, "relevance", "calibrate", "--set", "odd", check=False, RELEVANCE_DIR=str(folder))
    assert lacking.returncode == 1
    assert "expected both in the sets" in lacking.stderr


@pytest.mark.parametrize("action", ["run", "misses", "calibrate"])
def test_what_is_lacking_is_said(settings: Settings, demo: Demo, folder: Path, tmp_path: Path, action: str) -> None:
    """No release, no such release, no sets, no such set, a malformed file, an unknown mode."""

    def error(home: Path, *arguments: str, code: int = 1, **extra: str) -> str:
        result = starsearch(home, "relevance", action, *arguments, check=False, **extra)
        assert result.returncode == code, result.stdout
        assert "Traceback" not in result.stderr
        return result.stderr

    own = {"RELEVANCE_DIR": str(folder)}
    empty = variables(settings, **own)
    assert "No release is active yet" in error(settings.home, **empty)
    assert "There is no release 99" in error(demo.home, "--release", "99")
    none = error(demo.home, RELEVANCE_DIR=str(tmp_path / "empty"))
    assert "expected two files a set, NAME.queries.tsv" in none
    assert "NAME.qrels" in none
    assert "holds no set of judged queries named tests: there are exact, odd" in error(
        demo.home, "--set", "tests", **own
    )
    if action != "calibrate":
        assert "expected one of vector, text, hybrid, reranked" in error(demo.home, "--mode", "words", code=2)
        assert "No reranker is configured" in error(demo.home, "--mode", "reranked")
    (folder / "odd.qrels").write_text("odd 0 nothing 1\n")
    assert "odd.qrels, line 1" in error(demo.home, **own)
