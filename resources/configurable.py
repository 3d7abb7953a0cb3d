"""The Dagster faces of the plain clients: configured once, opened when a run needs them.

The service and the commands use the same clients without importing dagster.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import PrivateAttr

from resources.gh_archive import GHArchive
from resources.git import Git
from resources.github import GitHub, open_github
from resources.postgres import Database, Role, open_database
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from resources.embedder import Embedder
    from resources.embedders import Embedders
    from resources.reranker import Reranker


def secret(name: str) -> str:
    """A secret's value as an EnvVar where the environment has it, so that the UI shows only its name."""
    return dg.EnvVar(name) if os.environ.get(name) else ""


class PostgresResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The database, as owner and as tools. Empty database_url: the embedded server."""

    home: str
    database_url: str = ""
    tools_database_url: str = ""
    _opened: dict[Role, Database] = PrivateAttr(default_factory=dict)

    @property
    def owner(self) -> Database:
        """Connections that may write everything of the pipeline."""
        return self._open(Role.OWNER)

    @property
    def tools(self) -> Database:
        """Read-only connections, as answers use them."""
        return self._open(Role.TOOLS)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Close what was opened."""
        for database in self._opened.values():
            database.close()
        self._opened.clear()

    def _open(self, role: Role) -> Database:
        if role not in self._opened:
            overrides = {
                "database_url": self.database_url or None,
                "tools_database_url": self.tools_database_url or None,
            }
            self._opened[role] = open_database(load_settings(starsearch_home=self.home, **overrides), role)
        return self._opened[role]


class GHArchiveResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Hour files from a base URL (http, https, file) or a folder."""

    base_url: str

    def client(self) -> GHArchive:
        """The source; a folder that is not there is refused here."""
        return GHArchive(self.base_url)


class GitHubResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """GitHub's API. Empty token: the one in settings.env, or nothing is asked."""

    api_url: str
    token: str = ""
    concurrency: int = 8
    reserve: float = 0.1

    def client(self) -> GitHub | None:
        """A client for one piece of work; None without a token."""
        own = {"github_token": self.token} if self.token else {}
        return open_github(
            load_settings(
                **own,
                github_api_url=self.api_url,
                github_concurrency=self.concurrency,
                github_reserve=self.reserve,
            )
        )


class GitResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The system's git and the folder of clones, with their bounds."""

    cache_dir: str
    cache_gb: float = 20
    max_repository_mb: int = 4096
    fetch_minutes: float = 30
    fetch_hours: float = 24
    protocols: str = "https http git ssh file"

    def settings(self) -> Settings:
        """Settings with this resource's values."""
        return load_settings(
            git_cache_dir=self.cache_dir,
            git_cache_gb=self.cache_gb,
            git_max_repository_mb=self.max_repository_mb,
            git_fetch_minutes=self.fetch_minutes,
            git_fetch_hours=self.fetch_hours,
            git_protocols=self.protocols,
        )

    def client(self) -> Git:
        """git with these bounds."""
        return Git.of(self.settings())


class EmbedderResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The settings' embedding model, in this process or behind a /v1/embeddings, and the registered ones.

    Empty api_key: the one in settings.env, if there is one.
    """

    model: str
    base_url: str = ""
    api_key: str = ""
    dtype: str = "auto"

    def client(self) -> Embedder:
        """The settings' embedder; one a process, because loading the model takes seconds."""
        return self.embedders().own

    def embedders(self) -> Embedders:
        """The embedders of all registered models."""
        from resources.embedders import Embedders

        own = {"embedding_api_key": self.api_key} if self.api_key else {}
        settings = load_settings(
            **own,
            embedding_model=self.model,
            embedding_base_url=self.base_url or None,
            embedding_dtype=self.dtype,
        )
        return Embedders(settings)


class RerankerResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The reranker: a cross-encoder's folder, or a server with /rerank. Both empty: there is none."""

    model: str = ""
    base_url: str = ""
    api_key: str = ""

    def client(self) -> Reranker | None:
        """The reranker, or None; one a process, because loading the model takes seconds."""
        return _reranker(self.model, self.base_url, self.api_key)


class LLMResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The OpenAI-compatible server that writes summaries. Empty base_url: extractive mode."""

    base_url: str = ""
    api_key: str = ""
    summary_model: str = ""
    concurrency: int = 64
    price_in: float | None = None
    price_out: float | None = None

    def settings(self) -> Settings:
        """Settings with this resource's values."""
        prices = {"llm_price_in": self.price_in, "llm_price_out": self.price_out}
        return load_settings(
            llm_base_url=self.base_url or None,
            llm_api_key=self.api_key or None,
            summary_model=self.summary_model or None,
            llm_concurrency=self.concurrency,
            **{name: price for name, price in prices.items() if price is not None},
        )


@functools.cache
def _reranker(model: str, base_url: str, api_key: str) -> Reranker | None:
    from resources.reranker import create_reranker

    key = {"reranker_api_key": api_key} if api_key else {}  # else the one in settings.env, if there is one
    return create_reranker(load_settings(reranker_model=model or None, reranker_base_url=base_url or None, **key))
