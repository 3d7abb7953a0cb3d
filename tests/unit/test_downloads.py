"""Downloads from a real HTTP server that cuts, lies and changes its files under the reader's hands."""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterator

import httpx
import pytest
import stamina

from resources.downloads import ATTEMPTS, Download, download, read
from resources.errors import HourNotFound, HourUnchanged, SourceError
from tests.doubles.archive_server import ArchiveServer, Reply, archive_server

NAME = "2025-03-01-7.json.gz"
CONTENT = random.Random(1).randbytes(300_000)
OTHER = random.Random(2).randbytes(200_000)
CUT = Reply(failure="cut", cut_at=100_000)


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with archive_server() as server:
        server.files[NAME] = CONTENT
        yield server


@pytest.fixture(autouse=True)
def _no_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=1000, cap=True):
        yield


def fetched(server: ArchiveServer, known_etag: str | None = None) -> tuple[bytes, Download]:
    """What a download leaves in its file, and what it says of it."""
    file = io.BytesIO()
    with httpx.Client() as client:
        got = download(client, f"{server.url}/{NAME}", file, known_etag=known_etag)
    assert (got.size, got.sha256) == (len(file.getvalue()), hashlib.sha256(file.getvalue()).hexdigest())
    return file.getvalue(), got


def ranges(server: ArchiveServer) -> list[str | None]:
    """The ranges asked for, one a request."""
    return [headers.get("Range") for headers in server.asked(NAME)]


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def test_a_cut_download_goes_on_where_it_stopped(server: ArchiveServer) -> None:
    """The second request asks for the rest of the same file, by its ETag; digest and size are the whole's."""
    server.misbehave(NAME, CUT)
    content, got = fetched(server)
    assert content == CONTENT
    assert got.etag == etag(CONTENT)
    assert ranges(server) == [None, "bytes=100000-"]
    assert server.asked(NAME)[1]["If-Range"] == etag(CONTENT)


def test_a_bad_line_is_outlasted(server: ArchiveServer) -> None:
    """Many more cuts in a row than attempts are allowed without progress: each brings some, so the file arrives."""
    server.misbehave(NAME, *[Reply(failure="cut", cut_at=9_999)] * 30)
    content, _ = fetched(server)
    assert content == CONTENT
    assert len(ranges(server)) == 31 > 5 * ATTEMPTS


def test_attempts_that_bring_nothing_are_bounded(server: ArchiveServer) -> None:
    """After some progress, four fruitless attempts in a row end it, though later ones would succeed."""
    server.misbehave(NAME, CUT, *[Reply(failure="hang_up")] * 3, CUT, *[Reply(503)] * 4)
    with pytest.raises(SourceError, match="503"):
        fetched(server)
    assert len(server.requests) == 1 + 3 + 1 + 4


def test_starting_over_is_no_progress(server: ArchiveServer) -> None:
    """A server without ranges that always cuts at the same byte is given up, though bytes come every time."""
    server.ranges = False
    server.misbehave(NAME, *[CUT] * (1 + ATTEMPTS))
    with pytest.raises(SourceError):
        fetched(server)
    assert len(server.requests) == 1 + ATTEMPTS


@pytest.mark.parametrize(
    "replies",
    [
        [CUT, Reply(ignore=("Range",))],
        [CUT, Reply(416)],
        [CUT, Reply(206, {"Content-Range": "bytes 5-6/300000"})],
        [CUT, Reply(headers={"Content-Range": "whatever"})],
        [CUT, Reply(headers={"Content-Range": "bytes 100000-299999/300001"})],
        [Reply(206, {"Content-Range": "bytes 0-1/*"})],
    ],
    ids=["range ignored", "416", "wrong start", "no Content-Range", "wrong length", "206 unasked"],
)
def test_a_range_that_is_not_served_right_costs_only_time(server: ArchiveServer, replies: list[Reply]) -> None:
    """Whatever the server makes of the range, the file is the right one in the end."""
    server.misbehave(NAME, *replies)
    assert fetched(server)[0] == CONTENT


@pytest.mark.parametrize("ignore", [(), ("If-Range",)], ids=["answers 200", "answers 206 all the same"])
def test_a_file_that_changes_on_the_way_is_started_over(server: ArchiveServer, ignore: tuple[str, ...]) -> None:
    """No mixture of two files: after the change all of the new one is read, and its ETag is kept."""
    server.misbehave(NAME, Reply(failure="cut", cut_at=150_000, becomes=OTHER), Reply(ignore=ignore))
    content, got = fetched(server)
    assert (content, got.etag) == (OTHER, etag(OTHER))


def test_a_file_that_shrinks_on_the_way_leaves_nothing_of_the_longer_one(server: ArchiveServer) -> None:
    """Starting over empties the file."""
    server.misbehave(NAME, Reply(failure="cut", cut_at=250_000, becomes=OTHER))
    assert fetched(server)[0] == OTHER


def test_a_range_may_be_sent_in_parts(server: ArchiveServer) -> None:
    """A server that sends less of a range than there is, is asked for the rest."""
    server.misbehave(NAME, CUT, Reply(at_most=50_000))
    assert fetched(server)[0] == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-"]


def test_ranges_that_went_wrong_are_not_asked_for_again(server: ArchiveServer) -> None:
    """After one wrong range the server is taken for one that has none."""
    server.misbehave(NAME, CUT, Reply(206, {"Content-Range": "bytes 5-6/300000"}), CUT)
    assert fetched(server)[0] == CONTENT
    assert ranges(server) == [None, "bytes=100000-", None, None]


@pytest.mark.parametrize("weak", [True, False])
def test_without_a_strong_etag_nothing_is_resumed(server: ArchiveServer, weak: bool) -> None:
    """No ETag, or a weak one: a range could be of another file, so none is asked for."""
    server.etags = False
    headers = {"ETag": 'W/"1"'} if weak else {}
    server.misbehave(NAME, Reply(failure="cut", headers=headers), Reply(headers=headers))
    content, got = fetched(server)
    assert (content, got.etag) == (CONTENT, headers.get("ETag"))
    assert ranges(server) == [None, None]


def test_a_short_body_is_a_cut(server: ArchiveServer) -> None:
    """A connection that closes before Content-Length is reached is no whole file."""
    server.misbehave(NAME, Reply(failure="cut", cut_at=len(CONTENT) - 1))
    assert fetched(server)[0] == CONTENT
    assert ranges(server) == [None, f"bytes={len(CONTENT) - 1}-"]


def test_an_unchanged_file_is_not_downloaded(server: ArchiveServer) -> None:
    """HourUnchanged where the ETag still holds, and one request; a changed file comes whole."""
    with pytest.raises(HourUnchanged):
        fetched(server, etag(CONTENT))
    assert server.asked(NAME)[0]["If-None-Match"] == etag(CONTENT)
    server.files[NAME] = OTHER
    assert fetched(server, etag(CONTENT))[0] == OTHER
    assert len(server.requests) == 2


def test_304_unasked_is_an_error(server: ArchiveServer) -> None:
    """A server that says "not modified" of a file that was never named is broken."""
    server.misbehave(NAME, Reply(304))
    with pytest.raises(SourceError, match="304"):
        fetched(server)


def test_a_file_that_vanishes_on_the_way(server: ArchiveServer) -> None:
    """404 after a cut is 404."""
    server.misbehave(NAME, CUT, Reply(404))
    with pytest.raises(HourNotFound):
        fetched(server)


def test_small_files_are_tried_again_and_may_be_absent(server: ArchiveServer) -> None:
    """None is for 404 and 410: a failure that passes gives the content, one that stays is an error."""
    server.misbehave(NAME, Reply(500), Reply(429), Reply(failure="hang_up"))
    with httpx.Client() as client:
        assert read(client, f"{server.url}/{NAME}") == CONTENT
        assert read(client, f"{server.url}/nothing") is None
        server.misbehave(NAME, Reply(410))
        assert read(client, f"{server.url}/{NAME}") is None
        server.misbehave(NAME, *[Reply(500)] * ATTEMPTS)
        with pytest.raises(SourceError, match="500"):
            read(client, f"{server.url}/{NAME}")
        server.misbehave(NAME, Reply(403))
        with pytest.raises(SourceError, match="403"):
            read(client, f"{server.url}/{NAME}")
