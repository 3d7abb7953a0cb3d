"""Measures in words: each computed for a scope, told in one to three sentences, and cited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from answering.errors import AnsweringError
from answering.evidence import Evidence
from answering.insights.basis import Insight
from answering.insights.contributors import CONFIDENCE_DAYS, By, Cohorts, Confidence, Contributors, LotteryFactor, Share
from answering.insights.definitions import FUNCTIONS
from answering.insights.projects import Cadence, MergeRatio, Period, ResponseTimes, Trend, UnreviewedPushes, Waits
from answering.releases import Release
from answering.retrieval import GITHUB, Scope, repository_page
from answering.wording import duration, enumerated, people, plural, unnumbered, window
from resources.postgres import Database

_SHOWN = 5
_NAMED = 3


@dataclass(frozen=True)
class Setting:
    """What figures are about, in words.

    whose: repositories. when: the window, and before: the one of the same length before it, each with its
    preposition. by: the one sort of contribution that was counted.
    """

    whose: str
    when: str
    before: str
    by: By | None


@dataclass(frozen=True)
class Told:
    """A measure in words. short: its figure, for a title; sentences: without full stops, which follow the citation."""

    short: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Measure:
    """A measure that answers can use.

    title: what it is called. what: one line that says when to ask for it. tell: its figures in words. page: path behind
    the repository's URL where it can be looked up. by_sort: whether it can count one sort of contribution alone.
    """

    title: str
    what: str
    tell: Callable[[Any, Setting], Told]
    page: str
    by_sort: bool = False


def measure(
    tools: Database, release: Release, name: str, scope: Scope, evidence: Evidence, *, by: By | None = None
) -> None:
    """Compute a measure over all repositories and days of `scope`, up to the release's last day, and tell it.

    Adds sentences and their citation to `evidence`, or why it is undefined to its `why_not`.

    name: one of MEASURES. by: count only pull requests, or only commits.

    Raises:
        ScopeError: a repository that is not tracked, or an empty time range.
        AnsweringError: no measure of that name, or one that cannot be told `by` one sort of contribution.
    """
    if name not in MEASURES:
        raise AnsweringError(f"There is no measure {name!r}: expected one of {', '.join(MEASURES)}.")
    asked = MEASURES[name]
    if by is not None and not asked.by_sort:
        able = ", ".join(name for name, one in MEASURES.items() if one.by_sort)
        raise AnsweringError(f"The {asked.title} counts no single sort of contribution: only {able} do.")
    insight = FUNCTIONS[name](tools, scope, as_of=release.as_of, **({"by": by} if by else {}))
    names = insight.repositories
    whose = "all tracked repositories" if not names else names[0] if len(names) == 1 else f"{len(names):,} repositories"
    of = f"{whose} by {by.replace('_', ' ')}" if by else whose
    if insight.figures is None:
        evidence.why_not = f"{evidence.why_not} The {asked.title} of {of} is undefined: {insight.undefined}.".strip()
        return
    days = insight.coverage.days
    setting = Setting(
        enumerated(names) if 1 < len(names) <= _NAMED else whose, window(insight.coverage),
        f"in the {days:,} days before" if days != 1 else "on the day before", by,
    )  # fmt: skip
    told = asked.tell(insight.figures, setting)
    title = f"{_begun(asked.title)} of {of}: {told.short}"
    page = "graphs/contributors" if by == "commits" else asked.page
    number = evidence.cite_measure(insight, whose, title, _url(tools, insight, page))
    evidence.facts += [f"{sentence} [{number}]." for sentence in told.sentences]


def _url(tools: Database, insight: Insight[Any], path: str) -> str:
    """Of one repository the measure's page; of several, where the first part of its evidence is."""
    if len(insight.repositories) == 1:
        return repository_page(tools, insight.repositories[0], path)
    return insight.evidence[0].url if insight.evidence else GITHUB


def _lottery_factor(figures: LotteryFactor, of: Setting) -> Told:
    risk = f"{figures.factor} ({figures.level} risk)"
    by, who, did, note = "", "author", "opened", ""
    what = f"{plural(figures.total, 'pull request')} by people that were opened"
    if of.by == "commits":
        by, who, did = " by commits", "contributor", "made"
        what = f"{plural(figures.total, 'contribution')} to commits"
        note = "; authors and co-authors count alike, merge commits and bots do not"
    return Told(risk, (
        f"The lottery factor of {of.whose}{by} is {risk}: the {plural(figures.factor, f'most active {who}')} {did}"
        f" at least half of the {what} {of.when}{note}",
        f"{'Commits' if by else 'Pull requests'} by {who}: {_shares(figures.people)}",
    ))  # fmt: skip


def _contributor_share(figures: Contributors, of: Setting) -> Told:
    did = {
        None: f"made {plural(figures.total, 'contribution')} to {of.whose}",
        "pull_requests": f"opened {plural(figures.total, 'pull request')} in {of.whose}",
        "commits": f"made {plural(figures.total, 'contribution')} to commits of {of.whose}",
    }[of.by]
    sorts = "; counted are commits, pull requests, reviews, issues, comments and releases" if of.by is None else ""
    whole = people(len(figures.people))
    return Told(f"{plural(figures.total, 'contribution')} by {whole}", (
        f"{whole} {did} {of.when}{sorts}", f"Most active: {_shares(figures.people)}",
    ))  # fmt: skip


def _cohorts(figures: Cohorts, of: Setting) -> Told:
    active = f"{people(figures.active)} contributed to {of.whose} {of.when}"
    if figures.new is None or figures.returning is None or figures.staying is None or figures.gone is None:
        why = f"not everything {of.before} was counted"
        return Told(f"{figures.active:,} active", (f"{active}; who of them is new cannot be told: {why}",))
    sentences = [
        f"{active}: {len(figures.new):,} for the first time, {len(figures.returning):,} after a pause and"
        f" {len(figures.staying):,} as they did {of.before}; {len(figures.gone):,} more only did so {of.before}"
    ]
    sentences += [f"{what}: {_some(who)}" for what, who in (("New", figures.new), ("Gone", figures.gone)) if who]
    return Told(f"{len(figures.new):,} new, {len(figures.gone):,} gone", tuple(sentences))


def _response_times(figures: ResponseTimes, of: Setting) -> Told:
    sentences, short = [], []
    for noun, waits in (("pull request", figures.pull_requests), ("issue", figures.issues)):
        if waits is None:
            sentences.append(f"No {noun} of {of.whose} got its first response {of.when}")
            continue
        short.append(f"{duration(waits.median)} for {noun}s")
        sentences.append(
            f"The one {noun} of {of.whose} that got its first response {of.when} waited {duration(waits.median)} for it"
            if waits.number == 1
            else f"Of {waits.number:,} {noun}s of {of.whose} that got their first response {of.when}, half had it"
            f" within {duration(waits.median)} and nine of ten within {duration(waits.p90)}"
        )
    return Told(f"{' and '.join(short)} (median)", tuple(sentences))


def _merge_times(figures: Waits, of: Setting) -> Told:
    median = duration(figures.median)
    sentence = (
        f"The one pull request of {of.whose} that was merged {of.when} was merged {median} after it was opened"
        if figures.number == 1
        else f"Of {figures.number:,} pull requests of {of.whose} that were merged {of.when}, half were merged within"
        f" {median} of being opened and nine of ten within {duration(figures.p90)}"
    )
    return Told(f"{median} (median)", (sentence,))


def _merge_ratio(figures: MergeRatio, of: Setting) -> Told:
    ended = plural(figures.merged + figures.closed_unmerged, "pull request")
    return Told(f"{figures.ratio:.0%}", (
        f"Of {ended} of {of.whose} that ended {of.when}, {figures.merged:,} ({figures.ratio:.0%}) ended in a"
        f" merge and {figures.closed_unmerged:,} without one",
    ))  # fmt: skip


def _unreviewed_pushes(figures: UnreviewedPushes, of: Setting) -> Told:
    pushes = f"{figures.pushes:,} push{'es' * (figures.pushes != 1)}"
    sentences = [
        f"Of {pushes} to main or master of {of.whose} {of.when}, {figures.unreviewed:,} ({figures.share:.0%}) were by"
        " people and had no merge of a pull request beside them"
    ]
    if figures.people:
        counts = [f"{unnumbered(who) or 'nobody known'} {count:,}" for who, count in figures.people[:_SHOWN]]
        sentences.append(f"Such pushes by person: {', '.join(counts)}")
    return Told(f"{figures.unreviewed:,} of {pushes}", tuple(sentences))


def _contributor_confidence(figures: Confidence, of: Setting) -> Told:
    sentences = [
        f"Of {people(figures.interested)} who first starred or forked {of.whose} {of.when}, {figures.contributed:,}"
        f" ({figures.confidence:.0%}) contributed within {CONFIDENCE_DAYS} days"
    ]
    if figures.undecided:
        sentences.append(f"Those days are not over yet for {figures.undecided:,} others of them, who may still do so")
    return Told(f"{figures.confidence:.0%}", tuple(sentences))


def _release_cadence(figures: Cadence, of: Setting) -> Told:
    number = plural(figures.number, "release") if figures.number else "no release"
    beside = f" and {plural(figures.prereleases, 'prerelease')}" if figures.prereleases else ""
    every = "" if figures.days_between is None else f", one every {duration(figures.days_between * 86_400)} (median)"
    return Told(f"{number}{beside}", (
        f"{_begun(of.when)}, {of.whose} published {number}{beside}{every}",
        f"The newest is {unnumbered(figures.newest)}, {plural(figures.days_since, 'day')} before the last of these"
        " days",
    ))  # fmt: skip


def _activity_trend(figures: Trend, of: Setting) -> Told:
    number = plural(figures.contributions, "contribution")
    if figures.before is None:
        against = f"no change can be told, because not everything {of.before} was counted"
    elif figures.change is None:
        against = f"there was none {of.before}"
    else:
        more = (
            f"{abs(figures.change):.0%} {'more' if figures.change > 0 else 'fewer'} than"
            if figures.change
            else "as many as"
        )
        against = f"{more} the {figures.before:,} {of.before}"
    sentences = [f"{_begun(of.when)}, {of.whose} had {number} by people, {against}"]
    seen = [one for one in figures.periods if one.contributions]
    if seen and len(figures.periods) > 1:
        most = max(seen, key=lambda one: one.contributions)
        sentences.append(
            f"The most were made {_period(figures, most)}, {most.contributions:,} by {people(most.people)}; the last"
            f" {_period(figures, seen[-1])}"
        )
    change = "" if figures.change is None else f" ({figures.change:+.0%})"
    return Told(f"{number}{change}", tuple(sentences))


def _begun(text: str) -> str:
    """As a sentence begins."""
    return text[0].upper() + text[1:]


def _period(trend: Trend, period: Period) -> str:
    """on 2025-03-01; in the week of 2025-03-03; in 2025-03."""
    if trend.step == "month":
        return f"in {period.first_day:%Y-%m}"
    return f"{'on' if trend.step == 'day' else 'in the week of'} {period.first_day}"


def _shares(shares: Sequence[Share]) -> str:
    return ", ".join(
        f"{unnumbered(one.person)} {one.contributions:,} ({one.share:.0%})" for one in shares[:_SHOWN]
    )  # fmt: skip


def _some(persons: Sequence[str]) -> str:
    more = f" and {len(persons) - _SHOWN:,} more" if len(persons) > _SHOWN else ""
    return ", ".join(unnumbered(one) for one in persons[:_SHOWN]) + more


MEASURES: dict[str, Measure] = {
    "lottery_factor": Measure(
        "lottery factor", "How few people made half of the pull requests, or commits: the risk of losing them.",
        _lottery_factor, "pulls", by_sort=True,
    ),
    "contributor_share": Measure(
        "contributor share", "Who contributes how much: the most active people and their share of everything done.",
        _contributor_share, "graphs/contributors", by_sort=True,
    ),
    "cohorts": Measure(
        "turnover of contributors", "Which contributors are new, returned, stayed or are gone.",
        _cohorts, "graphs/contributors",
    ),
    "response_times": Measure(
        "time to first response", "How long pull requests and issues wait for the first answer by somebody else.",
        _response_times, "issues?q=sort%3Acomments-desc",
    ),
    "merge_times": Measure(
        "time to merge", "How long pull requests take from opening to merge.",
        _merge_times, "pulls?q=is%3Apr+is%3Amerged",
    ),
    "merge_ratio": Measure(
        "merge ratio", "How many pull requests were merged, and their share of those that ended.",
        _merge_ratio, "pulls?q=is%3Apr+is%3Aclosed",
    ),
    "unreviewed_pushes": Measure(
        "share of unreviewed pushes", "How many pushes to main or master went around pull requests, and whose.",
        _unreviewed_pushes, "commits",
    ),
    "contributor_confidence": Measure(
        "contributor confidence", "How many of those who star or fork come to contribute within 30 days.",
        _contributor_confidence, "stargazers",
    ),
    "release_cadence": Measure(
        "release cadence", "How often releases are published, and which is the newest.",
        _release_cadence, "releases",
    ),
    "activity_trend": Measure(
        "activity trend", "Whether a project is active: contributions over time, against the days before.",
        _activity_trend, "pulse",
    ),
}  # fmt: skip
"""Every measure by its name, as citations bear it."""
