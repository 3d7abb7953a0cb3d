"""The registered embedding models: whose spaces are filled, and which of them new releases are made of."""

from __future__ import annotations

from resources.postgres import Connection


def serving_model(connection: Connection) -> str | None:
    """The model whose spaces new releases are made of; None: no model is registered yet."""
    row = connection.execute("SELECT model FROM embedding_models WHERE serving").fetchone()
    return None if row is None else str(row[0])
