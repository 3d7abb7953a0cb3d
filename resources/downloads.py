"""Files over HTTP that arrive in spite of cuts: resumed by ranges where that is safe, else started over.

Ranges and validators: RFC 9110, 13 and 14.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import httpx
import stamina

from resources.errors import HourNotFound, HourUnchanged, SourceError
from resources.retries import retry_after

ATTEMPTS = 4
"""Attempts in a row that bring nothing new, after which a download is given up."""

_RESUME_AFTER = timedelta(seconds=0.1)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class Download:
    """A file that arrived. sha256: hex digest; size: bytes; etag: as the server sent it, quotes included."""

    sha256: str
    size: int
    etag: str | None


class _Incomplete(Exception):
    """A reply after which the file is not whole yet."""


def download(client: httpx.Client, url: str, file: BinaryIO, *, known_etag: str | None = None) -> Download:
    """Stream `url` into `file`. A long file over a bad line arrives as long as every few attempts bring more of it.

    Raises:
        HourNotFound: 404.
        HourUnchanged: the server still has the file that known_etag names; nothing was downloaded.
        SourceError: the file cannot be had.
    """
    try:
        return _Transfer(client, url, file, known_etag).run()
    except (httpx.HTTPError, _Incomplete) as error:
        raise _unreadable(url, error) from error


def read(client: httpx.Client, url: str) -> bytes | None:
    """A small file in memory; None where there is none.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        for attempt in stamina.retry_context(on=_backoff, attempts=ATTEMPTS, timeout=300):
            with attempt:
                response = client.get(url)
                if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                    return None
                response.raise_for_status()
    except httpx.HTTPError as error:
        raise _unreadable(url, error) from error
    return response.content


class _Transfer:
    """One file on its way."""

    def __init__(self, client: httpx.Client, url: str, file: BinaryIO, known_etag: str | None) -> None:
        self._client, self._url, self._file, self._known_etag = client, url, file, known_etag
        self._digest, self._size = hashlib.sha256(), 0
        self._etag: str | None = None
        self._ranges = True
        self._furthest = self._fruitless = 0

    def run(self) -> Download:
        for attempt in stamina.retry_context(on=self._again, attempts=None, timeout=None):
            with attempt:
                self._attempt()
        self._file.flush()
        return Download(self._digest.hexdigest(), self._size, self._etag)

    def _attempt(self) -> None:
        # identity: a proxy that compressed the file once more would change its bytes
        headers = {"Accept-Encoding": "identity"}
        # If-Range takes strong validators only; without one, what comes could be the end of another file.
        if self._size and self._ranges and self._etag is not None and not self._etag.startswith("W/"):
            headers |= {"Range": f"bytes={self._size}-", "If-Range": self._etag}
        elif self._known_etag is not None:
            headers["If-None-Match"] = self._known_etag
        with self._client.stream("GET", self._url, headers=headers) as response:
            expected = self._judge(response, conditional="If-None-Match" in headers)
            for block in response.iter_raw():
                self._digest.update(block)
                self._size += len(block)
                self._file.write(block)
        if expected is not None and self._size != expected:
            raise _Incomplete(f"{self._size:,} of {expected:,} bytes came")

    def _judge(self, response: httpx.Response, *, conditional: bool) -> int | None:
        """Make ready for the body; the size of the whole file, where the reply to a range names it."""
        match response.status_code:
            case httpx.codes.NOT_FOUND:
                raise HourNotFound(f"{self._url} is not there (404).")
            case httpx.codes.NOT_MODIFIED if conditional:
                raise HourUnchanged(f"{self._url} is still the file {self._known_etag} (304).")
            case httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._no_ranges(f"the server has nothing from byte {self._size:,} on (416)")
            case httpx.codes.PARTIAL_CONTENT:
                return self._continued(response)
        response.raise_for_status()
        self._start_over()
        self._etag = response.headers.get("ETag")
        return None  # a body shorter than its Content-Length is httpx's RemoteProtocolError

    def _continued(self, response: httpx.Response) -> int | None:
        place = response.headers.get("Content-Range", "")
        match = _CONTENT_RANGE.fullmatch(place)
        if match is None or not self._size or int(match[1]) != self._size:
            self._no_ranges(f"the server sent Content-Range {place!r} where bytes from {self._size:,} were asked for")
        elif response.headers.get("ETag", self._etag) != self._etag:
            self._no_ranges("the file changed while it was downloaded")
        return None if match is None or match[3] == "*" else int(match[3])

    def _no_ranges(self, reason: str) -> None:
        self._start_over()
        self._ranges = False
        raise _Incomplete(reason)

    def _start_over(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._digest, self._size, self._etag = hashlib.sha256(), 0, None

    def _again(self, error: Exception) -> bool | timedelta:
        """For stamina's `on`: attempts are counted from the last one that got further than all before it."""
        again = True if isinstance(error, _Incomplete) else _backoff(error)
        progress = self._size > self._furthest
        self._furthest = max(self._furthest, self._size)
        self._fruitless = 0 if progress else self._fruitless + 1
        if again is False or self._fruitless == ATTEMPTS:
            return False
        return _RESUME_AFTER if progress else again


def _backoff(error: Exception) -> bool | timedelta:
    """Whether to try again, or after how long the server said to."""
    if isinstance(error, httpx.HTTPStatusError):
        response = error.response
        if response.status_code != httpx.codes.TOO_MANY_REQUESTS and response.status_code < 500:
            return False
        asked = retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
        return True if asked is None else asked
    return isinstance(error, httpx.TransportError)


def _unreadable(url: str, error: Exception) -> SourceError:
    return SourceError(
        f"{url} could not be read: {error or error.__class__.__name__}. Check GH_ARCHIVE_URL and the network; the hour"
        " can be materialized again at any time."
    )
