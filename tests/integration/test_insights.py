"""Measures over stored days: recomputed by hand, over any window and scope, on the tools role; and their commands."""

from __future__ import annotations

from collections import Counter
from datetime import date
from fractions import Fraction
from statistics import median
from typing import Any

import pytest

from answering.errors import ScopeError
from answering.insights import contributors, projects
from answering.insights.basis import DONE
from answering.insights.contributors import Share
from answering.insights.projects import Waits
from answering.retrieval import Scope
from resources.kinds import COMMIT
from resources.postgres import Database
from starsearch_assets.content.process import process_day
from starsearch_assets.insights.process import count_people, count_repositories
from tests.factories import REPOSITORY, comment, event, item, user
from tests.integration.commands import as_json, starsearch
from tests.integration.content import issues, pr, process, store, track
from tests.integration.git_commits import commit
from tests.integration.real_hours import counted_by_hand
from tests.integration.test_contributions import push

REPO = REPOSITORY[1]
ALL = Scope(repos=(REPO,))
OTHER = (77, "acme/other")
MARCH = date(2025, 3, 1)


def opened(number: int, day: int, who: str, repo: tuple[int, str] = REPOSITORY) -> dict[str, Any]:
    """A pull request opened at noon of a day in March."""
    return event(number, "PullRequestEvent", f"2025-03-{day:02} 12:00", {
        "action": "opened", "number": number,
        "pull_request": item(number, f"Change {number}", user=user(who), created_at=f"2025-03-{day:02}T12:00:00Z"),
    }, repository=repo)  # fmt: skip


def count(database: Database, first: int = 1, last: int = 4) -> None:
    """Process what is stored, and count the days of March from first to last."""
    process(database)
    for day in range(first, last + 1):
        count_people(database, date(2025, 3, day))
        count_repositories(database, date(2025, 3, day))


@pytest.fixture
def two_projects(database, tmp_path):
    """Four days of two repositories: ada 3, bob 2, cara 1 and a bot in one; dora 4 in the other."""
    track(database, REPOSITORY, OTHER)
    store(database, [
        opened(1, 1, "ada"), opened(2, 1, "bob"), opened(3, 2, "ada"), opened(4, 3, "ada"), opened(5, 4, "bob"),
        opened(6, 4, "cara"), opened(7, 4, "dependabot[bot]"),
        *(opened(10 + number, 3, "dora", OTHER) for number in range(4)),
    ], tmp_path)  # fmt: skip
    count(database)
    return database


def test_the_lottery_factor_of_a_window_and_of_several_repositories(two_projects, tools):
    """Exactly half is enough; bots do not count; another window or scope has another factor."""
    found = contributors.lottery_factor(tools, ALL)
    assert found.figures is not None
    assert (found.figures.factor, found.figures.level, found.figures.total) == (1, "very high", 6)
    assert found.figures.people == (Share("@ada", 3, 1 / 2), Share("@bob", 2, 1 / 3), Share("@cara", 1, 1 / 6))
    assert (found.coverage.since, found.coverage.until) == (MARCH, date(2025, 3, 5))
    assert found.evidence[0].url == f"https://github.com/{REPO}/pulls?q=is%3Apr+author%3Aada"
    newest = contributors.lottery_factor(tools, Scope(repos=(REPO,), since=date(2025, 3, 4))).figures
    assert newest is not None
    assert (newest.factor, [one.person for one in newest.people]) == (1, ["@bob", "@cara"])
    both = contributors.lottery_factor(tools, Scope(repos=(REPO, OTHER[1]))).figures
    assert both is not None
    assert (both.factor, both.people[0]) == (2, Share("@dora", 4, 4 / 10))
    assert contributors.lottery_factor(tools, Scope()).figures == both
    until = contributors.lottery_factor(tools, ALL, as_of=MARCH)
    assert until.figures is not None
    assert (until.figures.total, until.coverage.until) == (2, date(2025, 3, 2))


def test_what_is_not_known_is_undefined_and_says_why(two_projects, tools):
    """No figure for an unknown repository, an empty window, or commits where there are only events."""
    with pytest.raises(ScopeError, match=r"acme/othr is not among the tracked.*Did you mean acme/other or"):
        contributors.lottery_factor(tools, Scope(repos=("acme/othr",)))
    with pytest.raises(ScopeError, match="time range is empty"):
        projects.merge_ratio(tools, Scope(since=MARCH, until=MARCH))
    commits = contributors.lottery_factor(tools, ALL, by="commits")
    assert commits.figures is None
    assert "no git history was read" in commits.undefined
    later = contributors.contributor_share(tools, Scope(repos=(REPO,), since=date(2025, 4, 1)))
    assert (later.figures, later.coverage.days) == (None, 0)
    assert "no day of this window was counted" in later.undefined
    for measure in (projects.response_times, projects.merge_times, projects.merge_ratio, projects.unreviewed_pushes,
                    contributors.contributor_confidence, projects.release_cadence):  # fmt: skip
        insight = measure(tools, ALL)
        assert insight.figures is None, measure
        assert insight.undefined, measure


def test_an_empty_database_has_no_figures(database, tools):
    """Nothing tracked, nothing counted: every measure says so."""
    for measure in (contributors.lottery_factor, contributors.contributor_share, contributors.cohorts,
                    projects.response_times, projects.merge_times, projects.merge_ratio, projects.unreviewed_pushes,
                    projects.activity_trend,
                    contributors.contributor_confidence, projects.release_cadence):  # fmt: skip
        assert "no day of this window was counted" in measure(tools, Scope()).undefined, measure


def test_who_is_new_stays_returns_and_is_gone(database, tools, tmp_path):
    """Against the window of the same length before; unknown where that one was not counted whole."""
    track(database)
    store(database, [
        opened(1, 1, "returning"), opened(2, 2, "gone"), opened(3, 3, "staying"), opened(4, 4, "staying"),
        opened(5, 4, "returning"), opened(6, 5, "new"), opened(7, 5, "helper[bot]"),
    ], tmp_path)  # fmt: skip
    count(database, 1, 5)
    window = Scope(repos=(REPO,), since=date(2025, 3, 4))
    found = contributors.cohorts(tools, window).figures
    assert found == contributors.Cohorts(3, ("@new",), ("@returning",), ("@staying",), ("@gone",))
    before = contributors.cohorts(tools, Scope(repos=(REPO,), since=date(2025, 3, 3))).figures
    assert before == contributors.Cohorts(3, None, None, None, None)
    newer_half = contributors.cohorts(tools, ALL)
    assert newer_half.coverage.since == date(2025, 3, 4)


def test_contributions_over_time(two_projects, tools):
    """Each day of the window, the empty ones as well, and the change against the days before."""
    trend = projects.activity_trend(tools, Scope(repos=(REPO,), since=date(2025, 3, 3))).figures
    assert trend is not None
    assert [(one.first_day.day, one.contributions, one.people) for one in trend.periods] == [(3, 1, 1), (4, 2, 2)]
    assert (trend.step, trend.contributions, trend.before, trend.change) == ("day", 3, 3, 0)
    quiet = projects.activity_trend(tools, Scope(repos=(OTHER[1],), since=MARCH)).figures
    assert quiet is not None
    assert [one.contributions for one in quiet.periods] == [0, 0, 4, 0]
    assert quiet.change is None


def test_waits_merges_and_pushes(database, tools, tmp_path):
    """Response and merge times, the merge ratio and pushes without a review, each of its window."""
    track(database)
    hours = {1: 1, 2: 2, 3: 9}

    def ended(number: int, merged: bool) -> dict[str, Any]:
        at = f"2025-03-02T{hours[number]:02}:00:00Z"
        fields = {"merged": True, "merged_at": at, "base": {"ref": "main"}} if merged else {}
        opening = "2025-03-02T00:00:00Z"
        thing = item(number, "x", state="closed", closed_at=at, created_at=opening, **fields)
        return pr(number, at.replace("T", " ")[:16], "closed", thing)

    question = item(9, "Nine", created_at="2025-03-02T00:00:00Z", user=user("ada"))
    store(database, [
        ended(1, True), ended(2, True), ended(3, False),
        issues(4, "2025-03-02 00:00", "opened", question),
        event(5, "IssueCommentEvent", "2025-03-02 06:00", {"action": "created", "issue": question, "comment":
              comment(70, "yes") | {"user": user("bob"), "created_at": "2025-03-02T06:00:00Z"}}),
        push(6, "2025-03-02 01:00:30"), push(7, "2025-03-02 04:00"), push(8, "2025-03-02 05:00", actor="ci[bot]"),
    ], tmp_path)  # fmt: skip
    count(database, 1, 3)
    merges = projects.merge_times(tools, ALL).figures
    assert merges == Waits(2, 1.5 * 3600, pytest.approx(1.9 * 3600))
    responses = projects.response_times(tools, ALL).figures
    assert responses == projects.ResponseTimes(None, Waits(1, 6 * 3600, 6 * 3600))
    ratio = projects.merge_ratio(tools, ALL).figures
    assert ratio == projects.MergeRatio(2, 1, 2 / 3)
    pushes = projects.unreviewed_pushes(tools, ALL)
    assert pushes.figures == projects.UnreviewedPushes(3, 1, 1 / 3, (("@eve", 1),))
    assert pushes.evidence[0].url == f"https://github.com/{REPO}/commit/{7:040x}"
    assert projects.merge_ratio(tools, Scope(repos=(REPO,), since=date(2025, 3, 3))).figures is None


def test_who_stars_and_then_contributes(database, tools, tmp_path):
    """Within 30 days of the first star or fork, in the same repository; the rest may still come."""
    track(database)
    store(database, [
        event(1, "WatchEvent", "2025-03-01 08:00", {"action": "started"}, actor="ada"),
        event(2, "ForkEvent", "2025-03-02 08:00", {"forkee": {"id": 7}}, actor="ada"),
        event(3, "WatchEvent", "2025-03-02 08:00", {"action": "started"}, actor="bob"),
        opened(4, 3, "ada"), opened(5, 1, "bob"),
    ], tmp_path)  # fmt: skip
    count(database)
    assert contributors.contributor_confidence(tools, ALL).figures == contributors.Confidence(2, 1, 0.5, 1)


def test_who_stars_under_one_name_and_works_under_another_is_one_person(database, tools, tmp_path):
    """Names are merged in what is starred and pushed as well, or those who came would be missed."""
    track(database)
    store(database, [
        event(1, "WatchEvent", "2025-03-01 08:00", {"action": "started"}, actor="ada-old"),
        push(2, "2025-03-01 09:00", actor="ada-old"), opened(3, 2, "ada"),
    ], tmp_path)  # fmt: skip
    count(database)
    before = contributors.contributor_confidence(tools, ALL).figures
    assert before == contributors.Confidence(1, 0, 0, 1)
    database.execute("INSERT INTO same_people VALUES (0, '@ada-old', '@ada', 'override')")
    assert contributors.contributor_confidence(tools, ALL).figures == contributors.Confidence(1, 1, 1, 0)
    pushes = projects.unreviewed_pushes(tools, ALL).figures
    assert pushes is not None
    assert pushes.people == (("@ada", 1),)


def test_releases_come_at_intervals(database, tools, tmp_path):
    """The median of the days between releases of one repository, prereleases apart."""
    from tests.integration.content import published

    track(database)

    def released(number: int, day: int, tag: str, **more: Any) -> dict[str, Any]:
        at = f"2025-03-{day:02}T06:00:00Z"
        return published(number, f"2025-03-{day:02} 06:00", tag, published_at=at, created_at=at, **more)

    store(database, [released(1, 1, "v1"), released(2, 2, "v2"), released(3, 4, "v3"),
                     released(4, 4, "v4-rc", prerelease=True)], tmp_path)  # fmt: skip
    count(database, 1, 5)
    found = projects.release_cadence(tools, ALL)
    assert found.figures == projects.Cadence(3, 1, 1.5, "v3", 1)
    assert {link.title for link in found.evidence} == {f"{REPO} {tag}" for tag in ("v1", "v2", "v3", "v4-rc")}


def test_coverage_says_what_was_read(database, tools, tmp_path):
    """Days counted, hours read, whose commits are known, and what nobody knows who did."""
    track(database)
    store(database, [opened(1, 1, "ada"), pr(2, "2025-03-03 08:00", "closed", {"number": 5, "url": "x"})], tmp_path)
    commit(database, 1, "One", day=date(2025, 3, 3))
    process(database)
    process_day(database, COMMIT, date(2025, 3, 3))
    for day in (1, 3):
        count_people(database, date(2025, 3, day))
    coverage = contributors.contributor_share(tools, ALL).coverage
    assert (coverage.days, coverage.counted, coverage.hours_read) == (3, 2, 2)
    assert (coverage.repositories, coverage.with_commits, coverage.unknown, coverage.capture_rate) == (1, 1, 1, None)
    assert coverage.text() == (
        "2 of 3 days from 2025-03-01 to 2025-03-03 counted; 2 of 72 hours of events read; GitHub's own count not"
        " compared; git history of 1 of 1 repository; 1 contribution by nobody known."
    )
    database.execute("INSERT INTO reconciliations (day, items, known, finished_at) VALUES ('2025-03-01', 4, 3, now())")
    assert contributors.contributor_share(tools, ALL).coverage.capture_rate == 0.75


@pytest.mark.parametrize("name", ["2015-01-01-3", "2016-01-01-1"])
def test_measures_of_real_repositories_are_what_reading_the_file_gives(database, tools, real_data, name):
    """Shares, lottery factor and merge ratio of the busiest repositories of a real hour, from the file's lines."""
    _, done, _ = counted_by_hand(database, real_data, name)
    names = dict(database.fetch_all("SELECT repo_id, name FROM repositories"))
    busiest = Counter(repo for repo, _, what in done.elements() if what == "pull_requests_opened").most_common(15)
    assert busiest[0][1] > 2
    bots = {row[0] for row in database.fetch_all("SELECT DISTINCT person FROM contributor_days WHERE is_bot")}
    for repo, _ in busiest:
        counts: Counter[str] = Counter()
        everything: Counter[str] = Counter()
        for (one, who, what), times in done.items():
            if one == repo and who not in bots:
                everything[who] += times
                counts[who] += times if what == "pull_requests_opened" else 0
        ordered = sorted((times for times in counts.values() if times), reverse=True)
        least = next(n for n in range(1, len(ordered) + 1) if 2 * sum(ordered[:n]) >= sum(ordered))
        figures = contributors.lottery_factor(tools, Scope(repos=(names[repo],))).figures
        assert figures is not None
        assert (figures.factor, figures.total) == (least, sum(ordered))
        shares = contributors.contributor_share(tools, Scope(repos=(names[repo],))).figures
        assert shares is not None
        assert {one.person: one.contributions for one in shares.people} == dict(everything)
        assert sum(Fraction(one.contributions, shares.total) for one in shares.people) == 1


@pytest.mark.parametrize("seconds", [[5], [1, 2], [1, 4, 4, 9], list(range(0, 99, 7))])
def test_a_median_over_several_days_is_that_of_the_items(database, tools, seconds):
    """Not of the days' medians: the first day has one item, the second all others."""
    track(database)
    database.execute("INSERT INTO counted_days VALUES ('2025-03-01'), ('2025-03-02')")
    for number, one in enumerate(seconds):
        database.execute(
            "INSERT INTO waits (repo_id, what, day, ref, seconds) VALUES (%s, 'merge', %s, %s, %s)",
            [REPOSITORY[0], date(2025, 3, 2 if number else 1), f"{number}", one],
        )
    found = projects.merge_times(tools, ALL).figures
    place = 0.9 * (len(seconds) - 1)
    lower, upper = seconds[int(place)], seconds[min(int(place) + 1, len(seconds) - 1)]
    p90 = lower + (upper - lower) * (place - int(place))
    assert found == Waits(len(seconds), median(seconds), pytest.approx(p90))


def test_commands_draw_what_the_json_tells(demo):
    """Every command over the demo: figures, links, what they rest on; wrong options and names say what to do."""
    found = as_json(demo.home, "insights", "lottery-factor", "remix-run/react-router")
    assert (found["figures"]["factor"], found["measure"]) == (len(demo.truth.lottery.people), "lottery_factor")
    assert found["coverage"]["days"] == 3
    drawn = starsearch(demo.home, "insights", "lottery-factor", "remix-run/react-router").stdout
    assert "Lottery factor" in drawn
    assert "█" in drawn
    assert "Rests on: 3 of 3 days" in " ".join(drawn.split())
    for command in ("share", "contributors", "response-times", "merge-times", "merge-ratio", "unreviewed-pushes",
                    "confidence", "releases", "trend"):  # fmt: skip
        as_told = as_json(demo.home, "insights", command, "emberdb/emberdb", "remix-run/react-router")
        assert as_told["repositories"] == ["emberdb/emberdb", "remix-run/react-router"], command
        assert as_told["figures"] is not None, command
        assert "Rests on" in starsearch(demo.home, "insights", command).stdout, command
    for wrong, told in (
        (("lottery-factor", "acme/none"), "is not among the tracked repositories"),
        (("lottery-factor", "--by", "stars"), "expected pull_requests or commits"),
        (("trend", "--since", "soon"), "expected a day like"),
    ):
        refused = starsearch(demo.home, "insights", *wrong, check=False)
        assert refused.returncode != 0
        assert told in " ".join(refused.stderr.split())


def test_every_sort_of_contribution_is_a_column(database):
    """The measures add up what contributor_days has."""
    columns = [row[0] for row in database.fetch_all(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'contributor_days'"
        " AND table_schema = 'starsearch' AND data_type = 'integer' ORDER BY ordinal_position"
    )]  # fmt: skip
    assert tuple(columns) == DONE
