"""How full each embedding space is: what `spaces list` shows, `doctor` says and `spaces activate` compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from psycopg import sql as pgsql

from resources.embedders import EmbeddingModel, registered_models
from resources.kinds import KINDS, Kind
from resources.postgres import Connection, sql
from starsearch_assets.embeddings.spaces import Space, spaces_of


@dataclass(frozen=True)
class SpaceOverview:
    """One space, as full as it is.

    days: on which items of the kind were active; passed: those of them whose newest verdict lets their vectors into an
    index. artifacts: the newest audited one of each month, with `items` together. bytes: on disk, with all artifacts.
    where: of the model; None: it is not registered, so that nothing fills its spaces.
    """

    model: str
    kind: str
    dimensions: int
    serving: bool
    where: str | None
    api_key_variable: str | None
    m: int
    ef_construction: int
    vectors: int
    passed: int
    days: int
    artifacts: int
    items: int
    bytes: int


def overview(connection: Connection) -> list[SpaceOverview]:
    """Every space, those of the serving model first."""
    models = {row.model: row for row in registered_models(connection)}
    found = []
    for kind in KINDS:
        row = connection.execute("SELECT count(DISTINCT day) FROM activity WHERE kind = %s", [kind.name]).fetchone()
        assert row is not None
        found += [
            replace(_of(connection, space, models.get(space.model)), days=row[0])
            for space in spaces_of(connection, kind)
        ]
    order = list(models)
    return sorted(found, key=lambda one: order.index(one.model) if one.model in models else len(order))


def due_days(connection: Connection, kind: Kind, space: Space | None) -> list[date]:
    """Days with activity whose vectors a space lacks: never audited, not passed, or missed by a later run that filled
    another space. None: the space is not made yet."""
    gates = [one.gate for one in spaces_of(connection, kind)]
    rows = connection.execute(
        sql(__package__, "due_days"),
        {"kind": kind.name, "asset": kind.embeddings, "gate": None if space is None else space.gate, "gates": gates},
    ).fetchall()
    return [day for (day,) in rows]


def less_complete(spaces: Sequence[SpaceOverview], model: str) -> list[str]:
    """What the spaces of `model` lack of what those of the serving model have, in words; nothing: a switch loses
    nothing."""
    own = {one.kind: one for one in spaces if one.model == model}
    lacks = []
    for serving in spaces:
        if not serving.serving or serving.model == model:
            continue
        one = own.get(serving.kind)
        passed, items = (one.passed, one.items) if one is not None else (0, 0)
        if passed < serving.passed or items < serving.items:
            lacks.append(
                f"{serving.kind}: {passed:,} days and {items:,} indexed items, the serving model has"
                f" {serving.passed:,} and {serving.items:,}"
            )
    return lacks


def _of(connection: Connection, space: Space, model: EmbeddingModel | None) -> SpaceOverview:
    newest = connection.execute(
        "SELECT DISTINCT ON (month) table_name FROM index_artifacts WHERE space_id = %s AND passed"
        " ORDER BY month, version DESC",
        [space.space_id],
    ).fetchall()
    figures = connection.execute(
        pgsql.SQL(
            "SELECT (SELECT count(*) FROM {table}),"
            " (SELECT count(*) FROM newest_audits v WHERE v.asset = {asset} AND v.check_name = {gate} AND v.passed"
            "   AND EXISTS (SELECT FROM activity WHERE kind = {kind} AND day::text = v.partition)),"
            " pg_total_relation_size(to_regclass({name})) + (SELECT coalesce(sum(pg_total_relation_size("
            "   to_regclass('artifacts.' || quote_ident(table_name)))), 0)::bigint FROM index_artifacts"
            "   WHERE space_id = {space})"
        ).format(
            table=space.table,
            asset=pgsql.Literal(space.kind.embeddings),
            gate=pgsql.Literal(space.gate),
            kind=pgsql.Literal(space.kind.name),
            name=pgsql.Literal(space.table.as_string(connection)),
            space=pgsql.Literal(space.space_id),
        )
    ).fetchone()
    assert figures is not None
    vectors, passed, size = figures
    return SpaceOverview(
        model=space.model,
        kind=space.kind.name,
        dimensions=space.dimensions,
        serving=model is not None and model.serving,
        where=None if model is None else model.where,
        api_key_variable=None if model is None else model.api_key_variable,
        m=space.m,
        ef_construction=space.ef_construction,
        vectors=vectors,
        passed=passed,
        days=0,
        artifacts=len(newest),
        items=_items(connection, [table for (table,) in newest]),
        bytes=size,
    )


def _items(connection: Connection, tables: Sequence[str]) -> int:
    """Different items in the artifacts: one that is active again in a later month stands in two."""
    if not tables:
        return 0
    each = pgsql.SQL(" UNION ").join(
        pgsql.SQL("SELECT repo_id, ref FROM {}").format(pgsql.Identifier("artifacts", table)) for table in tables
    )
    row = connection.execute(pgsql.SQL("SELECT count(*) FROM ({}) items").format(each)).fetchone()
    return 0 if row is None else int(row[0])
