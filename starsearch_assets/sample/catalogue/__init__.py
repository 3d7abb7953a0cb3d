"""The hand-written subjects of the sample: one Markdown file a repository, and the reader for them.

A file has three sections, `## Pull requests`, `## Issues` and `## Releases`. Under each, `### ` starts
an entry. Except for releases the first line is its facts, `type | area | @author | key=value | flag`,
and every further line is one paragraph of substance:

- pull request: the problem, its cause, the change, how it was checked;
- issue: what happens, a detail, what is wished for, and, where `pr=` names a pull request, the remedy.

Keys: `issue=` title of the issue that a pull request answers; `pr=` title of the pull request that
answers an issue; `was=` an earlier title; `query=` a paraphrase for which this entry is the right hit.
Flags: `nul` puts a U+0000 into the body, `long-log` a log of 60 kB; `untitled` opens a pull request in slim
hours and lets nobody comment on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Entry:
    """One subject: what a pull request or an issue is about."""

    title: str
    type: str
    area: str
    lines: tuple[str, ...]
    author: str | None = None
    facts: Mapping[str, str] | None = None
    flags: tuple[str, ...] = ()

    def fact(self, key: str) -> str | None:
        """The value of a `key=value` fact, or None."""
        return (self.facts or {}).get(key)


@dataclass(frozen=True, slots=True)
class ReleaseNotes:
    """One release: its tag and the text of its notes."""

    tag: str
    notes: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that was written for one repository."""

    pull_requests: tuple[Entry, ...]
    issues: tuple[Entry, ...]
    releases: tuple[ReleaseNotes, ...]


def read_catalogue(name: str) -> Catalogue:
    """Read the catalogue `name` (a file beside this one, without `.md`).

    Raises ValueError for an entry that lacks facts or paragraphs, naming the entry.
    """
    text = resources.files(__name__).joinpath(f"{name}.md").read_text(encoding="utf-8")
    found = list(blocks(text))
    return Catalogue(
        pull_requests=tuple(_entry(t, ls, 4) for section, t, ls in found if section == "Pull requests"),
        issues=tuple(_entry(t, ls, 3) for section, t, ls in found if section == "Issues"),
        releases=tuple(ReleaseNotes(t, "\n\n".join(ls)) for section, t, ls in found if section == "Releases"),
    )


def blocks(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """The entries of a file: section, title, and the lines below that are not empty."""
    section = title = ""
    lines: list[str] = []
    for line in [*text.splitlines(), "## "]:
        if line.startswith(("### ", "## ")):
            if title:
                yield section, title, lines
            title, lines = "", []
            if line.startswith("### "):
                title = line[4:].strip()
            else:
                section = line[3:].strip()
        elif line.strip():
            lines.append(line.strip())


def _entry(title: str, lines: list[str], least: int) -> Entry:
    if len(lines) < least + 1:
        raise ValueError(f"entry {title!r}: expected facts and {least} paragraphs, found {len(lines)} lines")
    kind, area, *rest = (part.strip() for part in lines[0].split(" | "))
    author = next((part[1:] for part in rest if part.startswith("@")), None)
    facts = dict(part.split("=", 1) for part in rest if "=" in part)
    flags = tuple(part for part in rest if "=" not in part and not part.startswith("@"))
    return Entry(title, kind, area, tuple(lines[1:]), author, facts, flags)
