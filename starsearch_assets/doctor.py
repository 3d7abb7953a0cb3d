"""What is configured, what answers, and what to do about what does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from answering.errors import AnsweringError
from answering.releases import load_release
from resources.embedder import create_embedder
from resources.errors import ResourceError
from resources.gh_archive import GHArchive
from resources.llm import create_answer_llm, create_summary_llm
from resources.postgres import Database, Role, open_database, redacted
from resources.settings import Settings
from starsearch_assets import waiting


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
    yield from _source(settings)
    yield from _embedder(settings)
    yield from _llm(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    where = "embedded in STARSEARCH_HOME" if settings.embedded else "DATABASE_URL"
    try:
        with open_database(settings) as database:
            version = database.fetch_value("SHOW server_version")
            vector = database.fetch_value("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
            yield Finding("ok", "postgres", f"{version} with pgvector {vector}, {where}: {redacted(database.url)}")
            yield from _data(database)
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
    rows = database.fetch_all("SELECT status, count(*) FROM ingest_ledger GROUP BY status ORDER BY status")
    hours: dict[str, int] = dict(rows)
    if not hours:
        yield Finding("warn", "events", "nothing was read yet: run `make demo` or `starsearch backfill`")
    else:
        gaps = hours.get("missing", 0) + hours.get("failed", 0)
        text = ", ".join(f"{count:,} hours {status}" for status, count in hours.items())
        yield Finding("warn" if gaps else "ok", "events", text)
    if postponed := waiting.listing(database):
        first = postponed[0]
        yield Finding(
            "ok",
            "waiting",
            f"{len(postponed):,} partitions are asked for again, the first ({first.asset} {first.partition}) not before"
            f" {first.not_before:%Y-%m-%d %H:%M} UTC: {first.reason}",
        )
    tracked = database.fetch_value("SELECT count(*) FROM repositories")
    asked = database.fetch_value("SELECT count(*) FROM repository_requests")
    level: Literal["ok", "warn"] = "ok" if tracked else "warn"
    hint = "" if tracked else "; add some with `starsearch repos add owner/name`"
    yield Finding(level, "repositories", f"{tracked:,} tracked, {asked:,} waiting for their first event{hint}")
    without_text = database.fetch_value("SELECT count(*) FROM items WHERE hydrated_at IS NULL")
    if without_text:
        yield Finding("warn", "content", f"{without_text:,} items have no text: their events carried none")
    dirty = database.fetch_value("SELECT count(*) FROM dirty_days")
    if dirty:
        yield Finding("warn", "dirty days", f"{dirty:,} wait for their partitions; `starsearch up` processes them")


def _source(settings: Settings) -> Iterator[Finding]:
    try:
        yield Finding("ok", "hour files", GHArchive(settings.gh_archive_url).base)
    except ResourceError as error:
        yield Finding("bad", "hour files", str(error))


def _embedder(settings: Settings) -> Iterator[Finding]:
    try:
        embedder = create_embedder(settings)
        embedder.encode(["a first text"])
        yield Finding("ok", "embedder", f"{embedder.model}, {embedder.dimensions} dimensions")
    except ResourceError as error:
        yield Finding("bad", "embedder", str(error))


def _llm(settings: Settings) -> Iterator[Finding]:
    for subject, create in (("summaries", create_summary_llm), ("answers", create_answer_llm)):
        try:
            llm = create(settings)
            if llm is None:
                yield Finding("ok", subject, "extractive: no LLM configured (LLM_BASE_URL and the model's name)")
                continue
            models = llm.probe()
            llm.close()
            if llm.model in models or not models:
                yield Finding("ok", subject, f"{llm.model} at {settings.llm_base_url}")
            else:
                yield Finding(
                    "bad", subject, f"{settings.llm_base_url} has no model {llm.model}; it has {', '.join(models)}"
                )
        except ResourceError as error:
            yield Finding("bad", subject, str(error))
