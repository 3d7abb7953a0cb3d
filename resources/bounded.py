"""Replies of other servers, read within bounds."""

from __future__ import annotations

import time

import httpx


def read_within(response: httpx.Response, deadline: float, seconds: float, largest: int) -> bytes:
    """The body of a streamed response, decoded, which has to be whole at `deadline` (time.monotonic), `seconds` after
    it was asked for. largest: bytes that it may have.

    Raises:
        httpx.ReadTimeout: it trickles.
        httpx.DecodingError: it is larger.
    """
    content = bytearray()
    for part in response.iter_bytes():
        content += part
        if time.monotonic() > deadline:
            raise httpx.ReadTimeout(f"no whole reply within {seconds:g} s")
        if len(content) > largest:
            raise httpx.DecodingError(f"a reply of over {largest:,} bytes")
    return bytes(content)
