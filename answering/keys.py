"""API keys: made, listed and revoked by the owner of the database. What is stored does not give the key back."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from psycopg.rows import class_row

from answering.errors import AnsweringError
from resources.postgres import Database

SCOPES = ("ask", "search", "threads", "mcp")
"""What somebody who asks needs; a key is good for all of it unless told otherwise."""
METRICS = "metrics"
"""What a monitoring system needs: a key has it only where it was asked for."""
ALL_SCOPES = (*SCOPES, METRICS)
BEGINNING = "ss_"
_SHOWN = len(BEGINNING) + 8  # the other 35 characters carry 210 bits


class KeyRefused(AnsweringError):
    """A key that cannot be made as it was asked for, or cannot be told from others."""


@dataclass(frozen=True)
class ApiKey:
    """A key as it is stored. prefix: its first characters. per_minute, tokens_per_day: None: as the settings say."""

    prefix: str
    name: str
    scopes: list[str]
    per_minute: int | None
    tokens_per_day: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @property
    def state(self) -> str:
        """active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= datetime.now(UTC) else "active"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        times = {name: moment and moment.isoformat() for name, moment in vars(self).items() if name.endswith("_at")}
        return vars(self) | times | {"state": self.state}


def digest(secret: str) -> bytes:
    """Under which a secret of 32 random bytes is stored and found: it needs no slow hash, it cannot be guessed."""
    return hashlib.sha256(secret.encode()).digest()


def create_key(
    owner: Database, name: str, scopes: Sequence[str] = SCOPES, *, per_minute: int | None = None,
    tokens_per_day: int | None = None, last_day: date | None = None,
) -> str:  # fmt: skip
    """Make a key and return it: it cannot be shown again. last_day: on which it is good (UTC); None: for ever.

    Raises:
        KeyRefused: no name, an unknown scope, or a last day that is over.
    """
    if not name.strip():
        raise KeyRefused("A key needs a name that says who uses it.")
    if unknown := sorted(set(scopes) - set(ALL_SCOPES)):
        raise KeyRefused(f"There is no scope {', '.join(unknown)}: a key can have {', '.join(ALL_SCOPES)}.")
    if last_day is not None and last_day < datetime.now(UTC).date():
        raise KeyRefused(f"{last_day} is over: give a day on which the key is still good, or none.")
    end = None if last_day is None else datetime.combine(last_day + timedelta(days=1), time(), UTC)
    key = BEGINNING + secrets.token_urlsafe(32)
    owner.execute(
        "INSERT INTO service.api_keys (name, prefix, sha256, scopes, per_minute, tokens_per_day, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [name.strip(), key[:_SHOWN], digest(key), sorted(set(scopes)), per_minute, tokens_per_day, end],
    )
    return key


def list_keys(owner: Database) -> list[ApiKey]:
    """All keys, newest first."""
    with owner.transaction() as connection, connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        return cursor.execute(
            "SELECT prefix, name, scopes, per_minute, tokens_per_day, created_at, expires_at, revoked_at"
            " FROM service.api_keys ORDER BY created_at DESC, prefix"
        ).fetchall()


def revoke_key(owner: Database, beginning: str) -> str:
    """Make the one key that begins like this useless, from the next request on; returns its prefix.

    Raises:
        KeyRefused: none begins like this, or several do.
    """
    found = [key.prefix for key in list_keys(owner) if key.prefix.startswith(beginning[:_SHOWN]) and beginning]
    if not found:
        raise KeyRefused(f"No key begins with {beginning[:_SHOWN]!r}: `starsearch keys list` shows them.")
    if len(found) > 1:
        raise KeyRefused(f"{len(found)} keys begin with {beginning!r}: give more of it ({', '.join(sorted(found))}).")
    owner.execute(
        "UPDATE service.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE prefix = %s",
        found,
    )
    return found[0]
