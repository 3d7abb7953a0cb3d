"""Settings, read from the environment and from `settings.env` in STARSEARCH_HOME.

The environment wins. `starsearch demo` writes the file, so that `starsearch up` shows the same
partitions. docs/settings.md describes every field; a test holds the two together.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from resources.errors import ConfigurationError

BUNDLED_EMBEDDING_MODEL = "all-MiniLM-L6-v2"
SETTINGS_FILE = "settings.env"


class Settings(BaseSettings):
    """What can be set from outside. Field names are the environment variables' names."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False, frozen=True, env_ignore_empty=True)

    starsearch_home: Path = Field(Path(".starsearch"), description="Folder of all local state.")

    database_url: SecretStr | None = Field(
        None, description="PostgreSQL to use as owner; unset: the embedded server in STARSEARCH_HOME."
    )
    service_database_url: SecretStr | None = Field(
        None, description="The same database as role starsearch_service; unset: DATABASE_URL and SET ROLE."
    )
    tools_database_url: SecretStr | None = Field(
        None, description="The same database as role starsearch_tools; unset: DATABASE_URL and SET ROLE."
    )
    dagster_database_url: SecretStr | None = Field(
        None, description="Dagster's own database; unset: database `dagster` on the same server."
    )

    gh_archive_url: str = Field(
        "https://data.gharchive.org",
        description="Where hour files are: a base URL (http, https, file), a folder, or the short name gharchive.",
    )
    starsearch_start: date | None = Field(None, description="First day of the partitions; unset: 30 days before today.")
    starsearch_end: date | None = Field(
        None, description="Last day of the partitions, inclusive; unset: today, moving on."
    )

    github_token: SecretStr | None = Field(
        None, description="Token for GitHub's API, without any scope; unset: nothing is asked of GitHub."
    )
    github_api_url: str = Field("https://api.github.com", description="Base URL of GitHub's REST and GraphQL API.")
    github_concurrency: int = Field(
        8, ge=1, le=100, description="Requests to GitHub at the same time; GitHub allows a token 100."
    )
    github_reserve: float = Field(
        0.1, ge=0, lt=1, description="Share of the token's hourly budget that is left to others."
    )

    git_cache_dir: Path | None = Field(
        None, description="Folder of the bare clones, of this deployment alone; unset: `git` in STARSEARCH_HOME."
    )
    git_cache_gb: float = Field(
        20, gt=0, description="Gigabytes of clones to keep; the least recently used ones go first."
    )
    git_max_repository_mb: int = Field(4096, ge=1, description="Megabytes that one clone may have.")
    git_fetch_minutes: float = Field(30, gt=0, description="Minutes that one fetch may take.")
    git_fetch_hours: float = Field(24, gt=0, description="Hours after which a repository is fetched without a push.")
    git_protocols: str = Field(
        "https http git ssh file", description="Schemes that a repository's URL may have, separated by spaces."
    )
    github_webhook_secret: SecretStr | None = Field(
        None, description="Secret of the webhook at GitHub; two, separated by a space, while it is changed."
    )
    webhook_max_bytes: int = Field(
        25 * 1024 * 1024, ge=1024, description="Size of a webhook delivery above which it is refused; GitHub's own cap."
    )
    inbox_days: int = Field(30, ge=1, description="Days after which what was read of the inbox is deleted.")

    llm_base_url: str | None = Field(
        None, description="OpenAI-compatible server, e.g. http://vllm:8000/v1; unset: extractive mode."
    )
    llm_api_key: SecretStr | None = Field(None, description="Key for the LLM server, where it wants one.")
    summary_model: str | None = Field(None, description="Model that writes summaries.")
    answer_model: str | None = Field(None, description="Model that writes answers.")
    llm_concurrency: int = Field(
        64, ge=1, description="Requests in flight to the LLM for summaries, over all runs together."
    )
    answer_seconds: float = Field(
        60.0,
        gt=0,
        description="Seconds that the LLM may take for one answer, all its calls together; then rules finish.",
    )
    answer_tokens: int = Field(
        60_000, ge=1, description="Tokens that the LLM may read and write for one answer; then rules finish."
    )
    answer_cache: bool = Field(
        True, description="Give the same answer to the same question, within one day (UTC) and one release."
    )
    answer_concurrency: int = Field(
        8, ge=1, description="Requests in flight to the LLM for answers, beside those for summaries."
    )
    llm_timeout: float = Field(120, gt=0, description="Seconds that one request to the LLM may take.")
    llm_outage_minutes: float = Field(
        5, ge=0, description="Minutes that the LLM server may be away before a run gives up: a restart takes some."
    )
    summary_tokens: int = Field(3000, ge=500, description="Tokens of one item that the LLM reads for its summary.")
    summary_tokenizer: Path | None = Field(
        None, description="tokenizer.json of SUMMARY_MODEL, or its folder; unset: tokens are counted cautiously."
    )
    summary_failures: float = Field(
        0.05, ge=0, le=1, description="Share of a day's items without a current summary that its check allows."
    )
    llm_price_in: float | None = Field(
        None, ge=0, description="US dollars a million prompt tokens cost; unset: costs are not estimated."
    )
    llm_price_out: float | None = Field(None, ge=0, description="The same for the tokens that the LLM writes.")
    hosted_price_in: float = Field(
        0.15, ge=0, description="US dollars a million prompt tokens cost at the host that `cost` compares with."
    )
    hosted_price_out: float = Field(0.60, ge=0, description="The same for the tokens that the LLM writes.")

    embedding_base_url: str | None = Field(
        None, description="OpenAI-compatible /v1 with /embeddings; unset: the model runs in this process."
    )
    embedding_api_key: SecretStr | None = Field(None, description="Key for the embeddings server.")
    embedding_model: str = Field(
        BUNDLED_EMBEDDING_MODEL,
        description="The bundled model, a folder of a sentence-transformers model, or the server's model.",
    )
    embedding_dtype: str = Field(
        "auto", pattern="^(auto|float32|bfloat16)$", description="auto: bfloat16 where the CPU has it, else float32."
    )

    step_pods: bool = Field(
        False, description="On Kubernetes: each step of a run in a pod of its own, unless its launchpad says otherwise."
    )
    step_service_account: str | None = Field(
        None, description="Service account of those pods; unset: that of the run's pod."
    )

    index_workers: int = Field(
        2, ge=0, le=64, description="Parallel workers of PostgreSQL that help to build an HNSW index."
    )
    index_memory_mb: int = Field(
        512, ge=64, description="Megabytes of memory for building one; more than its size, or it is built slowly."
    )
    recall_floor: float = Field(
        0.97, ge=0, le=1, description="Lower confidence bound of recall@10 that a release must reach."
    )

    relevance_threshold: float = Field(
        0.42, ge=-1, le=1, description="Cosine similarity below which a hit does not count as an answer."
    )
    search_vector_weight: float = Field(1.0, ge=0, description="Weight of the ranking by vectors in the fused one.")
    search_text_weight: float = Field(1.0, ge=0, description="Weight of the ranking by words in the fused one.")
    search_rank_constant: float = Field(
        10, gt=0, description="Constant of reciprocal rank fusion: a hit at rank r counts 1 / (constant + r)."
    )
    search_recency_weight: float = Field(
        0.1, ge=0, description="Weight of recent activity: a first rank weighs 1, and today's activity so much of it."
    )
    search_recency_days: float = Field(180, gt=0, description="Days in which the weight of an activity halves.")

    reranker_base_url: str | None = Field(
        None, description="Server with /rerank (Text Embeddings Inference, vLLM, Cohere's API); unset: in process."
    )
    reranker_api_key: SecretStr | None = Field(None, description="Key for the reranker's server.")
    reranker_model: str | None = Field(
        None, description="Folder of a cross-encoder, or the server's model; unset without a server: no reranking."
    )
    reranker_items: int = Field(30, ge=1, le=1000, description="First hits that are reranked.")

    web_search_url: str | None = Field(
        None, pattern="^https?://", description="Server with SearXNG's JSON API; unset: the web is never searched."
    )
    web_search_key: SecretStr | None = Field(None, description="Key for it, sent as a bearer token.")

    relevance_dir: Path | None = Field(
        None, description="Folder of judged queries (TREC topics and qrels); unset: `relevance` in STARSEARCH_HOME."
    )
    relevance_margin: float = Field(
        0.02, ge=0, le=1, description="How much relevance a release may lose against the active one."
    )
    dagster_ui_port: int = Field(3000, description="Port of the Dagster UI.")
    dagster_ui_url: str | None = Field(
        None,
        pattern="^https?://",
        description="Where people reach the Dagster UI, for links to runs; unset: runs are named without a link.",
    )
    service_port: int = Field(8080, description="Port of the answering service.")

    anonymous_access: bool | None = Field(
        None, description="Answer without a key; unset: only while the service is bound to loopback."
    )
    allowed_hosts: str = Field(
        "", description="Names under which the service is reached, beside its address and localhost; spaces between."
    )
    allowed_origins: str = Field(
        "", description="Origins of other pages that may ask, e.g. https://chat.example.com; spaces between."
    )
    identity_header: str | None = Field(
        None, pattern="^[A-Za-z0-9-]+$", description="Header in which a proxy names who asks; needs PROXY_SECRET."
    )
    proxy_secret: SecretStr | None = Field(
        None, description="What that proxy sends as X-Proxy-Secret, at least 16 characters: the header counts with it."
    )
    rate_per_minute: int = Field(
        60, ge=1, description="Requests a minute of a key without a rate of its own, an identity, or a browser."
    )
    anonymous_per_minute: int = Field(600, ge=1, description="Requests a minute without a key, all together.")
    tokens_per_day: int | None = Field(
        None, ge=0, description="LLM tokens a day (UTC) of a key without a budget of its own, or an identity."
    )
    anonymous_tokens_per_day: int | None = Field(
        None, ge=0, description="LLM tokens a day (UTC) of all requests without a key; unset: not limited."
    )
    answers_at_once: int = Field(
        64, ge=1, description="Answers and searches in the making at the same time; more are refused with 503."
    )
    request_max_bytes: int = Field(
        256 * 1024, ge=4096, description="Size of a request above which it is refused; webhooks have their own."
    )

    @cached_property
    def home(self) -> Path:
        """STARSEARCH_HOME as an absolute path."""
        return self.starsearch_home.expanduser().absolute()

    @property
    def git_cache(self) -> Path:
        """Folder of the bare clones, absolute."""
        return self.home / "git" if self.git_cache_dir is None else self.git_cache_dir.expanduser().absolute()

    @property
    def relevance(self) -> Path:
        """Folder of the judged queries, absolute."""
        return self.home / "relevance" if self.relevance_dir is None else self.relevance_dir.expanduser().absolute()

    @property
    def reranking(self) -> bool:
        """Whether hits are reranked by a cross-encoder."""
        return self.reranker_base_url is not None or self.reranker_model is not None

    @property
    def embedded(self) -> bool:
        """Whether the embedded PostgreSQL is used."""
        return self.database_url is None

    @property
    def llm_configured(self) -> bool:
        """Whether summaries are written by an LLM rather than extracted."""
        return self.llm_base_url is not None and self.summary_model is not None


def load_settings(**overrides: object) -> Settings:
    """Read the settings; `overrides` win over the environment.

    Raises:
        ConfigurationError: a value that cannot work, naming the variable and what it should be.
    """
    home = Path(str(overrides.get("starsearch_home") or os.environ.get("STARSEARCH_HOME") or ".starsearch"))
    try:
        return Settings(_env_file=home.expanduser() / SETTINGS_FILE, **overrides)  # type: ignore[call-arg,arg-type]
    except ValidationError as error:
        problems = "; ".join(_problem(item["loc"], item["msg"], item["input"]) for item in error.errors())
        raise ConfigurationError(f"Settings that cannot be used: {problems}. See docs/settings.md.") from error


def _problem(where: tuple[int | str, ...], message: str, value: object) -> str:
    """What is wrong with a setting, and what it is; a secret is not shown."""
    name = ".".join(str(part) for part in where)
    field = Settings.model_fields.get(name.lower())
    shown = "" if field is None or "Secret" in str(field.annotation) else f" is {value!r}"
    return f"{name.upper()}{shown}: {message}"


def save_settings(home: Path, values: dict[str, str]) -> None:
    """Merge `values` into STARSEARCH_HOME/settings.env, atomically."""
    path = home / SETTINGS_FILE
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.split("=", 1)[0] not in values]
    text = "\n".join([*kept, *(f"{name}={value}" for name, value in sorted(values.items()))]) + "\n"
    home.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def today() -> date:
    """Today in UTC; the only place that asks the clock for a day."""
    return datetime.now(UTC).date()
