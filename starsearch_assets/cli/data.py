"""`backfill`, `rejected`, `migrate`, `status`, `doctor`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import fail, out, parse_day, print_json, progress_bars

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(backfill)
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
    if report.waiting:
        soonest = report.waiting[0]
        out.print(
            f"{len(report.waiting)} hours are not there yet and are waited for: {escape(soonest.reason)}"
            f" `starsearch up` asks again from {soonest.not_before:%Y-%m-%d %H:%M} UTC on; so does the same command.",
            soft_wrap=True,
        )
    report_problems(report.problems)


def report_problems(problems: list[str]) -> None:
    """Print what failed and leave with code 1; nothing when nothing did."""
    if problems:
        fail("some partitions failed; the others are done.\n" + "\n".join(problems))


def list_rejected(as_json: AsJson = False) -> None:
    """List rejected lines with their file and reason, and webhook deliveries that could not be used."""
    from resources.postgres import open_database
    from resources.settings import load_settings
    from starsearch_assets.deliveries import rejects as delivered
    from starsearch_assets.events import rejects

    with open_database(load_settings()) as database:
        rows, deliveries = rejects.listing(database), delivered.listing(database)
    if as_json:
        print_json([*rows, *deliveries])
        return
    table = Table("source", "line", "reason", "file", box=None, header_style="dim")
    for row in rows:
        table.add_row(str(row.source_id), str(row.line_number), escape(row.reason), escape(row.url))
    out.print(table)
    out.print(f"{len(rows):,} rejected lines. `starsearch rejected show SOURCE LINE` prints one.")
    if deliveries:
        table = Table("delivery (SHA-256)", "event", "reason", "received", box=None, header_style="dim")
        for one in deliveries:
            table.add_row(one.delivery[:16], escape(one.event), escape(one.reason), f"{one.received_at:%Y-%m-%d %H:%M}")
        out.print(table)
        out.print(
            f"{len(deliveries):,} webhook deliveries that could not be used; they are read again with their hour."
        )


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
        if isinstance(value, dict):
            value = ", ".join(f"{kind} {count:,}" for kind, count in value.items()) or "none"
        out.print(f"{name:<14} {f'{value:,}' if isinstance(value, int) and name != 'release' else value}")


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
