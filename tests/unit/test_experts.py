"""What work counts for a topic, and how people are ranked by it."""

from __future__ import annotations

import math
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answering.insights.experts import DISCUSSED, HALF_LIFE, Shares, TopicWork, ranked, topic_work, weight
from answering.retrieval import Hit

AS_OF = date(2025, 10, 8)
KINDS = ("pull_request", "issue", "release", "commit")


def hit(
    kind: str = "pull_request", ref: str = "1", state: str | None = "merged", day: date = AS_OF, **more: str
) -> Hit:
    title = more.get("title", f"Work {ref}")
    return Hit(
        kind, "acme/web", ref, title, f"https://github.com/acme/web/{kind}/{ref}", 0.7, 1, "ada", False, state,
        day, day, title, "source", 1,
    )  # fmt: skip


def work(score: float) -> TopicWork:
    return TopicWork("Rust", False, score, 1, 1, 0, AS_OF, (hit(),))


def by(person: str, *hits: Hit) -> Shares:
    return {one.item: [(person, True)] for one in hits}


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        ("pull_request", "merged", 1.0),
        ("commit", None, 1.0),
        ("pull_request", "open", 0.5),
        ("pull_request", None, 0.5),
        ("pull_request", "closed", 0.25),
        ("issue", "open", 0.5),
        ("issue", "closed", 0.5),
        ("release", "released", 0.5),
    ],
)
def test_merged_work_counts_most(kind: str, state: str | None, expected: float) -> None:
    """A closed issue is no refused pull request."""
    assert weight(hit(kind, state=state), AS_OF) == expected


def test_work_counts_half_after_the_half_life() -> None:
    """What is later than the release does not count more than what is of its day; without a day, nothing ages."""
    half = timedelta(days=HALF_LIFE)
    assert [weight(hit(day=AS_OF - n * half), AS_OF) for n in (0, 1, 2, -1)] == [1, 0.5, 0.25, 1]
    assert weight(hit(day=AS_OF - half), None) == 1


@given(st.sampled_from(KINDS), st.sampled_from(["merged", "open", "closed", None]), st.integers(0, 20_000))
def test_a_day_more_never_counts_more(kind: str, state: str | None, age: int) -> None:
    """Weights are over 0 and up to 1, whatever the age."""
    now, before = (weight(hit(kind, state=state, day=AS_OF - timedelta(days=n)), AS_OF) for n in (age, age + 1))
    assert 0 < before < now <= 1


def test_speaking_counts_less_than_writing_and_only_for_interest() -> None:
    """Who wrote an item does not discuss it as well; knowing takes work of one's own."""
    mine, theirs = hit(ref="1"), hit(ref="2", state="open")
    shares: Shares = {mine.item: [("@ada", True), ("@bob", False)], theirs.item: [("@bob", True), ("@ada", False)]}
    likes = topic_work("Rust", [theirs, mine], shares, AS_OF, interested=True)
    ada, bob = likes["@ada"], likes["@bob"]
    assert (ada.score, ada.authored, ada.merged, ada.discussed) == (1 + DISCUSSED * 0.5, 1, 1, 1)
    assert (bob.score, bob.authored, bob.merged, bob.discussed) == (0.5 + DISCUSSED, 1, 0, 1)
    assert ada.hits == (mine, theirs)
    knows = topic_work("Rust", [theirs, mine], shares, AS_OF, interested=False)
    assert {person: (done.score, done.hits) for person, done in knows.items()} == {
        "@ada": (1, (mine,)),
        "@bob": (0.5, (theirs,)),
    }


def test_evidence_is_what_counts_most() -> None:
    """Of equal items the most relevant, which is the one that was found first."""
    old = hit(ref="1", day=AS_OF - timedelta(days=400))
    first, second, refused = hit(ref="9"), hit(ref="3"), hit(ref="4", state="closed")
    found = [old, refused, first, second]
    done = topic_work("Rust", found, by("@ada", *found), AS_OF, interested=False)["@ada"]
    assert done.hits == (first, second, refused, old)
    assert [link.url for link in done.evidence] == [one.url for one in (first, second, refused)]
    assert done.newest == AS_OF


def test_the_same_work_counts_once() -> None:
    """A commit that lands one's pull request, one of its title and a merge repeat it; for a co-author they do not."""
    pull, merge = hit(ref="12", title="Add it"), hit("commit", "m", "merge", title="Merge pull request #12 from x/y")
    landing, same = hit("commit", "a", None, title="Add it (#12)"), hit("commit", "b", None, title="Add it")
    found = [pull, merge, landing, same]
    shares: Shares = {one.item: [("@ada", True)] for one in found}
    shares = {**shares, landing.item: [("@ada", True), ("@bob", True)], merge.item: [("@eve", True)]}
    done = topic_work("Rust", found, shares, AS_OF, interested=False)
    assert {person: one.hits for person, one in done.items()} == {"@ada": (pull,), "@bob": (landing,)}


def test_everybody_needs_every_topic() -> None:
    """Much of one does not stand in for another, and equal people stand by name."""
    rust = {"@ada": work(9.0), "@bob": work(2.0), "@cy": work(1.0), "@dee": work(50.0), "@abe": work(4.0)}
    tailwind = {"@ada": work(0.25), "@bob": work(2.0), "@cy": work(4.0), "@abe": work(1.0), "@eve": work(50.0)}
    found = ranked([rust, tailwind])
    assert [one.person for one in found] == ["@abe", "@bob", "@cy", "@ada"]
    assert [one.score for one in found] == pytest.approx([2, 2, 2, 1.5])
    assert found[-1].topics == (rust["@ada"], tailwind["@ada"])


SCORES = st.floats(1e-6, 1e6)


@given(st.lists(st.tuples(SCORES, SCORES, SCORES), min_size=1, max_size=8), st.permutations(range(3)))
def test_the_ranking_is_by_the_geometric_mean(scores: list[tuple[float, float, float]], order: list[int]) -> None:
    """Between a person's least and greatest score; best first; the order of the topics does not matter."""
    people = {f"@{n}": one for n, one in enumerate(scores)}
    found = ranked([{person: work(one[topic]) for person, one in people.items()} for topic in range(3)])
    for one in found:
        own = people[one.person]
        assert one.score == pytest.approx(math.prod(own) ** (1 / 3))
        assert min(own) * (1 - 1e-9) <= one.score <= max(own) * (1 + 1e-9)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    again = ranked([{person: work(one[topic]) for person, one in people.items()} for topic in order])
    assert [(one.person, one.score) for one in again] == [(one.person, one.score) for one in found]


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=2, max_size=6))
def test_more_work_about_a_topic_ranks_no_lower(scores: list[float]) -> None:
    """Where one topic of somebody grows, nobody passes them."""
    one = {f"@{n}": work(score) for n, score in enumerate(scores)}
    place = [expert.person for expert in ranked([one])].index("@0")
    grown = [expert.person for expert in ranked([one | {"@0": work(scores[0] + 0.5)}])]
    assert grown.index("@0") <= place
