"""The error base of the ground floor.

Every message says what was expected, what came, and what to do next, so that it can be shown to a
user as it is.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from resources.llm_session import Usage


class ResourceError(Exception):
    """Something outside this process is missing, unreachable, or not as it should be."""


class ConfigurationError(ResourceError):
    """A setting has a value that cannot work."""


class DatabaseUnavailable(ResourceError):
    """PostgreSQL cannot be reached or refuses the connection."""


class SchemaVersionMismatch(ResourceError):
    """The database's schema is not the one that this code was written for."""


class EmbedderError(ResourceError):
    """The embedding model or server is missing, or returned something that is not a unit vector."""


class RerankerError(ResourceError):
    """The reranking model or server is missing, or returned something that is not a score for every document."""


class WebSearchError(ResourceError):
    """The server for web search is missing, refuses, or returned something that is no list of results."""


class SpaceRefused(ResourceError):
    """A change of embedding models that would leave less to find, or take away what is used."""


class LLMError(ResourceError):
    """The LLM server could not give a usable reply. usage: what was spent on it, where that is known."""

    usage: Usage | None = None

    def spent(self, usage: Usage) -> Self:
        """The same error, with what was spent on it."""
        self.usage = usage
        return self


class LLMUnavailable(LLMError):
    """The LLM server cannot be reached, or keeps failing after all retries."""


class LLMReplyInvalid(LLMError):
    """The LLM server replied, but not with what was asked for. refused: it would not take the request at all."""

    refused: bool = False


class LLMContextExceeded(LLMReplyInvalid):
    """A prompt and its reply are longer than the model's context."""


class LLMRequestFailed(LLMError):
    """The LLM server answers others, but keeps failing at this request."""


class SourceError(ResourceError):
    """An event source has a file that cannot be read."""


class HourNotFound(SourceError):
    """The source has no file for this hour (yet)."""


class HourUnchanged(ResourceError):
    """The source still has the very file of this hour that was loaded (HTTP 304)."""


class ManifestInvalid(SourceError):
    """A file's manifest is not what a manifest is."""


class ManifestMismatch(SourceError):
    """A file is not the one that its manifest describes."""


class CorruptFile(SourceError):
    """A file of a source is damaged: not gzip, cut in the middle, or failing its checksum."""


class GitHubError(ResourceError):
    """GitHub's API could not be used."""


class GitHubRefused(GitHubError):
    """GitHub refuses the token, or what it was asked for."""


class GitHubUnavailable(GitHubError):
    """GitHub cannot be reached, or keeps failing after all retries."""


class GitHubUnreachable(GitHubUnavailable):
    """There is no connection to GitHub: no other request would be answered either."""


class GitHubExhausted(GitHubError):
    """A limit of GitHub's is used up; `until` says when to go on."""

    def __init__(self, until: datetime, limit: str) -> None:
        super().__init__(
            f"GitHub's limit is reached: {limit}. Nothing is lost; the work goes on after"
            f" {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC."
        )
        self.until = until


class GitError(ResourceError):
    """A repository could not be cloned, fetched or read."""


class GitUnusable(GitError):
    """The system has no git, or one that is too old."""


class GitUrlRefused(GitError, ConfigurationError):
    """A URL that is never given to git."""


class GitRefused(GitError):
    """The remote shows nobody such a repository, or asks who we are."""


class GitUnavailable(GitError):
    """The remote cannot be reached, or broke off."""


class GitLimitExceeded(GitError):
    """A fetch took longer, or a clone grew bigger, than the settings allow."""


class GitCloneDamaged(GitError):
    """A clone in the cache cannot be read; a new one can."""


class GitCloneBusy(GitError):
    """Another process works in this clone."""


class NothingLoaded(ResourceError):
    """A command needs data that no earlier step has produced yet."""
