"""`starsearch poll` without its command line: waits for its turn, works, and waits for what is away."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from datetime import timedelta

import psycopg

from resources.errors import ConfigurationError, DatabaseUnavailable, GitHubUnavailable, ResourceError
from resources.github import GitHub
from resources.postgres import Database, Role, open_database
from resources.settings import Settings
from starsearch_assets.polling import store
from starsearch_assets.polling.lease import TIME_TO_LIVE, Lease, LeaseLost
from starsearch_assets.polling.log import Backoff, say
from starsearch_assets.polling.session import Session, Told, ending_with_first_error

DATABASE_AWAY = (DatabaseUnavailable, psycopg.OperationalError, psycopg.InterfaceError)


class PollerAtWork(ResourceError):
    """Another poller holds the lease."""


def check_settings(settings: Settings) -> None:
    """Refuse to start without a token.

    Raises:
        ConfigurationError: it is missing.
    """
    if settings.github_token is None:
        raise ConfigurationError(
            "GITHUB_TOKEN is not set: without one GitHub answers 60 requests an hour, too few to follow anything. Set a"
            " token; it needs no scope."
        )


async def follow(
    settings: Settings, stop: asyncio.Event, *, time_to_live: timedelta = TIME_TO_LIVE, told: Told | None = None
) -> None:
    """Poll until `stop` is set. A database or GitHub that is away is waited for; so is another poller.

    Raises:
        GitHubRefused: the token is wrong.
        ConfigurationError, SchemaVersionMismatch: what only people can put right.
    """
    check_settings(settings)
    holder, away = _name(), Backoff()
    while not stop.is_set():
        try:
            database = await asyncio.to_thread(_open, settings)
            try:
                async with ending_with_first_error(), GitHub(settings) as github:
                    away.reset()
                    await _work(settings, Lease(database, holder, time_to_live), database, github, stop, told)
            finally:
                await asyncio.to_thread(database.close)
        except LeaseLost as error:
            say("lease lost", holder=holder, reason=str(error))
        except (*DATABASE_AWAY, GitHubUnavailable) as error:  # of GitHub: while the client is opened
            seconds = away.next()
            what = "GitHub" if isinstance(error, GitHubUnavailable) else "the database"
            say(f"waiting for {what}", seconds=seconds, reason=str(error).strip())
            await pause(stop, seconds)


async def poll_once(settings: Settings, told: Told | None = None, time_to_live: timedelta = TIME_TO_LIVE) -> Session:
    """Poll every feed that is due, once, and return the session with its counts.

    Raises:
        PollerAtWork: another poller works.
        GitHubRefused, GitHubExhausted, GitHubUnavailable, DatabaseUnavailable: it could not be done now.
    """
    check_settings(settings)
    database = await asyncio.to_thread(_open, settings)
    try:
        lease = Lease(database, _name(), time_to_live)
        if (other := await asyncio.to_thread(lease.take)) is not None:
            raise PollerAtWork(
                f"{other} is polling already: what is due is polled there. Stop it first, or let it work."
            )
        try:
            async with ending_with_first_error(), GitHub(settings) as github:
                session = Session(settings, database, lease, github, told or _nobody)
                await session.begin()
                await session.run_once()
                return session
        finally:
            await asyncio.to_thread(lease.release)
    finally:
        await asyncio.to_thread(database.close)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """So many seconds, or until `stop` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def _work(
    settings: Settings, lease: Lease, database: Database, github: GitHub, stop: asyncio.Event, told: Told | None
) -> None:
    if not await _take(lease, stop):
        return
    try:
        session = Session(settings, database, lease, github, told or _nobody)
        await session.begin()
        await session.run(stop)
    finally:
        await asyncio.to_thread(lease.release)
        say("lease released", holder=lease.holder)


async def _take(lease: Lease, stop: asyncio.Event) -> bool:
    """Wait for the lease; False when `stop` was set before."""
    said = None
    while not stop.is_set():
        other = await asyncio.to_thread(lease.take)
        if other is None:
            say("lease taken", holder=lease.holder, seconds=lease.time_to_live.total_seconds())
            return True
        if other != said:
            say("another poller works; waiting for its end", holder=other)
            said = other
        await pause(stop, min(1.0, lease.time_to_live.total_seconds() / 4))
    return False


def _open(settings: Settings) -> Database:
    database = open_database(settings, Role.SERVICE, max_size=settings.github_concurrency + 4)
    try:
        store.check_schema(database)
    except BaseException:
        database.close()
        raise
    return database


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def _nobody(_feed: str, _outcome: str) -> None:
    """Nobody is told."""
