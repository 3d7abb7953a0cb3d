"""The names of items in files of judgements: as people write them, without blanks.

pull_request:owner/name#12      issue:owner/name#7
release:owner/name@v1.0         commit:owner/name@<all 40 digits of the SHA>
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from resources.kinds import BY_NAME, COMMIT, RELEASE

EXPECTED = (
    "pull_request:owner/name#12, issue:owner/name#7, release:owner/name@v1.0 or commit:owner/name@ and a SHA of 40"
    " hexadecimal digits"
)
_FORM = re.compile(r"(?P<kind>[a-z_]+):(?P<repo>[\w.-]+/[\w.-]+)(?P<mark>[#@])(?P<ref>\S+)", re.ASCII)
_REFS = {
    "#": re.compile(r"[1-9][0-9]*", re.ASCII),
    COMMIT.name: re.compile(r"[0-9a-f]{40}"),
    RELEASE.name: re.compile(r"\S+"),
}


@dataclass(frozen=True, order=True)
class ItemName:
    """One item: its kind, the name of its repository (a present or an earlier one), and number, tag or SHA."""

    kind: str
    repo: str
    ref: str

    def __str__(self) -> str:
        mark = "@" if self.kind in (RELEASE.name, COMMIT.name) else "#"
        return f"{self.kind}:{self.repo}{mark}{self.ref}"


def parse_name(text: str) -> ItemName:
    """Read one name.

    Raises:
        ValueError: it is none; the message says what was expected.
    """
    found = _FORM.fullmatch(text)
    if found is None or found["kind"] not in BY_NAME:
        raise ValueError(f"expected an item like {EXPECTED}; came {text!r}")
    kind = found["kind"]
    by_tag = kind in (RELEASE.name, COMMIT.name)
    form = _REFS[kind if by_tag else "#"]
    if found["mark"] != ("@" if by_tag else "#") or form.fullmatch(found["ref"]) is None:
        raise ValueError(f"expected an item like {EXPECTED}; came {text!r}")
    return ItemName(kind, found["repo"], found["ref"])
