"""Pauses of the machine, told from how long constant work takes."""

import time

from benchmarks.pauses import Pauses, spans, watched


def test_spans_of_slow_work_are_pauses():
    """Over three times the median; work that is slow again within moments is of the same pause."""
    usual = [(n / 100, 0.0001, n / 100 + 0.0001) for n in range(20)]
    slow = [(1.0, 0.001, 1.001), (1.005, 0.0004, 1.0054), (2.0, 0.01, 2.01), (3.0, 0.0003, 3.0003)]
    assert spans(usual + slow) == [(1.0, 1.0054), (2.0, 2.01)]
    assert spans([]) == []


def test_whatever_overlaps_a_pause_met_it():
    """Also when it began or ended inside, or went on all the while."""
    pauses = Pauses([(1.0, 2.0)])
    assert [pauses.met(*one) for one in ((0.0, 0.9), (0.5, 1.1), (1.2, 1.3), (1.9, 3.0), (0.0, 9.0), (2.1, 3.0))] == [
        False, True, True, True, True, False,
    ]  # fmt: skip
    assert pauses.seconds == 1.0


def test_a_watched_block_is_told_in_this_process_clock():
    """What was found is there when the block ends."""
    begun = time.perf_counter()
    with watched() as pauses:
        time.sleep(0.2)
    assert all(begun <= first <= last <= time.perf_counter() for first, last in pauses.spans)
