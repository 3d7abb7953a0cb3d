"""What somebody says of who is whom: merged and kept apart by hand, in one repository or in all of them."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from resources.errors import ConfigurationError
from resources.postgres import Connection, Database
from starsearch_assets.forgetting_lock import hold_off_forgetting
from starsearch_assets.insights.people import OVERRIDE, hold_off_others, resolve

EVERYWHERE = 0
"""The repo_id of what holds in every repository."""

_LOGIN = re.compile(r"@[a-z0-9][a-z0-9_-]{0,99}(\[bot\])?")
_NAMED = 5


@dataclass(frozen=True)
class Listed:
    """An alias. repository: None: in all of them. person: the alias itself where it is kept apart."""

    repository: str | None
    alias: str
    person: str
    rule: str


def find_repository(database: Database, name: str) -> tuple[int, str]:
    """Id and name of the tracked repository of that name, whatever its case.

    Raises:
        ConfigurationError: there is none.
    """
    rows = database.fetch_all("SELECT repo_id, name FROM repositories WHERE lower(name) = lower(%s)", [name])
    if not rows:
        raise ConfigurationError(f"{name} is not a tracked repository: `starsearch repos list` shows which are.")
    return rows[0][0], rows[0][1]


def list_people(database: Database, repo_id: int | None = None) -> list[Listed]:
    """The aliases of tracked repositories, and those that hold everywhere. repo_id: only those that hold there."""
    rows = database.fetch_all(
        "SELECT r.name, told.alias, told.person, told.rule FROM ("
        " SELECT repo_id, alias, person, rule FROM same_people UNION"
        " SELECT repo_id, alias, person, %(override)s FROM person_overrides WHERE alias = person) told"
        " LEFT JOIN repositories r USING (repo_id) WHERE (r.repo_id IS NOT NULL OR told.repo_id = 0)"
        " AND (%(repo_id)s::bigint IS NULL OR told.repo_id = %(repo_id)s OR told.repo_id = 0"
        "      AND NOT EXISTS (SELECT FROM same_people own WHERE own.repo_id = %(repo_id)s AND own.alias = told.alias))"
        " ORDER BY lower(r.name) NULLS FIRST, told.person, told.alias",
        {"repo_id": repo_id, "override": OVERRIDE},
    )
    return [Listed(*row) for row in rows]


def merge(database: Database, alias: str, person: str, repo_id: int = EVERYWHERE) -> tuple[str, str]:
    """From now on `alias` is `person`; returns both as they are kept. Whoever a rule merges into `alias` goes along.

    Raises:
        ConfigurationError: one of them is no name and no login, both are the same, or one would lead to the other by a
            third; it says whom to use.
    """
    with database.transaction() as connection:
        _begin(connection)
        alias, person = _kept(connection, alias), _kept(connection, person)
        if alias == person:
            raise ConfigurationError(
                f"{alias} cannot be merged into itself: name two. `starsearch people split` keeps a name apart."
            )
        taken = _person_of(connection, person, repo_id)
        if taken != person:
            instead = "" if taken == alias else f"merge {alias} into {taken}, or "
            raise ConfigurationError(f"{person} is {taken} already: {instead}split {person} first.")
        others = _overridden_to(connection, alias, repo_id)
        if others:
            raise ConfigurationError(
                f"{alias} is the person of {_named(others)} already: split these first, then merge each into {person}."
            )
        _say(connection, repo_id, alias, person)
    return alias, person


def split(database: Database, alias: str, repo_id: int = EVERYWHERE) -> tuple[str, bool]:
    """From now on `alias` stands for itself, there or everywhere: an override goes, and where a rule would merge it, or
    an override that holds everywhere, it is overridden to itself.

    Returns the alias as it is kept, and whether it had to be overridden.

    Raises:
        ConfigurationError: it is no name and no login, or nobody's alias; it says what is.
    """
    with database.transaction() as connection:
        _begin(connection)
        alias = _kept(connection, alias)
        if not _is_merged(connection, alias, repo_id):
            raise ConfigurationError(_why_not(connection, alias, repo_id))
        connection.execute(
            "DELETE FROM person_overrides WHERE alias = %(alias)s AND %(repo_id)s IN (0, repo_id)",
            {"alias": alias, "repo_id": repo_id},
        )
        resolve(connection, _concerned(repo_id))
        again = _is_merged(connection, alias, repo_id)
        if again:
            _say(connection, repo_id, alias, alias)
    return alias, again


def was_seen(database: Database, person: str, repo_id: int = EVERYWHERE) -> bool:
    """Whether anything that was counted was done under this name."""
    return bool(
        database.fetch_value(
            "SELECT EXISTS (SELECT FROM contributor_days WHERE person = %(person)s AND %(repo_id)s IN (0, repo_id))",
            {"person": person, "repo_id": repo_id},
        )
    )


def _begin(connection: Connection) -> None:
    hold_off_forgetting(connection)
    hold_off_others(connection)


def _kept(connection: Connection, who: str) -> str:
    """A person as they are kept: '@login' in lower case, a name as it is shown."""
    who = who.strip()
    login = who.lower()
    if _LOGIN.fullmatch(login):
        return login
    row = connection.execute("SELECT shown_name(%s)", [who]).fetchone()
    if who.startswith("@") or row is None or row[0] is None:
        raise ConfigurationError(
            f"{who!r} is nobody's name here: expected @login, or a name as commits tell it, without an e-mail address."
        )
    return str(row[0])


def _say(connection: Connection, repo_id: int, alias: str, person: str) -> None:
    connection.execute(
        "INSERT INTO person_overrides (repo_id, alias, person) VALUES (%s, %s, %s)"
        " ON CONFLICT (repo_id, alias) DO UPDATE SET person = excluded.person, created_at = now()",
        [repo_id, alias, person],
    )
    resolve(connection, _concerned(repo_id))


def _concerned(repo_id: int) -> Collection[int] | None:
    return None if repo_id == EVERYWHERE else [repo_id]


def _person_of(connection: Connection, who: str, repo_id: int) -> str:
    """Who somebody is, there or everywhere."""
    row = connection.execute(
        "SELECT person FROM same_people WHERE alias = %s AND repo_id IN (0, %s) ORDER BY repo_id = 0 LIMIT 1",
        [who, repo_id],
    ).fetchone()
    return row[0] if row else who


def _is_merged(connection: Connection, alias: str, repo_id: int) -> bool:
    """Whether it is somebody else, there; everywhere: in any repository."""
    if repo_id != EVERYWHERE:
        return _person_of(connection, alias, repo_id) != alias
    row = connection.execute("SELECT FROM same_people WHERE alias = %s AND person <> alias LIMIT 1", [alias]).fetchone()
    return row is not None


def _overridden_to(connection: Connection, person: str, repo_id: int) -> list[str]:
    rows = connection.execute(
        "SELECT DISTINCT alias FROM person_overrides WHERE person = %s AND alias <> person AND repo_id IN (0, %s)"
        " ORDER BY alias",
        [person, repo_id],
    ).fetchall()
    return [alias for (alias,) in rows]


def _why_not(connection: Connection, alias: str, repo_id: int) -> str:
    rows = connection.execute(
        "SELECT DISTINCT alias FROM same_people WHERE person = %s AND alias <> person"
        " AND (%s IN (0, repo_id) OR repo_id = 0) ORDER BY alias",
        [alias, repo_id],
    ).fetchall()
    if rows:
        return f"{alias} is nobody's alias, but the person of {_named([one for (one,) in rows])}: split these."
    return f"{alias} is nobody's alias, and stands for itself: `starsearch people list` shows who is merged."


def _named(people: Collection[str]) -> str:
    shown = list(people)[:_NAMED]
    return ", ".join(shown) + (f" and {len(people) - _NAMED} more" if len(people) > _NAMED else "")
