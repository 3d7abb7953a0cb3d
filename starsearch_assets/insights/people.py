"""Who counts as one person: by overrides, as in git's .mailmap, and by two rules that would rather miss than guess.

Git lets everybody sign a commit with any name and address. A person is '@login', or the name where git tells no login.

- `address`: names that use the same e-mail address are one person, unless it is nobody's own (noreply, root, ci, …) or
  more than `SHARED_BY` names use it; nor where that would bring names together that are used with different logins, or
  different full names only by way of a short one that both use.
- `name`: a full name is the login that it is used with in the repository, unless it is used with several.
- `override`: what somebody said, which goes before both. An alias that is overridden to itself is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from resources.postgres import Connection, sql

OVERRIDE, ADDRESS, NAME = RULES = ("override", "address", "name")

SHARED_BY = 3
"""An e-mail address that more names use is taken for one that people share."""

ABSURD = 5
"""Merges into one person by rule in one repository, beyond which somebody has to look at them."""

_EXAMPLES = 20
_LOCK = 0x57A25EA2D1  # any constant: what is resolved rests on every identity and override that was committed before
_IMPERSONAL = frozenset(
    "root admin administrator info dev devs developer developers user username none unknown you your.name"
    " yourname name me mail email e-mail test tests testing example ci cd bot bots robot build builds builder"
    " support help hello contact office team service services security ops devops sales git github gitlab svn"
    " cvs hg code opensource oss release releases action actions automation jenkins travis runner docker"
    " vagrant ubuntu debian ec2-user www-data system daemon nobody anonymous default null postmaster webmaster"
    " hostmaster".split()
)
_UNANSWERED = ("noreply", "no-reply", "notreply", "not-reply")


@dataclass(frozen=True)
class Identity:
    """Who authored a commit, as git tells it. login: in lower case, '' where the address does not tell one."""

    name: str
    address: str
    login: str

    @property
    def is_bot(self) -> bool:
        """Whether it calls itself one."""
        return any(one.casefold().endswith("[bot]") for one in (self.name, self.login))


@dataclass(frozen=True)
class Merge:
    """Who an alias is, and by which of `RULES`."""

    person: str
    rule: str


def merged(identities: Iterable[Identity], overrides: Mapping[str, str]) -> dict[str, Merge]:
    """Who the aliases of one repository are: alias -> person; who stands for himself is left out.

    overrides: alias -> person, logins as '@login'; followed to their end, also from the person that a rule gave. The
    identities can come in any order and repeatedly. No person is an alias.
    """
    rules = _by_rule(set(identities), {alias for alias, person in overrides.items() if alias == person})
    onward = {alias: one.person for alias, one in rules.items()} | dict(overrides)
    found = {}
    for alias in onward:
        if (person := _end(alias, onward, overrides)) != alias:
            found[alias] = Merge(person, OVERRIDE if alias in overrides else rules[alias].rule)
    return found


def beside(
    identities: Iterable[Identity], overrides: Mapping[str, str], everywhere: Mapping[str, str]
) -> dict[str, Merge]:
    """What one repository has to say beside the overrides that hold everywhere, which its own go before.

    alias -> Merge, for each alias that is somebody else here than `merged((), everywhere)` says; the person is the
    alias where it is an alias there and stands for itself here.
    """
    held = {
        alias: person
        for alias, person in everywhere.items()
        if person == alias or _end(person, overrides, overrides) != alias
    }
    here, there = merged(identities, held | dict(overrides)), merged((), everywhere)
    itself = {alias: Merge(alias, OVERRIDE) for alias in there}
    return {
        alias: one
        for alias, one in (itself | here).items()
        if one.person != there.get(alias, Merge(alias, OVERRIDE)).person
    }


def note_identities(connection: Connection, day: date) -> None:
    """Note who authored the day's commits in tracked repositories, and resolve those where somebody new was named."""
    hold_off_others(connection)
    rows = connection.execute(sql(__package__, "identities"), {"day": day}).fetchall()
    if rows:
        resolve(connection, {repo_id for (repo_id,) in rows})


def hold_off_others(connection: Connection) -> None:
    """Until the transaction ends nobody else changes identities or overrides; call it before either is changed."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def resolve(connection: Connection, repo_ids: Collection[int] | None) -> int:
    """Bring `same_people` of these repositories to what their identities and overrides say; returns the changed rows.

    None: all of them, and the overrides that hold everywhere (repo_id 0): after one of these changed.
    """
    hold_off_others(connection)
    overrides: dict[int, dict[str, str]] = defaultdict(dict)
    for repo_id, alias, person in connection.execute("SELECT repo_id, alias, person FROM person_overrides"):
        overrides[repo_id][alias] = person
    everywhere = overrides.pop(0, {})
    changed = 0
    if repo_ids is None:
        changed += _write(connection, 0, merged((), everywhere))
        told = connection.execute(
            "SELECT repo_id FROM git_identities UNION SELECT repo_id FROM person_overrides"
            " UNION SELECT repo_id FROM same_people"
        ).fetchall()
        repo_ids = {repo_id for (repo_id,) in told} - {0}
    for repo_id in sorted(repo_ids):
        rows = connection.execute("SELECT name, address, login FROM git_identities WHERE repo_id = %s", [repo_id])
        identities = [Identity(*row) for row in rows]
        changed += _write(connection, repo_id, beside(identities, overrides[repo_id], everywhere))
    return changed


def merge_verdict(connection: Connection, day: date) -> tuple[bool, dict[str, Any]]:
    """Whether the merges of those who did something on the day are few enough to be right, and what they are.

    The details have how many merges there are by rule, how many people have more than `ABSURD` of them by rule in one
    repository, and examples, those people's first.
    """
    rows = connection.execute(
        "WITH active AS (SELECT DISTINCT repo_id, person FROM published.contributor_days WHERE day = %(day)s)"
        " SELECT coalesce(r.name, 'everywhere'), alias, person, rule,"
        " count(*) FILTER (WHERE rule <> %(override)s) OVER (PARTITION BY repo_id, person) > %(absurd)s AS is_absurd"
        " FROM same_people s LEFT JOIN repositories r USING (repo_id) WHERE alias <> person"
        " AND EXISTS (SELECT FROM active a WHERE a.person = s.person AND s.repo_id IN (0, a.repo_id))"
        " ORDER BY is_absurd DESC, repo_id, person, alias",
        {"day": day, "override": OVERRIDE, "absurd": ABSURD},
    ).fetchall()
    absurd = {(row[0], row[2]) for row in rows if row[4]}
    details: dict[str, Any] = {"merges": len(rows)}
    details |= {f"by {rule}": sum(row[3] == rule for row in rows) for rule in RULES}
    details["people of too many names"] = len(absurd)
    shown = ("repository", "alias", "person", "rule")
    details["examples"] = [dict(zip(shown, row[:-1], strict=True)) for row in rows[:_EXAMPLES]]
    return not absurd, details


def is_personal(address: str) -> bool:
    """Whether an e-mail address, in lower case, can be one person's own."""
    local, at, domain = address.rpartition("@")
    if not (at and local and "." in domain) or any(one in address for one in _UNANSWERED):
        return False
    return local.partition("+")[0] not in _IMPERSONAL


def _by_rule(identities: Collection[Identity], apart: Collection[str]) -> dict[str, Merge]:
    """What the rules give, without chains. apart: who is neither merged nor merged into."""
    users: dict[str, set[str]] = defaultdict(set)
    logins: dict[str, set[str]] = defaultdict(set)
    for one in identities:
        if not one.login:
            users[one.address].add(one.name)
        elif not one.is_bot and (full := _full_name(one.name)):
            logins[full].add(one.login)
    names = {one.name for one in identities if not one.login and not one.is_bot and one.name not in apart}
    found = {}
    for group in _groups(names, users, logins):
        known = {login for name in group for login in logins.get(_full_name(name), ())}
        person = min(group, key=lambda name: (-len(name.split()), -len(name), name))
        if login := len(known) == 1 and f"@{min(known)}" not in apart:
            person = f"@{min(known)}"
        for name in group - {person}:
            found[name] = Merge(person, NAME if login and _full_name(name) in logins else ADDRESS)
    return found


def _groups(
    names: Collection[str], users: Mapping[str, set[str]], logins: Mapping[str, set[str]]
) -> set[frozenset[str]]:
    """The names by who is one person by address, each in one group."""
    own = [sharing for address, sharing in users.items() if len(sharing) <= SHARED_BY and is_personal(address)]
    group_of, by_full_name = _connected(names, own), _connected(filter(_full_name, names), own)
    for group in set(group_of.values()):
        if len({by_full_name[name] for name in group if name in by_full_name}) > 1:  # there are several called John
            group_of.update({name: by_full_name.get(name, frozenset([name])) for name in group})
    for group in set(group_of.values()):
        known = [logins[full] for full in map(_full_name, group) if full in logins]
        if known and not set.intersection(*known):  # somebody uses another's address: whose it is nobody knows
            group_of.update({name: frozenset([name]) for name in group})
    return set(group_of.values())


def _connected(names: Iterable[str], sharing: Iterable[Collection[str]]) -> dict[str, frozenset[str]]:
    """Each name's group: who shares something with it, or with one who does."""
    group_of = {name: frozenset([name]) for name in names}
    for together in sharing:
        group: frozenset[str] = frozenset().union(*(group_of[name] for name in together if name in group_of))
        group_of.update(dict.fromkeys(group, group))
    return group_of


def _full_name(name: str) -> str:
    """The name in the shape in which full names are compared; '' where it is too little to tell people apart."""
    words = name.casefold().split()
    full = sum(sum(map(str.isalpha, word)) >= 2 for word in words) >= 2
    return " ".join(words) if full else ""


def _end(start: str, onward: Mapping[str, str], firm: Collection[str]) -> str:
    """Where the way from `start` ends. A circle ends with one of its own, if possible one that is not `firm`."""
    way = [start]
    while (following := onward.get(way[-1], way[-1])) not in way:
        way.append(following)
    circle = way[way.index(following) :]
    return min((one for one in circle if one not in firm), default=min(circle))


def _write(connection: Connection, repo_id: int, people: Mapping[str, Merge]) -> int:
    """Leave just these rows in `same_people` of a repository; returns how many were not so before."""
    rows = connection.execute("SELECT alias, person, rule FROM same_people WHERE repo_id = %s", [repo_id])
    known = {alias: Merge(person, rule) for alias, person, rule in rows}
    gone = sorted(known.keys() - people.keys())
    changed = sorted(alias for alias, one in people.items() if known.get(alias) != one)
    if gone:
        connection.execute("DELETE FROM same_people WHERE repo_id = %s AND alias = ANY (%s)", [repo_id, gone])
    connection.cursor().executemany(
        "INSERT INTO same_people (repo_id, alias, person, rule) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (repo_id, alias) DO UPDATE SET person = excluded.person, rule = excluded.rule",
        [(repo_id, alias, people[alias].person, people[alias].rule) for alias in changed],
    )
    return len(gone) + len(changed)
