"""Objects out of a stream, however a file separates them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resources import json_lines
from resources.json_lines import line_blocks, object_blocks

_TEXT = st.text(st.sampled_from('{}"\\\n\r\t /uéx') | st.characters(exclude_categories=["Cs"]), max_size=12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_OBJECT = st.dictionaries(_TEXT, _JSON, max_size=4)
_SEPARATOR = st.sampled_from([b"", b" ", b"\n", b"\r\n", b"\n\n", b"\t "])


def objects(data: bytes) -> list[bytes]:
    """All objects of a stream, the blocks joined."""
    return [one for block in object_blocks(io.BytesIO(data)) for one in block]


@pytest.fixture(params=[1, 7, 1024 * 1024])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that the reader takes at a time: what lies across two of them must not matter."""
    monkeypatch.setattr(json_lines, "_CHUNK", request.param)
    return int(request.param)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@settings(deadline=None, database=None, max_examples=150)
@given(written=st.lists(st.tuples(_OBJECT, st.booleans(), _SEPARATOR), max_size=6))
@example(written=[({"a": '}{\\"'}, False, b""), ({"}{": "\\"}, True, b"")])
def test_any_objects_come_back_however_they_are_separated(
    size: int, written: list[tuple[dict[str, Any], bool, bytes]]
) -> None:
    """Strings with braces, quotes, backslashes and escapes in them, and chunks that end anywhere."""
    data = b"".join(json.dumps(one, ensure_ascii=escaped).encode() + gap for one, escaped, gap in written)
    before = json_lines._CHUNK
    json_lines._CHUNK = size
    try:
        assert [json.loads(one) for one in objects(data)] == [one for one, _, _ in written]
    finally:
        json_lines._CHUNK = before


@pytest.mark.parametrize(
    "broken",
    [
        b'{"a": {"b": 1}',
        b'{"a": "no end}',
        b'{"a": "\\"}',
        b"text",
        b"[1, 2]",
        b"}",
        b'"',
        b'{"a": 1}}}',
        b'{"a": 1} x',
    ],
)
def test_a_broken_object_spoils_only_its_line(chunk: int, broken: bytes) -> None:
    """What is around it comes back whole; of the broken line nothing is lost."""
    found = objects(b'{"n": 1}{"n": 2}\n' + broken + b'\n{"n": 3}\n')
    assert (found[:2], found[-1]) == ([b'{"n": 1}', b'{"n": 2}'], b'{"n": 3}')
    assert b"".join(found[2:-1]).replace(b" ", b"") == broken.replace(b" ", b"")


def test_an_object_that_the_file_does_not_end(chunk: int) -> None:
    """It comes as it is: a reject, not silence."""
    assert objects(b'{"n": 1}{"n": "2') == [b'{"n": 1}', b'{"n": "2']


@pytest.mark.parametrize("rest", [b'{"a": "%s"}', b'{"a": {"b": "%s"}}', b'{"%s": {}'])
def test_an_object_past_the_limit_is_cut(chunk: int, monkeypatch: pytest.MonkeyPatch, rest: bytes) -> None:
    """It costs its line; what the reader holds stays below the limit and a chunk."""
    monkeypatch.setattr(json_lines, "LIMIT", 100)
    huge = rest % (b"x" * 3000)
    assert objects(b'{"n": 1}' + huge + b'\n{"n": 2}')[:2] == [b'{"n": 1}', huge[:100]]
    assert objects(b'{"n": 1}' + huge + b'\n{"n": 2}')[-1] == b'{"n": 2}'


@settings(deadline=None, database=None)
@given(
    lines=st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"").rstrip(b"\r"))),
    size=st.integers(1, 9),
)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_blocks_of_any_size_hold_the_same_lines(ending: bytes, lines: list[bytes], size: int) -> None:
    """Where a block ends makes no line, joins none and loses none; a last newline starts no line."""
    data = ending.join([*lines, b""])
    assert [one for block in line_blocks(io.BytesIO(data), size) for one in block] == lines
