"""Which repositories are tracked: only those get content rows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from resources.errors import ConfigurationError, GitHubExhausted
from resources.github import GitHub
from resources.github_items import REPOSITORIES_A_QUERY, RepositoryAnswer, RepositoryState, fetch_repositories
from resources.github_owners import public_repositories
from resources.github_pages import Page, ask_pages
from resources.kinds import GIT_HISTORY, KINDS
from resources.postgres import Connection, Database, retry_deadlocks, run_script, sql
from starsearch_assets.events.timeline import derived_repository_id
from starsearch_assets.git_history import wishes

_NAMES_LOCK = 0x57A25EA2C6  # any constant: one process at a time chooses the newest names
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}/([A-Za-z0-9._-]{1,100}|\*)")
EVERY = "/*"
"""How the name ends that means all repositories of an owner, also those to come."""


@dataclass(frozen=True)
class Tracked:
    """How a request to track was met.

    found: tracked now; waiting: for their first event; unknown: GitHub shows no such public repository, or no such
    owner; followed: owners (as owner/*) whose repositories are tracked as soon as an event names them.
    """

    found: tuple[str, ...]
    waiting: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """What GitHub said of names. by_name: the repository under each; unknown: names that it shows nobody.

    listed: the public repositories of owners that were named as owner/*.
    """

    by_name: Mapping[str, RepositoryState] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    listed: tuple[RepositoryState, ...] = ()


@dataclass(frozen=True)
class Selection:
    """What `track_busiest` took and what it left out."""

    repositories: int
    items: int
    left_out_repositories: int
    left_out_items: int


def normalize(names: Iterable[str]) -> list[str]:
    """The names in order, each once: GitHub ignores case. owner/* means all repositories of an owner.

    Raises:
        ConfigurationError: a name that is neither owner/name nor owner/*.
    """
    found: dict[str, str] = {}
    for name in names:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"{name!r} is not a repository: expected owner/name, as in psf/requests, or owner/*."
            )
        found.setdefault(name.lower(), name.lower() if name.endswith(EVERY) else name)
    return list(found.values())


async def resolve(github: GitHub, names: Sequence[str], progress: Callable[[int, int], None] | None = None) -> Resolved:
    """Ask GitHub which repositories the names lead to, a hundred a query; renames are followed.

    Of owner/* it lists the public repositories. Names that GitHub did not answer for (a limit, a fault) are in no part.
    """
    owners = [name for name in names if name.endswith(EVERY)]
    names = [name for name in names if not name.endswith(EVERY)]
    listed: list[RepositoryState] = []
    by_name: dict[str, RepositoryState] = {}
    unknown: list[str] = []
    done = 0

    async def ask(page: Sequence[str]) -> Mapping[str, RepositoryAnswer | str]:
        return await fetch_repositories(github, page)

    def take(page: Page[str, RepositoryAnswer]) -> None:
        nonlocal done
        for name, answer in page.answers.items():
            if isinstance(answer, RepositoryState) and not answer.private:
                by_name[name] = answer
            else:
                unknown.append(name)
        done += len(page.answers) + len(page.failed)
        if progress is not None:
            progress(done, len(names))

    async with github:
        await ask_pages(names, ask, take, size=REPOSITORIES_A_QUERY, concurrency=github.concurrency)
        for owner in owners:
            with contextlib.suppress(GitHubExhausted):
                repositories = await public_repositories(github, owner.removesuffix(EVERY))
                unknown += [owner] if repositories is None else []
                listed += repositories or []
    return Resolved(by_name, tuple(unknown), tuple(listed))


def add(
    database: Database,
    names: Sequence[str],
    resolved: Resolved | None = None,
    git_urls: Mapping[str, str | None] | None = None,
) -> Tracked:
    """Track repositories by name, and ask for the days on which they already have events.

    git_urls: by name, from where its git history is wanted; None: not any more; a name that is not there stays as it
    is. With a URL elsewhere than on GitHub a name that nobody knows is tracked at once, under an id derived from it.

    A name that GitHub resolved is tracked by its id, and a tombstone of it is lifted: it is public again. Any other
    name means the newest repository of that name among the events (names are taken over, ids are not), or waits.
    owner/* stays, and means all repositories of the owner, now and to come, except those with a tombstone.

    Raises:
        ConfigurationError: a name that is neither owner/name nor owner/*, or a repository elsewhere that was forgotten.
    """
    resolved = resolved or Resolved()
    names = normalize(names)
    answered = resolved.by_name.keys() | set(resolved.unknown)
    left = [name for name in names if name not in answered]
    followed = [name for name in left if name.endswith(EVERY)]
    with database.transaction() as connection:
        cursor = connection.cursor()
        named = {(one.repo_id, one.full_name) for one in resolved.by_name.values()}
        states = sorted(named | _listed(connection, resolved))
        connection.execute("CREATE TEMPORARY TABLE shown (repo_id bigint, name text) ON COMMIT DROP")
        with cursor.copy("COPY shown FROM STDIN") as copy:
            for state in states:
                copy.write_row(state)
        run_script(connection, sql(__package__, "track"), {"now": datetime.now(UTC)})
        connection.execute("CREATE TEMPORARY TABLE asked (name text) ON COMMIT DROP")
        with cursor.copy("COPY asked FROM STDIN") as copy:
            for name in left:
                copy.write_row([name])
        told = connection.execute(sql(__package__, "named")).fetchall() if left else []
        cursor.executemany("INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                           [(repo_id, repo_name) for _, repo_id, repo_name in told])  # fmt: skip
        ids = {name: state.repo_id for name, state in resolved.by_name.items()}
        ids |= {name: repo_id for name, repo_id, _ in told if name not in followed}
        own = _tracked_already(connection, [name for name in names if name not in ids], resolved.unknown)
        ids |= own
        urls = _wishes(connection, names, git_urls or {})
        own |= _track_elsewhere(connection, {name: url for name, url in urls.items() if name not in ids})
        ids |= own
        waiting = [name for name in left if name not in ids]
        cursor.executemany(
            "INSERT INTO repository_requests (name) VALUES (%s) ON CONFLICT DO NOTHING", [(name,) for name in waiting]
        )
        cursor.executemany(  # whatever the case in which they were asked for before
            "UPDATE repository_requests SET git_url = %s WHERE lower(name) = lower(%s)",
            [(urls[name], name) for name in waiting if name in urls],
        )
        waiting = [name for name in waiting if name not in followed]
        connection.execute(
            "DELETE FROM repository_requests WHERE lower(name) = ANY (%s)", [[name.lower() for name in ids]]
        )
        wishes.opt_in(connection, {ids[name]: url for name, url in urls.items() if url is not None and name in ids})
        wishes.opt_out(connection, [ids[name] for name, url in urls.items() if url is None and name in ids])
        _mark_dirty(
            connection, [repo_id for repo_id, _ in states] + [repo_id for _, repo_id, _ in told] + list(own.values())
        )
    found = dict.fromkeys([name for _, name in states] + [repo_name for _, _, repo_name in told] + list(own))
    unknown = tuple(name for name in resolved.unknown if name not in own)
    return Tracked(tuple(found), tuple(waiting), unknown, tuple(followed))


def _listed(connection: Connection, resolved: Resolved) -> set[tuple[int, str]]:
    """What GitHub lists of owners, without what was forgotten: nobody has asked for that one by name."""
    forgotten = connection.execute(
        "SELECT subject_id FROM tombstones WHERE subject = 'repository' AND subject_id = ANY (%s)",
        [[one.repo_id for one in resolved.listed]],
    ).fetchall()
    hidden = {repo_id for (repo_id,) in forgotten}
    return {(one.repo_id, one.full_name) for one in resolved.listed if not one.private and one.repo_id not in hidden}


def meet_requests(connection: Connection, start: datetime, end: datetime) -> None:
    """Track the repositories that were asked for and that an event of [start, end) names.

    All their days are asked for: a repository may have events under an earlier name, and days that were
    processed while nobody tracked it. What was asked for by name is met then; owner/* stays.
    """
    if connection.execute("SELECT FROM repository_requests LIMIT 1").fetchone() is None:
        return
    window = {"start": start, "end": end}
    tracked = connection.execute(sql(__package__, "asked"), window).fetchall()
    wishes.opt_in_met_requests(connection, start, end)
    connection.execute(
        "DELETE FROM repository_requests q WHERE EXISTS (SELECT FROM events e"
        " WHERE lower(e.repo_name) = lower(q.name) AND e.created_at >= %(start)s AND e.created_at < %(end)s)",
        window,
    )
    _mark_dirty(connection, [row[0] for row in tracked])


def meet_deliveries(connection: Connection, names: Mapping[int, str]) -> None:
    """Track the repositories that were asked for and that a webhook delivery names, and ask for their days.

    names: id -> name, of none that was forgotten.
    """
    rows = connection.execute(
        "INSERT INTO repositories (repo_id, name) SELECT told.repo_id, told.name"
        " FROM unnest(%s::bigint[], %s::text[]) told (repo_id, name)"
        " JOIN repository_requests q ON lower(q.name) = lower(told.name) ORDER BY told.repo_id"
        " ON CONFLICT (repo_id) DO NOTHING RETURNING repo_id, name",
        [list(names), list(names.values())],
    ).fetchall()
    if rows:
        met = [name.lower() for _, name in rows]
        connection.execute("DELETE FROM repository_requests WHERE lower(name) = ANY (%s)", [met])
        _mark_dirty(connection, [repo_id for repo_id, _ in rows])


def remove(database: Database, name: str) -> bool:
    """Stop tracking a repository, under any name it was seen: its months' indexes are asked for again, without it.

    Its rows stay until it is forgotten. False when it was not tracked.
    """
    with database.transaction() as connection:
        row = connection.execute(
            "SELECT repo_id FROM (SELECT repo_id, 1 AS way FROM repositories WHERE lower(name) = lower(%(name)s)"
            " UNION SELECT repo_id, 2 FROM repository_names JOIN repositories USING (repo_id)"
            " WHERE lower(repository_names.name) = lower(%(name)s)) named ORDER BY way LIMIT 1",
            {"name": name},
        ).fetchone()
        repo_id = None if row is None else row[0]
        connection.execute(
            "INSERT INTO dirty_months (kind, month)"
            " SELECT DISTINCT kind, date_trunc('month', day)::date FROM activity WHERE repo_id = %s"
            " ON CONFLICT (kind, month) DO UPDATE SET version = nextval('dirty_version')",
            [repo_id],
        )
        if repo_id is not None:
            wishes.opt_out(connection, [repo_id])
        asked = connection.execute("DELETE FROM repository_requests WHERE lower(name) = lower(%s)", [name]).rowcount
        tracked = connection.execute("DELETE FROM repositories WHERE repo_id = %s", [repo_id]).rowcount
    return bool(asked or tracked)


@retry_deadlocks
def choose_newest_names(database: Database) -> None:
    """Call every tracked repository by the newest name that anyone saw it under."""
    with database.transaction() as connection:
        run_script(connection, sql(__package__, "newest_names"), {"lock": _NAMES_LOCK})


def track_busiest(database: Database, max_items: int, *, synthetic: bool = False) -> Selection:
    """Track the repositories of all stored events, busiest first, as long as `max_items` items hold them.

    A repository that is too big for what is left is passed over; the smaller ones after it still fit. synthetic: they
    are invented, so that GitHub is never asked about them.
    """
    with database.transaction() as connection:
        busy = connection.execute(
            "SELECT repo_id, (array_agg(repo_name ORDER BY created_at DESC, event_id DESC))[1],"
            "   count(DISTINCT coalesce(payload #>> '{pull_request,number}', payload #>> '{issue,number}',"
            "                           'tag ' || (payload #>> '{release,tag_name}'))) AS items"
            " FROM events WHERE type = ANY (%s) GROUP BY repo_id ORDER BY items DESC, repo_id",
            [sorted({event_type for kind in KINDS for event_type in kind.event_types})],
        ).fetchall()
        already = {row[0] for row in connection.execute("SELECT repo_id FROM repositories").fetchall()}
        left = max_items - sum(items for repo_id, _, items in busy if repo_id in already)
        chosen = []
        for repo_id, name, items in busy:
            if repo_id not in already and 0 < items <= left:
                chosen.append((repo_id, name))
                left -= items
        connection.cursor().executemany(
            "INSERT INTO repositories (repo_id, name, synthetic) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [(*one, synthetic) for one in sorted(chosen)],
        )
        _mark_dirty(connection, [repo_id for repo_id, _ in chosen])
    taken = already.union(repo_id for repo_id, _ in chosen)
    sizes = [(repo_id in taken, items) for repo_id, _, items in busy if items]
    return Selection(
        sum(kept for kept, _ in sizes),
        sum(items for kept, items in sizes if kept),
        sum(not kept for kept, _ in sizes),
        sum(items for kept, items in sizes if not kept),
    )


def _wishes(connection: Connection, names: Sequence[str], git_urls: Mapping[str, str | None]) -> dict[str, str | None]:
    """From where the history of each name is wanted: as said now, else as asked for with a request that still waits."""
    rows = connection.execute(
        "SELECT lower(name), git_url FROM repository_requests WHERE git_url IS NOT NULL AND lower(name) = ANY (%s)",
        [[name.lower() for name in names]],
    ).fetchall()
    asked: dict[str, str | None] = dict(rows)
    said = {name.lower(): url for name, url in git_urls.items()}
    wanted = asked | said
    return {name: wanted[name.lower()] for name in names if name.lower() in wanted}


def _tracked_already(connection: Connection, names: Sequence[str], unknown: Sequence[str]) -> dict[str, int]:
    """Ids of names that are tracked, though no event tells them. unknown: those that GitHub shows nobody.

    Of the latter only repositories that are not GitHub's.
    """
    rows = connection.execute(
        "SELECT DISTINCT ON (asked.name) asked.name, repo_id FROM unnest(%s::text[]) asked (name)"
        " JOIN repositories r ON lower(r.name) = lower(asked.name)"
        " WHERE repo_id < 0 OR asked.name <> ALL (%s::text[]) ORDER BY asked.name, repo_id DESC",
        [list(names), list(unknown)],
    ).fetchall()
    return dict(rows)


def _track_elsewhere(connection: Connection, urls: Mapping[str, str | None]) -> dict[str, int]:
    """Track names that nobody knows and that have a URL elsewhere than on GitHub; returns their ids."""
    tracked = {}
    for name, url in urls.items():
        if url is not None and not url.startswith(wishes.GITHUB):
            repo_id = tracked[name] = derived_repository_id(name)
            wishes.refuse_forgotten(connection, repo_id, name)
            connection.execute(
                "INSERT INTO repositories (repo_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING", [repo_id, name]
            )
    return tracked


def _mark_dirty(connection: Connection, repo_ids: Sequence[int]) -> None:
    """Ask for every day on which one of the repositories has events or webhook deliveries of a kind, or commits."""
    for kind in sorted(KINDS, key=lambda kind: kind.name):  # the order in which loads lock these rows
        connection.execute(
            "INSERT INTO dirty_days (kind, day)"
            " SELECT DISTINCT %(kind)s, (told_at AT TIME ZONE 'UTC')::date AS day"
            " FROM (SELECT created_at AS told_at FROM events WHERE repo_id = ANY (%(ids)s) AND type = ANY (%(types)s)"
            "       UNION ALL"
            "       SELECT observed_at FROM deliveries WHERE repo_id = ANY (%(ids)s) AND type = ANY (%(types)s)) told"
            " ORDER BY day ON CONFLICT (kind, day) DO UPDATE SET version = nextval('dirty_version')",
            {"kind": kind.name, "ids": list(repo_ids), "types": list(kind.event_types)},
        )
        if kind.source == GIT_HISTORY:
            connection.execute(
                "INSERT INTO dirty_days (kind, day)"
                " SELECT DISTINCT %s, day FROM git_commits WHERE repo_id = ANY (%s) ORDER BY day"
                " ON CONFLICT (kind, day) DO UPDATE SET version = nextval('dirty_version')",
                [kind.name, list(repo_ids)],
            )
