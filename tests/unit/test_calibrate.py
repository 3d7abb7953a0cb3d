"""Thresholds on samples that can be counted by hand."""

from __future__ import annotations

from answering.retrieval import WORD_RULE, WordRule, counts_as_answer
from starsearch_assets.relevance.calibrate import Sample, best, held_out, ladder, point

RULE = WordRule(coverage=0.8, margin=0.1)
SAMPLE = Sample(
    answered=((0.6, 0.0), (0.5, 0.2), (0.35, 0.9), (0.3, 0.0)),
    unanswered=(((0.2, 0.0), (0.45, 0.1)), ((0.1, 0.0), (0.31, 0.85))),
)


def test_shares_are_counted_by_query() -> None:
    """One hit that counts is enough to answer wrongly; words lower the threshold for their own hit only."""
    assert (point(SAMPLE, 0.4, None).kept, point(SAMPLE, 0.4, None).wrong) == (0.5, 0.5)
    assert (point(SAMPLE, 0.4, RULE).kept, point(SAMPLE, 0.4, RULE).wrong) == (0.75, 1.0)
    assert (point(SAMPLE, 0.44, RULE).kept, point(SAMPLE, 0.44, RULE).wrong) == (0.75, 0.5)
    assert point(SAMPLE, 0.45, None).wrong == 0.5
    assert point(SAMPLE, 0.46, None).wrong == 0.0


def test_the_best_has_the_greatest_j_and_among_equals_answers_least_wrongly() -> None:
    """0.5 keeps half and answers nothing wrongly; 0.3 keeps all and answers all, which is no better than chance."""
    points = ladder(SAMPLE, None, (0.3, 0.4, 0.48, 0.5, 0.55))
    assert [round(one.j, 6) for one in points] == [0.0, 0.0, 0.5, 0.5, 0.25]
    assert best(points).threshold == 0.48
    assert best(points[:2]).threshold == 0.4


def test_each_half_is_judged_by_the_other() -> None:
    """A half's recommendation is measured where it was not chosen."""
    sample = Sample(
        answered=((0.5, 0.0), (0.3, 0.0)) * 3,
        unanswered=(((0.4, 0.0),), ((0.2, 0.0),)) * 2,
    )
    first, second = held_out(sample)
    assert (first.threshold, first.kept, first.wrong) == (0.42, 0.0, 0.0)
    assert (second.threshold, second.kept, second.wrong) == (0.22, 1.0, 1.0)


def test_samples_add_up() -> None:
    """Sets are pooled."""
    both = SAMPLE + Sample(((0.9, 1.0),), (), 3)
    assert (len(both.answered), len(both.unanswered), both.lost) == (5, 2, 3)


def test_words_make_an_answer_of_what_is_not_far() -> None:
    """With nearly all of the query's words a hit may lie below the threshold, but not anywhere."""
    low = 0.42 - WORD_RULE.margin
    assert counts_as_answer(0.42, 0.0, 0.42)
    assert not counts_as_answer(0.41, WORD_RULE.coverage - 0.01, 0.42)
    assert counts_as_answer(low, WORD_RULE.coverage, 0.42)
    assert not counts_as_answer(low - 0.01, 1.0, 0.42)
    assert not counts_as_answer(0.41, 1.0, 0.42, None)
