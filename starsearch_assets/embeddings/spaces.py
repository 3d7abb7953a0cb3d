"""Embedding spaces: (kind, model, dimensions), each with a table of vectors of its own."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from psycopg import sql as pgsql

from resources.embedder import Embedder
from resources.errors import EmbedderError
from resources.kinds import Kind
from resources.postgres import Connection, sql

_LONGEST_NAME = 24  # PostgreSQL cuts identifiers at 63 bytes; kind, dimensions, month and version need the rest


@dataclass(frozen=True)
class Space:
    """One embedding space. gate: the check whose verdict on a day lets its vectors into an index.

    m, ef_construction: of its HNSW indexes.
    """

    space_id: int
    kind: Kind
    model: str
    dimensions: int
    table: pgsql.Identifier
    slug: str
    gate: str
    m: int
    ef_construction: int


def ensure_space(connection: Connection, kind: Kind, embedder: Embedder) -> Space:
    """The space of `kind` for the embedder's model, made if it is new.

    Raises:
        EmbedderError: the model already has a space of other dimensions; nothing is written.
    """
    other = connection.execute(
        "SELECT dimensions FROM embedding_spaces WHERE kind = %s AND model = %s AND dimensions <> %s",
        [kind.name, embedder.model, embedder.dimensions],
    ).fetchone()
    if other is not None:
        raise EmbedderError(
            f"The embedding space of {kind.table} for model {embedder.model!r} has {other[0]} dimensions, but"
            f" the model now gives {embedder.dimensions}: it is not the same model. Set EMBEDDING_MODEL to"
            " the model that filled the space, or give the new one a name of its own. Nothing was written."
        )
    name = f"{kind.name}_vectors_{_slug(embedder.model, embedder.dimensions)}"
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
    row = connection.execute(
        "INSERT INTO embedding_spaces (kind, model, dimensions, table_name) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (kind, model, dimensions) DO UPDATE SET model = excluded.model"
        " RETURNING space_id, m, ef_construction",
        [kind.name, embedder.model, embedder.dimensions, name],
    ).fetchone()
    assert row is not None
    statement = pgsql.SQL(sql(__package__, "space")).format(
        table=pgsql.Identifier(name),
        dimensions=pgsql.Literal(embedder.dimensions),
        text_index=pgsql.Identifier(f"{name}_text_hash"),
    )
    connection.execute(statement)
    return _space(row[0], kind, embedder.model, embedder.dimensions, name, *row[1:])


def find_space(connection: Connection, kind: Kind, model: str) -> Space | None:
    """The space of `kind` that `model` has filled, or None. Loads no model."""
    found = [space for space in spaces_of(connection, kind) if space.model == model]
    return found[0] if found else None


def spaces_of(connection: Connection, kind: Kind) -> list[Space]:
    """All spaces of `kind`, oldest first. Loads no model."""
    rows = connection.execute(
        "SELECT space_id, model, dimensions, table_name, m, ef_construction FROM embedding_spaces WHERE kind = %s"
        " ORDER BY space_id",
        [kind.name],
    ).fetchall()
    return [_space(space_id, kind, *row) for space_id, *row in rows]


def _space(space_id: int, kind: Kind, model: str, dimensions: int, table: str, m: int, ef_construction: int) -> Space:
    return Space(
        space_id, kind, model, dimensions, pgsql.Identifier("starsearch", table), _slug(model, dimensions), table, m,
        ef_construction,
    )  # fmt: skip


def _slug(model: str, dimensions: int) -> str:
    """A part of tables' names that no other model shares: its name where that can stand, and a digest where not."""
    name = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")
    if len(name) > _LONGEST_NAME or name != model.lower().replace("-", "_") or "_" in model:
        name = f"{name[: _LONGEST_NAME - 7].strip('_')}_{hashlib.sha256(model.encode()).hexdigest()[:6]}"
    return f"{name}_{dimensions}"
