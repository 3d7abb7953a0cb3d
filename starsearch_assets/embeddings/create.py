"""Registering a further embedding model: asked first, refused when it is not sound, then filled beside the others."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from psycopg import sql as pgsql

from resources.embedder import Embedder, checked
from resources.embedders import Embedders, EmbeddingModel, without_secrets
from resources.errors import ConfigurationError, EmbedderError
from resources.kinds import KINDS
from resources.postgres import Connection, Database
from resources.settings import BUNDLED_EMBEDDING_MODEL
from starsearch_assets.embeddings.models import find_model, register
from starsearch_assets.embeddings.spaces import ensure_space, spaces_of

LARGEST = 4000
"""Dimensions of a halfvec that pgvector's HNSW indexes take."""

_PROBES = ("Fix the crash at startup.", "Add a dark theme to the settings page.", "Release 2.0")
_SAME = 0.98
"""Cosine of a stored vector with that of the same text now, below which it is another model."""


def create_model(
    database: Database,
    embedders: Embedders,
    source: str,
    base_url: str | None = None,
    api_key_variable: str | None = None,
    m: int | None = None,
    ef_construction: int | None = None,
) -> EmbeddingModel:
    """Register a model and make its spaces, empty; of a registered one, note where it is now. Nothing serves of it yet.

    m, ef_construction: of the HNSW indexes that are built from now on; None: as they are, or the defaults.

    Raises:
        ConfigurationError: what was given cannot be used.
        EmbedderError: the model is not sound, or not the one that filled the spaces; nothing is written.
    """
    with database.transaction() as connection:
        row = _row(connection, embedders, source, base_url, api_key_variable)
        known = find_model(connection, row.model)
    embedder = embedders.own if row.model == embedders.own.model else embedders.at(row)
    dimensions = verify(embedder, None if known is None else known.dimensions)
    row = EmbeddingModel(row.model, row.source, row.base_url, row.api_key_variable, dimensions)
    with database.transaction() as connection:
        _compare(connection, row.model, embedder)
    with database.transaction() as connection:
        registered = register(connection, row)
        for kind in KINDS:
            ensure_space(connection, kind, embedder)
        _set_parameters(connection, row.model, m, ef_construction)
    return registered


def verify(embedder: Embedder, dimensions: int | None) -> int:
    """Ask a model for some vectors; returns their dimensions. dimensions: those that they must have.

    Raises:
        EmbedderError: it is not there, or gives something else than one finite vector of unit length a text.
    """
    found = embedder.dimensions
    if dimensions is not None and found != dimensions:
        raise EmbedderError(
            f"The model {embedder.model} gives vectors of {found:,} dimensions, and its spaces are of {dimensions:,}:"
            " it is not the model that filled them. Give the new one a name of its own. Nothing was written."
        )
    if not 1 <= found <= LARGEST:
        raise EmbedderError(
            f"The model {embedder.model} gives vectors of {found:,} dimensions; pgvector's HNSW indexes take 1 to"
            f" {LARGEST:,}. Choose another model, or one that is cut (Matryoshka). Nothing was written."
        )
    vectors = checked(embedder.encode([*_PROBES, _PROBES[0]]), len(_PROBES) + 1, found, embedder.model)
    if float(vectors[0] @ vectors[-1]) < _SAME:
        raise EmbedderError(
            f"The model {embedder.model} gave two different vectors for the same text: nothing could be found by them."
        )
    if float(vectors[0] @ vectors[1]) > 0.9999:
        raise EmbedderError(
            f"The model {embedder.model} gave the same vector for two different texts: nothing could be told apart."
        )
    return found


def _row(
    connection: Connection, embedders: Embedders, source: str, base_url: str | None, api_key_variable: str | None
) -> EmbeddingModel:
    """The row that the arguments describe, without its dimensions."""
    _check_location(base_url, api_key_variable)
    own = embedders.own_row(0)
    folder = Path(source).expanduser()
    if base_url is None and source in (own.model, own.source):
        return own
    if base_url is not None:
        row = EmbeddingModel(source, source, base_url.rstrip("/"), api_key_variable, 0)
    elif source == BUNDLED_EMBEDDING_MODEL:
        row = EmbeddingModel(source, source, None, None, 0)
    elif folder.is_dir():
        row = EmbeddingModel(folder.name, str(folder.absolute()), None, None, 0)
    elif (known := find_model(connection, source)) is not None:
        return known
    else:
        raise ConfigurationError(
            f"{source!r} is neither {BUNDLED_EMBEDDING_MODEL!r}, nor a folder with a sentence-transformers model, nor a"
            " registered model. Models are not downloaded; of a server name its URL: `--base-url http://host/v1`."
        )
    if row.model != own.model:
        return row
    if (row.source, row.base_url) != (own.source, own.base_url):
        raise ConfigurationError(
            f"EMBEDDING_MODEL names {row.model} too, so the settings say where it is: {own.source}, {own.where}. Change"
            " it there, or give this one a name of its own."
        )
    return own


def _check_location(base_url: str | None, api_key_variable: str | None) -> None:
    if base_url is not None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError("--base-url: expected http://host/v1 or https://host/v1.")
        if without_secrets(base_url) != base_url.rstrip("/"):
            raise ConfigurationError(
                "--base-url must hold no user, password or query, because it is stored and shown. Put the key into an"
                " environment variable and name that: --api-key-variable NAME."
            )
    if api_key_variable is None:
        return
    if base_url is None:
        raise ConfigurationError("--api-key-variable belongs to a server: give its --base-url too.")
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,99}", api_key_variable) is None:
        raise ConfigurationError(
            "--api-key-variable: expected the name of an environment variable, such as NEW_EMBEDDING_KEY, not a key."
        )


def _compare(connection: Connection, model: str, embedder: Embedder) -> None:
    """Refuse a model that gives other vectors than those stored under its name."""
    for kind in KINDS:
        for space in spaces_of(connection, kind):
            if space.model != model:
                continue
            stored = connection.execute(
                pgsql.SQL(
                    "SELECT document, embedding::text FROM {} WHERE length(document) < 500"
                    " ORDER BY repo_id, ref LIMIT 3"
                ).format(space.table)
            ).fetchall()
            now = embedder.encode([document for document, _ in stored])
            then = [np.fromstring(vector.strip("[]"), dtype=np.float32, sep=",") for _, vector in stored]
            if any(float(one @ other) < _SAME for one, other in zip(now, then, strict=True)):
                raise EmbedderError(
                    f"{model} gives other vectors than those that are stored under this name: it is not the same model."
                    " Give the new one a name of its own. Nothing was written."
                )


def _set_parameters(connection: Connection, model: str, m: int | None, ef_construction: int | None) -> None:
    """Set what is given; months with an index that was built with other values are built anew."""
    spaces = [space for kind in KINDS for space in spaces_of(connection, kind) if space.model == model]
    for space in spaces:
        wanted = (m or space.m, ef_construction or space.ef_construction)
        if wanted == (space.m, space.ef_construction):
            continue
        if not 2 * wanted[0] <= wanted[1] <= 1000 or not 2 <= wanted[0] <= 100:
            raise ConfigurationError(
                f"m {wanted[0]} and ef_construction {wanted[1]}: expected m from 2 to 100, and ef_construction from"
                " 2 x m to 1,000 (pgvector's limits)."
            )
        connection.execute(
            "UPDATE embedding_spaces SET m = %s, ef_construction = %s WHERE space_id = %s", [*wanted, space.space_id]
        )
        connection.execute(
            "INSERT INTO dirty_months (kind, month) SELECT DISTINCT %s, month FROM index_artifacts WHERE space_id = %s"
            " ON CONFLICT (kind, month) DO UPDATE SET version = nextval('dirty_version')",
            [space.kind.name, space.space_id],
        )
