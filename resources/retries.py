"""When a request is worth another try, how long to wait before it, and how a retry is logged."""

from __future__ import annotations

import logging
import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import stamina

logger = logging.getLogger(__name__)

LONGEST_WAIT = timedelta(seconds=60)
_TRANSIENT = frozenset((408, 409, 425, 429, 500, 502, 503, 504))


def retry_openai(error: Exception) -> bool | timedelta:
    """For stamina's `on`: False, True (its own backoff with jitter), or what Retry-After asks for."""
    import openai

    if isinstance(error, openai.APIStatusError):
        if error.status_code not in _TRANSIENT:
            return False
        asked = retry_after(error.response.headers.get("retry-after", ""), datetime.now(UTC))
        return True if asked is None else asked
    return isinstance(error, openai.APIConnectionError)


def retry_httpx(error: Exception, *, longest: timedelta) -> bool | timedelta:
    """The same for httpx, where somebody waits: none after a timeout, nor where Retry-After asks for over `longest`."""
    if isinstance(error, httpx.HTTPStatusError):
        if error.response.status_code not in _TRANSIENT:
            return False
        asked = retry_after(error.response.headers.get("retry-after", ""), datetime.now(UTC))
        if asked is None:
            return True
        return asked if asked <= longest else False
    hopeless = (httpx.TimeoutException, httpx.UnsupportedProtocol)
    return isinstance(error, httpx.TransportError) and not isinstance(error, hopeless)


def retry_after(value: str, now: datetime, longest: timedelta | None = None) -> timedelta | None:
    """What a Retry-After header asks for, seconds or a date (RFC 9110, 10.2.3), at most `longest` (LONGEST_WAIT).

    None where it says neither.
    """
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    if math.isnan(seconds):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), (longest or LONGEST_WAIT).total_seconds()))


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    logger.warning(
        "a request failed with %s and is tried again in %.1f s",
        type(details.caused_by).__name__,
        details.wait_for,
        extra={"attempt": details.retry_num, "waited": details.waited_so_far},
    )


# stamina's own hooks print to standard output, where --json is, once structlog is installed (dagster brings it), and
# they show the whole error: servers repeat keys in theirs.
stamina.instrumentation.set_on_retry_hooks([_log_retry])
