"""`backfill`, `repos`, `rejected`, `migrate`, `status`, `doctor`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import fail, out, parse_day, print_json, progress_bars

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backfill)
    repos = typer.Typer(help="The tracked repositories: only those get content.", no_args_is_help=True)
    repos.command("add")(add)
    repos.command("list")(list_repositories)
    repos.command("remove")(remove)
    app.add_typer(repos, name="repos")
    rejected = typer.Typer(help="Lines of hour files that could not be events.", no_args_is_help=True)
    rejected.command("list")(list_rejected)
    rejected.command("show")(show_rejected)
    rejected.command("replay")(replay_rejected)
    app.add_typer(rejected, name="rejected")
    app.command()(migrate)
    app.command()(status)
    app.command()(doctor)


def backfill(
    first: Annotated[str, typer.Option("--from", help="First day (YYYY-MM-DD, UTC).")],
    last: Annotated[str, typer.Option("--to", help="Last day, inclusive.")],
) -> None:
    """Run every stage for a range of days, from hour files to a release, and say what failed."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.pipeline import run_pipeline

    start, end = parse_day(first, "--from"), parse_day(last, "--to")
    if end < start:
        fail(f"--to {end} lies before --from {start}.", 2)
    now = datetime.now(UTC)
    hour = datetime(start.year, start.month, start.day, tzinfo=UTC)
    hours = []
    while hour.date() <= end and hour + timedelta(hours=1) <= now:
        hours.append(hour)
        hour += timedelta(hours=1)
    if not hours:
        fail(f"{start} has no complete hour yet.", 2)
    settings = load_settings()
    with open_database(settings) as database, progress_bars():
        report = run_pipeline(settings, database, hours, stage=out.print)
    out.print(f"{report.hours} hours, {report.days} days.")
    report_problems(report.problems)


def report_problems(problems: list[str]) -> None:
    """Print what failed and leave with code 1; nothing when nothing did."""
    if problems:
        fail("some partitions failed; the others are done.\n" + "\n".join(problems))


def add(
    names: Annotated[list[str] | None, typer.Argument(help="owner/name …")] = None,
    file: Annotated[Path | None, typer.Option(help="A file with one owner/name a line.")] = None,
) -> None:
    """Track repositories; days on which they already have events are processed again."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.content import tracking

    wanted = list(names or [])
    if file is not None:
        if not file.exists():
            fail(f"There is no file {file}.", 2)
        wanted += [line.strip() for line in file.read_text().splitlines() if line.strip() and line[0] != "#"]
    if not wanted:
        fail("Name at least one repository as owner/name, or give --file.", 2)
    with open_database(load_settings()) as database:
        tracked = tracking.add(database, wanted)
    out.print(
        f"Tracked: {len(tracked.found):,}. Waiting for their first event: {len(tracked.waiting):,}."
        " `starsearch up` processes their days; so does `starsearch backfill`."
    )


def list_repositories(as_json: AsJson = False) -> None:
    """List the tracked repositories, and those that wait for their first event."""
    from resources.postgres import open_database
    from resources.settings import load_settings

    with open_database(load_settings()) as database:
        rows = database.fetch_all("SELECT name, repo_id FROM repositories ORDER BY lower(name)")
        waiting = database.fetch_all("SELECT name FROM repository_requests ORDER BY lower(name)")
    if as_json:
        print_json({"tracked": [{"name": name, "id": repo_id} for name, repo_id in rows],
                     "waiting": [row[0] for row in waiting]})  # fmt: skip
        return
    for name, repo_id in rows:
        out.print(f"{escape(name)} [dim]{repo_id}[/]")
    for (name,) in waiting:
        out.print(f"{escape(name)} [dim]waiting for its first event[/]")


def remove(name: Annotated[str, typer.Argument(help="owner/name")]) -> None:
    """Stop tracking a repository; the next index and release leave its items out."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.content import tracking

    with open_database(load_settings()) as database:
        found = tracking.remove(database, name)
    if not found:
        fail(f"{name} is not tracked: `starsearch repos list` shows what is.")
    out.print(f"{name} is no longer tracked.")


def list_rejected(as_json: AsJson = False) -> None:
    """List rejected lines with their file and reason."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.events import rejects

    with open_database(load_settings()) as database:
        rows = rejects.listing(database)
    if as_json:
        print_json(rows)
        return
    table = Table("source", "line", "reason", "file", box=None, header_style="dim")
    for row in rows:
        table.add_row(str(row.source_id), str(row.line_number), escape(row.reason), escape(row.url))
    out.print(table)
    out.print(f"{len(rows):,} rejected lines. `starsearch rejected show SOURCE LINE` prints one.")


def show_rejected(
    source: Annotated[int, typer.Argument(help="Number of the source, from `rejected list`.")],
    line: Annotated[int, typer.Argument(help="Line number.")],
) -> None:
    """Write the raw bytes of one rejected line to standard output."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.events import rejects

    with open_database(load_settings()) as database:
        sys.stdout.buffer.write(rejects.raw(database, source, line) + b"\n")


def replay_rejected() -> None:
    """Read all rejected lines again with today's parser, and store those that are events now."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.events import rejects

    with open_database(load_settings()) as database:
        result = rejects.replay(database)
    withheld = f", {result.withheld:,} of forgotten repositories or persons withheld" if result.withheld else ""
    out.print(f"{result.stored:,} stored, {result.left:,} still rejected{withheld}.")


def migrate() -> None:
    """Apply the database migrations that are missing."""
    from resources.postgres import owner_url
    from resources.schema import expected_version
    from resources.schema import migrate as apply
    from resources.settings import load_settings

    applied = apply(owner_url(load_settings()))
    out.print(f"Applied: {', '.join(applied) or 'nothing, all were there'}. Schema version {expected_version()}.")


def status(as_json: AsJson = False) -> None:
    """Count what is stored, by stage, and name the active release."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.status import read_status

    with open_database(load_settings()) as database:
        counts = read_status(database)
    if as_json:
        print_json(counts)
        return
    for name, value in counts.items():
        text = ", ".join(f"{kind} {count:,}" for kind, count in value.items()) if isinstance(value, dict) else value
        out.print(f"{name:<14} {f'{text:,}' if isinstance(text, int) and name != 'release' else text}")


def doctor() -> None:
    """Say what is configured, what answers, and what to do about what does not."""
    from resources.settings import load_settings
    from starsearch_assets.doctor import examine

    bad = False
    for finding in examine(load_settings()):
        mark = {"ok": "[green]ok[/]  ", "warn": "[yellow]warn[/]", "bad": "[red]bad[/] "}[finding.level]
        out.print(f"{mark} [bold]{finding.subject}[/]: {escape(finding.message)}", soft_wrap=True)
        bad = bad or finding.level == "bad"
    if bad:
        sys.exit(1)
