"""When a request to an OpenAI-compatible server is worth another try, and how long to wait before it."""

from __future__ import annotations

from datetime import timedelta

LONGEST_WAIT = timedelta(seconds=60)
_TRANSIENT = frozenset((408, 409, 425, 429, 500, 502, 503, 504))


def retry_openai(error: Exception) -> bool | timedelta:
    """For stamina's `on`: False, True (its own backoff with jitter), or what Retry-After asks for."""
    import openai

    if isinstance(error, openai.APIStatusError):
        if error.status_code not in _TRANSIENT:
            return False
        asked = error.response.headers.get("retry-after", "")
        try:
            return min(timedelta(seconds=max(float(asked), 0.0)), LONGEST_WAIT)
        except ValueError:
            return True
    return isinstance(error, openai.APIConnectionError)
