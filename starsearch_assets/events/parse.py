"""One line of an hour file to one row of `events`, or the reason why it cannot be one."""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import orjson

from starsearch_assets.events.projection import project

_NUL_REPLACED = "U+0000 replaced by its escape"
_EARLIEST = datetime(2008, 1, 1, tzinfo=UTC)  # GitHub's own beginning
_TOLERANCE = timedelta(days=1)
_POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PAIR = struct.Struct(">qq")
_BIGINT = 2**63
_TYPE_LIMIT, _NAME_LIMIT = 100, 300  # characters; both are part of a key, and B-tree keys end at 2,704 bytes
_SPECIAL = re.compile(r"[\\\t\n\r\b\f\v]")
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # in JSON text: U+0000, and not a backslash before u0000
_PECULIAR = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")  # U+0000 and surrogates, also ones behind a backslash
_UNCUT = frozenset(("PushEvent", "CreateEvent", "DeleteEvent", "WatchEvent", "GollumEvent", "PublicEvent"))
_UNDECODED = re.compile("[\udc80-\udcff]")  # the bytes that are not UTF-8, as `surrogateescape` gives them
_ESCAPE = re.compile(  # every escape of a JSON text, so that the second backslash of a pair starts none
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
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
    repo_id: int
    actor_id: int | None
    sanitized: str | None
    copy: bytes


class Key(msgspec.Struct, frozen=True, gc=False):
    """What identifies an event. `pair`: its time and id, as `pair_of` writes them."""

    created_at: datetime
    pair: bytes
    type: str


class _Repo(msgspec.Struct, gc=False):
    id: int
    name: str


class _Actor(msgspec.Struct, gc=False):
    id: int | None = None
    login: str | None = None


class _Key(msgspec.Struct, gc=False):
    id: str
    type: str
    created_at: str


class _Event(msgspec.Struct, gc=False):
    """An ordinary event; its payload stays unread."""

    id: str
    type: str
    created_at: str
    repo: _Repo
    payload: msgspec.Raw
    actor: _Actor | None = None


_ordinary = msgspec.json.Decoder(_Event)
_key = msgspec.json.Decoder(_Key)


def parse_line(raw: bytes, now: datetime, *, careful: bool = False) -> EventRow:
    """Parse one line.

    careful: read every value of every payload, also where an ordinary line can be taken as it is. Only a line
    with numbers or depths that PostgreSQL refuses needs it: its COPY says so.

    Raises:
        BadLine: not JSON, not an event, or a time that no event can have.
    """
    row = None if careful else _parse_ordinary(raw, now)
    return _parse_carefully(raw, now) if row is None else row


def read_key(raw: bytes) -> Key | None:
    """The key of a line, several times as fast as the line could be parsed.

    None for a line that has to be parsed to know what becomes of it: no event, or one with characters that may
    have to be replaced by their escape.
    """
    try:
        found = _key.decode(raw)
        if not raw.isascii():
            raw.decode()
        if b"\\" in raw and _PECULIAR.search(raw):
            return None
        number = found.id
        if not number.isdigit() or not number.isascii():
            return None
        _, created_at, microseconds = _instant(found.created_at)
        return Key(created_at, _PAIR.pack(microseconds, int(number)), found.type)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, struct.error):
        return None


def pair_of(created_at: datetime, event_id: int) -> bytes:
    """Time and id in 16 bytes, as PostgreSQL's timestamptz_send and int8send write them."""
    return _PAIR.pack((created_at - _POSTGRES_EPOCH) // _MICROSECOND, event_id)


def _parse_ordinary(raw: bytes, now: datetime) -> EventRow | None:
    """The row of a line without peculiarities; None for any other, and for what is no event.

    A payload in which nothing would be cut is copied as it stands, four times as fast as it could be read.
    """
    try:
        event = _ordinary.decode(raw)
        document = bytes(event.payload)
        if event.type not in _UNCUT:
            payload = orjson.loads(document)
            if type(payload) is not dict:
                return None
            document = orjson.dumps(project(payload))
        elif document[:1] != b"{" or b"\t" in document or b"\r" in document:
            return None
        if not document.isascii():
            document.decode()
        actor = event.actor or _Actor()
        if b"\\u" in document and _PECULIAR.search(document):
            return None
        if actor.login is not None and "\x00" in actor.login:
            return None
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        return None
    created, created_at = _time(event.created_at, now)
    event_id = _identifier(event.id, "id")
    kind = _text(event.type, "type", _TYPE_LIMIT)
    repo_id, repo_name = _identifier(event.repo.id, "repo.id"), _text(event.repo.name, "repo.name", _NAME_LIMIT)
    actor_id = actor.id if actor.id is not None and abs(actor.id) < _BIGINT else None
    copy = _copy(created, event_id, kind, repo_id, repo_name, actor_id, actor.login, document)
    return EventRow(created_at, event_id, kind, repo_id, actor_id, None, copy)


def _parse_carefully(raw: bytes, now: datetime) -> EventRow:
    event, sanitized = read_object(raw)
    event_id = _identifier(event.get("id"), "id")
    repo = event.get("repo")
    if type(repo) is not dict:
        raise BadLine("expected an object `repo`, found none")
    return build_row(event, event_id, _identifier(repo.get("id"), "repo.id"), now, sanitized)


def read_object(raw: bytes) -> tuple[dict[str, Any], str | None]:
    """The JSON object of a line, and why characters of it were replaced by their escape.

    Raises:
        BadLine: not JSON, or no object.
    """
    sanitized = None
    try:
        event = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        event, sanitized = _lenient(raw, error)
    if type(event) is not dict:
        raise BadLine(f"expected a JSON object, found {type(event).__name__}")
    return event, sanitized


def build_row(event: dict[str, Any], event_id: int, repo_id: int, now: datetime, sanitized: str | None) -> EventRow:
    """The row of an event in the shape of GitHub's Events API, with the identifiers that it has or was given.

    Raises:
        BadLine: a field is not what it has to be.
    """
    created, created_at = _time(event.get("created_at"), now)
    kind = _text(event.get("type"), "type", _TYPE_LIMIT)
    repo_name = _text(event["repo"].get("name"), "repo.name", _NAME_LIMIT)
    actor = event.get("actor")
    actor_id, login = None, None
    if type(actor) is dict:
        actor_id, login = actor.get("id"), actor.get("login")
        actor_id = actor_id if type(actor_id) is int and abs(actor_id) < _BIGINT else None
        if type(login) is str and "\x00" in login:
            login, sanitized = login.replace("\x00", "\\u0000"), sanitized or _NUL_REPLACED
    payload = event.get("payload")
    if type(payload) is not dict:
        raise BadLine("expected an object `payload`, found none")
    try:
        document = orjson.dumps(project(payload))
    except TypeError as error:
        raise BadLine(f"payload that cannot be written as JSON: {error}") from error
    if b"\\u0000" in document:
        document, replaced = _NUL.subn(rb"\1\\\\u0000", document)
        if replaced:
            sanitized = sanitized or _NUL_REPLACED
    copy = _copy(created, event_id, kind, repo_id, repo_name, actor_id, login, document)
    return EventRow(created_at, event_id, kind, repo_id, actor_id, sanitized, copy)


def _copy(
    created: str,
    event_id: int,
    kind: str,
    repo_id: int,
    repo_name: str,
    actor_id: int | None,
    login: Any,
    document: bytes,
) -> bytes:
    """The row in COPY's text format; what is no login is NULL."""
    actor = "\\N" if actor_id is None else actor_id
    name = _field(login) if type(login) is str else "\\N"
    columns = f"{created}\t{event_id}\t{_field(kind)}\t{repo_id}\t{_field(repo_name)}\t{actor}\t{name}\t"
    return columns.encode() + document.replace(b"\\", b"\\\\")


def _lenient(raw: bytes, error: orjson.JSONDecodeError) -> tuple[Any, str]:
    """Read what the strict parser refuses only for its characters: lone surrogates, broken UTF-8."""
    if not raw.strip():
        raise BadLine("empty line")
    text = raw.decode("utf-8", "surrogateescape")
    visible = _UNDECODED.sub(lambda found: f"\\\\x{ord(found.group()) - 0xDC00:02x}", text)
    visible = _ESCAPE.sub(lambda found: "\\" * bool(found["lone"]) + found.group(), visible)
    if visible != text:
        try:
            return orjson.loads(visible), "characters that are not Unicode text replaced by their escape"
        except orjson.JSONDecodeError as still:
            error = still
    raise BadLine(f"not JSON: {error.msg} at character {error.pos + 1}") from error


def _time(value: Any, now: datetime) -> tuple[str, datetime]:
    try:
        iso, parsed, _ = _instant(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadLine(f"expected an ISO 8601 time in created_at, found {_shown(value)}") from error
    if parsed.tzinfo is None:
        raise BadLine(f"expected a time zone in created_at, found {_shown(value)}")
    if not _EARLIEST <= parsed <= now + _TOLERANCE:
        raise BadLine(f"expected a time between 2008 and tomorrow in created_at, found {_shown(value)}")
    return iso, parsed


@lru_cache(maxsize=4096)  # events come in order of time, dozens in each second
def _instant(value: str) -> tuple[str, datetime, int | None]:
    """As ISO 8601, as a time, and as PostgreSQL counts microseconds; these not without a time zone."""
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo not in (None, UTC):
        parsed = parsed.astimezone(UTC)  # days are UTC days, and PostgreSQL refuses offsets of 16 hours and more
    microseconds = (parsed - _POSTGRES_EPOCH) // _MICROSECOND if parsed.tzinfo is not None else None
    return parsed.isoformat(), parsed, microseconds


def _identifier(value: Any, name: str) -> int:
    number = value
    if type(value) is str:
        number = int(value) if len(value) <= 19 and value.isascii() and value.isdigit() else None
    if type(number) is not int or not 0 <= number < _BIGINT:
        raise BadLine(f"expected an integer from 0 to 2^63 - 1 in {name}, found {_shown(value)}")
    return number


def _text(value: Any, name: str, limit: int) -> str:
    if type(value) is not str or not 0 < len(value) <= limit or "\x00" in value:
        raise BadLine(f"expected 1 to {limit} characters of text in {name}, found {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """A value for a message: printable and short, whatever came."""
    if type(value) is str:
        return ascii(value[:100]) + "…" * (len(value) > 100)
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    return f"a JSON {'array' if type(value) is list else 'object'}"


def _field(value: str) -> str:
    if value.isprintable() and "\\" not in value:
        return value
    return _SPECIAL.sub(lambda found: _ESCAPES[found.group()], value)
