"""Runs GraphQL for real: graphql-core on the double's part of GitHub's schema, errors in GitHub's shape."""

from __future__ import annotations

import pathlib
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionContext,
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLSyntaxError,
    GraphQLUnionType,
    Node,
    OperationDefinitionNode,
    VariableDefinitionNode,
    build_schema,
    execute_sync,
    get_nullable_type,
    parse,
    print_ast,
    validate,
)
from graphql.execution.values import get_variable_values
from graphql.pyutils import Path

from tests.doubles.github.analysis import Analysis
from tests.doubles.github.connections import ServiceError, timestamp
from tests.doubles.github.resolvers import Call, resolver, type_name

SDL = pathlib.Path(__file__).with_name("schema.graphql")
REMEMBERED_DOCUMENTS = 64
_Errors = list[dict[str, Any]]


@cache
def double_schema() -> GraphQLSchema:
    """The double's schema with its resolvers."""
    schema = build_schema(SDL.read_text(encoding="utf-8"))
    moments, integers = schema.type_map["DateTime"], schema.type_map["BigInt"]
    assert isinstance(moments, GraphQLScalarType)
    assert isinstance(integers, GraphQLScalarType)
    moments.serialize = _serialize_moment
    moments.parse_value = datetime.fromisoformat
    integers.serialize = str
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            kind.resolve_type = type_name
        elif isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                field.resolve = resolver(kind.name, name)
    return schema


class Execution(ExecutionContext):
    """graphql-core's, with a shorter way for scalars without arguments: they are most of what is asked for."""

    def execute_fields(
        self, parent_type: GraphQLObjectType, source_value: Any, path: Path | None, fields: dict[str, list[FieldNode]]
    ) -> dict[str, Any]:
        """The fields of one object."""
        results = {}
        for key, nodes in fields.items():
            leaf = _leaves().get((parent_type.name, nodes[0].name.value))
            value = None if leaf is None else leaf[0](source_value, None)
            if leaf is None or (value is None and not leaf[2]):
                results[key] = self.execute_field(parent_type, source_value, nodes, Path(path, key, parent_type.name))
            else:
                results[key] = None if value is None else leaf[1](value)
        return results


@cache
def _leaves() -> dict[tuple[str, str], tuple[Callable[..., Any], Callable[[Any], Any], bool]]:
    """By type and field, the scalars without arguments: how to read and to write them, and whether null may be."""
    leaves = {}
    for kind in double_schema().type_map.values():
        for name, field in kind.fields.items() if isinstance(kind, GraphQLObjectType) else ():
            nullable = not isinstance(field.type, GraphQLNonNull)
            inner = get_nullable_type(field.type)
            if isinstance(inner, GraphQLScalarType | GraphQLEnumType) and not field.args and field.resolve:
                leaves[kind.name, name] = field.resolve, inner.serialize, nullable
    return leaves


def _serialize_moment(value: datetime | int) -> str:
    return timestamp(datetime.fromtimestamp(value, UTC) if isinstance(value, int) else value)


@dataclass(frozen=True)
class Prepared:
    """A document that was parsed and validated once; `errors` where it is not valid."""

    errors: _Errors
    document: DocumentNode | None = None
    analysis: Analysis | None = None

    def variables(self, given: Mapping[str, Any], operation: str | None) -> dict[str, Any] | _Errors:
        """The operation's variables with their defaults, or what is wrong with those given."""
        assert self.document is not None
        chosen = _operation(self.document, operation)
        if chosen is None:
            return [{"message": f"No operation named {operation!r}" if operation else "An operation name is required"}]
        values = get_variable_values(double_schema(), chosen.variable_definitions, dict(given))
        return [_variable_error(error) for error in values] if isinstance(values, list) else values


class Documents:
    """Prepared documents by their text, the last few: one of many items is large.

    Texts that differ in digits only (aliases, numbers of items) are validated once: that is most of the work.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[str, Prepared] = OrderedDict()
        self._valid_shapes: set[str] = set()

    def prepare(self, text: str) -> Prepared:
        """The document of a text."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._prepare(text)
            if len(self._known) > REMEMBERED_DOCUMENTS:
                self._known.popitem(last=False)
        return known

    def _prepare(self, text: str) -> Prepared:
        try:
            document = parse(text)
        except GraphQLSyntaxError as error:
            where = error.locations[0] if error.locations else None
            at = f" at [{where.line}, {where.column}]" if where else ""
            return Prepared([{"locations": _locations(error), "message": f"Parse error{at}: {error.message}"}])
        schema, shape = double_schema(), re.sub(r"[0-9]+", "0", text)
        if shape not in self._valid_shapes:
            if errors := validate(schema, document):
                return Prepared([_validation_error(error, document) for error in errors])
            self._valid_shapes.add(shape)
        return Prepared([], document, Analysis(schema, document))


def run(prepared: Prepared, variables: Mapping[str, Any], operation: str | None, call: Call) -> dict[str, Any]:
    """The reply's body. Errors that are not GitHub's are the double's own and are raised."""
    assert prepared.document is not None
    result = execute_sync(
        double_schema(),
        prepared.document,
        context_value=call,
        variable_values=dict(variables),
        operation_name=operation,
        execution_context_class=Execution,
    )
    errors = [_execution_error(error) for error in result.errors or ()]
    return {"data": result.data, "errors": errors} if errors else {"data": result.data}


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if name is None:
        return operations[0] if len(operations) == 1 else None
    return next((one for one in operations if one.name is not None and one.name.value == name), None)


def _execution_error(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if not isinstance(cause, ServiceError):
        raise cause or error
    kind = {} if cause.kind is None else {"type": cause.kind}
    return {**kind, "path": error.path, "locations": _locations(error), "message": str(cause)}


def _validation_error(error: GraphQLError, document: DocumentNode) -> dict[str, Any]:
    node = error.nodes[0] if error.nodes else None
    path = next((path for path, one in _paths(document) if one is node), ["query"])
    located = {"path": path, "locations": _locations(error)}
    if unknown := re.match(r"Cannot query field '(\w+)' on type '(\w+)'", error.message):
        name, kind = unknown.groups()
        extensions = {"code": "undefinedField", "typeName": kind, "fieldName": name}
        return {**located, "extensions": extensions, "message": f"Field '{name}' doesn't exist on type '{kind}'"}
    return {**located, "message": error.message}


def _variable_error(error: GraphQLError) -> dict[str, Any]:
    node = error.nodes[0] if error.nodes else None
    if not isinstance(node, VariableDefinitionNode):
        return {"message": error.message}
    message = f"Variable ${node.variable.name.value} of type {print_ast(node.type)} was provided invalid value"
    problems = [{"path": [], "explanation": error.message}]
    return {"extensions": {"problems": problems}, "locations": _locations(error), "message": message}


def _locations(error: GraphQLError) -> list[dict[str, int]]:
    return [{"line": one.line, "column": one.column} for one in error.locations or ()]


def _paths(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Node]]:
    """Each field below `node` with its path as in GitHub's validation errors."""
    if isinstance(node, OperationDefinitionNode):
        name = f" {node.name.value}" if node.name else ""
        path = (f"{node.operation.value}{name}",)
    elif isinstance(node, FieldNode):
        path = (*path, node.alias.value if node.alias else node.name.value)
        yield list(path), node
    below = node.definitions if isinstance(node, DocumentNode) else getattr(node, "selection_set", None)
    for one in below if isinstance(below, tuple) else below.selections if below else ():
        yield from _paths(one, path)
