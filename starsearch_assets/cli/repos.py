"""`repos add | list | remove`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import fail, out, print_json, progress_bars

if TYPE_CHECKING:
    from resources.settings import Settings
    from starsearch_assets.content.tracking import Resolved

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the commands."""
    repos = typer.Typer(help="The tracked repositories: only those get content.", no_args_is_help=True)
    repos.command("add")(add)
    repos.command("list")(list_repositories)
    repos.command("remove")(remove)
    app.add_typer(repos, name="repos")


def add(
    names: Annotated[list[str] | None, typer.Argument(help="owner/name …, or owner/* for all of an owner.")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one owner/name a line; # begins a comment.")] = None,
    git: Annotated[
        bool | None, typer.Option("--git/--no-git", help="Take in their commits, cloned from GitHub; or no more.")
    ] = None,
    git_url: Annotated[
        str | None, typer.Option(help="Take in the commits of one repository, cloned from there.")
    ] = None,
) -> None:
    """Track repositories; days on which they already have events are processed again.

    With GITHUB_TOKEN names are resolved to ids by GitHub, and renames are followed; without it by the events, or a
    name waits for its first event. With --git-url a name that neither knows is a repository of its own. owner/*
    follows an organization or a user: all public repositories, also those to come.
    """
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.content import tracking

    wanted = list(names or [])
    if file is not None:
        if not file.is_file():
            fail(f"There is no file {file}.", 2)
        lines = (line.split("#", 1)[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
        wanted += [line for line in lines if line]
    if not wanted:
        fail("Name at least one repository as owner/name, or give --file.", 2)
    wanted = tracking.normalize(wanted)
    settings = load_settings()
    urls = _git_urls(settings, wanted, git, git_url)
    with open_database(settings) as database, progress_bars():
        tracked = tracking.add(database, wanted, _resolve(settings, wanted), urls)
    out.print(
        f"Tracked: {len(tracked.found):,}. Waiting for their first event: {len(tracked.waiting):,}."
        " `starsearch up` processes their days; so does `starsearch backfill`.",
        soft_wrap=True,
    )
    for name in tracked.followed:
        out.print(f"{escape(name)} is followed: its repositories are tracked as soon as an event names them.")
    if tracked.unknown:
        shown = ", ".join(tracked.unknown[:_SHOWN]) + (", …" if len(tracked.unknown) > _SHOWN else "")
        fail(
            f"{len(tracked.unknown):,} names are not tracked, because GitHub shows no public repository, or no owner,"
            f" under them: {shown}. Check the spelling; private repositories are never taken in."
        )


def _git_urls(settings: Settings, names: Sequence[str], git: bool | None, git_url: str | None) -> dict[str, str | None]:
    """From where the history of each name is wanted; empty: nothing was said of that."""
    from resources.git import Git
    from starsearch_assets.content.tracking import EVERY
    from starsearch_assets.git_history.wishes import github_url

    if (git or git_url is not None) and any(name.endswith(EVERY) for name in names):
        fail("Git history is taken in repository by repository: name them, instead of all of an owner.", 2)
    if git_url is not None:
        if git is not None or len(names) != 1:
            fail("--git-url goes with one name, and with neither --git nor --no-git.", 2)
        Git.of(settings).check_url(git_url)
        return {names[0]: git_url}
    return {} if git is None else {name: github_url(name) if git else None for name in names}


def list_repositories(as_json: AsJson = False) -> None:
    """List the tracked repositories, those that wait for their first event, and the owners that are followed."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.content.tracking import EVERY

    with open_database(load_settings()) as database:
        rows = database.fetch_all(
            "SELECT r.name, repo_id, hidden_as, ARRAY (SELECT n.name FROM repository_names n"
            " WHERE n.repo_id = r.repo_id AND n.name <> r.name ORDER BY last_seen DESC),"
            " g.url, g.fetched_at, g.error FROM repositories r"
            " LEFT JOIN git_repositories g ON g.repo_id = r.repo_id AND g.removed_at IS NULL ORDER BY lower(r.name)"
        )
        asked = database.fetch_all("SELECT name, git_url FROM repository_requests ORDER BY lower(name)")
    followed = [name for name, _ in asked if name.endswith(EVERY)]
    waiting = {name: url for name, url in asked if name not in followed}
    if as_json:
        tracked = [
            {"name": name, "id": repo_id, "hidden_as": hidden, "former_names": former, "git": _git(*git)}
            for name, repo_id, hidden, former, *git in rows
        ]
        print_json({"tracked": tracked, "waiting": list(waiting), "followed": followed})
        return
    table = Table("repository", "id", "", box=None, header_style="dim")
    for name, repo_id, hidden, former, url, fetched_at, error in rows:
        notes = [f"{hidden} at GitHub"] if hidden else []
        notes += [f"formerly {', '.join(former)}"] if former else []
        if url is not None:
            fetched = f"fetched {fetched_at:%Y-%m-%d %H:%M}" if fetched_at else "not fetched yet"
            notes.append(f"git: {fetched}" + (f", failing: {error}" if error else ""))
        table.add_row(escape(name), str(repo_id), escape("; ".join(notes)))
    for name, url in waiting.items():
        table.add_row(escape(name), "", "waiting for its first event" + ("; git" if url else ""))
    for name in followed:
        table.add_row(escape(name), "", "followed: all repositories of this owner")
    out.print(table)
    out.print(f"{len(rows):,} tracked, {len(waiting):,} waiting.")


def _git(url: str | None, fetched_at: datetime | None, error: str | None) -> dict[str, object] | None:
    """What `list --json` says of a repository's git history; None: it is not wanted."""
    from resources.git import redacted_url

    return None if url is None else {"url": redacted_url(url), "fetched_at": fetched_at, "error": error}


def remove(names: Annotated[list[str], typer.Argument(help="owner/name …, or owner/* of a followed owner.")]) -> None:
    """Stop tracking repositories; the next index and release leave their items out.

    owner/* is no longer followed; its repositories stay tracked until they are removed by name.
    """
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.content import tracking

    with open_database(load_settings()) as database:
        missing = [name for name in names if not tracking.remove(database, name)]
        followed = {row[0] for row in database.fetch_all("SELECT lower(name) FROM repository_requests")}
    for name in names:
        if name in missing:
            continue
        owner = name.partition("/")[0].lower() + tracking.EVERY
        if name.endswith(tracking.EVERY):
            out.print(f"{escape(name)} is no longer followed; its repositories stay tracked.")
        elif owner in followed:
            out.print(f"{escape(name)} is no longer tracked, until its next event: {escape(owner)} is followed.")
        else:
            out.print(f"{escape(name)} is no longer tracked.")
    if missing:
        fail(f"{', '.join(missing)}: not tracked. `starsearch repos list` shows what is.")


def _resolve(settings: Settings, names: Sequence[str]) -> Resolved | None:
    """What GitHub says of the names; None without a token."""
    from resources.github import open_github
    from starsearch_assets.content import tracking
    from starsearch_assets.progress import announce

    github = open_github(settings)
    if github is None:
        return None
    return asyncio.run(
        tracking.resolve(github, names, lambda done, total: announce("repos", done, total, "names asked of GitHub"))
    )
