"""Dropping a model with all that was made of it: vectors, index artifacts, verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql as pgsql

from resources.embedders import Embedders
from resources.errors import NothingLoaded, SpaceRefused
from resources.kinds import KINDS
from resources.postgres import Connection, Database
from starsearch_assets.embeddings.models import find_model, unregister
from starsearch_assets.embeddings.spaces import Space, spaces_of
from starsearch_assets.forgetting_lock import hold_off_forgetting


@dataclass(frozen=True)
class Dropped:
    """What went: spaces, index artifacts, and the bytes that they took on disk."""

    spaces: int
    artifacts: int
    bytes: int


def drop_model(database: Database, embedders: Embedders, model: str) -> Dropped:
    """Drop the spaces of a model and forget it; all or nothing, and no reader is waited for.

    Raises:
        NothingLoaded: there is no such model.
        SpaceRefused: it is used: it serves, the settings name it, a published release is made of it, or somebody reads
            or writes its tables at this moment.
    """
    try:
        with database.transaction() as connection:
            connection.execute("SET LOCAL lock_timeout TO '2s'")
            hold_off_forgetting(connection)
            spaces = [space for kind in KINDS for space in spaces_of(connection, kind) if space.model == model]
            _refuse(connection, embedders, model, spaces)
            return _drop(connection, model, spaces)
    except psycopg.errors.LockNotAvailable as error:
        raise SpaceRefused(
            f"Tables of {model} are being read or written at this moment, so nothing was dropped. Try again when the"
            " runs that fill it are over."
        ) from error


def _refuse(connection: Connection, embedders: Embedders, model: str, spaces: list[Space]) -> None:
    row = find_model(connection, model)
    if row is None and not spaces:
        raise NothingLoaded(f"There is no embedding model {model!r}: `starsearch spaces list` shows those that are.")
    if row is not None and row.serving:
        raise SpaceRefused(
            f"{model} serves: releases are made of it. Switch to another one first: `starsearch spaces activate MODEL`."
        )
    if embedders.own.model == model:
        raise SpaceRefused(
            f"EMBEDDING_MODEL is {model}: the next run would register and fill it again. Set it to the model that"
            " serves, or remove it, first."
        )
    kept = connection.execute(
        "SELECT DISTINCT release_id FROM search_releases JOIN release_artifacts USING (release_id)"
        " JOIN index_artifacts USING (artifact_id)"
        " WHERE status = 'published' AND space_id = ANY (%s) ORDER BY release_id",
        [[space.space_id for space in spaces]],
    ).fetchall()
    if kept:
        numbers = ", ".join(str(number) for (number,) in kept)
        raise SpaceRefused(
            f"Kept releases are made of {model}: {numbers}. They are the way back to it; the seven newest are kept, so"
            " they go as new ones are published (`starsearch release list`)."
        )


def _drop(connection: Connection, model: str, spaces: list[Space]) -> Dropped:
    numbers = [space.space_id for space in spaces]
    artifacts = [
        pgsql.Identifier("artifacts", name)
        for (name,) in connection.execute(
            "SELECT table_name FROM index_artifacts WHERE space_id = ANY (%s) ORDER BY artifact_id", [numbers]
        ).fetchall()
    ]
    tables = [*artifacts, *(space.table for space in spaces)]
    size = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint FROM unnest(%s::text[]) name",
        [[table.as_string(connection) for table in tables]],
    ).fetchone()
    connection.execute(  # refused ones and candidates: nobody can activate them
        "DELETE FROM search_releases WHERE status <> 'published' AND release_id IN (SELECT release_id"
        " FROM release_artifacts JOIN index_artifacts USING (artifact_id) WHERE space_id = ANY (%s))",
        [numbers],
    )
    connection.execute("DELETE FROM index_artifacts WHERE space_id = ANY (%s)", [numbers])
    connection.execute("DELETE FROM audits WHERE check_name = ANY (%s)", [[space.gate for space in spaces]])
    connection.execute("DELETE FROM embedding_spaces WHERE space_id = ANY (%s)", [numbers])
    unregister(connection, model)
    for table in tables:
        connection.execute(pgsql.SQL("DROP TABLE IF EXISTS {}").format(table))
    return Dropped(len(spaces), len(artifacts), 0 if size is None else int(size[0]))
