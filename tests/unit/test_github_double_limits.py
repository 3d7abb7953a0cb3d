"""The double of GitHub: its limits are counted and enforced, and it misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.doubles.github import GitHubDouble, Issue, PullRequest, Reply, Repository, github_double, replies
from tests.doubles.github.stats import Stats

NOW = 1_800_000_000.0
TITLE = '{ repository(owner: "octo", name: "app") { pullRequest(number: 1) { title } } }'
ISSUES = "/repos/octo/app/issues"


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    with github_double(clock=lambda: NOW) as double:
        app = Repository(id=7, owner="octo", name="app")
        app.add(*(PullRequest(number=number) for number in range(1, 6)), Issue(number=6))
        double.state.add(app)
        yield double


@pytest.fixture
def client(double: GitHubDouble) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=double.url, headers={"Authorization": f"token {double.token}"}, timeout=10) as client:
        yield client


def ask(client: httpx.Client, query: str, **variables: Any) -> httpx.Response:
    return client.post("/graphql", json={"query": query, "variables": variables})


def together(double: GitHubDouble, requests: int, query: str = TITLE) -> list[httpx.Response]:
    """The responses to the same query, sent so many times at once."""

    async def send() -> list[httpx.Response]:
        headers = {"Authorization": f"bearer {double.token}"}
        async with httpx.AsyncClient(base_url=double.url, headers=headers, timeout=10) as client:
            return await asyncio.gather(*(client.post("/graphql", json={"query": query}) for _ in range(requests)))

    return asyncio.run(send())


# --- limits -----------------------------------------------------------------------------------------------------------


THREE_LISTS = """fragment F on PullRequest {
    labels(first: 1) { nodes { id } } files(first: $many) { nodes { path } } reviews(first: 2) { totalCount }
}"""


@pytest.mark.parametrize(
    ("selection", "more", "cost", "nodes"),
    [
        ("pullRequest(number: 1) { title }", "", 1, 0),
        ("pullRequests(first: 50) { nodes { title } }", "", 1, 50),
        ("pullRequests(first: 100) { nodes { comments(first: 50) { nodes { id } } } }", "", 1, 100 + 5_000),
        ("issues(first: 50) { edges { node { a: labels(last: 2) { totalCount } b: labels(first: 1) { totalCount } "
         "c: comments(last: 60) { totalCount } } } }", "", 2, 50 + 100 + 50 + 3_000),
        ("pullRequests(first: $all) { nodes { ...F } }", THREE_LISTS, 3, 100 + 100 + 1_000 + 200),
    ],
)  # fmt: skip
def test_cost_is_githubs_formula(
    double: GitHubDouble, client: httpx.Client, selection: str, more: str, cost: int, nodes: int
) -> None:
    """The requests that the connections need, by 100; nodes are what the pages may hold; points leave the budget."""
    head = "query($all: Int = 100, $many: Int!)" if more else "query"
    rate = "rateLimit { cost nodeCount remaining used }"
    response = ask(
        client, f'{head} {{ {rate} repository(owner: "octo", name: "app") {{ {selection} }} }} {more}', many=10
    )
    expected = {"cost": cost, "nodeCount": nodes, "remaining": 5_000 - cost, "used": cost}
    assert response.json()["data"]["rateLimit"] == expected
    assert response.headers["x-ratelimit-remaining"] == str(5_000 - cost)
    assert response.headers["x-ratelimit-resource"] == "graphql"
    assert double.stats.points_used == cost
    assert client.get("/rate_limit").json()["resources"]["graphql"]["used"] == cost


def test_too_many_nodes_are_refused(double: GitHubDouble, client: httpx.Client) -> None:
    """A query that may bring more than 500,000 nodes is not run and costs nothing."""
    lists = "pullRequests(first: 100) { nodes { comments(first: 100) { nodes { id } } } }"
    many = " ".join(f"a{number}: {lists}" for number in range(50))
    (error,) = ask(client, f'{{ repository(owner: "octo", name: "app") {{ {many} }} }}').json()["errors"]
    assert error == {
        "type": "MAX_NODE_LIMIT_EXCEEDED",
        "message": "This query requests up to 505,000 possible nodes which exceeds the maximum limit of 500,000.",
    }
    assert double.stats.points_used == 0


@pytest.mark.parametrize("exhausted", [200, 403])
def test_the_hour_is_a_budget(double: GitHubDouble, client: httpx.Client, exhausted: Any) -> None:
    """Once its points are spent every query is refused, as it was set, until the reset."""
    double.limits.hourly_points, double.limits.exhausted = 2, exhausted
    assert [ask(client, TITLE).headers["x-ratelimit-remaining"] for _ in range(2)] == ["1", "0"]
    refused = ask(client, TITLE)
    assert refused.status_code == exhausted
    assert (refused.headers["x-ratelimit-remaining"], refused.headers["x-ratelimit-reset"]) == (
        "0",
        str(int(NOW) + 3600),
    )
    body = refused.json()
    assert (body["errors"][0]["type"] == "RATE_LIMITED") if exhausted == 200 else "rate limit" in body["message"]
    assert double.stats.limit_violations == {"hourly_points": 1}
    double.clock = lambda: NOW + 3600
    assert "data" in ask(client, TITLE).json()


def test_points_a_minute_are_a_secondary_limit(double: GitHubDouble, client: httpx.Client) -> None:
    """Too many in a minute: 403 with Retry-After; who does not wait is refused again, and both are counted."""
    double.limits.graphql_points_a_minute, double.limits.retry_after = 3, 40
    assert [ask(client, TITLE).status_code for _ in range(4)] == [200, 200, 200, 403]
    double.clock = lambda: NOW + 30
    refused = client.get(ISSUES)
    assert (refused.status_code, refused.headers["retry-after"]) == (403, "10")
    assert refused.json()["message"].startswith("You have exceeded a secondary rate limit")
    double.clock = lambda: NOW + 60
    assert ask(client, TITLE).status_code == 200
    assert double.stats.limit_violations == {"points_a_minute": 1, "ignored_retry_after": 1}


def test_concurrency_is_counted_and_limited(double: GitHubDouble) -> None:
    """As many at a time as allowed are answered and seen as such; one more is refused."""
    double.hold_until, double.limits.concurrency = 5, 5
    assert {response.status_code for response in together(double, 5)} == {200}
    assert double.stats.max_in_flight == 5
    double.hold_until = 11
    statuses = sorted(response.status_code for response in together(double, 6))
    assert statuses == [200] * 5 + [403]
    assert double.stats.limit_violations == {"concurrency": 1}
    assert double.stats.in_flight == 0


def test_mean_in_flight_is_weighted_by_time() -> None:
    """Of the time in which anything was in flight: one for 1 s, two for 2 s, none for 5 s, one for 1 s."""
    now = 100.0
    stats = Stats(lambda: now)
    for change, seconds in ((stats.begin, 1), (stats.begin, 2), (stats.end, 0), (stats.end, 5), (stats.begin, 1)):
        change("/graphql") if change == stats.begin else change()
        now += seconds
    stats.end()
    assert stats.mean_in_flight == (1 + 4 + 1) / 4
    assert (stats.max_in_flight, stats.total_requests, stats.in_flight) == (2, 3, 0)


def test_rest_is_a_budget_of_its_own(double: GitHubDouble, client: httpx.Client) -> None:
    """A reply that was not modified costs nothing; without a token there are 60 an hour; a wrong token is refused."""
    first = client.get(ISSUES)
    again = client.get(ISSUES, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert [response.headers["x-ratelimit-used"] for response in (first, again)] == ["1", "1"]
    double.state.repositories[7].items[1].title = "Another"
    assert client.get(ISSUES, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    double.limits.hourly_requests = 2
    assert client.get(ISSUES).status_code == 403
    anonymous = httpx.get(double.url + ISSUES)
    assert (anonymous.status_code, anonymous.headers["x-ratelimit-limit"]) == (200, "60")
    wrong = httpx.get(double.url + ISSUES, headers={"Authorization": "token wrong"})
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Bad credentials")
    assert httpx.post(double.url + "/graphql", json={"query": TITLE}).status_code == 401


# --- misbehaviour -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "status", "text"),
    [
        (replies.moved_permanently("http://elsewhere/"), 301, "Moved Permanently"),
        (replies.bad_credentials(), 401, "Bad credentials"),
        (replies.primary_rate_limit(int(NOW) + 9), 403, "API rate limit exceeded"),
        (replies.secondary_rate_limit(7), 403, "secondary rate limit"),
        (replies.secondary_rate_limit(7, 429), 429, "secondary rate limit"),
        (replies.not_found(), 404, "Not Found"),
        (replies.gone(), 410, "deleted"),
        (replies.unprocessable(), 422, "Validation Failed"),
        (replies.legally_blocked(), 451, "Repository access blocked"),
        (replies.server_error(), 500, "Server Error"),
        (replies.bad_gateway(), 502, "<html>"),
        (replies.query_timed_out(), 502, "Something went wrong while executing your query"),
        (replies.graphql_errors({"message": "No."}), 200, '{"data":null,"errors":[{"message":"No."}]}'),
    ],
)
def test_a_queued_reply_comes_once(
    client: httpx.Client, double: GitHubDouble, reply: Reply, status: int, text: str
) -> None:
    """The next request below the prefix gets the reply with its headers; the one after it the honest answer."""
    double.misbehave("/graph", reply)
    assert client.get(ISSUES).status_code == 200
    told = ask(client, TITLE)
    assert (told.status_code, text in told.text) == (status, True)
    assert {name: told.headers[name] for name in reply.headers} == reply.headers
    assert ask(client, TITLE).json()["data"]["repository"]["pullRequest"] == {"title": "A title"}
    assert double.stats.requests == {"/graphql": 2, ISSUES: 1}


def test_connections_break_and_bodies_are_spoilt(double: GitHubDouble, client: httpx.Client) -> None:
    """Closed without a word, cut in the middle, no JSON, errors beside the data."""
    error = {"type": "SERVICE_UNAVAILABLE", "message": "Later."}
    spoilt = replies.invalid_json(), replies.graphql_errors(error, keep_data=True)
    double.misbehave("/graphql", replies.hang_up(), replies.cut(), *spoilt)
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            ask(client, TITLE)
    with pytest.raises(json.JSONDecodeError):
        ask(client, TITLE).json()
    answer = ask(client, TITLE).json()
    assert (answer["errors"], answer["data"]["repository"]["pullRequest"]["title"]) == ([error], "A title")


def test_a_hanging_reply_ends_with_its_client(double: GitHubDouble, client: httpx.Client) -> None:
    """The client's timeout decides; the double does not count it as in flight any longer; a short hang is answered."""
    double.misbehave("/graphql", replies.hang(30), replies.hang(0.01))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/graphql", json={"query": TITLE}, timeout=0.1)
    assert ask(client, TITLE).status_code == 200
    assert double.stats.in_flight == 0


def test_a_page_comes_twice(double: GitHubDouble, client: httpx.Client) -> None:
    """A repeated page is what the path answered before, links included."""
    first = client.get(ISSUES, params={"per_page": 2, "page": 1})
    double.misbehave(ISSUES, replies.repeat_page())
    again = client.get(ISSUES, params={"per_page": 2, "page": 2})
    assert (again.json(), again.headers["link"]) == (first.json(), first.headers["link"])
    assert client.get(ISSUES, params={"per_page": 2, "page": 2}).json() != first.json()


@pytest.mark.parametrize("ask_for", [
    "a: pullRequest(number: 1) { title } b: issue(number: 6) { title } c: pullRequest(number: 2) { title }",
    "pullRequests(first: 3) { nodes { title } }",
])  # fmt: skip
def test_too_many_items_in_a_query(double: GitHubDouble, client: httpx.Client, ask_for: str) -> None:
    """A query for more items than set is answered with 502, or not at all; a smaller one is well."""
    double.max_items_a_query = 2
    query = f'{{ repository(owner: "octo", name: "app") {{ {ask_for} }} }}'
    assert ask(client, query).status_code == 502
    double.too_many_items = "hang"
    with pytest.raises(httpx.ReadTimeout):
        client.post("/graphql", json={"query": query}, timeout=0.1)
    double.max_items_a_query = 3
    assert ask(client, query).status_code == 200
    assert double.stats.items_served == 3


def test_poison_spoils_one_item(double: GitHubDouble, client: httpx.Client) -> None:
    """Always an error in its place with the rest kept, or always 502 for the whole query; in lists and in REST too."""
    query = """{ repository(owner: "octo", name: "app") {
        a: pullRequest(number: 1) { number } b: pullRequest(number: 2) { number }
        pullRequests(first: 3) { nodes { number } } } }"""
    double.poison["octo/app", 2] = "error"
    for _ in range(2):
        answer = ask(client, query).json()
        assert answer["data"]["repository"] == {
            "a": {"number": 1},
            "b": None,
            "pullRequests": {"nodes": [{"number": 1}, None, {"number": 3}]},
        }
        assert [error["path"][1:] for error in answer["errors"]] == [["b"], ["pullRequests", "nodes", 1]]
        assert answer["errors"][0]["message"].startswith("Something went wrong while executing your query.")
        assert "request_id" not in answer["errors"][0]["message"]
    double.poison["octo/app", 2] = "502"
    assert [ask(client, query).status_code for _ in range(2)] == [502, 502]
    assert ask(client, TITLE).status_code == 200
    assert [client.get(f"/repos/octo/app/{path}").status_code for path in ("pulls/2", "issues/2", "pulls/1")] == [
        502, 502, 200,
    ]  # fmt: skip


def test_what_goes_wrong_inside_the_double_is_not_hidden() -> None:
    """An error that is not GitHub's ends the test that caused it."""

    def broken() -> float:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup, match="the double of GitHub failed"), github_double(clock=broken) as double:
        assert httpx.get(f"{double.url}/rate_limit").status_code == 500


def test_as_a_process_of_its_own() -> None:
    """It prints its URL, serves the repositories that were asked for within its limits, and ends when told to."""
    command = [
        sys.executable,
        "-m",
        "tests.doubles.github",
        "--repositories",
        "2",
        "--items",
        "6",
        "--concurrency-limit",
        "9",
    ]
    with subprocess.Popen([*command, "--latency-ms", "1"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            headers = {"Authorization": "token double-token"}
            query = '{ repository(owner: "octo", name: "repository-2") { pullRequests(last: 9) { totalCount } } }'
            answer = httpx.post(f"{url}/graphql", headers=headers, json={"query": query}).json()
            assert answer == {"data": {"repository": {"pullRequests": {"totalCount": 4}}}}
            stats = httpx.get(f"{url}/_double/stats").json()
            assert (stats["requests"], stats["points_used"], stats["statuses"]) == ({"/graphql": 1}, 1, {"200": 1})
        finally:
            process.terminate()
        assert process.wait(timeout=10) == 0
