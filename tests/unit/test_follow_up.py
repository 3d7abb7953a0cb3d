"""Questions that refer to earlier ones."""

from __future__ import annotations

import pytest

from answering.follow_up import TOKENS, TURNS, newest, read_follow_up
from answering.question import LIMIT, Intent
from resources.tokens import estimated_tokens

ROCKET = "What changed in acme/rocket last week?"
ADA = "What has @ada done in acme/rocket?"


@pytest.mark.parametrize(
    ("text", "earlier", "taken"),
    [
        ("and who reviews it?", [ROCKET], ("acme/rocket",)),
        ("What about its releases?", [ROCKET], ("acme/rocket",)),
        ("Who maintains this project?", [ROCKET], ("acme/rocket",)),
        ("And what did she change?", [ADA], ("acme/rocket", "@ada")),
        ("and its issues?", [ADA], ("acme/rocket",)),
        ("And the tests?", [ADA], ("acme/rocket", "@ada")),
        ("Which of them are merged?", ["What has @ada done?"], ("@ada",)),
        ("and who reviews it?", [ROCKET, "and what was released there?", "Who knows Rust?"], ("acme/rocket",)),
        ("and who reviews it?", [ROCKET, "Compare it with acme/boat"], ("acme/boat",)),
    ],
)
def test_names_come_from_the_newest_question_with_some(text: str, earlier: list[str], taken: tuple[str, ...]) -> None:
    """Repositories; people where a person is meant, or nothing says what is."""
    question = read_follow_up(text, earlier)
    assert question.taken == taken
    assert question.repos == tuple(name for name in taken if not name.startswith("@"))
    assert question.logins == tuple(name[1:] for name in taken if name.startswith("@"))
    assert question.text == text


@pytest.mark.parametrize(
    ("text", "earlier"),
    [
        ("Who knows Rust?", [ROCKET]),
        ("What did @bob do in it?", [ROCKET]),
        ("And in acme/boat?", [ROCKET]),
        ("and what did commit 3f2a91c0 do?", [ROCKET]),
        ("and who reviews it?", []),
        ("and who reviews it?", ["Who knows Rust?"]),
        ("and " + "words " * ((LIMIT - 4) // 6), [ROCKET]),
    ],
)
def test_what_names_something_or_refers_to_nothing_takes_nothing(text: str, earlier: list[str]) -> None:
    """Nor is anything taken where nothing was named."""
    question = read_follow_up(text, earlier)
    assert question.taken == ()
    assert "acme/rocket" not in question.repos


def test_a_request_for_certain_repositories_takes_no_others() -> None:
    """The people are taken all the same."""
    assert read_follow_up("and what did she change?", [ADA], scoped=True).taken == ("@ada",)
    assert read_follow_up("and who reviews it?", [ROCKET], scoped=True).taken == ()


def test_a_follow_up_is_planned_as_if_it_had_the_name() -> None:
    """Its intent and topic are those of the whole question."""
    assert read_follow_up("And its lottery factor?", [ROCKET]).intent is Intent.LOTTERY_FACTOR
    assert read_follow_up("what has she worked on?", ["Who is @ada?"]).intent is Intent.PERSON
    assert "acme" not in read_follow_up("and its memory leaks?", [ROCKET]).topic


def test_only_the_newest_questions_are_looked_at() -> None:
    """So many, so many tokens, cleaned of what nobody sees, in the order in which they were asked."""
    asked = [f"Question number {number}?" for number in range(10)]
    assert newest(asked) == tuple(asked[-TURNS:])
    long = ["word " * 390] * 9
    kept = newest([*long, "the\u200b last"])
    assert kept[-1] == "the last"
    assert 1 < len(kept) < TURNS
    assert sum(map(estimated_tokens, kept)) <= TOKENS
    assert newest([]) == ()
