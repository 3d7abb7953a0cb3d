"""The embedders of the registered models: each where its row says, one loaded model a process.

A row names an environment variable, never the key in it. EMBEDDING_API_KEY goes to EMBEDDING_BASE_URL alone.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from resources.embedder import Embedder, create_embedder
from resources.errors import EmbedderError
from resources.postgres import Connection, Database
from resources.settings import BUNDLED_EMBEDDING_MODEL, Settings

OWN_KEY = "EMBEDDING_API_KEY"
_COLUMNS = "model, source, base_url, api_key_variable, dimensions, serving"


@dataclass(frozen=True)
class EmbeddingModel:
    """A registered model: a row of embedding_models.

    model: its identity. source: what loads it: the bundled model's name, a folder, or the server's name for it.
    base_url: of the server; None: in this process. serving: new releases are made of its spaces.
    """

    model: str
    source: str
    base_url: str | None
    api_key_variable: str | None
    dimensions: int
    serving: bool = False

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return "in process" if self.base_url is None else self.base_url


def registered_models(connection: Connection) -> list[EmbeddingModel]:
    """All of them, the serving one first, then oldest first; for the owner and for the role of tools."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM embedding_models ORDER BY serving DESC, created_at, model"
    ).fetchall()
    return [EmbeddingModel(*row) for row in rows]


class Embedders:
    """Gives the embedder of a registered model. Nothing is loaded before its first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def own(self) -> Embedder:
        """The embedder that the settings name."""
        settings = self._settings
        key = settings.embedding_api_key
        return _embedder(
            settings.embedding_model, settings.embedding_base_url, key and key.get_secret_value(),
            settings.embedding_dtype,
        )  # fmt: skip

    def own_row(self, dimensions: int) -> EmbeddingModel:
        """The row of the settings' own model, without what is secret in its URL."""
        settings = self._settings
        base_url = settings.embedding_base_url and without_secrets(settings.embedding_base_url)
        keyed = base_url is not None and settings.embedding_api_key is not None
        source = settings.embedding_model
        if base_url is None and source != BUNDLED_EMBEDDING_MODEL:
            source = str(Path(source).expanduser().absolute())
        return EmbeddingModel(self.own.model, source, base_url, OWN_KEY if keyed else None, dimensions)

    def of(self, row: EmbeddingModel) -> Embedder:
        """The embedder of a registered model; the settings say where their own is.

        Raises:
            EmbedderError: the model, or its key, is not there; it says what to do.
        """
        if row.model == self.own.model:
            return self.own
        return self.at(row)

    def find(self, database: Database, model: str) -> Embedder | None:
        """The embedder of `model`: the settings' own, or a registered one; None: it is neither. Raises as `of` does."""
        if model == self.own.model:
            return self.own
        with database.transaction() as connection:
            row = next((row for row in registered_models(connection) if row.model == model), None)
        return None if row is None else self.of(row)

    def at(self, row: EmbeddingModel) -> Embedder:
        """The embedder where the row says, whatever the settings name; raises as `of` does."""
        if row.base_url is None and row.source != BUNDLED_EMBEDDING_MODEL and not Path(row.source).is_dir():
            raise EmbedderError(
                f"The embedding model {row.model!r} is registered at {row.source!r}, where there is no folder."
                " Say where it is: `starsearch spaces create FOLDER`, or `starsearch spaces create"
                f" {row.model} --base-url URL`."
            )
        return _embedder(row.source, row.base_url, self._key(row), self._settings.embedding_dtype)

    def _key(self, row: EmbeddingModel) -> str | None:
        name = row.api_key_variable
        if row.base_url is None or name is None:
            return None
        if name == OWN_KEY:
            own_url = self._settings.embedding_base_url
            if own_url is not None and without_secrets(own_url) != row.base_url:
                raise EmbedderError(
                    f"The embedding model {row.model!r} at {row.base_url} used {OWN_KEY}, which now is the key of"
                    " EMBEDDING_BASE_URL and is sent nowhere else. Put its key into another variable and name it:"
                    f" `starsearch spaces create {row.model} --base-url {row.base_url} --api-key-variable NAME`."
                )
            secret = self._settings.embedding_api_key
            key = secret.get_secret_value() if secret is not None else None
        else:
            key = os.environ.get(name)
        if not key:
            raise EmbedderError(
                f"The embedding model {row.model!r} at {row.base_url} wants a key: the environment variable that was"
                " named for it is not set in this process (`starsearch spaces list` shows its name)."
            )
        return key


def without_secrets(url: str) -> str:
    """The URL without user, password, query, fragment, and slash at its end."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


@functools.lru_cache(maxsize=8)
def _embedder(model: str, base_url: str | None, api_key: str | None, dtype: str) -> Embedder:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        embedding_model=model,
        embedding_base_url=base_url,
        embedding_api_key=api_key,  # type: ignore[arg-type]
        embedding_dtype=dtype,
    )
    return create_embedder(settings)
