"""Hybrid search over a real release: words and vectors, filters in SQL, one hit an item, a reranker that may fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date

import numpy as np
import pytest

from answering.errors import ScopeError
from answering.releases import Release
from answering.retrieval import Query, Ranking, Scope, nearest_keys, newest_items, read_hits, search
from resources.errors import EmbedderError, RerankerError
from resources.kinds import ISSUE, PULL_REQUEST
from resources.postgres import Database
from resources.vectors import Vectors
from tests.integration.corpus import BagOfWords, Item, release_of
from tests.integration.processes import until

NOVEMBER = date(2025, 11, 3)
ITEMS = (
    Item(1, "Retry uploads that time out", "Uploads are tried three times.", labels=("Bug",), technologies=("Go",)),
    Item(2, "Cache of compiled templates", "Templates compile once.", author="Bea", state="merged",
         technologies=("Rust", "TypeScript")),
    Item(3, "Bump serde to 1.0.219", "Dependencies.", author="renovate[bot]", is_bot=True, technologies=("Rust",)),
    Item(4, "Fix crash on start", "The window closed.", own_text="error ERR_TLS_CERT_ALTNAME_INVALID in fetchRoute()"),
    Item(5, "Upload of large files in parts", "Parts are sent in turn.", repo=2, day=NOVEMBER, author="cem"),
    Item(6, "Uploads hang behind a proxy", "Nothing arrives.", repo=2, kind=ISSUE, author="ann", day=NOVEMBER),
)  # fmt: skip


@pytest.fixture
def release(database: Database, tools: Database) -> Release:
    return release_of(database, tools, ITEMS)


def query(text: str) -> Query:
    return Query(text, BagOfWords().encode([text])[0])


def found(tools: Database, release: Release, text: str, **options) -> list[str]:
    """References of the hits, best first."""
    return [hit.ref for hit in search(tools, release, query(text), **options)]


def test_an_identifier_in_the_items_own_text_is_found_by_words(tools: Database, release: Release) -> None:
    """The summary does not name the error; the item's own text does, and it comes first; vectors alone miss it."""
    text = "What about ERR_TLS_CERT_ALTNAME_INVALID?"
    assert found(tools, release, text)[0] == "4"
    assert found(tools, release, text, mode="text") == ["4"]
    assert found(tools, release, text, mode="vector")[0] != "4"


def test_a_whole_question_is_no_conjunction(tools: Database, release: Release) -> None:
    """Most words of the question are in no item: those that are decide."""
    assert found(tools, release, "Could somebody please explain whether compiled templates are ever evicted?",
                 mode="text") == ["2"]  # fmt: skip


def test_every_word_can_be_asked_for(tools: Database, release: Release) -> None:
    """By words only what has all of them, in any form, is found."""
    assert set(found(tools, release, "upload of large files", mode="text")) >= {"1", "5", "6"}
    assert found(tools, release, "upload of large files", mode="text", every_word=True) == ["5"]


def test_rare_words_weigh_more_than_common_ones(database: Database, tools: Database) -> None:
    """Of two items with one word of the question each, the one with the word that few have comes first."""
    common = [Item(n, f"Server option {n}", "The server starts.") for n in range(1, 40)]
    release = release_of(database, tools, [*common, Item(50, "Quaternion option", "Rotates.")])
    hits = search(tools, release, query("server quaternion"), mode="text", k=3)
    assert hits[0].ref == "50"
    assert 0.5 < hits[0].coverage < 1
    assert hits[1].coverage < 0.5


def test_both_halves_bring_their_hits(tools: Database, release: Release) -> None:
    """What only one half finds is there, an item that both find stands once."""
    hits = found(tools, release, "uploads", k=10)
    assert len(hits) == len(set(hits)) == len(ITEMS)
    assert set(found(tools, release, "uploads", mode="text")) == {"1", "5", "6"}
    assert set(hits[:3]) == {"1", "5", "6"}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(repos=("ACME/Repo2",)), {"5", "6"}),
        (Scope(authors=("BEA", "cem")), {"2", "5"}),
        (Scope(kinds=("issue",)), {"6"}),
        (Scope(since=date(2025, 11, 1)), {"5", "6"}),
        (Scope(until=date(2025, 11, 3)), {"1", "2", "3", "4"}),
        (Scope(states=("MERGED",)), {"2"}),
        (Scope(labels=("bug",)), {"1"}),
        (Scope(technologies=("rust",)), {"2", "3"}),
        (Scope(technologies=("rust",), bots=False), {"2"}),
        (Scope(bots=True), {"3"}),
        (Scope(technologies=("rust", "go"), authors=("ann",)), {"1"}),
        (Scope(authors=("nobody",)), set()),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_filters(tools: Database, release: Release, scope: Scope, expected: set[str], mode: str) -> None:
    """Every filter keeps everything else out, in each half, whatever the case of its names."""
    text = "uploads templates serde crash"
    assert set(found(tools, release, text, scope=scope, mode=mode)) == expected
    assert {hit.ref for hit in newest_items(tools, release, scope)} == expected


def test_scopes_that_cannot_be(tools: Database, release: Release) -> None:
    """Unknown repositories and kinds, and empty time ranges, are refused with what to do."""
    for scope, reason in (
        (Scope(repos=("acme/other",)), "repos add acme/other"),
        (Scope(kinds=("commits",)), "expected one of pull_request"),
        (Scope(since=NOVEMBER, until=NOVEMBER), "time range is empty"),
    ):
        with pytest.raises(ScopeError, match=reason):
            search(tools, release, query("uploads"), scope=scope)


@pytest.mark.parametrize(
    "text", ["", "the of and", "'; DROP TABLE items; --", "a' | b & !c <-> \\", "💥 ∑", "x" * 2000, "%s %(a)s {0} #"]
)
def test_any_text_is_a_query(tools: Database, release: Release, text: str) -> None:
    """Stop words, quotes, operators, placeholders and other scripts: the vectors answer, words do if there are any."""
    assert len(found(tools, release, text)) == len(ITEMS)
    assert search(tools, release, Query(text), mode="text") == []


def test_without_a_vector_the_words_answer(tools: Database, release: Release) -> None:
    """A hybrid query without a vector has scores of 0, and finds what the words find."""
    hits = search(tools, release, Query("templates"))
    assert [(hit.ref, hit.score, hit.coverage) for hit in hits] == [("2", 0.0, 1.0)]


def test_a_hit_scores_by_the_nearer_of_question_and_topic(tools: Database, release: Release) -> None:
    """A topic is not drowned by the question around it, and what the question alone is near to keeps its score."""
    question, topic = "Tell me please what anybody ever did about the proxy", "proxy"
    vector, topic_vector = BagOfWords().encode([question, topic])
    alone = {hit.item: hit.score for hit in search(tools, release, Query(question, vector))}
    other = {hit.item: hit.score for hit in search(tools, release, Query(topic, topic_vector))}
    both = search(tools, release, Query(question, vector, topic, topic_vector))
    assert both[0].ref == "6"
    assert len(both) == len(ITEMS)
    for hit in both:
        assert hit.score == pytest.approx(max(alone[hit.item], other[hit.item]), abs=2e-4)
    assert both[0].score > alone[both[0].item] + 0.2


def test_words_are_looked_for_while_a_query_is_encoded(tools: Database, release: Release) -> None:
    """Its hits are those of a query that has its vectors; one that cannot be encoded fails as the embedder does, and
    leaves the connection as it was."""
    texts = ["Tell me please what anybody ever did about the proxy", "proxy"]
    with ThreadPoolExecutor(1) as beside:
        encoding = beside.submit(BagOfWords().encode, texts)
        late = search(tools, release, Query(texts[0], topic=texts[1], encoding=encoding))
        alone = search(tools, release, Query(texts[0], encoding=beside.submit(BagOfWords().encode, texts[:1])))
        broken = beside.submit(_fail)
        with pytest.raises(EmbedderError, match="gone"):
            search(tools, release, Query(texts[0], encoding=broken))
    vector, topic_vector = BagOfWords().encode(texts)
    assert late == search(tools, release, Query(texts[0], vector, texts[1], topic_vector))
    assert alone == search(tools, release, Query(texts[0], vector))


@pytest.mark.parametrize(
    "look",
    [lambda *world: search(*world), lambda tools, release, one: nearest_keys(tools, release, [one], Scope(), 3)],
    ids=["search", "nearest"],
)
def test_no_connection_is_kept_for_an_embedder_that_takes_its_time(
    tools: Database, release: Release, look: Callable[..., object]
) -> None:
    """Longer than a moment a query waits without one, and is searched for then."""
    text, encoding = "Uploads behind a proxy", Future[Vectors]()
    with ThreadPoolExecutor(1) as beside:
        searching = beside.submit(look, tools, release, Query(text, encoding=encoding))
        until(lambda: tools.pool.in_use == 1)
        until(lambda: tools.pool.in_use == 0)
        assert not searching.done()
        encoding.set_result(BagOfWords().encode([text]))
        assert searching.result(30) == look(tools, release, query(text))


def test_hits_of_several_groups_of_keys_are_read_at_once(tools: Database, release: Release) -> None:
    """Each group keeps its order and its own similarities, also of an item that is in another; none reads nothing."""
    near = nearest_keys(tools, release, [query("uploads proxy"), query("uploads parts")], Scope(), 4)
    first, second = read_hits(tools, release, [dict(some) for some in near])
    for hits, some in zip((first, second), near, strict=True):
        assert [(hit.repo_id, hit.ref, hit.score) for hit in hits] == [
            (key.repo_id, key.ref, pytest.approx(similarity, abs=1e-4)) for key, similarity in some
        ]
    scores = {hit.item: hit.score for hit in second}
    assert any(hit.item in scores and hit.score != scores[hit.item] for hit in first)
    assert read_hits(tools, release, [{}, dict(near[0])]) == [[], first]
    assert read_hits(tools, release, [{}, {}]) == [[], []]


def _fail() -> Vectors:
    raise EmbedderError("the embedder is gone")


def test_a_topics_words_stand_for_the_questions(tools: Database, release: Release) -> None:
    """What only makes a question of it is no word that is looked for."""
    question = "Is there any crash when parts of the window are closed?"
    assert {hit.ref for hit in search(tools, release, Query(question), mode="text")} == {"4", "5"}
    assert [hit.ref for hit in search(tools, release, Query(question, topic="window"), mode="text")] == ["4"]


def test_the_newest_come_from_as_many_months_as_it_takes(database: Database, tools: Database) -> None:
    """Over kinds and months, newest first, for any number of them; the same as all of them sorted."""
    days = [date(2025, 9 + n % 3, 1 + n * 7 % 28) for n in range(30)]
    items = [
        Item(n + 1, f"number {n}", kind=ISSUE if n % 2 else PULL_REQUEST, author="ann" if n % 5 else "bob", day=day)
        for n, day in enumerate(days)
    ]
    release = release_of(database, tools, items)
    for scope, expected in (
        (Scope(), items),
        (Scope(authors=("bob",)), items[::5]),
        (
            Scope(since=date(2025, 10, 1), kinds=("issue",)),
            [one for one in items[1::2] if one.day >= date(2025, 10, 1)],
        ),
    ):
        order = sorted((one.day for one in expected), reverse=True)
        for k in (1, 3, 9, 10, 11, 40):
            assert [hit.activity_day for hit in newest_items(tools, release, scope, k)] == order[:k], (scope, k)


def test_recent_activity_breaks_ties(tools: Database, release: Release) -> None:
    """With a heavy weight of recency what was active last comes first; without, it does not matter."""
    heavy = Ranking(recency_weight=5, recency_days=7)
    assert set(found(tools, release, "templates", ranking=heavy)[:2]) == {"5", "6"}
    assert found(tools, release, "templates", ranking=Ranking(recency_weight=0))[0] == "2"


class Backwards:
    """Scores documents by how early the alphabet has them; or fails."""

    model = "backwards"

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.asked = fails, 0

    def scores(self, query: str, documents: Sequence[str]) -> np.ndarray:
        self.asked += len(documents)
        if self.fails:
            raise RerankerError("down")
        return np.asarray([-ord(document[0]) for document in documents], dtype=np.float32)


def test_a_reranker_has_the_last_word(tools: Database, release: Release) -> None:
    """The first hits, and only those, are ordered anew; their scores are the reranker's."""
    reranker = Backwards()
    hits = search(tools, release, query("uploads"), ranking=Ranking(reranked=4), reranker=reranker, k=2)
    assert reranker.asked == 4
    assert [hit.title[0] for hit in hits] == sorted(hit.title[0] for hit in hits)
    assert hits[0].rank_score >= hits[1].rank_score


def test_a_reranker_that_fails_fails_no_search(tools: Database, release: Release, caplog) -> None:
    """The fused order stands, and the log says why."""
    plain = found(tools, release, "uploads", k=3)
    assert found(tools, release, "uploads", k=3, reranker=Backwards(fails=True)) == plain
    assert "the reranker failed" in caplog.text
