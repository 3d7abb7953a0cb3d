"""`insights …`: what people and projects do, measured, drawn in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from starsearch_assets.cli.console import fail, out, parse_day, print_json
from starsearch_assets.cli.insights_experts import experts

if TYPE_CHECKING:
    from answering.insights.basis import Insight
    from answering.insights.contributors import Cohorts, Confidence, Contributors, LotteryFactor, Share
    from answering.insights.projects import Cadence, MergeRatio, ResponseTimes, Trend, UnreviewedPushes, Waits

Repos = Annotated[list[str] | None, typer.Argument(help="owner/name; several: together; none: all that are tracked.")]
Since = Annotated[str | None, typer.Option(help="First day of the window (YYYY-MM-DD, UTC).")]
Until = Annotated[str | None, typer.Option(help="Day before which the window ends (YYYY-MM-DD, UTC).")]
By = Annotated[str, typer.Option(help="pull_requests or commits.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_BAR = 32
_SHOWN = 15


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="What people and projects do: measures, each with what it rests on and where to look it up.",
        no_args_is_help=True,
    )
    for command in (lottery_factor, share, contributors, response_times, merge_times, merge_ratio, unreviewed_pushes,
                    confidence, releases, trend, experts):  # fmt: skip
        group.command(command.__name__.replace("_", "-"))(command)
    app.add_typer(group, name="insights")


def lottery_factor(
    repos: Repos = None, by: By = "pull_requests", since: Since = None, until: Until = None, as_json: AsJson = False
) -> None:
    """Show how few people carry half of the work."""
    from answering.insights.contributors import lottery_factor as measured

    def draw(figures: LotteryFactor) -> None:
        what = "commits" if by == "commits" else "pull requests"
        half = "1 person makes" if figures.factor == 1 else f"{figures.factor} people make"
        out.print(f"Lottery factor [bold]{figures.factor}[/] ({figures.level} risk): {half} at least half of"
                  f" {figures.total:,} {what}.", soft_wrap=True)  # fmt: skip
        _people(figures.people, figures.factor)

    _show(measured, repos, since, until, as_json, draw, by=_by(by))


def share(
    repos: Repos = None,
    by: Annotated[str | None, typer.Option(help="pull_requests or commits; default: everything that is done.")] = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Show who does how much: top contributors, with their share."""
    from answering.insights.contributors import contributor_share as measured

    def draw(figures: Contributors) -> None:
        out.print(f"{figures.total:,} contributions by {_number(len(figures.people), 'person', 'people')}.")
        _people(figures.people)

    _show(measured, repos, since, until, as_json, draw, by=_by(by) if by else None)


def contributors(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show who is new, who stays, who returned and who is gone, against the window before."""
    from answering.insights.contributors import cohorts as measured

    def draw(figures: Cohorts) -> None:
        out.print(f"{_number(figures.active, 'person', 'people')} active.")
        if figures.new is None:
            out.print("Who is new or gone cannot be told: the window of the same length before was not counted whole.")
            return
        rows = [(name, getattr(figures, name)) for name in ("new", "staying", "returning", "gone")]
        _bars([(name, len(people), ", ".join(people[:5]) + (" …" if len(people) > 5 else "")) for name, people in rows])

    _show(measured, repos, since, until, as_json, draw)


def response_times(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show how long pull requests and issues wait for their first response."""
    from answering.insights.projects import response_times as measured

    def draw(figures: ResponseTimes) -> None:
        _waits([("pull requests", figures.pull_requests), ("issues", figures.issues)], "answered")

    _show(measured, repos, since, until, as_json, draw)


def merge_times(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show how long pull requests take from opening to merge."""
    from answering.insights.projects import merge_times as measured

    _show(measured, repos, since, until, as_json, lambda figures: _waits([("pull requests", figures)], "merged"))


def merge_ratio(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show which share of the pull requests that ended was merged."""
    from answering.insights.projects import merge_ratio as measured

    def draw(figures: MergeRatio) -> None:
        out.print(f"[bold]{figures.ratio:.0%}[/] of {figures.merged + figures.closed_unmerged:,} were merged.")
        _bars([("merged", figures.merged, ""), ("closed without", figures.closed_unmerged, "")])

    _show(measured, repos, since, until, as_json, draw)


def unreviewed_pushes(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show pushes to main or master that bypassed review."""
    from answering.insights.projects import unreviewed_pushes as measured

    def draw(figures: UnreviewedPushes) -> None:
        out.print(f"[bold]{figures.unreviewed:,}[/] of {_number(figures.pushes, 'push', 'pushes')} to main or master"
                  f" ({figures.share:.0%}) were by people and had no merge beside them.", soft_wrap=True)  # fmt: skip
        _bars([(escape(person), count, "") for person, count in figures.people[:_SHOWN]])

    _show(measured, repos, since, until, as_json, draw)


def confidence(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show which share of those who starred or forked came to contribute."""
    from answering.insights.contributors import contributor_confidence as measured

    def draw(figures: Confidence) -> None:
        still = f"; the 30 days of {figures.undecided:,} are not over" if figures.undecided else ""
        out.print(f"[bold]{figures.confidence:.1%}[/]: {figures.contributed:,} of"
                  f" {_number(figures.interested, 'person', 'people')} who starred or forked contributed within 30"
                  f" days{still}.", soft_wrap=True)  # fmt: skip

    _show(measured, repos, since, until, as_json, draw)


def releases(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show how often releases are published."""
    from answering.insights.projects import release_cadence as measured

    def draw(figures: Cadence) -> None:
        every = f", one every {figures.days_between:.3g} days (median)" if figures.days_between is not None else ""
        beside = f" and {_number(figures.prereleases, 'prerelease')}" if figures.prereleases else ""
        out.print(f"[bold]{_number(figures.number, 'release')}[/]{beside}{every}; the newest is"
                  f" {escape(figures.newest)}, {_number(figures.days_since, 'day')} before the window ends.",
                  soft_wrap=True)  # fmt: skip

    _show(measured, repos, since, until, as_json, draw)


def trend(repos: Repos = None, since: Since = None, until: Until = None, as_json: AsJson = False) -> None:
    """Show contributions over time, and against the window before."""
    from answering.insights.projects import activity_trend as measured

    def draw(figures: Trend) -> None:
        change = f", {figures.change:+.0%} against the window before" if figures.change is not None else ""
        out.print(f"[bold]{_number(figures.contributions, 'contribution')}[/]{change}.")
        _bars([
            (f"{one.first_day}", one.contributions, f"by {_number(one.people, 'person', 'people')}")
            for one in figures.periods
        ])  # fmt: skip

    _show(measured, repos, since, until, as_json, draw)


def _show(
    measure: Callable[..., Insight[Any]],
    repos: Sequence[str] | None,
    since: str | None,
    until: str | None,
    as_json: bool,
    draw: Callable[[Any], None],
    **more: object,
) -> None:
    """Compute a measure on the tools role, up to the active release's last day where there is one, and print it."""
    from answering.errors import NoActiveRelease
    from answering.releases import load_release
    from answering.retrieval import Scope
    from resources.postgres import Role, open_database
    from resources.settings import load_settings

    scope = Scope(
        repos=tuple(repos or ()),
        since=parse_day(since, "--since") if since else None,
        until=parse_day(until, "--until") if until else None,
    )
    with open_database(load_settings(), Role.TOOLS) as tools:
        try:
            as_of = load_release(tools).as_of
        except NoActiveRelease:
            as_of = None
        insight = measure(tools, scope, as_of=as_of, **more)
    if as_json:
        print_json(asdict(insight))
        return
    whose = ", ".join(insight.repositories[:3]) + (" …" if len(insight.repositories) > 3 else "")
    out.print(f"[bold]{escape(whose or 'all tracked repositories')}[/]")
    if insight.figures is None:
        out.print(f"Undefined: {escape(insight.undefined)}.", soft_wrap=True)
    else:
        draw(insight.figures)
    print_basis(insight)


def print_basis(insight: Insight[Any]) -> None:
    """Where the figures can be looked up, and what they rest on."""
    for link in insight.evidence:
        out.print(f"  [dim]{escape(link.title)}[/]  [link={link.url}]{escape(link.url)}[/link]", soft_wrap=True)
    out.print(f"[dim]Rests on: {escape(insight.coverage.text())}[/]", soft_wrap=True)


def _people(people: Sequence[Share], marked: int = 0) -> None:
    _bars([
        (escape(one.person), one.contributions, f"{one.share:.1%}{'  ◂ half' if number == marked else ''}")
        for number, one in enumerate(people[: max(_SHOWN, marked)], 1)
    ])  # fmt: skip
    if len(people) > max(_SHOWN, marked):
        out.print(f"  [dim]and {len(people) - max(_SHOWN, marked):,} more[/]")


def _waits(rows: Sequence[tuple[str, Waits | None]], what: str) -> None:
    table = Table("", what, "median", "nine of ten within", box=None, header_style="dim")
    for name, figures in rows:
        if figures is None:
            table.add_row(name, "0", "", "")
        else:
            table.add_row(name, f"{figures.number:,}", _duration(figures.median), _duration(figures.p90))
    out.print(table)


def _bars(rows: Sequence[tuple[str, int, str]]) -> None:
    """(name, count, note), each with a bar as long as its part of the largest."""
    table = Table("name", "bar", "count", "note", box=None, show_header=False)
    table.columns[2].justify = "right"
    most = max((count for _, count, _ in rows), default=0)
    for name, count, note in rows:
        table.add_row(
            name, f"[cyan]{'█' * (round(_BAR * count / most) or bool(count)) if most else ''}[/]", f"{count:,}", note
        )
    out.print(table)


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _by(value: str) -> str:
    if value not in ("pull_requests", "commits"):
        fail(f"--by {value}: expected pull_requests or commits.", 2)
    return value
