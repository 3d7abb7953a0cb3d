"""How often somebody may ask, and how much of the LLM is left for the day: in PostgreSQL, for all processes at once."""

from __future__ import annotations

import math

from answering.http.callers import ANONYMOUS, Caller
from answering.http.problems import Refused
from answering.http.service_database import ServiceDatabase
from resources.settings import Settings

# The generic cell rate algorithm (ITU-T I.371): one time a caller, at which all requests of a minute are there again.
# Nobody waits for the disk: what a crash of the database forgets are requests of the last half second.
_TAKE = """
WITH hurried AS (SELECT set_config('synchronous_commit', 'off', true)), taken AS (
    INSERT INTO request_rates AS r (caller, full_at) VALUES (%(caller)s, now() + %(each)s * interval '1 second')
    ON CONFLICT (caller) DO UPDATE SET full_at = greatest(r.full_at, now()) + %(each)s * interval '1 second'
    WHERE greatest(r.full_at, now()) + %(each)s * interval '1 second' <= now() + interval '1 minute'
    RETURNING 0.0::float8 AS wait
)
SELECT wait FROM taken, hurried UNION ALL
SELECT extract(epoch FROM full_at - now())::float8 + %(each)s - 60 FROM request_rates
WHERE caller = %(caller)s AND NOT EXISTS (SELECT FROM taken)
"""
_KEPT_DAYS = 90


class Meter:
    """Counts requests and tokens."""

    def __init__(self, settings: Settings, database: ServiceDatabase) -> None:
        self._anonymous_per_minute, self._database = settings.anonymous_per_minute, database

    def request(self, caller: Caller) -> None:
        """Take one request. Without a key two limits hold: the browser's, which can drop its cookie, and one for all.

        Raises:
            Refused: 429, with when to come again.
            DatabaseUnavailable, psycopg.OperationalError: it cannot be counted.
        """
        if caller.identity != ANONYMOUS:
            self._take(caller.account, caller.per_minute)
            return
        if caller.id:
            self._take(f"browser:{caller.id}", caller.per_minute)
        self._take(ANONYMOUS, self._anonymous_per_minute)

    def has_tokens(self, caller: Caller) -> bool:
        """Whether anything is left of the caller's tokens of today (UTC)."""
        if caller.tokens_per_day is None:
            return True
        spent = self._database().fetch_value(
            "SELECT tokens FROM token_days WHERE caller = %s AND day = (now() AT TIME ZONE 'UTC')::date",
            [caller.account],
        )
        return (spent or 0) < caller.tokens_per_day

    def spend(self, caller: Caller, tokens: int) -> None:
        """Count what the LLM read and wrote for an answer."""
        if tokens > 0:
            self._database().execute(
                "INSERT INTO token_days AS t (caller, day, tokens) VALUES (%s, (now() AT TIME ZONE 'UTC')::date, %s)"
                " ON CONFLICT (caller, day) DO UPDATE SET tokens = t.tokens + excluded.tokens",
                [caller.account, tokens],
            )

    def sweep(self) -> None:
        """Delete what counts no more: rates that are full again, sessions that ended, tokens of long ago."""
        with self._database().transaction() as connection:
            connection.execute("DELETE FROM request_rates WHERE full_at < now()")
            connection.execute("DELETE FROM browser_sessions WHERE expires_at < now()")
            connection.execute("DELETE FROM token_days WHERE day < current_date - %s::integer", [_KEPT_DAYS])

    def _take(self, caller: str, per_minute: int) -> None:
        rows = self._database().fetch_all(_TAKE, {"caller": caller, "each": 60 / per_minute})
        wait = rows[0][0] if rows else 1.0  # none: another process made the row meanwhile
        if wait > 0 or not rows:
            seconds = max(1, math.ceil(wait))
            raise Refused(
                429,
                f"More than {per_minute:,} requests a minute: try again in {seconds} second{'s' * (seconds > 1)}.",
                Retry_After=str(seconds),
            )
