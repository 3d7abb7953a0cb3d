"""The double of GitHub: what it answers, and what becomes of repositories and items."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.doubles.github import (
    Account,
    Comment,
    GitHubDouble,
    Issue,
    PullRequest,
    Release,
    Repository,
    Review,
    github_double,
)
from tests.doubles.github.node_ids import node_id
from tests.doubles.github.state import START

ANN, BOT = Account("ann"), Account("renovate", is_bot=True)
LATER = START + timedelta(days=1)


def repository() -> Repository:
    """Pull request 1 (merged), issue 2 (open), pull request 3 (open, of a deleted author), a release and a draft."""
    made = Repository(id=7, owner="octo", name="app", former_names=["octo/old"])
    made.add(
        PullRequest(
            number=1,
            database_id=3_000_000_001,
            title="Read the last line",
            body=None,
            state="MERGED",
            author=BOT,
            updated_at=LATER,
            closed_at=LATER,
            merged_at=LATER,
            merged_by=ANN,
            labels=["bug"],
            files=["a.py", "b.py"],
            commits=["Write", "Repair", "Polish"],
            reviews=[Review(11, "Fine.", "APPROVED", ANN, LATER)],
            comments=[Comment(21, "First!", None), Comment(22, "Thanks.", ANN, LATER)],
        ),
        Issue(number=2, title="A line is lost", author=ANN),
        PullRequest(number=3),
    )
    made.publish(Release(31, "v1", "One", "Notes", author=ANN), Release(32, "v2", draft=True, published_at=None))
    return made


@pytest.fixture
def double() -> Iterator[GitHubDouble]:
    with github_double() as double:
        double.state.add(repository())
        yield double


@pytest.fixture
def client(double: GitHubDouble) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=double.url, headers={"Authorization": f"bearer {double.token}"}, timeout=10) as client:
        yield client


def ask(client: httpx.Client, query: str, **variables: Any) -> dict[str, Any]:
    """The body of GraphQL's reply, which is 200."""
    response = client.post("/graphql", json={"query": query, "variables": variables})
    assert response.status_code == 200
    return dict(response.json())


def in_app(client: httpx.Client, selection: str, name: str = "app") -> dict[str, Any]:
    """The body for one selection of a repository."""
    return ask(client, f'{{ repository(owner: "octo", name: "{name}") {{ {selection} }} }}')


# --- GraphQL ----------------------------------------------------------------------------------------------------------


def test_a_pull_request_as_graphql_has_it(client: httpx.Client) -> None:
    """Bots without [bot], null for deleted accounts, ids beyond 32 bits only as text, null bodies as empty text."""
    answer = in_app(
        client,
        """pullRequest(number: 1) {
            number databaseId fullDatabaseId title body state merged isDraft mergedAt updatedAt
            author { __typename login } mergedBy { __typename login } labels(first: 5) { nodes { name } }
            files(first: 1) { totalCount nodes { path } pageInfo { hasNextPage } }
            commits(last: 2) { totalCount nodes { commit { messageHeadline } } pageInfo { hasPreviousPage } }
            reviews(first: 5) { nodes { fullDatabaseId state body submittedAt author { login } } }
            comments(last: 1) { nodes { body createdAt author { login } } pageInfo { hasPreviousPage } }
            repository { databaseId nameWithOwner owner { login } }
        }""",
    )
    assert answer == {
        "data": {
            "repository": {
                "pullRequest": {
                    "number": 1,
                    "databaseId": None,
                    "fullDatabaseId": "3000000001",
                    "title": "Read the last line",
                    "body": "",
                    "state": "MERGED",
                    "merged": True,
                    "isDraft": False,
                    "mergedAt": "2025-01-02T00:00:00Z",
                    "updatedAt": "2025-01-02T00:00:00Z",
                    "author": {"__typename": "Bot", "login": "renovate"},
                    "mergedBy": {"__typename": "User", "login": "ann"},
                    "labels": {"nodes": [{"name": "bug"}]},
                    "files": {"totalCount": 2, "nodes": [{"path": "a.py"}], "pageInfo": {"hasNextPage": True}},
                    "commits": {
                        "totalCount": 3,
                        "nodes": [{"commit": {"messageHeadline": one}} for one in ("Repair", "Polish")],
                        "pageInfo": {"hasPreviousPage": True},
                    },
                    "reviews": {
                        "nodes": [
                            {
                                "fullDatabaseId": "11",
                                "state": "APPROVED",
                                "body": "Fine.",
                                "submittedAt": "2025-01-02T00:00:00Z",
                                "author": {"login": "ann"},
                            }
                        ]
                    },
                    "comments": {
                        "nodes": [{"body": "Thanks.", "createdAt": "2025-01-02T00:00:00Z", "author": {"login": "ann"}}],
                        "pageInfo": {"hasPreviousPage": True},
                    },
                    "repository": {"databaseId": 7, "nameWithOwner": "octo/app", "owner": {"login": "octo"}},
                }
            }
        }
    }
    assert in_app(client, "pullRequest(number: 3) { author { login } }")["data"]["repository"]["pullRequest"] == {
        "author": None
    }


def test_every_field_of_the_schema_can_be_asked(double: GitHubDouble, client: httpx.Client) -> None:
    """No field fails for want of a value: all scalars of all types, reached from a repository and by id."""
    from graphql import GraphQLObjectType, get_named_type, is_leaf_type

    from tests.doubles.github.execution import double_schema

    def all_of(kind: Any, depth: int) -> str:
        parts = ["__typename"]
        for name, field in kind.fields.items() if isinstance(kind, GraphQLObjectType) else ():
            inner = get_named_type(field.type)
            arguments = "(first: 9)" if "first" in field.args else "(number: 1)" if "number" in field.args else ""
            if is_leaf_type(inner):
                parts.append(name)
            elif depth and inner.name == "Actor":
                parts.append(f"{name} {{ login url resourcePath avatarUrl ... on Node {{ id }} }}")
            elif depth and isinstance(inner, GraphQLObjectType) and not (name == "issue" and arguments):
                parts.append(f"{name}{arguments} {{ {all_of(inner, depth - 1)} }}")
        return " ".join(parts)

    answer = in_app(client, all_of(double_schema().type_map["Repository"], 5))
    assert "errors" not in answer
    assert answer["data"]["repository"]["releases"]["nodes"][0]["tagName"] == "v1"
    ids = [node_id("Repository", 7), node_id("PullRequest", 7, 3_000_000_001), node_id("Release", 7, 31), "R_none"]
    answer = ask(client, 'query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } node(id: "") { id } }', ids=ids)
    assert [node and node["__typename"] for node in answer["data"]["nodes"]] == [
        "Repository", "PullRequest", "Release", None,
    ]  # fmt: skip
    assert [error["path"] for error in answer["errors"]] == [["nodes", 3], ["node"]]


def test_pages_follow_one_another_and_items_move_between_them(double: GitHubDouble, client: httpx.Client) -> None:
    """Cursors hold the sort key: an item that is updated between two pages comes again, none is lost."""
    app = double.state.repositories[7]
    app.add(*(Issue(number=number, updated_at=START + timedelta(hours=number)) for number in range(10, 16)))
    query = """query($after: String) { repository(owner: "octo", name: "app") {
        issues(first: 4, after: $after, orderBy: {field: UPDATED_AT, direction: ASC},
               filterBy: {since: "2025-01-01T05:00:00Z", states: OPEN}) {
            totalCount nodes { number } pageInfo { endCursor hasNextPage } } } }"""

    def page(after: str | None) -> dict[str, Any]:
        return dict(ask(client, query, after=after)["data"]["repository"]["issues"])

    first = page(None)
    assert [node["number"] for node in first["nodes"]] == [10, 11, 12, 13]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (6, True)
    app.items[11].updated_at = LATER
    second = page(first["pageInfo"]["endCursor"])
    assert [node["number"] for node in second["nodes"]] == [14, 15, 11]
    assert second["pageInfo"]["hasNextPage"] is False


@pytest.mark.parametrize(
    ("selection", "kind", "message"),
    [
        ("pullRequest(number: 9) { id }", "NOT_FOUND", "Could not resolve to a PullRequest with the number of 9."),
        ("pullRequest(number: 2) { id }", "NOT_FOUND", "Could not resolve to a PullRequest with the number of 2."),
        ("issue(number: 1) { id }", "NOT_FOUND", "Could not resolve to an Issue with the number of 1."),
        (
            "issues { totalCount }",
            "MISSING_PAGINATION_BOUNDARIES",
            "You must provide a `first` or `last` value to properly paginate the `issues` connection.",
        ),
        (
            "issues(first: 101) { totalCount }",
            "EXCESSIVE_PAGINATION",
            "Requesting 101 records on the `issues` connection exceeds the `first` limit of 100 records.",
        ),
    ],
)
def test_graphql_errors_are_githubs(client: httpx.Client, selection: str, kind: str, message: str) -> None:
    """What cannot be resolved is an error with type, path, place and GitHub's words, beside the rest of the data."""
    answer = in_app(client, f"databaseId\n{selection}")
    (error,) = answer["errors"]
    name = selection.split("(")[0].split(" ")[0]
    assert error == {
        "type": kind,
        "path": ["repository", name],
        "locations": [{"line": 2, "column": 1}],
        "message": message,
    }
    expected = {"databaseId": 7, name: None} if kind == "NOT_FOUND" else None  # a connection is never null itself
    assert answer["data"] == {"repository": expected}


def test_invalid_queries_are_answered_with_200(client: httpx.Client) -> None:
    """Unknown fields, missing variables and broken documents are errors without data."""
    unknown = in_app(client, "stars")
    assert unknown == {
        "errors": [
            {
                "path": ["query", "repository", "stars"],
                "locations": [{"line": 1, "column": 44}],
                "extensions": {"code": "undefinedField", "typeName": "Repository", "fieldName": "stars"},
                "message": "Field 'stars' doesn't exist on type 'Repository'",
            }
        ]
    }
    missing = ask(client, "query($id: ID!) { node(id: $id) { id } }")
    assert [error["message"] for error in missing["errors"]] == ["Variable $id of type ID! was provided invalid value"]
    assert ask(client, "{ viewer { ")["errors"][0]["message"].startswith("Parse error")
    # Another number in the same document is not taken for the one that was valid.
    assert "errors" not in in_app(client, "a1: issue(number: 2) { title }")
    assert "errors" in in_app(client, "a1: issue(number: 2) { title1 }")


# --- what becomes of repositories and items ---------------------------------------------------------------------------


def test_a_renamed_repository_redirects(double: GitHubDouble, client: httpx.Client) -> None:
    """REST answers a former name with 301 to the id; GraphQL follows unless told not to."""
    double.state.repositories[7].rename("octo", "newer")
    response = client.get("/repos/octo/app/issues/2")
    assert (response.status_code, response.headers["location"]) == (301, f"{double.url}/repositories/7/issues/2")
    assert response.json()["message"] == "Moved Permanently"
    assert client.get("/repos/octo/old", follow_redirects=True).json()["full_name"] == "octo/newer"
    assert in_app(client, "nameWithOwner") == {"data": {"repository": {"nameWithOwner": "octo/newer"}}}
    query = '{ repository(owner: "octo", name: "app", followRenames: false) { id } }'
    assert ask(client, query)["errors"][0]["message"] == "Could not resolve to a Repository with the name 'octo/app'."


@pytest.mark.parametrize(("fate", "status"), [("private", 404), ("deleted", 404), ("legally_blocked", 451)])
def test_repositories_that_are_not_to_be_seen(
    double: GitHubDouble, client: httpx.Client, fate: str, status: int
) -> None:
    """REST has a status for each; GraphQL says NOT_FOUND; a token that may see private ones sees them."""
    setattr(double.state.repositories[7], fate, True)
    for path in ("/repos/octo/app", "/repositories/7", "/repos/octo/app/issues/2", "/repositories/7/issues"):
        assert client.get(path).status_code == status
    answer = in_app(client, "id")
    assert (answer["data"], answer["errors"][0]["type"]) == ({"repository": None}, "NOT_FOUND")
    double.token_sees_private = True
    seen = fate == "private"
    assert (client.get("/repos/octo/app").status_code == 200) == seen
    assert (in_app(client, "isPrivate")["data"] == {"repository": {"isPrivate": True}}) == seen
    assert httpx.get(f"{double.url}/repos/octo/app").status_code == status


def test_deleted_and_transferred_items(double: GitHubDouble, client: httpx.Client) -> None:
    """Deleted: 410 for an issue, 404 for a pull request. Transferred: 301, and GraphQL follows where it is told to."""
    app, lib = double.state.repositories[7], Repository(id=8, owner="octo", name="lib")
    double.state.add(lib)
    app.items[1].deleted = app.items[2].deleted = True
    assert [client.get(f"/repos/octo/app/{path}").status_code for path in ("issues/2", "issues/1", "pulls/1")] == [
        410, 404, 404,
    ]  # fmt: skip
    assert client.get("/repos/octo/app/issues", params={"state": "all"}).json() == [
        client.get("/repos/octo/app/issues/3").json()
    ]
    app.add(Issue(number=4, title="Moved", transferred_to=(8, 1)))
    lib.add(Issue(number=1, title="Moved"))
    response = client.get("/repos/octo/app/issues/4")
    assert (response.status_code, response.headers["location"]) == (301, f"{double.url}/repositories/8/issues/1")
    answer = in_app(client, "a: issue(number: 4) { id } b: issue(number: 2) { id }")
    assert answer["data"] == {"repository": {"a": None, "b": None}}
    assert {error["type"] for error in answer["errors"]} == {"NOT_FOUND"}
    double.follow_transfers = True
    assert in_app(client, "issue(number: 4) { number repository { nameWithOwner } }")["data"]["repository"] == {
        "issue": {"number": 1, "repository": {"nameWithOwner": "octo/lib"}}
    }


# --- REST -------------------------------------------------------------------------------------------------------------


def test_issues_come_in_pages_with_links(double: GitHubDouble, client: httpx.Client) -> None:
    """Pull requests are among the issues; the links lead through all pages; `since` and `state` filter."""
    numbers, url = [], f"{double.url}/repos/octo/app/issues?state=all&per_page=2&direction=asc"
    while url:
        response = client.get(url)
        numbers.append([one["number"] for one in response.json()])
        url = response.links.get("next", {}).get("url", "")
    assert numbers == [[1, 2], [3]]
    assert "last" not in response.links
    assert [one["number"] for one in client.get("/repos/octo/app/issues").json()] == [3, 2]
    since = client.get("/repos/octo/app/issues", params={"state": "all", "since": "2025-01-01T12:00:00Z"}).json()
    assert [(one["number"], "pull_request" in one, one["user"]["login"]) for one in since] == [
        (1, True, "renovate[bot]")
    ]
    assert client.get("/repos/octo/app/issues/3").json()["user"]["login"] == "ghost"
    assert client.get("/repos/octo/app/issues", params={"since": "yesterday"}).status_code == 422
