"""JSON objects out of a stream: one a line, or, as before 2015, one after the other with or without newlines.

Both readers keep memory flat: an object past the limit is cut there (as JSON it is then broken) and what
follows up to the next newline is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar

LIMIT = 32 * 1024 * 1024
BLOCK = 4 * 1024 * 1024
_CHUNK = 1024 * 1024
_NEWLINE, _OPEN = b"\n{"
# What lies between two braces or newlines: whole strings, and everything outside them.
_BETWEEN = re.compile(rb'(?:[^"{}\n]++|"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+")*+')


Block = TypeVar("Block")


def read_ahead(blocks: Generator[Block, None, None]) -> Generator[Block, None, None]:
    """The same blocks, the next one being read (unzipped) in a thread meanwhile; no thread outlives it."""
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
            upcoming = pool.submit(next, blocks, None)
            while (block := upcoming.result()) is not None:
                upcoming = pool.submit(next, blocks, None)
                yield block
    finally:
        blocks.close()


def line_blocks(stream: BinaryIO, size: int | None = None) -> Generator[list[bytes], None, None]:
    """The lines of about `size` bytes (4 MiB) at a time, without their newlines."""
    size = size or BLOCK
    rest, returns = b"", False
    while data := stream.read(size):
        lines = data.split(b"\n")
        lines[0] = rest + lines[0]
        rest = lines.pop()
        if len(rest) >= LIMIT:
            lines.append(rest)
            rest = _after_newline(stream)
        returns = returns or b"\r" in data
        if lines:
            yield _cut(lines, returns=returns)
    if rest:
        yield _cut([rest], returns=returns)


def object_blocks(stream: BinaryIO, size: int | None = None) -> Generator[list[bytes], None, None]:
    """The objects of about `size` bytes (4 MiB) at a time, however they are separated.

    A newline always ends an object, so that a broken one spoils only its line. Text outside of objects comes
    as it is, for whoever reads it to refuse.
    """
    size = size or BLOCK
    block: list[bytes] = []
    held = 0
    for one in _objects(stream):
        block.append(one)
        held += len(one)
        if held >= size:
            yield block
            block, held = [], 0
    if block:
        yield block


def _objects(stream: BinaryIO) -> Iterator[bytes]:
    data = b""
    start = position = depth = 0  # where the object starts, where to read on, how many braces are open
    while True:
        found = _delimiter(data, position)
        if found < 0:
            if len(data) - start >= LIMIT:
                yield data[start : start + LIMIT]
                data, start, position, depth = _after_newline(stream), 0, 0, 0
                continue
            more = stream.read(_CHUNK)
            if not more:
                break
            data, position, start = data[start:] + more, position - start, 0
            continue
        position, delimiter, before = found + 1, data[found], depth
        depth = 0 if delimiter == _NEWLINE else depth + 1 if delimiter == _OPEN else max(depth - 1, 0)
        if delimiter == _NEWLINE or (before, depth) == (0, 1):  # what came before an object is none itself
            end = found
        elif (before, depth) == (1, 0):
            end = position
        else:
            continue
        if whole := data[start:end].strip():
            yield whole[:LIMIT]
        start = end
    if whole := data[start:].strip():
        yield whole


def _delimiter(data: bytes, position: int) -> int:
    """Where the next brace outside of strings, or the next newline, is; -1: not in what was read so far."""
    match = _BETWEEN.match(data, position)
    end = match.end() if match is not None else position
    if data[end : end + 1] == b'"':  # a string that does not end here; a newline breaks it
        return data.find(b"\n", end)
    return end if end < len(data) else -1


def _cut(lines: list[bytes], *, returns: bool) -> list[bytes]:
    """The lines without carriage returns at their ends, none past the limit."""
    if returns:
        lines = [line.rstrip(b"\r") for line in lines]
    return [line[:LIMIT] for line in lines] if max(map(len, lines)) > LIMIT else lines


def _after_newline(stream: BinaryIO) -> bytes:
    """Drop the rest of a line; what was read past it is given back."""
    while data := stream.read(_CHUNK):
        _, newline, rest = data.partition(b"\n")
        if newline:
            return rest
    return b""
