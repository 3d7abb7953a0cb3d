"""The client of GitHub's API against a double over real HTTP: limits, refusals, and what never leaves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from resources import github_limits, github_pages
from resources.errors import ConfigurationError, GitHubExhausted, GitHubRefused, GitHubUnavailable
from resources.github import GitHub, Overloaded, open_github
from resources.github_items import (
    ITEMS_A_QUERY,
    ItemKey,
    ItemState,
    RepositoryState,
    fetch_items,
    fetch_repositories,
    points_of_items,
)
from resources.github_pages import Page, ask_pages
from resources.kinds import ISSUE, PULL_REQUEST, Kind
from resources.settings import Settings
from tests.doubles.github import GitHubDouble, Issue, PullRequest, Repository, github_double, replies

T = TypeVar("T")


@pytest.fixture(scope="module", autouse=True)
def _no_backoff() -> Iterator[None]:
    """What a real server needs to recover is nothing but waiting here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(github_pages, "_BACKOFF", 0)
        yield


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    """A running double that knows octo/app."""
    with github_double() as running:
        running.state.add(Repository(id=1, owner="octo", name="app"))
        yield running


def settings_for(double: GitHubDouble, **fields: object) -> Settings:
    """Settings that name the double."""
    values = {"github_token": SecretStr(double.token), "github_api_url": double.url}
    return Settings(_env_file=None).model_copy(update=values | fields)


def run(double: GitHubDouble, work: Callable[[GitHub], Awaitable[T]], **fields: object) -> T:
    """Do some work with an open client."""

    async def whole() -> T:
        async with GitHub(settings_for(double, **fields), timeout=5.0) as github:
            return await work(github)

    return asyncio.run(whole())


async def resolve(github: GitHub) -> object:
    """One query."""
    return (await fetch_repositories(github, ["octo/app"]))["octo/app"]


def test_without_a_token_there_is_no_client(double: GitHubDouble) -> None:
    """Asked for all the same, it says which setting is missing."""
    none = settings_for(double, github_token=None)
    assert open_github(none) is None
    with pytest.raises(ConfigurationError, match="GITHUB_TOKEN is not set"):
        GitHub(none)


def test_a_base_url_that_is_none_is_refused(double: GitHubDouble) -> None:
    """Before any request, naming the setting."""
    with pytest.raises(ConfigurationError, match="GITHUB_API_URL"):
        GitHub(settings_for(double, github_api_url="api.github.com"))


def test_a_secondary_limit_is_waited_out(double: GitHubDouble) -> None:
    """Retry-After is obeyed to the second, then the same query is answered."""
    double.misbehave("/graphql", replies.secondary_rate_limit(1))
    started = time.monotonic()
    assert run(double, resolve) == RepositoryState(1, "octo/app", False)
    assert time.monotonic() - started >= 1
    assert double.stats.requests["/graphql"] == 2


def test_a_secondary_limit_that_is_too_long_ends_the_work(double: GitHubDouble) -> None:
    """It says until when, instead of holding a run."""
    double.misbehave("/graphql", replies.secondary_rate_limit(900))
    with pytest.raises(GitHubExhausted, match="secondary") as exhausted:
        run(double, resolve)
    assert timedelta(minutes=14) < exhausted.value.until - datetime.now(UTC) <= timedelta(minutes=15)


@pytest.mark.parametrize("said", [200, 403])
def test_a_used_up_budget_says_when_it_is_back(double: GitHubDouble, said: int) -> None:
    """Known from the start, or told by a response: nothing more is asked."""
    reset = int(time.time()) + 1800
    if said == 403:
        double.misbehave("/graphql", replies.primary_rate_limit(reset))
    else:
        error = {"type": "RATE_LIMITED", "message": "API rate limit exceeded"}
        limited = replies.graphql_errors(error)
        double.misbehave("/graphql", limited)
        double.limits.hourly_points, double.limits.exhausted = 0, 200
    with pytest.raises(GitHubExhausted, match="budget") as exhausted:
        run(double, resolve, github_reserve=0.0)
    assert exhausted.value.until > datetime.now(UTC)


def test_the_budget_of_a_new_hour_is_used(double: GitHubDouble) -> None:
    """A budget that was used up is forgotten when its reset has passed."""

    async def later(github: GitHub) -> object:
        double.limits.hourly_points = 5000
        await asyncio.sleep(1.2)
        return await resolve(github)

    double.clock = lambda: time.time() - 3599  # the double's hour ends in a second
    double.limits.hourly_points = 0
    assert run(double, later) == RepositoryState(1, "octo/app", False)


def test_a_refusal_of_one_path_is_a_reply(double: GitHubDouble) -> None:
    """An organization may keep a token out (403) without the token being wrong."""
    double.misbehave("/repos", replies.error(403, "Resource protected by organization SAML enforcement."))
    assert run(double, lambda github: github.get("repos/octo/app")).status == 403


@pytest.mark.parametrize("status", [401, 403])
def test_refusals_are_raised_at_once(double: GitHubDouble, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """No second try; neither the message nor any log line holds the token."""
    caplog.set_level(logging.DEBUG)
    reply = replies.bad_credentials() if status == 401 else replies.error(403, "Resource not accessible")
    double.misbehave("/graphql", reply, reply)
    with pytest.raises(GitHubRefused, match=str(status)) as refused:
        run(double, resolve)
    assert double.stats.requests["/graphql"] == 1
    assert double.token not in str(refused.value) + caplog.text


def test_the_token_goes_to_the_configured_host_only(double: GitHubDouble) -> None:
    """A redirect, or a path, that leads elsewhere is not followed with it."""
    with github_double() as other:
        with pytest.raises(GitHubRefused, match="another host"):
            run(double, lambda github: github.get(f"{other.url}/repos/octo/app"))
        assert other.stats.total_requests == 0


def test_a_get_tells_redirects_and_statuses(double: GitHubDouble) -> None:
    """301 with the path of its target, 404, 410, 451: they tell what became of a thing."""
    double.state.add(Repository(id=2, owner="octo", name="new", former_names=["octo/old"]))
    reply = run(double, lambda github: github.get("repos/octo/old"))
    assert (reply.status, reply.location) == (301, "/repositories/2")
    for status, misbehaviour in (
        (410, replies.gone()),
        (451, replies.legally_blocked()),
        (422, replies.unprocessable()),
    ):
        double.misbehave("/repos", misbehaviour)
        assert run(double, lambda github: github.get("repos/octo/app")).status == status


@pytest.mark.parametrize("fault", [replies.server_error(), replies.bad_gateway(), replies.hang_up(), replies.cut()])
def test_a_get_is_tried_again(double: GitHubDouble, fault: replies.Reply) -> None:
    """A passing fault of REST costs a moment."""
    double.misbehave("/repos", fault)
    assert run(double, lambda github: github.get("repos/octo/app")).data["id"] == 1


def test_a_dead_server_is_unavailable() -> None:
    """Nobody listens: the message names what was asked."""
    dead = Settings(_env_file=None, github_token="x", github_api_url="http://127.0.0.1:1")

    async def whole() -> None:
        async with GitHub(dead):
            pass

    with pytest.raises(GitHubUnavailable, match="rate_limit"):
        asyncio.run(whole())


def test_queries_a_minute_are_bounded(double: GitHubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next query waits until the first of the minute is a minute old; the double counts no violation."""
    monkeypatch.setattr(github_limits, "REQUESTS_A_MINUTE", {"graphql": 5, "core": 900})
    monkeypatch.setattr(github_limits, "_MINUTE", 1.0)
    started = time.monotonic()

    async def many(github: GitHub) -> None:
        await asyncio.gather(*(resolve(github) for _ in range(12)))

    run(double, many)
    assert time.monotonic() - started >= 2  # 5 at once, 5 a second later, 2 another second later


def test_clients_of_a_token_share_the_minute(double: GitHubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run over many days opens a client a day; GitHub counts them together."""
    monkeypatch.setattr(github_limits, "REQUESTS_A_MINUTE", {"graphql": 3, "core": 900})
    monkeypatch.setattr(github_limits, "_MINUTE", 1.0)
    started = time.monotonic()
    for _ in range(7):
        run(double, resolve)
    assert time.monotonic() - started >= 2


def test_server_time_a_minute_is_bounded(double: GitHubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow responses use up the minute's server time; the fastest one is taken for the network's share."""
    monkeypatch.setattr(github_limits, "SERVER_SECONDS_A_MINUTE", 0.4)
    monkeypatch.setattr(github_limits, "_MINUTE", 1.0)
    started = time.monotonic()

    async def many(github: GitHub) -> None:
        for seconds in (0.0, 0.3, 0.3, 0.0):
            double.misbehave("/graphql", replies.hang(seconds))
            await resolve(github)

    run(double, many)
    assert time.monotonic() - started >= 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_item_is_answered_or_failed_once(data: st.DataObject) -> None:
    """Whatever pages are not finished and whatever items fail: each item ends in exactly one place."""
    items = list(range(data.draw(st.integers(0, 60))))
    poisoned = set(data.draw(st.lists(st.sampled_from(items), max_size=4))) if items else set()
    most = data.draw(st.integers(1, 20))
    answers: list[int] = []
    failures: list[int] = []

    async def ask(page: list[int]) -> dict[int, int | str]:
        await asyncio.sleep(0)
        if len(page) > most:
            raise Overloaded("too many")
        return {item: "poisoned" if item in poisoned else item for item in page}

    def store(page: Page[int, int]) -> None:
        answers.extend(page.answers)
        failures.extend(page.failed)

    rest = asyncio.run(ask_pages(items, ask, store, size=data.draw(st.integers(1, 30)), concurrency=3))  # type: ignore[arg-type]
    assert sorted(answers) == [item for item in items if item not in poisoned]
    assert sorted(failures) == sorted(poisoned)
    assert rest.left == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(0, 8))
def test_what_a_limit_leaves_over_is_counted(count: int, allowed: int) -> None:
    """Answered and left make all, wherever the limit comes."""
    answered: list[int] = []
    asked = 0

    async def ask(page: list[int]) -> dict[int, int | str]:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        if asked > allowed:
            raise GitHubExhausted(datetime.now(UTC) + timedelta(hours=1), "the hourly budget")
        return {item: item for item in page}

    rest = asyncio.run(
        ask_pages(range(count), ask, lambda page: answered.extend(page.answers), size=5, concurrency=2)  # type: ignore[arg-type]
    )
    assert len(answered) + rest.left == count
    assert (rest.until is not None) == (rest.left > 0)


def keys(count: int) -> list[ItemKey]:
    """Items of octo/app."""
    return [ItemKey(1, "octo", "app", number) for number in range(1, count + 1)]


def test_a_pull_request_tells_the_headlines_of_its_last_commits(double: GitHubDouble) -> None:
    """Twenty at most, oldest first, beside how many there are; without commits none, and an issue has no such thing."""
    headlines = [f"Part {number}" for number in range(1, 24)]
    double.state.repositories[1].add(PullRequest(number=1, commits=headlines), PullRequest(number=2), Issue(number=3))
    pulls = run(double, lambda github: fetch_items(github, PULL_REQUEST, keys(2)))
    issues = run(double, lambda github: fetch_items(github, ISSUE, keys(3)[2:]))
    items = [*pulls.values(), *issues.values()]
    told = [(item.commits, item.commits_total) for item in items if isinstance(item, ItemState)]
    assert told == [(tuple(headlines[3:]), 23), ((), 0), (None, None)]


@pytest.mark.parametrize(
    ("kind", "count", "points"),
    [(PULL_REQUEST, 1, 1), (PULL_REQUEST, ITEMS_A_QUERY, 2), (PULL_REQUEST, ITEMS_A_QUERY + 1, 3),
     (ISSUE, ITEMS_A_QUERY, 1)],
)  # fmt: skip
def test_a_query_costs_what_is_expected(double: GitHubDouble, kind: Kind, count: int, points: int) -> None:
    """The points set aside are those that GitHub's formula takes; a pull request more costs one more."""
    run(double, lambda github: fetch_items(github, kind, keys(count)))
    assert (points_of_items(kind, count), double.stats.points_used) == (points, points)


def test_points_of_a_query_without_an_answer_count_as_spent(double: GitHubDouble) -> None:
    """GitHub may have taken them before the connection broke: the reserve is left alone all the same."""
    double.limits.hourly_points = 10

    async def broken(github: GitHub) -> None:
        for _ in range(5):
            double.misbehave("/graphql", replies.hang_up())
            with pytest.raises(Overloaded):
                await resolve(github)
        await resolve(github)

    with pytest.raises(GitHubExhausted):
        run(double, broken, github_reserve=0.5)
    assert double.stats.requests["/graphql"] == 5
