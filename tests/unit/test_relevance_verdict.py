"""What a release may lose against the active one."""

import pytest

from starsearch_assets.relevance.evaluate import Evaluation, Outcome
from starsearch_assets.relevance.measures import Scores, score
from starsearch_assets.relevance.sets import JudgedQuery, QuerySet
from starsearch_assets.relevance.verdict import compare, judge

SET = QuerySet("mine", "1", ())


def evaluation(recall: dict[str, float]) -> Evaluation:
    outcomes = tuple(Outcome(JudgedQuery(name, name), {}, (), Scores(one, 1.0, 1.0)) for name, one in recall.items())
    return Evaluation(1, SET, "hybrid", "model", outcomes, ())


def test_scores_are_those_of_the_definitions():
    """Half of two relevant items at rank two: recall 0.5, reciprocal rank 0.5; an empty list scores 0."""
    scores = score({"q": {"a": 1, "b": 1}, "nothing": {"a": 1}}, {"q": ["x", "a"], "nothing": []})
    assert (scores["q"].recall, scores["q"].mrr) == (0.5, 0.5)
    assert scores["q"].ndcg == pytest.approx(0.3869, abs=1e-4)
    assert scores["nothing"] == Scores(0.0, 0.0, 0.0)


@pytest.mark.parametrize(("after", "passed"), [(0.98, True), (0.97999, False), (1.0, True)])
def test_a_loss_of_the_margin_is_allowed_and_more_is_not(after, passed):
    """The margin itself still passes; a refusal tells the figures and the queries."""
    verdict = judge([compare(evaluation({"q": 1.0}), evaluation({"q": after}))], 3, 0.02)
    assert verdict.passed is passed
    if not passed:
        assert "against release 3" in verdict.reason
        assert "recall@10 1.000 -> 0.980" in verdict.reason
        assert "(q)" in verdict.reason


def test_only_queries_with_an_answer_in_both_releases_count():
    """A query that one release has no answer to says nothing about the other."""
    one = compare(evaluation({"both": 0.5, "gone": 1.0}), evaluation({"both": 0.5, "new": 0.0}))
    assert (one.queries, one.before.recall, one.after.recall, one.worse) == (1, 0.5, 0.5, ())


def test_nothing_in_common_passes_and_is_said():
    """Without a query to compare by, nothing is refused."""
    verdict = judge([compare(evaluation({"a": 1.0}), evaluation({"b": 0.0}))], 3, 0.0)
    assert verdict.passed
    assert "no judged query" in verdict.reason
