"""Who and what a name in a question is: repositories and people of our own index, found or offered, never guessed.

What a name costs is bounded by how many repositories are tracked and how many people are known in them; no event is
read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from answering.errors import NoActiveRelease
from answering.releases import load_release
from answering.retrieval import Scope, newest_items, tracked_ids
from answering.retrieval.scope import bearers
from resources.postgres import Connection, Database

SHOWN = 5
"""Candidates that are offered."""
LONGEST = 200
"""Characters of a name; a longer one is none."""

_ALIKE = 0.6  # difflib's ratio from which a name is offered
_LETTERS = 6  # of a name's part in which a slip is taken for one: shorter names lie too close to each other
_POOL = 5000
_IN_SCOPE = "(%(repo_ids)s::bigint[] IS NULL OR repo_id = ANY (%(repo_ids)s))"
_URL = re.compile(r"^(?:https?://)?(?:www\.)?github\.com/", re.IGNORECASE)
_LOGIN = re.compile(r"@?([a-z0-9][a-z0-9_-]{0,99}(?:\[bot\])?)", re.IGNORECASE)
_AROUND = " \t\r\n`'\"“”‘’,;:!?<>()"


@dataclass(frozen=True)
class Resolution:
    """What a name was resolved to.

    name: the repository's present name, or the person as measures name it (@login in lower case, or a full name); None
    where it is not known for certain. repo_id: of a repository that was found. candidates: what may be meant, nearest
    first, where nothing was found. text: a sentence for people; empty where the name was found as it was written.
    exact: of a repository, whether owner/name is one of its own names, the present or an earlier one.
    """

    asked: str
    name: str | None = None
    repo_id: int | None = None
    candidates: tuple[str, ...] = ()
    text: str = ""
    exact: bool = False

    @property
    def found(self) -> bool:
        """Whether it is known who or what is meant."""
        return self.name is not None


def resolve_repository(tools: Database, text: str) -> Resolution:
    """The tracked repository that `text` names: owner/name, the name alone, or its address at GitHub; without case.

    A present name goes before an earlier one, which is followed to what the repository is called today. A name alone
    has to belong to one repository. What is only similar is offered, unless there is one single repository that differs

    - in nothing but separators (React Router, react_router, react-router), or
    - in one slip: a letter wrong, missing or too many, or two neighbours swapped, in a part (owner or name) of six
      letters or more, the other part being equal. Digits are never slips.
    """
    asked = _clean(text)
    if _URL.match(asked):
        asked = "/".join(re.split(r"[/?#]", _URL.sub("", asked))[:2])
    asked = asked.removesuffix(".git").strip("/")
    if not asked:
        return Resolution(asked, text="No repository is named: write it as owner/name.")
    with tools.transaction() as connection:
        known = _repositories(connection, asked)
        (exact,) = bearers(connection, [asked])
        if exact is not None:
            row = connection.execute("SELECT name FROM repositories WHERE repo_id = %s", [exact]).fetchone()
            if row is not None:
                return replace(_repository(asked, row[0], exact, "is called {} today"), exact=True)
    if "/" not in asked:
        for present in (True, False):
            same = {one.repo_id: one.name for one in known
                    if one.is_present is present and one.bare == asked.casefold()}  # fmt: skip
            if same:
                return _only(asked, same, "is {}" if present else "is called {} today")
    near = {one.repo_id: one.name for one in known if _slips(asked, one.told)}
    if len(near) == 1:
        return _only(asked, near, "is not tracked; {} is, and is taken to be meant")
    parts = [(part, one.name) for one in known for part in ([one.told] if "/" in asked else one.told.split("/"))]
    offered = _nearest(asked, parts)
    if not offered:
        add = f", `starsearch repos add {asked}` tracks it" if asked.count("/") == 1 else ""
        return Resolution(
            asked, text=f"{asked} is not among the tracked repositories: `starsearch repos list` shows them{add}."
        )
    return Resolution(asked, candidates=offered, text=f"{asked} is not tracked. Did you mean {_listed(offered)}?")


def resolve_person(tools: Database, text: str, scope: Scope | None = None) -> Resolution:
    """The person that `text` names: a login (with @ or without, in any case), or a full name that is one person's.

    Names that count as one person are followed (docs/insights.md). scope: of which only the repositories count. People
    are known by what they contributed, by comments, and by the items of the active release. Similar names are offered
    and never taken: one letter is enough to be somebody else.

    Raises:
        ScopeError: a repository of the scope that is not tracked.
    """
    scope, asked = scope or Scope(), _URL.sub("@", _clean(text)).rstrip("/")
    if not asked.strip("@"):
        return Resolution(asked, text="Nobody is named: write a login as @login, or a full name.")
    login = _LOGIN.fullmatch(asked)
    people = _by_login(tools, login[1], scope) if login else []
    known = [] if people else _people(tools, asked, scope)
    people = people or sorted({person for alias, person in known if alias.casefold() == asked.casefold()})
    if len(people) == 1:
        written = f"@{asked.lstrip('@')}".casefold() == people[0] or asked == people[0]
        return Resolution(asked, people[0], text="" if written else f"{asked} is {people[0]}.")
    if people:
        shown = tuple(people[:SHOWN])
        return Resolution(asked, candidates=shown, text=f"{asked} can be {_listed(shown)}: say which one.")
    offered = _nearest(asked, known)
    where = " in this scope" if scope.repos else ""
    if not offered:
        return Resolution(asked, text=f"Nobody called {asked} was read{where}.")
    return Resolution(
        asked, candidates=offered, text=f"Nobody called {asked} was read{where}. Did you mean {_listed(offered)}?"
    )


@dataclass(frozen=True)
class _Name:
    """A name that a tracked repository bears, or bore. told, bare: in lower case, with and without the owner."""

    repo_id: int
    name: str
    told: str
    is_present: bool

    @property
    def bare(self) -> str:
        return self.told.partition("/")[2]


def _repositories(connection: Connection, asked: str) -> list[_Name]:
    """Names that may be meant, nearest in length first, each only once a repository."""
    rows = connection.execute(
        "SELECT repo_id, name, told, bool_or(is_present) FROM ("
        " SELECT repo_id, name, name AS told, true AS is_present FROM repositories UNION ALL"
        " SELECT repo_id, r.name, n.name, false FROM repository_names n JOIN repositories r USING (repo_id)) known"
        " WHERE translate(lower(told), ' _.-', '') LIKE ANY (%(patterns)s) GROUP BY 1, 2, 3"
        " ORDER BY lower(%(asked)s) IN (lower(told), split_part(lower(told), '/', 2)) DESC, 4 DESC,"
        " abs(length(told) - length(%(asked)s)), 3 LIMIT %(most)s",
        {"patterns": _patterns(asked), "asked": asked, "most": _POOL},
    )
    return [_Name(repo_id, name, told.casefold(), is_present) for repo_id, name, told, is_present in rows]


def _by_login(tools: Database, login: str, scope: Scope) -> list[str]:
    """Whom a login counts as, where anything by it is read: by indexes of people, comments and items, a row a day of
    theirs. Comments and items are looked at where no day of theirs was counted."""
    asked: dict[str, Any] = {"alias": f"@{login.lower()}", "login": login.lower()}
    with tools.transaction() as connection:
        asked["repo_ids"] = _scoped(connection, scope)
        rows = connection.execute(
            f"SELECT DISTINCT person FROM contributor_days WHERE alias = %(alias)s AND {_IN_SCOPE} ORDER BY 1", asked
        ).fetchall()
        if rows:
            return [person for (person,) in rows]
        ((said, person),) = connection.execute(
            f"SELECT EXISTS (SELECT FROM comments WHERE lower(author_login) = %(login)s AND {_IN_SCOPE}),"
            " coalesce((SELECT person FROM same_people WHERE repo_id = 0 AND alias = %(alias)s), %(alias)s)",
            asked,
        )
    return [person] if said or _wrote(tools, login, scope) else []


def _wrote(tools: Database, login: str, scope: Scope) -> bool:
    """Whether the active release has an item by `login`."""
    try:
        release = load_release(tools)
    except NoActiveRelease:
        return False
    return bool(newest_items(tools, release, Scope(repos=scope.repos, authors=(login,)), 1))


def _people(tools: Database, asked: str, scope: Scope) -> list[tuple[str, str]]:
    """Names that may be meant, and whom they count as: a row a repository and person is read, not their days."""
    with tools.transaction() as connection:
        return connection.execute(
            "SELECT alias, person FROM (SELECT person AS alias, person, repo_id FROM first_contributions"
            " UNION ALL SELECT alias, person, repo_id FROM same_people) known"
            " WHERE (repo_id = 0 OR CASE WHEN %(repo_ids)s::bigint[] IS NULL"
            "  THEN repo_id IN (SELECT repo_id FROM repositories) ELSE repo_id = ANY (%(repo_ids)s) END)"
            " AND translate(lower(alias), '@ _.-', '') LIKE ANY (%(patterns)s) GROUP BY 1, 2"
            " ORDER BY lower(alias) = lower(%(asked)s) DESC, abs(length(alias) - length(%(asked)s)), 1, 2"
            " LIMIT %(most)s",
            {"repo_ids": _scoped(connection, scope), "patterns": _patterns(asked), "asked": asked, "most": _POOL},
        ).fetchall()


def _scoped(connection: Connection, scope: Scope) -> list[int] | None:
    """The scope's repositories; None for all."""
    return tracked_ids(connection, scope.repos) if scope.repos else None


def _clean(text: str) -> str:
    """One line without what stands around a name; empty where it is too long to be one."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split()).strip(_AROUND)
    return line if len(line) <= LONGEST else ""


def _squeezed(text: str) -> str:
    """In lower case, without what separates words; the stroke behind an owner stays."""
    return re.sub(r"[@ _.-]", "", text.casefold())


def _patterns(asked: str) -> list[str]:
    """LIKE patterns of names that have a third of a part of this one: so has every name that two slips lead to."""
    parts: set[str] = set()
    for part in asked.replace("%", "").replace("\\", "").split("/"):
        bare = _squeezed(part)
        third = max(len(bare) // 3, 1)
        parts |= {bare[:third], bare[third : 2 * third], bare[2 * third :]} - {""}
    return [f"%{part}%" for part in sorted(parts)]


def _slips(asked: str, told: str) -> bool:
    """Whether `told` is what `asked` was meant to be, by the rule of `resolve_repository`."""
    ours, theirs = asked.casefold().split("/"), told.split("/")
    if len(ours) == 1:
        theirs = theirs[-1:]
    if len(ours) != len(theirs):
        return False
    if [_squeezed(part) for part in ours] == [_squeezed(part) for part in theirs]:
        return True
    unlike = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    return len(unlike) == 1 and _one_slip(*unlike[0])


def _one_slip(asked: str, told: str) -> bool:
    """One letter wrong, missing or too many, or two neighbours swapped."""
    if sum(one.isalpha() for one in told) < _LETTERS:
        return False
    start = _shared(asked, told)
    a, b = asked[start:], told[start:]
    end = _shared(a[::-1], b[::-1])
    a, b = a[: len(a) - end], b[: len(b) - end]
    return (a + b).isalpha() and (max(len(a), len(b)) == 1 or (len(a) == 2 and b == a[::-1]))


def _shared(a: str, b: str) -> int:
    """Characters that both begin with."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _nearest(asked: str, known: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What names stand for that are much alike, or have the asked one in them; nearest first."""
    wanted = _squeezed(asked)
    matcher = SequenceMatcher(b=wanted, autojunk=False)
    best: dict[str, float] = {}
    for told, name in known:
        squeezed = _squeezed(told)
        matcher.set_seq1(squeezed)
        ratio = matcher.ratio() if matcher.quick_ratio() >= _ALIKE else 0.0
        if len(wanted) > 2 and wanted in squeezed:
            ratio = max(ratio, _ALIKE)
        if ratio >= _ALIKE:
            best[name] = max(ratio, best.get(name, 0.0))
    return tuple(sorted(best, key=lambda name: (-best[name], name))[:SHOWN])


def _only(asked: str, same: dict[int, str], how: str) -> Resolution:
    """The repository, where it is one; else all of them as candidates."""
    if len(same) == 1:
        ((repo_id, name),) = same.items()
        return _repository(asked, name, repo_id, how)
    shown = tuple(sorted(same.values())[:SHOWN])
    return Resolution(asked, candidates=shown, text=f"{asked} can be {_listed(shown)}: say which one.")


def _repository(asked: str, name: str, repo_id: int, how: str) -> Resolution:
    written = asked.casefold() == name.casefold()
    return Resolution(asked, name, repo_id, text="" if written else f"{asked} {how.format(name)}.")


def _listed(names: Iterable[str]) -> str:
    return " or ".join(names)
