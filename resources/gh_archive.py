"""GH Archive hour files, from a base URL, a file:// URL or a folder.

Files are named YYYY-MM-DD-H.json.gz (H without a leading zero), one event a line; a folder may hold
them uncompressed as .json. Source: https://www.gharchive.org/.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tempfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

import httpx
import stamina
from isal import igzip, isal_zlib

from resources.errors import ConfigurationError, CorruptFile, HourNotFound, SourceError
from resources.json_lines import line_blocks, object_blocks, read_ahead
from resources.retries import retry_after

TIMELINE_UNTIL = datetime(2015, 1, 1, tzinfo=UTC)
"""Hours before hold the timeline format: objects without ids, in some years without newlines between them."""

_BLOCK = 1024 * 1024
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d|1\d|2[0-3])\.json(?:\.gz)?")


@dataclass(frozen=True)
class HourFile:
    """An hour file on this machine.

    url: where it came from; sha256: hex digest of the file as it came; size: bytes of the same.
    """

    hour: datetime
    url: str
    path: Path
    sha256: str
    size: int

    @property
    def timeline(self) -> bool:
        """Whether the hour may hold the timeline format of before 2015."""
        return self.hour < TIMELINE_UNTIL

    def blocks(self) -> Generator[tuple[int, list[bytes]], None, None]:
        """(number of the first line, from 1; raw lines without newlines), streamed in blocks of about 4 MiB.

        A line is one event: before 2015 a JSON object, wherever the next one starts. One past 32 MiB is cut
        there, so that memory stays flat; as JSON it is then broken. A thread reads the next block meanwhile:
        close the generator, or end it, to end that.

        Raises:
            CorruptFile: not gzip, cut in the middle, or failing gzip's checksum.
        """
        number = 1
        try:
            read = object_blocks if self.timeline else line_blocks
            with _opened(self.path) as stream, closing(read_ahead(read(stream))) as blocks:
                for block in blocks:
                    yield number, block
                    number += len(block)
        except (gzip.BadGzipFile, EOFError, zlib.error, isal_zlib.IsalError) as error:  # type: ignore[misc]
            raise CorruptFile(
                f"{self.url} ({self.size:,} bytes, SHA-256 {self.sha256[:12]}…) is damaged somewhere after line"
                f" {number - 1:,}: {error}. None of its events were stored; put a whole copy in its place and"
                " materialize the hour again."
            ) from error

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """(line number from 1, raw line), as `blocks` gives them."""
        for number, block in self.blocks():
            yield from enumerate(block, number)


class GHArchive:
    """Hour files of one source."""

    def __init__(self, base: str, *, client: httpx.Client | None = None) -> None:
        self.base = base.rstrip("/")
        try:
            scheme = urlsplit(base).scheme
            if scheme in ("http", "https") and not httpx.URL(base).host:
                raise ValueError("no host")
        except (ValueError, httpx.InvalidURL) as error:
            raise ConfigurationError(
                f"{base!r} is no source of hour files ({error}): expected a URL such as"
                " https://data.gharchive.org, or a folder. Check GH_ARCHIVE_URL."
            ) from error
        self._client = client
        self._folder: Path | None = None
        if scheme == "file":
            self._folder = Path(unquote(urlsplit(base).path))
        elif scheme not in ("http", "https"):
            self._folder = Path(base).expanduser()
        if self._folder is not None and not self._folder.is_dir():
            raise ConfigurationError(
                f"There is no folder {self._folder}: expected a folder of GH Archive hour files"
                " (YYYY-MM-DD-H.json.gz or .json). Check --data or GH_ARCHIVE_URL."
            )

    def hours(self) -> list[datetime]:
        """The hours that a folder holds, oldest first.

        Raises:
            SourceError: a remote source cannot be listed.
        """
        if self._folder is None:
            raise SourceError(f"{self.base} cannot be listed; name the days instead.")
        hours = (_hour(path.name) for path in self._folder.iterdir())
        return sorted({hour for hour in hours if hour is not None})

    def url(self, hour: datetime) -> str:
        """Where the compressed file of `hour` is, or should be."""
        name = f"{_name(hour)}.gz"
        return f"{self.base}/{name}" if self._folder is None else (self._folder / name).absolute().as_uri()

    @contextmanager
    def fetch(self, hour: datetime) -> Iterator[HourFile]:
        """The file of `hour`; a downloaded one is removed at the end.

        Raises:
            HourNotFound: the source has no such file.
            SourceError: the source cannot be reached.
        """
        name = _name(hour)
        if self._folder is not None:
            for path in (self._folder / f"{name}.gz", self._folder / name):
                if path.is_file():
                    digest, size = _digest(path)
                    yield HourFile(hour, path.absolute().as_uri(), path, digest, size)
                    return
            raise HourNotFound(f"{self._folder} holds neither {name}.gz nor {name}.")
        with tempfile.NamedTemporaryFile(prefix="starsearch-", suffix=".json.gz") as file:
            url = self.url(hour)
            digest, size = self._download(url, cast("BinaryIO", file))
            yield HourFile(hour, url, Path(file.name), digest, size)

    def _download(self, url: str, file: BinaryIO) -> tuple[str, int]:
        client = self._client or httpx.Client(timeout=httpx.Timeout(60, connect=10), follow_redirects=True)
        try:
            for attempt in stamina.retry_context(on=_backoff, attempts=4, timeout=300):
                with attempt:
                    file.seek(0)
                    file.truncate()
                    digest, size = hashlib.sha256(), 0
                    # identity: a proxy that compressed the file once more would change its bytes
                    with client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
                        if response.status_code == httpx.codes.NOT_FOUND:
                            raise HourNotFound(f"{url} is not there (404).")
                        response.raise_for_status()
                        for block in response.iter_raw(_BLOCK):
                            digest.update(block)
                            size += len(block)
                            file.write(block)
                    file.flush()
            return digest.hexdigest(), size
        except httpx.HTTPError as error:
            raise SourceError(
                f"{url} could not be read: {error or error.__class__.__name__}. Check GH_ARCHIVE_URL and"
                " the network; the hour can be materialized again at any time."
            ) from error
        finally:
            if self._client is None:
                client.close()


def _backoff(error: Exception) -> bool | timedelta:
    """Whether to try again, or after how long the server said to."""
    if isinstance(error, httpx.HTTPStatusError):
        response = error.response
        if response.status_code != httpx.codes.TOO_MANY_REQUESTS and response.status_code < 500:
            return False
        asked = retry_after(response.headers.get("Retry-After", ""), datetime.now(UTC))
        return True if asked is None else asked
    return isinstance(error, httpx.TransportError)


def _name(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d}-{hour.hour}.json"


def _hour(name: str) -> datetime | None:
    """The hour that a file is named for; None for a name that is no hour file's."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(f"{match[1]}T{int(match[2]):02}:00:00+00:00")
    except ValueError:
        return None  # the 30th of February


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as raw:
        compressed = path.name.endswith(".gz") or raw.peek(2)[:2] == b"\x1f\x8b"
        if not compressed:
            yield cast("BinaryIO", raw)
            return
        if not raw.peek(1):
            raise EOFError("the file is empty, not even a gzip header is there")  # gzip would call it no lines
        with igzip.IGzipFile(fileobj=raw) as stream:  # type: ignore[no-untyped-call]
            # IGzipFile by itself goes through Python for every line.
            yield cast("BinaryIO", io.BufferedReader(stream, _BLOCK))
