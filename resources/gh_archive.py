"""GH Archive hour files, from a base URL, a file:// URL or a folder; verified where a manifest lies beside them.

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
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

import httpx
from isal import igzip, isal_zlib

from resources.downloads import download, read
from resources.errors import ConfigurationError, CorruptFile, HourNotFound, SourceError
from resources.json_lines import line_blocks, object_blocks, read_ahead
from resources.manifests import Manifest, parse_manifest

GHARCHIVE = "https://data.gharchive.org"
TIMELINE_UNTIL = datetime(2015, 1, 1, tzinfo=UTC)
"""Hours before hold the timeline format: objects without ids, in some years without newlines between them."""

_WITHOUT_MANIFESTS = "data.gharchive.org"
_BLOCK = 1024 * 1024
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-(\d|1\d|2[0-3])\.json(?:\.gz)?")


@dataclass(frozen=True)
class HourFile:
    """An hour file on this machine.

    url: where it came from; sha256: hex digest of the file as it came; size: bytes of the same; etag: as the
    server sent it; manifest: what the source says of the file, its digest already compared.
    """

    hour: datetime
    url: str
    path: Path
    sha256: str
    size: int
    etag: str | None = None
    manifest: Manifest | None = None

    def verify_events(self, events: int) -> bool:
        """Compare the number of lines read, blank ones left out, with the manifest's.

        Returns:
            Whether the source named both digest and count, and both agree.

        Raises:
            ManifestMismatch: it names another count.
        """
        if self.manifest is None:
            return False
        self.manifest.check_events(self.url, events)
        return self.manifest.complete

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
    """Hour files of one source: a base URL (http, https, file), a folder, or the short name `gharchive`."""

    def __init__(self, base: str) -> None:
        base = GHARCHIVE if base == "gharchive" else base
        self._folder: Path | None = None
        self._auth: tuple[str, str] | None = None
        try:
            scheme = urlsplit(base).scheme
            if scheme in ("http", "https"):
                url = httpx.URL(base)
                if not url.host:
                    raise ValueError("no host")
                if url.userinfo:  # kept out of the URLs, which are stored and shown
                    self._auth = (url.username, url.password)
                    base = str(url.copy_with(userinfo=b""))
        except (ValueError, httpx.InvalidURL) as error:
            raise ConfigurationError(
                f"{base!r} is no source of hour files ({error}): expected a URL such as {GHARCHIVE}, the short name"
                " gharchive, or a folder. Check GH_ARCHIVE_URL."
            ) from error
        self.base = base.rstrip("/")
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
        """Where the file of `hour` is, or should be."""
        name = f"{_name(hour)}.gz"
        if self._folder is None:
            return f"{self.base}/{name}"
        return (_in_folder(self._folder, hour) or self._folder / name).absolute().as_uri()

    def has(self, hour: datetime) -> bool:
        """Whether the source has the file of `hour`, without downloading it.

        Raises:
            SourceError: the source does not answer, or refuses.
        """
        if self._folder is not None:
            return _in_folder(self._folder, hour) is not None
        url = self.url(hour)
        try:
            response = httpx.head(url, timeout=5, follow_redirects=True, auth=self._auth)
            if response.status_code == httpx.codes.NOT_FOUND:
                return False
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise SourceError(f"{url} does not answer: {error or type(error).__name__}") from error
        return True

    @contextmanager
    def fetch(self, hour: datetime, *, known_etag: str | None = None) -> Iterator[HourFile]:
        """The file of `hour`, with the digest that its manifest names; a downloaded one is removed at the end.

        known_etag: of the copy that is loaded already.

        Raises:
            HourNotFound: the source has no such file.
            HourUnchanged: the server still has the file that known_etag names.
            ManifestMismatch: the digest is not the manifest's.
            SourceError: the source cannot be reached, or the manifest cannot be read.
        """
        if self._folder is not None:
            path = _in_folder(self._folder, hour)
            if path is None:
                name = _name(hour)
                raise HourNotFound(f"{self._folder} holds neither {name}.gz nor {name}.")
            digest, size = _digest(path)
            file = HourFile(hour, path.absolute().as_uri(), path, digest, size)
            yield _described(file, lambda url: _content(Path(unquote(urlsplit(url).path))))
            return
        timeout = httpx.Timeout(60, connect=10)
        with (
            tempfile.NamedTemporaryFile(prefix="starsearch-", suffix=".json.gz") as temporary,
            httpx.Client(timeout=timeout, follow_redirects=True, auth=self._auth) as client,
        ):
            url = self.url(hour)
            got = download(client, url, cast("BinaryIO", temporary), known_etag=known_etag)
            file = HourFile(hour, url, Path(temporary.name), got.sha256, got.size, got.etag)
            if urlsplit(url).hostname != _WITHOUT_MANIFESTS:
                file = _described(file, lambda url: read(client, url))
            yield file


def _described(file: HourFile, read_file: Callable[[str], bytes | None]) -> HourFile:
    """The file with its manifest, where there is one, and with the digest that this names."""
    for url in (f"{file.url}.manifest.json", f"{file.url.removesuffix('.gz').removesuffix('.json')}.manifest.json"):
        content = read_file(url)
        if content is not None:
            manifest = parse_manifest(url, content)
            manifest.check_digest(file.url, file.sha256, file.size)
            return replace(file, manifest=manifest)
    return file


def _in_folder(folder: Path, hour: datetime) -> Path | None:
    name = _name(hour)
    return next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


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
