"""Connections: GitHub's paging with opaque cursors that hold a sort key, not a place.

An item that is updated between two pages moves, so it can come twice or be passed over, as at GitHub.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson
from graphql import GraphQLResolveInfo

LARGEST_PAGE = 100
Row = tuple[list[Any], Any]


class ServiceError(Exception):
    """An error with GitHub's `type`; the executor gives it its path and location."""

    def __init__(self, kind: str | None, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Connection:
    """One page: nodes and edges, pageInfo, and how many there are in all. Cursors are made only for who asks."""

    __slots__ = ("_after", "_before", "_rows", "totalCount")

    def __init__(self, rows: Sequence[Row], total: int, *, before: bool, after: bool) -> None:
        self._rows, self._before, self._after = rows, before, after
        self.totalCount = total

    def change(self, function: Callable[[Any], Any]) -> Connection:
        """The same page with each node as `function` gives it; an exception among them spoils its own place only."""
        self._rows = [(key, function(node)) for key, node in self._rows]
        return self

    @property
    def nodes(self) -> list[Any]:
        """The page's nodes."""
        return [node for _, node in self._rows]

    @property
    def edges(self) -> list[dict[str, Any]]:
        """The nodes, each with its cursor."""
        return [{"cursor": _cursor(key), "node": node} for key, node in self._rows]

    @property
    def pageInfo(self) -> dict[str, Any]:  # noqa: N802 - GitHub's name
        """Where the page begins and ends, and what is beyond."""
        return {
            "startCursor": _cursor(self._rows[0][0]) if self._rows else None,
            "endCursor": _cursor(self._rows[-1][0]) if self._rows else None,
            "hasNextPage": self._after,
            "hasPreviousPage": self._before,
        }


def connection(
    info: GraphQLResolveInfo,
    nodes: Sequence[Any],
    key: Callable[[Any], list[Any]],
    arguments: dict[str, Any],
    *,
    descending: bool = False,
) -> Connection:
    """A page of `nodes`, sorted by `key`: values that JSON can hold, unique as a whole."""
    size, from_end = _page(info.field_name, arguments.get("first"), arguments.get("last"))
    rows = sorted(((key(node), node) for node in nodes), key=lambda row: row[0], reverse=descending)
    chosen = rows
    if after := arguments.get("after"):
        mark = _read_cursor(after)
        chosen = [row for row in chosen if (row[0] < mark if descending else row[0] > mark)]
    if before := arguments.get("before"):
        mark = _read_cursor(before)
        chosen = [row for row in chosen if (row[0] > mark if descending else row[0] < mark)]
    page = chosen[-size:] if from_end else chosen[:size]
    before, after = (page[0] is not rows[0], page[-1] is not rows[-1]) if page else (False, False)
    return Connection(page, len(rows), before=before, after=after)


def timestamp(moment: datetime) -> str:
    """As GitHub writes it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _page(name: str, first: int | None, last: int | None) -> tuple[int, bool]:
    size, word = (last, "last") if first is None else (first, "first")
    if size is None:
        raise ServiceError(
            "MISSING_PAGINATION_BOUNDARIES",
            f"You must provide a `first` or `last` value to properly paginate the `{name}` connection.",
        )
    if first is not None and last is not None:
        message = f"Passing both `first` and `last` values to paginate the `{name}` connection is not supported."
        raise ServiceError("BAD_USER_INPUT", message)
    if size > LARGEST_PAGE:
        limit = f"exceeds the `{word}` limit of {LARGEST_PAGE} records."
        raise ServiceError("EXCESSIVE_PAGINATION", f"Requesting {size} records on the `{name}` connection {limit}")
    if size < 0:
        raise ServiceError("BAD_USER_INPUT", f"`{word}` on the `{name}` connection cannot be less than zero.")
    return size, word == "last"


def _cursor(key: list[Any]) -> str:
    return base64.b64encode(b"cursor:v2:" + orjson.dumps(key)).decode()


def _read_cursor(text: str) -> list[Any]:
    try:
        return list(orjson.loads(base64.b64decode(text, validate=True).removeprefix(b"cursor:v2:")))
    except (binascii.Error, orjson.JSONDecodeError, TypeError) as error:
        raise ServiceError("INVALID_CURSOR_ARGUMENTS", f"`{text}` does not appear to be a valid cursor.") from error
