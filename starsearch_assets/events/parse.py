"""One line of an hour file to one row of `events`, or the reason why it cannot be one."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from starsearch_assets.events.projection import project

_EARLIEST = datetime(2008, 1, 1, tzinfo=UTC)  # GitHub's own beginning
_BIGINT = 2**63
_SPECIAL = re.compile(r"[\\\t\n\r\b\f\v]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\v": "\\v"}


class BadLine(Exception):
    """A line that cannot become an event; the message is the reason."""


class EventRow(NamedTuple):
    """One event. `copy` is its line in PostgreSQL's COPY text format, without source_id.

    sanitized: why characters were replaced by their visible escape, or None.
    """

    created_at: datetime
    event_id: int
    type: str
    sanitized: str | None
    copy: bytes


def parse_line(raw: bytes, now: datetime) -> EventRow:
    """Parse one line.

    Raises:
        BadLine: not JSON, not an event, or a time that no event can have.
    """
    sanitized = None
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        event, sanitized = _lenient(raw, error)
    if type(event) is not dict:
        raise BadLine(f"expected a JSON object, found {type(event).__name__}")
    created, created_at = _time(event.get("created_at"), now)
    event_id = _identifier(event.get("id"), "id")
    kind = _text(event.get("type"), "type")
    repo = event.get("repo")
    if type(repo) is not dict:
        raise BadLine("expected an object `repo`, found none")
    repo_id, repo_name = _identifier(repo.get("id"), "repo.id"), _text(repo.get("name"), "repo.name")
    actor = event.get("actor")
    actor_id, login = None, None
    if type(actor) is dict:
        actor_id, login = actor.get("id"), actor.get("login")
    payload = event.get("payload")
    if type(payload) is not dict:
        raise BadLine("expected an object `payload`, found none")
    try:
        document = orjson.dumps(project(payload))
    except TypeError as error:
        raise BadLine(f"payload that is not plain JSON: {error}") from error
    if b"\\u0000" in document and _has_nul(payload):
        payload, sanitized = _visible(payload), sanitized or "U+0000 replaced by its escape"
        document = orjson.dumps(project(payload))
    copy = b"%b\t%d\t%b\t%d\t%b\t%b\t%b\t%b" % (
        created.encode(),
        event_id,
        _field(kind),
        repo_id,
        _field(repo_name),
        b"%d" % actor_id if type(actor_id) is int and abs(actor_id) < _BIGINT else b"\\N",
        _field(login) if type(login) is str else b"\\N",
        document.replace(b"\\", b"\\\\"),
    )
    return EventRow(created_at, event_id, kind, sanitized, copy)


def _lenient(raw: bytes, error: orjson.JSONDecodeError) -> tuple[Any, str]:
    """Read what the strict parser refuses only for its characters: lone surrogates, broken UTF-8."""
    try:
        event = json.loads(raw.decode("utf-8", "backslashreplace") if not _is_utf8(raw) else raw)
    except (ValueError, RecursionError):
        reason = "empty line" if not raw.strip() else f"not JSON: {error.msg} at byte {error.pos}"
        raise BadLine(reason) from error
    return _visible(event), "characters that are not Unicode text replaced by their escape"


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _visible(value: Any) -> Any:
    """The same JSON value with U+0000 and lone surrogates written out, as \\u0000 or \\udXXX."""
    if type(value) is str:
        text = value.replace("\x00", "\\u0000")
        return _SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
    if type(value) is list:
        return [_visible(one) for one in value]
    if type(value) is dict:
        return {_visible(key): _visible(one) for key, one in value.items()}
    return value


def _has_nul(value: Any) -> bool:
    if type(value) is str:
        return "\x00" in value
    if type(value) is list:
        return any(_has_nul(one) for one in value)
    if type(value) is dict:
        return any("\x00" in key or _has_nul(one) for key, one in value.items())
    return False


def _time(value: Any, now: datetime) -> tuple[str, datetime]:
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise BadLine(f"expected an ISO 8601 time in created_at, found {value!r}"[:200]) from error
    if parsed.tzinfo is None:
        raise BadLine(f"expected a time zone in created_at, found {value!r}"[:200])
    if not _EARLIEST <= parsed <= now + timedelta(days=1):
        raise BadLine(f"created_at {value} is not between 2008 and tomorrow")
    return parsed.isoformat(), parsed


def _identifier(value: Any, name: str) -> int:
    try:
        number = int(value) if type(value) in (int, str) else None
    except ValueError:
        number = None
    if number is None or not -_BIGINT < number < _BIGINT:
        raise BadLine(f"expected a 64-bit integer in {name}, found {value!r}"[:200])
    return number


def _text(value: Any, name: str) -> str:
    if type(value) is not str or not value or "\x00" in value:
        raise BadLine(f"expected text in {name}, found {value!r}"[:200])
    return value


def _field(value: str) -> bytes:
    if "\x00" in value:
        value = value.replace("\x00", "\\u0000")
    if _SPECIAL.search(value):
        value = _SPECIAL.sub(lambda found: _ESCAPES[found.group()], value)
    return value.encode("utf-8", "backslashreplace")
