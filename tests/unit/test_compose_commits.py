"""What a sentence may say of a commit."""

from __future__ import annotations

from datetime import date

import pytest

from answering.compose import backed
from answering.evidence import Evidence
from answering.retrieval import Hit


def commit(ref: str) -> Hit:
    return Hit(
        "commit", "acme/web", ref, "Fix it", f"https://github.com/acme/web/commit/{ref}", 0.7, 1, None, False, None,
        date(2026, 1, 2), date(2026, 1, 3), "Fix it\nBecause.", "source", 1, author_name="Jane Doe",
    )  # fmt: skip


SHA = "3f2a91c0b1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6"


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        ("It was fixed in acme/web@3f2a91c [1].", True),
        ("It was fixed in 3f2a91c [1].", True),
        ("It was fixed in 3f2a91c0b1 [1].", True),
        (f"It was fixed in {SHA} [1].", True),
        (f"See https://github.com/acme/web/commit/{SHA} [1].", True),
        ("Jane Doe fixed it in acme/web@3f2a91c0b [1].", True),
        ("It was fixed in 3f2a91d [1].", False),
        ("It was fixed in acme/web@3f2a91d [1].", False),
        ("It was fixed in acme/shop@3f2a91c [1].", False),
        ("It was fixed in 2a91c0b1d [1].", False),
        ("@jane fixed it [1].", False),
        ("@jane-doe fixed it [1].", False),
    ],
)
def test_a_sha_in_a_sentence_has_to_be_that_of_the_evidence(sentence: str, kept: bool) -> None:
    """Any beginning of a cited commit's SHA is backed; other digits, places and a login made of a name are not."""
    evidence = Evidence()
    number = evidence.cite(commit(SHA))
    evidence.facts = [f"Commit acme/web@3f2a91c by Jane Doe: “Fix it”. [{number}]"]
    assert backed(sentence, evidence) is kept
