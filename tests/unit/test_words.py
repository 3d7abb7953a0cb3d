"""Which words of a question count, and how they become a tsquery."""

import math

import pytest

from answering.releases import Release
from answering.retrieval.hits import Key
from answering.retrieval.search import Ranking, fuse
from answering.retrieval.vectors import Candidate
from answering.retrieval.words import Match, WordStatistics, _every, _some, quoted

FREQUENCIES = {"the": 60_000, "server": 30_000, "client": 10_000, "cache": 1500, "tls": 400, "quic": 20}
STATISTICS = WordStatistics(100_000, FREQUENCIES, rare=8)


def test_information_falls_with_frequency():
    """BM25's inverse document frequency; a word that the statistics do not name is rare."""
    assert STATISTICS.information("unseen") > STATISTICS.information("quic") > STATISTICS.information("the") > 0
    assert math.isclose(STATISTICS.information("quic"), math.log(1 + (100_000 - 20 + 0.5) / 20.5))
    assert WordStatistics(0, {}, 0).information("x") >= 0


def test_informative_words_are_ored_while_few_rows_are_ranked():
    """tls, quic and cache together leave at most 2,000 rows; server would not."""
    assert _some(["quic", "tls", "cache", "server"], STATISTICS, 1.0) == ("'quic' | 'tls' | 'cache'", 1920)


def test_a_filter_leaves_room_for_more_words():
    """Where one row in a hundred is in scope, common words can be ranked, too."""
    found = _some(["quic", "tls", "cache", "client", "server"], STATISTICS, 0.1)
    assert found == ("'quic' | 'tls' | 'cache' | 'client'", pytest.approx(1192))


def test_words_are_no_reason_to_read_all_of_their_index():
    """However few rows a filter leaves: server alone is in 30,000."""
    found = _some(["quic", "tls", "cache", "client", "server"], STATISTICS, 0.001)
    assert found == ("'quic' | 'tls' | 'cache' | 'client'", pytest.approx(11.92))


def test_common_words_alone_are_anded():
    """Where even the rarest word is common, the next ones narrow it down."""
    assert _some(["server", "the"], STATISTICS, 1.0) == ("'server' & 'the'", pytest.approx(18_000))


def test_every_word_can_be_asked_for():
    """However few items have the first ones."""
    found = _every(["quic", "tls", "cache"], STATISTICS, 1.0)
    assert found == ("'quic' & 'tls' & 'cache'", pytest.approx(20 * 0.004 * 0.015))


def test_lexemes_are_quoted():
    """Quotes and backslashes of a lexeme are its own."""
    assert quoted("it's\\") == "'it''s\\\\'"


def test_reciprocal_ranks_add_up():
    """An item that both halves find gets both ranks; weights and the constant are the ranking's."""
    one, two, three = (Candidate(Key(1, 1, str(n)), None) for n in range(3))
    ranking = Ranking(vector_weight=2, text_weight=1, rank_constant=10)
    scores = fuse([one, two], [Match(9.0, two, 1.0), Match(8.0, three, 1.0)], ranking, None)
    assert scores == {one.key: 2 / 11, two.key: 2 / 12 + 1 / 11, three.key: 1 / 12}


def test_words_count_by_what_they_tell_beside_vectors_only():
    """A match of a quarter of the query's information gives a quarter of its rank; alone the list keeps its order."""
    one, two, three = (Candidate(Key(1, 1, str(n)), None) for n in range(3))
    matches = [Match(9.0, two, 0.25), Match(8.0, three, 1.0)]
    ranking = Ranking(rank_constant=10)
    assert fuse([one], matches, ranking, None) == {one.key: 1 / 11, two.key: 0.25 / 11, three.key: 1 / 12}
    assert fuse([], matches, ranking, None) == {two.key: 1 / 11, three.key: 1 / 12}


def test_a_release_keeps_what_was_read_of_it():
    """The cache is the release's own, and no part of its identity."""
    one, two = (Release(1, None, "m", 3, (), {}, {}) for _ in range(2))
    one.cache["words"] = STATISTICS
    assert one == two
    assert "words" not in two.cache
