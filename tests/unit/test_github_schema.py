"""The project's GraphQL documents and the double's schema, against GitHub's public schema where it is at hand.

GITHUB_GRAPHQL_SCHEMA names the file schema.graphql of the npm package @octokit/graphql-schema; .ci/run fetches it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Node,
    NoUnusedFragmentsRule,
    Visitor,
    build_schema,
    parse,
    specified_rules,
    validate,
    visit,
)

from resources.github import GitHub
from resources.github_items import ItemKey, fetch_items, fetch_repositories
from resources.github_updates import fetch_updates
from resources.kinds import ISSUE, PULL_REQUEST
from resources.settings import Settings
from tests.doubles.github import PullRequest, Repository, github_double
from tests.doubles.github.execution import double_schema
from tests.doubles.github.state import START

QUERIES = Path(__file__).parents[2] / "resources" / "github_queries"


@pytest.fixture(scope="module")
def github_schema() -> GraphQLSchema:
    """GitHub's own."""
    path = os.environ.get("GITHUB_GRAPHQL_SCHEMA")
    if not path:
        pytest.skip("GITHUB_GRAPHQL_SCHEMA does not name GitHub's schema.graphql (.ci/run fetches it)")
    return build_schema(Path(path).read_text(encoding="utf-8"), assume_valid=True)


@pytest.fixture(scope="module")
def documents() -> dict[str, DocumentNode]:
    """The project's documents by file name."""
    if not QUERIES.is_dir():
        pytest.skip(f"the project has no GraphQL documents: no folder {QUERIES.name}")
    return read_documents(QUERIES)


def read_documents(folder: Path) -> dict[str, DocumentNode]:
    """Each file, completed with the fragments that it uses from other files."""
    files = {path.name: parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.graphql"))}
    assert files, f"{folder} holds no *.graphql"
    fragments = {one.name.value: one for document in files.values() for one in _fragments(document)}
    whole = {}
    for name, document in files.items():
        own = {one.name.value for one in _fragments(document)}
        borrowed = [fragments[one] for one in sorted(_spreads(document, fragments) - own)]
        whole[name] = DocumentNode(definitions=(*document.definitions, *borrowed))
    return whole


def invalid(documents: dict[str, DocumentNode], schema: GraphQLSchema) -> dict[str, list[str]]:
    """What is wrong with each document. Queries are put together at run time: a fragment may wait for its use."""
    rules = [rule for rule in specified_rules if rule is not NoUnusedFragmentsRule]
    found = {name: [str(error) for error in validate(schema, one, rules)] for name, one in documents.items()}
    return {name: errors for name, errors in found.items() if errors}


def _fragments(document: DocumentNode) -> list[FragmentDefinitionNode]:
    return [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]


def _spreads(node: Node, fragments: dict[str, FragmentDefinitionNode]) -> set[str]:
    """The known fragments that are used below a node, those within fragments included."""
    found: set[str] = set()

    class Spreads(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: object) -> None:
            name = spread.name.value
            if name in fragments and name not in found:
                found.add(name)
                visit(fragments[name], self)

    visit(node, Spreads())
    return found


def differences(ours: GraphQLSchema, theirs: GraphQLSchema) -> Iterator[str]:
    """What `ours` declares otherwise than `theirs`, or besides it."""
    for name, kind in ours.type_map.items():
        other = theirs.type_map.get(name)
        if name.startswith("__"):
            continue
        if type(other) is not type(kind):
            yield f"{name} is {type(kind).__name__} here, {type(other).__name__} there"
        else:
            yield from _type_differences(kind, other)


def _type_differences(kind: GraphQLNamedType, other: GraphQLNamedType) -> Iterator[str]:
    ours, theirs = _declared(kind), _declared(other)
    for name, declared in ours.items():
        if name not in theirs:
            yield f"{kind.name}.{name} is not there"
        elif theirs[name] != declared:
            yield f"{kind.name}.{name} is {declared} here, {theirs[name]} there"


def _declared(kind: GraphQLNamedType) -> dict[str, str]:
    """What a type is made of, each with its own type as text; arguments with their defaults."""
    if isinstance(kind, GraphQLEnumType):
        return dict.fromkeys(kind.values, "a value")
    if isinstance(kind, GraphQLUnionType):
        return {one.name: "a member" for one in kind.types}
    if isinstance(kind, GraphQLInputObjectType):
        return {name: str(field.type) for name, field in kind.fields.items()}
    if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        return {}
    declared = {f"implements {one.name}": "an interface" for one in kind.interfaces}
    for name, field in kind.fields.items():
        declared[name] = str(field.type)
        for argument, details in field.args.items():
            declared[f"{name}({argument}:)"] = f"{details.type} = {details.default_value}"
    return declared


def test_documents_are_valid_at_github(documents: dict[str, DocumentNode], github_schema: GraphQLSchema) -> None:
    """Each of the project's GraphQL documents is valid by GitHub's public schema."""
    assert invalid(documents, github_schema) == {}


def test_documents_are_valid_at_the_double(documents: dict[str, DocumentNode]) -> None:
    """Each of the project's GraphQL documents can be run by the double."""
    assert invalid(documents, double_schema()) == {}


def test_queries_are_valid_as_they_are_sent(github_schema: GraphQLSchema) -> None:
    """Put together at run time, aliases, arguments and fragments included: no rule of GraphQL is broken."""
    for query in sent_queries():
        assert validate(github_schema, parse(query)) == [], query


def sent_queries() -> list[str]:
    """Every query that the project's own calls send, paging included."""

    async def ask(github: GitHub) -> None:
        async with github:
            for kind in (PULL_REQUEST, ISSUE):
                await fetch_items(github, kind, [ItemKey(1, "octo", "app", 1), ItemKey(1, "octo", "app", 2)])
            await fetch_repositories(github, ["octo/app", "no/where"])
            await fetch_updates(github, ["octo/app"], START)

    with github_double() as double:
        repository = Repository(id=1, owner="octo", name="app")
        double.state.add(repository)
        repository.add(*(PullRequest(number=number) for number in range(1, 31)))
        settings = Settings(_env_file=None, github_token=double.token, github_api_url=double.url)
        asyncio.run(ask(GitHub(settings)))
        queries = [request.json["query"] for request in double.requests if request.path == "/graphql"]
    assert len(queries) == 5  # the last is a page of a busy repository
    return queries


def test_the_doubles_schema_is_a_part_of_githubs(github_schema: GraphQLSchema) -> None:
    """Each type, field, argument and value that the double declares is at GitHub, with the same type."""
    assert list(differences(double_schema(), github_schema)) == []


def test_differences_are_found() -> None:
    """Another nullability, argument, default, enum value, member or interface is a difference; less is none."""
    theirs = build_schema(
        """
        interface Node { id: ID! }
        enum State { OPEN }
        type Issue implements Node { id: ID!, title(size: Int = 1): String!, other: Int }
        union Item = Issue
        type Query { item(state: State): Item }
        """
    )
    ours = build_schema(
        """
        interface Node { id: ID! }
        interface Closable { closed: Int }
        enum State { OPEN CLOSED }
        type Issue implements Node & Closable { id: ID!, title(size: Int = 2): String, closed: Int }
        type Bot implements Node { id: ID! }
        union Item = Issue | Bot
        type Query { item(state: State!): Item }
        """
    )
    assert list(differences(ours, ours)) == []
    assert set(differences(ours, theirs)) == {
        "Closable is GraphQLInterfaceType here, NoneType there",
        "Bot is GraphQLObjectType here, NoneType there",
        "State.CLOSED is not there",
        "Issue.implements Closable is not there",
        "Issue.title is String here, String! there",
        "Issue.title(size:) is Int = 2 here, Int = 1 there",
        "Issue.closed is not there",
        "Item.Bot is not there",
        "Query.item(state:) is State! = Undefined here, State = Undefined there",
    }


def test_fragments_are_found_across_files(tmp_path: Path) -> None:
    """A document brings its fragments from other files; what is wrong in one is told; an empty folder is an error."""
    with pytest.raises(AssertionError, match=r"holds no \*\.graphql"):
        read_documents(tmp_path)
    (tmp_path / "fields.graphql").write_text("fragment A on Issue { title ...B } fragment B on Issue { number }")
    (tmp_path / "item.graphql").write_text("query { node(id: 1) { ...A } }")
    assert invalid(read_documents(tmp_path), double_schema()) == {}
    (tmp_path / "wrong.graphql").write_text("fragment C on Issue { ...A mergedAt }")
    wrong = invalid(read_documents(tmp_path), double_schema())
    assert list(wrong) == ["wrong.graphql"]
    assert "mergedAt" in wrong["wrong.graphql"][0]
