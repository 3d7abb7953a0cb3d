"""Hour files from folders, file:// URLs and a real HTTP server that misbehaves."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import stamina
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from resources import json_lines, retries
from resources.errors import ConfigurationError, CorruptFile, HourNotFound, SourceError
from resources.gh_archive import GHArchive
from tests.doubles.archive_server import ArchiveServer, Reply, archive_server
from tests.factories import at, write_hour

HOUR = at("2025-03-01 07:00")
NAME = "2025-03-01-7.json.gz"
LINES = [b'{"a": 1}', b"", b"not json"]


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with archive_server() as server:
        yield server


@pytest.fixture
def no_waits() -> Iterator[None]:
    """Retries as always, without the pauses between them."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """The pauses that were decided on."""
    seen: list[float] = []

    def note(details: RetryDetails) -> None:
        seen.append(details.wait_for)

    before = get_on_retry_hooks()
    set_on_retry_hooks([note])
    yield seen
    set_on_retry_hooks(before)


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("as_url", [True, False])
def test_a_folder_is_a_source(tmp_path: Path, compress: bool, as_url: bool) -> None:
    """A folder, by path or file:// URL (spaces escaped), gives lines, digest, size and a URL of its own."""
    folder = tmp_path / "hour files"
    path = write_hour(folder, HOUR, LINES, compress=compress)
    archive = GHArchive(folder.as_uri() if as_url else str(folder))
    assert archive.hours() == [HOUR]
    with archive.fetch(HOUR) as file:
        assert list(file.lines()) == [(1, LINES[0]), (2, b""), (3, LINES[2])]
        assert (file.sha256, file.size) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        assert (file.hour, file.url) == (HOUR, path.as_uri())


def test_a_gzip_under_a_plain_name_is_read(tmp_path: Path) -> None:
    """What a file is decides, not only its name."""
    (tmp_path / "2025-03-01-7.json").write_bytes(gzip.compress(b"{}\n"))
    with GHArchive(str(tmp_path)).fetch(HOUR) as file:
        assert list(file.lines()) == [(1, b"{}")]


def test_hours_are_the_names_that_are_hours(tmp_path: Path) -> None:
    """Other files, impossible dates and hours with a leading zero are passed over; both forms count once."""
    for name in (
        "README.md",
        "2025-02-30-1.json.gz",
        "2025-03-01-24.json",
        "2025-03-01-07.json",
        "2025-03-01-7.json.bz2",
    ):
        (tmp_path / name).touch()
    for hour in (HOUR + timedelta(hours=16), HOUR):
        write_hour(tmp_path, hour, [])
    write_hour(tmp_path, HOUR, [], compress=False)
    assert GHArchive(str(tmp_path)).hours() == [HOUR, HOUR + timedelta(hours=16)]


@pytest.mark.parametrize("base", ["/nowhere/at/all", "file:///nowhere/at/all", "http://", "http://[bad", "https:///x"])
def test_a_source_that_cannot_be_is_refused_at_once(base: str) -> None:
    """The message names what was given and the setting to check."""
    with pytest.raises(ConfigurationError, match="GH_ARCHIVE_URL") as caught:
        GHArchive(base)
    assert base.removeprefix("file://") in str(caught.value)


def test_an_hour_that_a_folder_lacks(tmp_path: Path) -> None:
    """HourNotFound, naming both names that were looked for."""
    with pytest.raises(HourNotFound, match=r"2025-03-01-7\.json\.gz nor 2025-03-01-7\.json"):
        GHArchive(str(tmp_path)).fetch(HOUR).__enter__()


def _whole() -> bytes:
    return gzip.compress(b"".join(b'{"line": %d}\n' % number for number in range(5000)), mtime=0)


def _flipped_checksum() -> bytes:
    whole = bytearray(_whole())
    whole[-6] ^= 0xFF
    return bytes(whole)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"AASDSA this is no gzip", "Not a gzipped file"),
        (_whole()[: len(_whole()) // 2], "ended before"),
        (_whole()[:-4], "ended before"),
        (_flipped_checksum(), "CRC check failed"),
        (_whole()[:10] + b"\xff" * 50, "nvalid deflate block"),
        (_whole() + b"trailing garbage", "Not a gzipped file"),
        (b"", "empty"),
    ],
    ids=["not gzip", "cut", "trailer cut", "checksum", "damaged middle", "garbage after it", "empty"],
)
def test_a_damaged_file_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    """Any damage of a compressed file raises CorruptFile with the file's URL and what is wrong."""
    path = tmp_path / NAME
    path.write_bytes(content)
    with GHArchive(str(tmp_path)).fetch(HOUR) as file, pytest.raises(CorruptFile) as caught:
        list(file.lines())
    assert path.as_uri() in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("length", [99, 100, 101, 200, 201, 1000])
def test_a_line_past_the_limit_is_cut_and_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """The lines after it keep their numbers and their text, whatever multiple of the limit it is."""
    monkeypatch.setattr(json_lines, "LIMIT", 100)
    write_hour(tmp_path, HOUR, [b"before", b"x" * length, b"after"])
    with GHArchive(str(tmp_path)).fetch(HOUR) as file:
        assert list(file.lines()) == [(1, b"before"), (2, b"x" * min(length, 100)), (3, b"after")]


def test_a_line_past_the_limit_at_the_end_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A last line without newline that is too long is cut and ends the file."""
    monkeypatch.setattr(json_lines, "LIMIT", 100)
    (tmp_path / "2025-03-01-7.json").write_bytes(b"x" * 250)
    with GHArchive(str(tmp_path)).fetch(HOUR) as file:
        assert list(file.lines()) == [(1, b"x" * 100)]


def test_download(server: ArchiveServer) -> None:
    """The file arrives unchanged, is asked for as it is, and is removed at the end."""
    server.files[NAME] = gzip.compress(b"{}\n")
    with GHArchive(server.url + "/").fetch(HOUR) as file:
        assert list(file.lines()) == [(1, b"{}")]
        assert (file.url, file.sha256) == (f"{server.url}/{NAME}", hashlib.sha256(server.files[NAME]).hexdigest())
        assert file.path.exists()
    assert not file.path.exists()
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_an_hour_that_a_server_lacks(server: ArchiveServer) -> None:
    """404 is HourNotFound, and asked once: it is an answer, not a failure."""
    with pytest.raises(HourNotFound, match="404"):
        GHArchive(server.url).fetch(HOUR).__enter__()
    assert len(server.requests) == 1


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize(
    "reply",
    [Reply(500), Reply(503, {"Retry-After": "soon"}), Reply(429), Reply(failure="cut"), Reply(failure="hang_up")],
    ids=["500", "503", "429", "cut body", "hang up"],
)
def test_a_passing_failure_is_tried_again(server: ArchiveServer, reply: Reply) -> None:
    """After three failures of one kind the fourth attempt still gives the whole file, nothing of the others."""
    server.files[NAME] = _whole()
    server.misbehave(NAME, reply, reply, reply)
    with GHArchive(server.url).fetch(HOUR) as file:
        assert file.path.read_bytes() == _whole()
        assert file.size == len(_whole())
    assert len(server.asked(NAME)) == 4


@pytest.mark.usefixtures("no_waits")
@pytest.mark.parametrize("reply", [Reply(500), Reply(failure="cut", cut_at=0), Reply(failure="hang_up")])
def test_a_lasting_failure_is_reported(server: ArchiveServer, reply: Reply) -> None:
    """SourceError names the URL and what to check."""
    server.misbehave(NAME, *[reply] * 4)
    server.files[NAME] = _whole()
    with pytest.raises(SourceError, match="GH_ARCHIVE_URL") as caught:
        GHArchive(server.url).fetch(HOUR).__enter__()
    assert f"{server.url}/{NAME}" in str(caught.value)
    assert len(server.requests) == 4


def test_a_refusal_is_not_tried_again(server: ArchiveServer) -> None:
    """403 will be 403 the next time: one request, SourceError."""
    server.misbehave(NAME, Reply(403))
    with pytest.raises(SourceError, match="403"):
        GHArchive(server.url).fetch(HOUR).__enter__()
    assert len(server.requests) == 1


def test_retry_after_is_obeyed(server: ArchiveServer, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own wait is taken, as seconds or as a date in the past, up to a limit; without one, ours is."""
    monkeypatch.setattr(retries, "LONGEST_WAIT", timedelta(seconds=0.25))
    server.files[NAME] = _whole()
    past = format_datetime(datetime(2020, 1, 1, tzinfo=UTC), usegmt=True)
    server.misbehave(
        NAME,
        Reply(429, {"Retry-After": "0.125"}),
        Reply(503, {"Retry-After": past}),
        Reply(429, {"Retry-After": "3600"}),
    )
    with GHArchive(server.url).fetch(HOUR) as file:
        assert file.size == len(_whole())
    assert waits == [0.125, 0.0, 0.25]


def test_the_short_name_of_gh_archive() -> None:
    """`gharchive` is GH Archive itself."""
    assert GHArchive("gharchive").url(HOUR) == f"https://data.gharchive.org/{NAME}"


def test_gh_archive_is_not_asked_for_manifests(server: ArchiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is known to have none: one request an hour. Its host is reached through a proxy here."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    server.files[f"http://data.gharchive.org/{NAME}"] = _whole()
    with GHArchive("http://data.gharchive.org").fetch(HOUR) as file:
        assert file.size == len(_whole())
    assert len(server.requests) == 1


def test_credentials_in_a_url_are_sent_and_not_shown(server: ArchiveServer) -> None:
    """User and password go into the Authorization header; the file's URL, which is stored, has neither."""
    server.files[NAME] = _whole()
    archive = GHArchive(server.url.replace("http://", "http://ada:s%20ecret@"))
    with archive.fetch(HOUR) as file:
        assert (file.url, archive.base) == (f"{server.url}/{NAME}", server.url)
    assert b64decode(server.asked(NAME)[0]["Authorization"].removeprefix("Basic ")) == b"ada:s ecret"


def test_a_server_cannot_be_listed(server: ArchiveServer) -> None:
    """The caller is told to name the days."""
    with pytest.raises(SourceError, match="name the days"):
        GHArchive(server.url).hours()
