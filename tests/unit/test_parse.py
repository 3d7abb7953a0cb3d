"""One line to one row: what is kept, what is escaped, what is refused and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from resources.embedded_postgres import EmbeddedPostgres
from starsearch_assets.events.parse import BadLine, EventRow, parse_line
from starsearch_assets.events.projection import project
from tests.factories import comment, event, item, line, slim

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FAT = event(11, "PullRequestEvent", "2025-03-01 10:00", {"action": "opened", "pull_request": item(1, "A")})
Object = dict[str, Any]


class Stored(NamedTuple):
    """A row as PostgreSQL has it."""

    created_at: datetime
    event_id: int
    type: str
    repo_id: int
    repo_name: str
    actor_id: int | None
    actor_login: str | None
    payload: Any


@pytest.fixture(scope="module")
def connection(server: EmbeddedPostgres) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A session with an empty temporary table of the columns that COPY fills."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("SET timezone TO 'UTC'")
        connection.execute(
            "CREATE TEMPORARY TABLE copied (created_at timestamptz, event_id bigint, type text, repo_id bigint,"
            " repo_name text, actor_id bigint, actor_login text, payload jsonb)"
        )
        yield connection


def stored(connection: psycopg.Connection[tuple[Any, ...]], *rows: EventRow) -> list[Stored]:
    """The rows after COPY and back."""
    with connection.cursor().copy("COPY copied FROM STDIN") as copy:
        copy.write(b"".join(row.copy + b"\n" for row in rows))
    found = connection.execute("SELECT * FROM copied ORDER BY event_id").fetchall()
    connection.execute("TRUNCATE copied")
    return [Stored(*row) for row in found]


def changed(**fields: Any) -> bytes:
    """The fat event with other values; ... leaves a field out."""
    return line({name: value for name, value in (FAT | fields).items() if value is not ...})


def nested(raw: bytes, depth: int, innermost: bytes = b"") -> bytes:
    """The line with arrays in arrays where it says "DEEP"."""
    return raw.replace(b'"DEEP"', b"[" * depth + innermost + b"]" * depth)


def reason(raw: bytes) -> str:
    """Why a line is refused."""
    with pytest.raises(BadLine) as caught:
        parse_line(raw, NOW)
    return str(caught.value)


def test_a_fat_event(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Every column, the payload cut to what is read."""
    row = parse_line(line(FAT), NOW)
    assert (row.created_at, row.event_id, row.type, row.sanitized) == (
        datetime(2025, 3, 1, 10, tzinfo=UTC), 11, "PullRequestEvent", None,
    )  # fmt: skip
    assert stored(connection, row) == [
        Stored(row.created_at, 11, "PullRequestEvent", 1001, "acme/rocket", 7, "ada", project(FAT["payload"]))
    ]


def test_a_slim_event(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """The shape since 2025-10-07."""
    one = event(12, "PullRequestEvent", "2025-11-01 10:00", {"action": "merged", "number": 3, "pull_request": slim(3)})
    assert stored(connection, parse_line(line(one), NOW))[0].payload == project(one["payload"])


NUL_BODIES = [
    ("a\x00b", "a\\u0000b"),
    ("\x00\x00", "\\u0000\\u0000"),
    ("\\\x00", "\\\\u0000"),
    ("\\u0000 as text and \x00", "\\u0000 as text and \\u0000"),
]


@pytest.mark.parametrize(("body", "kept"), NUL_BODIES)
def test_nul_is_kept_visibly_and_recorded(
    connection: psycopg.Connection[tuple[Any, ...]], body: str, kept: str
) -> None:
    """U+0000, which PostgreSQL refuses, becomes the six characters of its escape; nothing else changes."""
    row = parse_line(changed(payload={"issue": item(1, "A", body=body), "other\x00": [body]}), NOW)
    assert row.sanitized == "U+0000 replaced by its escape"
    payload = stored(connection, row)[0].payload
    assert (payload["issue"]["body"], payload["other\\u0000"]) == (kept, [kept])


def test_an_escape_that_is_only_text_is_no_nul(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """A body that talks about \\u0000 is not touched, and not recorded as touched."""
    row = parse_line(changed(payload={"issue": item(1, "A", body="\\u0000 \\\\u0000")}), NOW)
    assert row.sanitized is None
    assert stored(connection, row)[0].payload["issue"]["body"] == "\\u0000 \\\\u0000"


def test_nul_in_what_is_not_kept_changes_nothing() -> None:
    """A field that the projection drops is nobody's loss."""
    assert parse_line(changed(payload={"issue": item(1, "A", _links="\x00")}), NOW).sanitized is None


def test_nul_in_a_login_is_recorded(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """The login's column obeys the same rule as the payload."""
    row = parse_line(changed(actor={"id": 7, "login": "a\x00da"}), NOW)
    assert row.sanitized == "U+0000 replaced by its escape"
    assert stored(connection, row)[0].actor_login == "a\\u0000da"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (rb"\ud83d", "\\ud83d"),
        (rb"\uDE00x", "\\uDE00x"),
        (rb"\ud83d\ud83d\ude00", "\\ud83d\U0001f600"),
        (rb"\\\ud83d", "\\\\ud83d"),
        (rb"\\ud83d \ud83d", "\\ud83d \\ud83d"),
        (rb"\ud83d\u0000", "\\ud83d\\u0000"),
        (b"caf\xe9", "caf\\xe9"),
        (b"\xed\xa0\xbd", "\\xed\\xa0\\xbd"),
        (b"\xff \xc3\xa9 \\ud83d", "\\xff \u00e9 \\ud83d"),
    ],
)
def test_what_is_not_unicode_text_is_kept_visibly_and_recorded(
    connection: psycopg.Connection[tuple[Any, ...]], written: bytes, kept: str
) -> None:
    """Lone surrogates and bytes that are not UTF-8 become their escape; real pairs stay characters."""
    row = parse_line(changed(payload={"issue": item(1, "A", body="HERE")}).replace(b"HERE", written), NOW)
    assert row.sanitized == "characters that are not Unicode text replaced by their escape"
    assert stored(connection, row)[0].payload["issue"]["body"] == kept


@pytest.mark.parametrize("actor", [None, ..., "ada", [], {"id": None, "login": None}, {"id": 2**63, "login": 5}])
def test_an_event_without_a_usable_actor_is_kept(connection: psycopg.Connection[tuple[Any, ...]], actor: Any) -> None:
    """Deleted accounts leave null actors; the event is still one."""
    found = stored(connection, parse_line(changed(actor=actor), NOW))[0]
    assert (found.actor_id, found.actor_login) == (None, None)


SPECIAL = "tab\t newline\n return\r back\\slash \\N \\. \\t \b\f\v \x01\x1f\x7f quote\" '$1' \u2028 \U0001f600"


def test_special_characters_survive_in_every_column(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """COPY's own characters, its NULL and its end marker are data like any other."""
    row = parse_line(
        changed(
            type=SPECIAL,
            repo={"id": 1, "name": SPECIAL},
            actor={"id": 7, "login": SPECIAL},
            payload={SPECIAL: SPECIAL, "issue": item(1, SPECIAL, body=SPECIAL)},
        ),
        NOW,
    )
    found = stored(connection, row)[0]
    assert (found.type, found.repo_name, found.actor_login) == (SPECIAL, SPECIAL, SPECIAL)
    assert found.payload[SPECIAL] == SPECIAL
    assert found.payload["issue"]["body"] == SPECIAL


@pytest.mark.parametrize("login", ["\\N", "\\.", "", "NULL"])
def test_logins_that_look_like_copy_syntax(connection: psycopg.Connection[tuple[Any, ...]], login: str) -> None:
    """They are text, not NULL and not the end."""
    rows = [parse_line(changed(id=number, actor={"id": 7, "login": login}), NOW) for number in (1, 2)]
    assert [found.actor_login for found in stored(connection, *rows)] == [login, login]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "empty line"),
        (b" \t ", "empty line"),
        (b"not json", "not JSON"),
        (line(FAT)[:-5], "not JSON"),
        (line(FAT) + b"{}", "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        (b'{"a": "\\\xff"}', "not JSON"),
        (b"[1, 2]", "expected a JSON object, found list"),
        (b"null", "expected a JSON object, found NoneType"),
        (b'"text"', "expected a JSON object, found str"),
        (b"[" * 5000 + b"]" * 5000, "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": Infinity, "b": "\\ud83d"}', "not JSON"),
        (b'{"a": 1e999}', "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(raw: bytes, expected: str) -> None:
    """The reason says what came; NaN and infinities, which JSON does not have, are not made up into null."""
    assert reason(raw).startswith(expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        *(({"id": value}, " in id, found") for value in (..., None, "", "12x", "1_000", " 12", "-5", -5, 1.5, True)),
        *(({"id": value}, " in id, found") for value in (2**63, str(2**63), 10**30, "9" * 5000, [], {}, "\u0663")),
        *(({"type": value}, " in type, found") for value in (..., None, "", 5, "a\x00b", "x" * 101)),
        *(({"repo": value}, "expected an object `repo`") for value in (..., None, "acme/rocket", [])),
        *(({"repo": {"id": value, "name": "a/b"}}, " in repo.id, found") for value in (None, "x", 2**64, -1)),
        *(({"repo": {"id": 1, "name": value}}, " in repo.name, found") for value in (None, "", "a\x00/b", "x" * 301)),
        *(({"payload": value}, "expected an object `payload`") for value in (..., None, [], "x")),
        *(({"created_at": value}, "ISO 8601") for value in (..., None, "", "now", 5, "2012/04/11 15:01:33 -0700")),
        ({"created_at": "2025-03-01T10:00:00"}, "time zone"),
        *(
            ({"created_at": value}, "between 2008 and tomorrow")
            for value in ("2007-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
                          "2026-11-02T00:00:01Z", "1999-01-01\x0000:00:00Z")
        ),
        *(
            ({"created_at": value}, " in created_at, found")
            for value in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")
        ),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(fields: Object, expected: str) -> None:
    """The reason names the field, and is short, printable text that PostgreSQL takes, whatever the value."""
    found = reason(changed(**fields))
    assert expected in found
    assert found.isprintable()
    assert len(found) < 250


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (changed(created_at="DEEP"), "expected an ISO 8601 time in created_at, found a JSON array"),
        (changed(payload={"a": "DEEP"}), "payload that cannot be written as JSON"),
    ],
)
def test_what_is_nested_absurdly_is_refused(raw: bytes, expected: str) -> None:
    """A thousand levels are neither followed nor shown."""
    assert reason(nested(raw, 1000)).startswith(expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2015-01-01T23:30:00-08:00", datetime(2015, 1, 2, 7, 30, tzinfo=UTC)),
        ("2015-01-01T00:30:00+01:00", datetime(2014, 12, 31, 23, 30, tzinfo=UTC)),
        ("2015-01-01T23:30:00+23:59", datetime(2014, 12, 31, 23, 31, tzinfo=UTC)),
        ("2015-01-01T10:00:00.5Z", datetime(2015, 1, 1, 10, 0, 0, 500000, tzinfo=UTC)),
        ("2015-01-01\x0010:00:00Z", datetime(2015, 1, 1, 10, tzinfo=UTC)),
    ],
)
def test_times_are_utc(connection: psycopg.Connection[tuple[Any, ...]], written: str, expected: datetime) -> None:
    """The day of an event is its UTC day, whatever zone its time was written in."""
    row = parse_line(changed(created_at=written), NOW)
    assert row.created_at.utcoffset() == timedelta(0)
    assert (row.created_at.date(), row.created_at) == (expected.date(), expected)
    assert stored(connection, row)[0].created_at == expected


@pytest.mark.parametrize("value", [0, "0", 2**63 - 1, "9223372036854775807"])
def test_identifiers_of_64_bits(value: Any) -> None:
    """As a string, as GitHub sends them, or as a number."""
    assert parse_line(changed(id=value), NOW).event_id == int(value)


@pytest.mark.parametrize(("written", "kept"), [(2**64, float(2**64)), (-(10**40), -1e40)])
def test_integers_beyond_64_bits_are_kept_as_the_nearest_double(
    connection: psycopg.Connection[tuple[Any, ...]], written: int, kept: float
) -> None:
    """As every JSON reader with doubles does; the event is kept, also beside a lone surrogate."""
    for raw in (
        changed(payload={"n": written}),
        changed(payload={"n": written, "s": "S"}).replace(b'"S"', rb'"\ud83d"'),
    ):
        assert float(stored(connection, parse_line(raw, NOW))[0].payload["n"]) == kept


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None, exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_NAMES = st.sampled_from(["action", "pull_request", "issue", "comment", "labels", "commits", "\x00", "new\\field"])
_KNOWN = st.dictionaries(st.sampled_from(["number", "title", "body", "user", "labels", "url", "login"]), _JSON)


def _visible(value: Any) -> Any:
    """The stated change: U+0000 as the six characters of its escape."""
    if isinstance(value, str):
        return value.replace("\x00", "\\u0000")
    if isinstance(value, list):
        return [_visible(one) for one in value]
    if isinstance(value, dict):
        return {_visible(name): _visible(one) for name, one in value.items()}
    return float(value) if type(value) in (int, float) else value


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payloads=st.lists(st.dictionaries(_NAMES | st.text(max_size=8), _JSON | _KNOWN, max_size=4), max_size=8))
@example(payloads=[{"\x00": 1, "body": "\\\x00\\\\\x00"}, {"float": 1.7976931348623157e308, "least": 5e-324}])
@pytest.mark.parametrize("kind", ["PullRequestEvent", "PushEvent"])
def test_any_payload_survives_copy(
    connection: psycopg.Connection[tuple[Any, ...]], kind: str, payloads: list[Object]
) -> None:
    """What jsonb gives back is the projected payload, whole for a push, but for U+0000; numbers compare as doubles."""
    rows = [parse_line(changed(id=str(number), type=kind, payload=one), NOW) for number, one in enumerate(payloads)]
    found = [_visible(row.payload) for row in stored(connection, *rows)]
    for one, projected, whole in zip(found, map(project, payloads), payloads, strict=True):
        assert one in (_visible(projected), _visible(whole) if kind == "PushEvent" else _visible(projected))
    assert [row.sanitized is not None for row in rows] == [
        "\\u0000" in json.dumps(project(one)).replace("\\\\", "") for one in payloads
    ]


_VALUES = _JSON | st.sampled_from(
    ["2025-03-01T10:00:00Z", "2025-03-01\x0010:00:00+23:00", "5", 5, {"id": 1, "name": "a/b"}]
)


PUSH = line(
    event(
        12,
        "PushEvent",
        "2025-03-01 10:00",
        {"push_id": 1.5, "commits": [{"sha": "1e5", "message": "é \\ \t \U0001f600"}]},
    )
)


def _overwritten(whole: bytes, at: int, piece: bytes) -> bytes:
    return whole[:at] + piece + whole[at + len(piece) :]


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary()
    | st.dictionaries(st.sampled_from(list(FAT)), _VALUES).map(lambda fields: line(FAT | fields))
    | st.tuples(st.sampled_from([line(FAT), PUSH]), st.floats(0, 1), st.binary(max_size=6)).map(
        lambda cut: _overwritten(cut[0], int(cut[1] * len(cut[0])), cut[2])
    )
)
@example(raw=b'{"a":' * 900 + b'"\\ud83d"' + b"}" * 900)
@example(raw=nested(changed(payload={"a": "DEEP"}), 240, b'"\\u0000"'))
@example(raw=nested(changed(payload={"a": "DEEP"}), 1000, b'"\\u0000"'))
@example(raw=nested(changed(payload={"issue": {"url": "DEEP", "title": "\x00"}}), 1000, b'"\\u0000"'))
def test_no_bytes_do_worse_than_a_bad_line(connection: psycopg.Connection[tuple[Any, ...]], raw: bytes) -> None:
    """Any bytes are either a row that PostgreSQL takes, or a BadLine with a reason that it takes."""
    try:
        row: EventRow | None = parse_line(raw, NOW)
        why = ""
    except BadLine as refused:
        row, why = None, str(refused)
    assert connection.execute("SELECT %s::text", [why]).fetchone() == (why,)
    if row is not None:
        assert stored(connection, row)[0].event_id == row.event_id


def test_comments_keep_their_bodies() -> None:
    """The body of a comment is in the row's payload."""
    one = event(1, "IssueCommentEvent", "2025-03-01 10:00", {"issue": item(1, "A"), "comment": comment(5, "Body!")})
    assert b"Body!" in parse_line(line(one), NOW).copy
