"""What is configured, what answers, and what to do about what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from answering.errors import AnsweringError
from answering.releases import load_release
from resources.embedder import create_embedder
from resources.errors import GitHubUnavailable, ResourceError
from resources.gh_archive import GHArchive
from resources.git import check_version
from resources.github import GitHub, open_github
from resources.llm import create_answer_llm, create_summary_llm
from resources.postgres import Database, Role, open_database, redacted
from resources.reranker import create_reranker
from resources.settings import SETTINGS_FILE, Settings
from resources.web_search import create_web_search
from starsearch_assets import waiting
from starsearch_assets.embeddings.examine import examine_spaces
from starsearch_assets.partitions import Partitions, hour_key
from starsearch_assets.reconciliation.plan import plan_day
from starsearch_assets.reconciliation.process import LOW_CAPTURE
from starsearch_assets.sources import source_statuses
from starsearch_assets.summaries.prompt import INSTRUCTION_TOKENS, REPLY_TOKENS

_PUBLISHED_AFTER = timedelta(hours=3)  # an hour file that is older than this should be there
_ANSWER_TOKENS = 3000
"""Tokens of an answer's evidence, question and reply, about."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "warn", "bad"]
    subject: str
    message: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that the settings name; one finding each, as they come."""
    yield Finding("ok", "home", f"{settings.home}")
    yield from _database(settings)
    yield from _hour_files(settings)
    yield from _github(settings)
    yield from _git(settings)
    yield from _embedder(settings)
    yield from _reranker(settings)
    yield from _llm(settings)
    yield from _web_search(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    where = "embedded in STARSEARCH_HOME" if settings.embedded else "DATABASE_URL"
    try:
        with open_database(settings) as database:
            version = database.fetch_value("SHOW server_version")
            vector = database.fetch_value("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            yield Finding("ok", "postgres", f"{version} with pgvector {vector}, {where}: {redacted(database.url)}")
            yield from _data(database)
            yield from _inbox(database, settings)
            yield from (Finding(level, "embedding spaces", told) for level, told in examine_spaces(database, settings))
        for role in (Role.SERVICE, Role.TOOLS):
            with open_database(settings, role):
                yield Finding("ok", f"role {role.name.lower()}", "can connect")
        with open_database(settings, Role.TOOLS) as tools:
            release = load_release(tools)
            yield Finding("ok", "release", f"{release.release_id} is active, {len(release.artifacts)} index artifacts")
    except AnsweringError as error:
        yield Finding("warn", "release", str(error))
    except ResourceError as error:
        yield Finding("bad", "postgres", str(error))


def _data(database: Database) -> Iterator[Finding]:
    now = datetime.now(UTC)
    if database.fetch_value("SELECT count(*) FROM ingest_ledger") == 0:
        yield Finding("warn", "events", "nothing was read yet: run `make demo` or `starsearch backfill`")
    for source in source_statuses(database, now):
        low = source.capture_rate is not None and source.capture_rate < LOW_CAPTURE
        yield Finding("warn" if low or source.missing else "ok", source.name, source.as_text(now))
    if postponed := waiting.listing(database):
        first = postponed[0]
        yield Finding(
            "ok",
            "waiting",
            f"{len(postponed):,} partitions are asked for again, the first ({first.asset} {first.partition}) not before"
            f" {first.not_before:%Y-%m-%d %H:%M} UTC: {first.reason}",
        )
    tracked = database.fetch_value("SELECT count(*) FROM repositories")
    asked = database.fetch_value("SELECT count(*) FROM repository_requests WHERE name NOT LIKE '%/*'")
    level: Literal["ok", "warn"] = "ok" if tracked else "warn"
    hint = "" if tracked else "; add some with `starsearch repos add owner/name`"
    yield Finding(level, "repositories", f"{tracked:,} tracked, {asked:,} waiting for their first event{hint}")
    if hidden := database.fetch_value("SELECT count(*) FROM repositories WHERE hidden_as IS NOT NULL"):
        yield Finding(
            "warn", "repositories", f"GitHub does not show {hidden:,} of them; they are forgotten after a day"
        )
    dirty = database.fetch_value("SELECT count(*) FROM dirty_days")
    if dirty:
        yield Finding("warn", "dirty days", f"{dirty:,} wait for their partitions; `starsearch up` processes them")


def _inbox(database: Database, settings: Settings) -> Iterator[Finding]:
    """Hours in which something arrived that no run has read yet."""
    hours = [row[0] for row in database.fetch_all("SELECT DISTINCT hour FROM service.inbox_hours ORDER BY hour")]
    hourly = Partitions(settings).hourly
    outside = [hour for hour in hours if not hourly.has_partition_key(hour_key(hour))]
    if outside:
        yield Finding(
            "bad",
            "inbox",
            f"what arrived in {len(outside):,} hours, the first {hour_key(outside[0])}, is not read: they lie outside"
            f" the partitions, from {settings.starsearch_start} to {settings.starsearch_end}. Unset STARSEARCH_END, or"
            f" remove it from {settings.home / SETTINGS_FILE}, to go live.",
        )
    elif hours:
        yield Finding("warn", "inbox", f"{len(hours):,} hours wait to be read; `starsearch up` reads them")


def _hour_files(settings: Settings) -> Iterator[Finding]:
    try:
        archive = GHArchive(settings.gh_archive_url)
    except ResourceError as error:
        yield Finding("bad", "GH_ARCHIVE_URL", str(error))
        return
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - _PUBLISHED_AFTER
    if settings.starsearch_end is not None:  # a closed set of files: nothing new is expected of it
        yield Finding("ok", "GH_ARCHIVE_URL", archive.base)
        return
    try:
        there = "is there" if archive.has(hour) else "is not there (yet)"
        yield Finding("ok", "GH_ARCHIVE_URL", f"{archive.base} answers; the file of {hour:%Y-%m-%d %H:00} {there}")
    except ResourceError as error:
        yield Finding("warn", "GH_ARCHIVE_URL", f"{error}. Hours cannot be read until it answers.")


def _github(settings: Settings) -> Iterator[Finding]:
    try:
        github = open_github(settings)
        if github is None:
            yield Finding(
                "ok",
                "GITHUB_TOKEN",
                "not set: pull requests of slim events stay without text, and nothing checks the events' capture",
            )
            return
        remaining, limit, reset = asyncio.run(_budget(github))
        yield Finding("ok", "GITHUB_TOKEN", f"accepted; {remaining:,} of {limit:,} points left until {reset:%H:%M} UTC")
    except ResourceError as error:
        yield Finding("bad", "GITHUB_TOKEN", str(error))
        return
    try:
        with open_database(settings) as database:
            tracked = database.fetch_value("SELECT count(*) FROM repositories WHERE repo_id > 0 AND NOT synthetic")
    except ResourceError:
        return  # told already
    plan = plan_day(tracked, settings.github_reserve, limit)
    yield Finding(
        "ok" if plan.hours <= 1 else "warn",
        "reconciliation plan",
        f"a day of {tracked:,} repositories takes {plan.queries:,} queries and {plan.points:,} points:"
        f" {plan.hours:.0%} of an hour's budget",
    )


async def _budget(github: GitHub) -> tuple[int, int, datetime]:
    async with github:
        if github.budget is None:
            raise GitHubUnavailable("GitHub accepts the token but tells no rate limit for GraphQL.")
        return github.budget


def _git(settings: Settings) -> Iterator[Finding]:
    try:
        version = check_version()
    except ResourceError as error:
        yield Finding("warn", "git", f"{error} Until then no commits are taken in.")
        return
    yield Finding("ok", "git", f"{version}; clones in {settings.git_cache}, at most {settings.git_cache_gb:g} GB")


def _embedder(settings: Settings) -> Iterator[Finding]:
    try:
        embedder = create_embedder(settings)
        embedder.encode(["a first text"])
        yield Finding("ok", "embedder", f"{embedder.model}, {embedder.dimensions} dimensions")
    except ResourceError as error:
        yield Finding("bad", "embedder", str(error))


def _reranker(settings: Settings) -> Iterator[Finding]:
    try:
        reranker = create_reranker(settings)
        if reranker is None:
            yield Finding(
                "ok", "reranker", "none: hits keep their fused order (set RERANKER_BASE_URL or RERANKER_MODEL)"
            )
            return
        fit, unfit = reranker.scores("a memory leak", ["Fix the memory leak", "Translate the menu"]).tolist()
    except ResourceError as error:
        yield Finding("bad", "reranker", f"{error} Until then hits keep their fused order.")
        return
    told = f"{reranker.model}; it is given the first {settings.reranker_items} hits"
    if fit > unfit:
        yield Finding("ok", "reranker", told)
    else:
        yield Finding(
            "warn", "reranker", f"{told}, but finds a text about something else better: is it a model for reranking?"
        )


def _llm(settings: Settings) -> Iterator[Finding]:
    for subject, create, needed in (
        ("summaries", create_summary_llm, settings.summary_tokens + INSTRUCTION_TOKENS + REPLY_TOKENS),
        ("answers", create_answer_llm, _ANSWER_TOKENS),
    ):
        try:
            llm = create(settings)
            if llm is None:
                yield Finding("ok", subject, "extractive: no LLM configured (LLM_BASE_URL and the model's name)")
                continue
            found = llm.examine(needed)
        except ResourceError as error:
            yield Finding("bad", subject, str(error))
            continue
        can = found.capabilities
        yield Finding(
            "ok",
            subject,
            f"{llm.model} at {redacted(str(settings.llm_base_url))}; context"
            f" {f'{can.context:,} tokens' if can.context else 'not told'}; guided JSON {_yes(can.guided_json)};"
            f" priority {'accepted' if can.priority else 'refused'}",
        )
        if can.context is not None and can.context < needed:
            yield Finding(
                "warn",
                subject,
                f"the context of {can.context:,} tokens is smaller than the {needed:,} that are sent at most: raise"
                " vLLM's --max-model-len, or lower SUMMARY_TOKENS",
            )
        if found.cuts_at is not None:
            yield Finding(
                "warn",
                subject,
                f"the server cuts prompts without saying so: of {needed:,} tokens it read {found.cuts_at:,}. Raise its"
                " context (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx), or lower SUMMARY_TOKENS",
            )
    if settings.llm_base_url is not None:
        yield Finding(
            "ok",
            "llm lanes",
            f"at most {settings.llm_concurrency} requests in flight for summaries and {settings.answer_concurrency} for"
            " answers: the server should run as many at once (vLLM: --max-num-seqs)",
        )


def _web_search(settings: Settings) -> Iterator[Finding]:
    web = create_web_search(settings)
    if web is None:
        yield Finding("ok", "web search", "off (WEB_SEARCH_URL)")
        return
    where = redacted(str(settings.web_search_url))
    with closing(web):
        try:
            found = web.search("git", 1)
        except ResourceError as error:
            yield Finding("bad", "web search", f"{error} Until then answers rest on what was read of GitHub alone.")
            return
    if not found:
        yield Finding("warn", "web search", f"{where} finds nothing for “git”: has it any engine?")
    elif settings.answer_model is None:
        yield Finding("warn", "web search", f"{where} answers, but only an LLM asks it: set ANSWER_MODEL")
    else:
        yield Finding("ok", "web search", f"{where} answers; it is asked with words of the question alone")


def _yes(told: bool) -> str:
    return "yes" if told else "no"
