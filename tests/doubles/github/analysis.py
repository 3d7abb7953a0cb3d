"""What a query asks for before it runs: GitHub's cost in points, its possible nodes, and how many items.

https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
)

ITEM_FIELDS = frozenset(("issue", "issueOrPullRequest", "pullRequest"))
ITEM_CONNECTIONS = frozenset(("IssueConnection", "PullRequestConnection"))


@dataclass(frozen=True)
class Demand:
    """What one query may ask for at most. items: issues and pull requests with what belongs to them."""

    requests: int = 0
    nodes: int = 0
    items: int = 0

    @property
    def cost(self) -> int:
        """Points: the requests that the connections need, by 100, rounded half up, at least 1."""
        return max((self.requests + 50) // 100, 1)


@dataclass
class _Field:
    """A field that decides how often the fields below it are asked for."""

    is_connection: bool = False
    is_item: bool = False
    size: int | str = 1  # a str is the name of a variable: an integer, or a list whose length counts
    below: list[_Field] = field(default_factory=list)

    def count(self, variables: Mapping[str, Any]) -> int:
        value = variables.get(self.size) if isinstance(self.size, str) else self.size
        return len(value) if isinstance(value, list) else value if isinstance(value, int) else 1


class Analysis:
    """The demanding fields of a valid document; `demand` is cheap and may be called for each request."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._demands: dict[str, list[_Field]] = {}
        self._operations = {
            one.name.value if one.name else "": self._below(one.selection_set, schema.query_type)
            for one in document.definitions
            if isinstance(one, OperationDefinitionNode)
        }

    def demand(self, variables: Mapping[str, Any], operation: str | None = None) -> Demand:
        """Of one operation (the only one where it is not named) with these variables, defaults filled in."""
        fields = self._operations[operation] if operation else next(iter(self._operations.values()))
        requests = nodes = items = 0
        stack = [(one, 1) for one in fields]
        while stack:
            one, times = stack.pop()
            below = times * one.count(variables)
            if one.is_connection:
                requests += times
                nodes += below
            if one.is_item:
                items += below
            stack.extend((other, below) for other in one.below)
        return Demand(requests, nodes, items)

    def _below(self, selection: SelectionSetNode | None, parent: GraphQLCompositeType | None) -> list[_Field]:
        return [] if selection is None else list(self._fields(selection, parent))

    def _fields(self, selection: SelectionSetNode, parent: GraphQLCompositeType | None) -> Iterator[_Field]:
        for node in selection.selections:
            if isinstance(node, FragmentSpreadNode):
                yield from self._fragment(node.name.value)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                yield from self._fields(node.selection_set, self._type(condition.name.value) if condition else parent)
            elif (
                isinstance(node, FieldNode)
                and isinstance(parent, GraphQLObjectType)
                and node.name.value in parent.fields
            ):
                yield from self._field(node, parent)
            elif isinstance(node, FieldNode):
                yield from self._below(node.selection_set, None)

    def _fragment(self, name: str) -> list[_Field]:
        if name not in self._demands:
            fragment = self._fragments[name]
            self._demands[name] = self._below(fragment.selection_set, self._type(fragment.type_condition.name.value))
        return self._demands[name]

    def _field(self, node: FieldNode, parent: GraphQLObjectType) -> Iterator[_Field]:
        name = node.name.value
        kind = get_named_type(parent.fields[name].type)
        arguments = {one.name.value: one.value for one in node.arguments}
        below = self._below(node.selection_set, kind)
        if kind.name.endswith("Connection"):
            size = _size(arguments.get("first") or arguments.get("last"))
            yield _Field(is_connection=True, is_item=kind.name in ITEM_CONNECTIONS, size=size, below=below)
        elif name in ("node", "nodes") and parent is self._schema.query_type:
            yield _Field(is_item=True, size=_size(arguments.get("ids")), below=below)
        elif name in ITEM_FIELDS:
            yield _Field(is_item=True, below=below)
        else:
            yield from below

    def _type(self, name: str) -> Any:
        return self._schema.type_map[name]


def _size(value: ValueNode | None) -> int | str:
    if isinstance(value, VariableNode):
        return value.name.value
    if isinstance(value, ListValueNode):
        return len(value.values)
    return int(value.value) if isinstance(value, IntValueNode) else 1
