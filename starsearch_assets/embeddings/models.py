"""The registered embedding models: whose spaces are filled, and which of them new releases are made of."""

from __future__ import annotations

from resources.embedders import Embedders, EmbeddingModel, registered_models
from resources.postgres import Connection, Database

_LOCK = 0x57A25EA2CB  # any constant


def serving_model(connection: Connection) -> str | None:
    """The model whose spaces new releases are made of; None: no model is registered yet."""
    row = connection.execute("SELECT model FROM embedding_models WHERE serving").fetchone()
    return None if row is None else str(row[0])


def model_of_releases(database: Database, embedders: Embedders) -> str:
    """The serving model; before one serves, the settings' own."""
    with database.transaction() as connection:
        return serving_model(connection) or embedders.own.model


def find_model(connection: Connection, model: str) -> EmbeddingModel | None:
    """The row of one model."""
    return next((row for row in registered_models(connection) if row.model == model), None)


def register_own(database: Database, embedders: Embedders) -> EmbeddingModel:
    """Register the settings' own model, or note where it is now. It serves if none does yet.

    Raises:
        EmbedderError: it is new, and cannot be loaded or asked for its dimensions.
    """
    with database.transaction() as connection:
        known = find_model(connection, embedders.own.model)
        if known is not None and serving_model(connection) is not None:
            own = embedders.own_row(known.dimensions)
            if (own.source, own.base_url, own.api_key_variable) == (
                known.source, known.base_url, known.api_key_variable,
            ):  # fmt: skip
                return known
    own = embedders.own_row(embedders.own.dimensions if known is None else known.dimensions)
    with database.transaction() as connection:
        return register(connection, own, first_serves=True)


def register(connection: Connection, row: EmbeddingModel, *, first_serves: bool = False) -> EmbeddingModel:
    """Register a model beside the others, or note where a registered one is now; its dimensions stay.

    first_serves: it becomes the serving one where none is.
    """
    _one_at_a_time(connection)
    connection.execute(
        "INSERT INTO embedding_models (model, source, base_url, api_key_variable, dimensions)"
        " VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (model) DO UPDATE SET source = excluded.source, base_url = excluded.base_url,"
        " api_key_variable = excluded.api_key_variable",
        [row.model, row.source, row.base_url, row.api_key_variable, row.dimensions],
    )
    if first_serves and serving_model(connection) is None:
        connection.execute("UPDATE embedding_models SET serving = true WHERE model = %s", [row.model])
    registered = find_model(connection, row.model)
    assert registered is not None
    return registered


def serve_model_of(connection: Connection, release_id: int) -> None:
    """Make the model of a release the serving one: what is activated decides what later releases are made of.

    A release of a model that is not registered changes nothing.
    """
    _one_at_a_time(connection)
    row = connection.execute(
        "SELECT m.model FROM release_artifacts JOIN index_artifacts USING (artifact_id)"
        " JOIN embedding_spaces USING (space_id) JOIN embedding_models m USING (model) WHERE release_id = %s LIMIT 1",
        [release_id],
    ).fetchone()
    if row is not None:  # in this order, because only one may serve at any moment
        connection.execute("UPDATE embedding_models SET serving = false WHERE serving AND model <> %s", row)
        connection.execute("UPDATE embedding_models SET serving = true WHERE model = %s AND NOT serving", row)


def unregister(connection: Connection, model: str) -> None:
    """Fill the model's spaces no longer."""
    _one_at_a_time(connection)
    connection.execute("DELETE FROM embedding_models WHERE model = %s", [model])


def _one_at_a_time(connection: Connection) -> None:
    """Until the transaction ends nobody else registers a model or changes which one serves."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
