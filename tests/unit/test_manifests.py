"""Manifests beside hour files: what is read from them, and what a file that is another one leads to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from resources.errors import ManifestInvalid, ManifestMismatch
from resources.gh_archive import GHArchive
from resources.manifests import Manifest, parse_manifest
from tests.doubles.archive_server import archive_server
from tests.factories import at, write_hour

HOUR = at("2025-03-01 07:00")
URL = "http://mirror/x.manifest.json"
SHA = hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize("name", ["sha256", "SHA256", "sha-256", "digest"])
@pytest.mark.parametrize("value", [SHA, SHA.upper(), f"sha256:{SHA}"])
@pytest.mark.parametrize("count", ["count", "events", "event_count", "lines", "line_count"])
def test_the_usual_fields_are_read(name: str, value: str, count: str) -> None:
    """Digest and count under any usual name; whatever else is in the manifest is left alone."""
    manifest = parse_manifest(URL, json.dumps({name: value, count: 7, "size": "12 MB", "files": []}).encode())
    assert manifest == Manifest(URL, SHA, 7)
    assert manifest.complete


@pytest.mark.parametrize(("content", "sha256", "events"), [({"sha256": SHA}, SHA, None), ({"count": 0}, None, 0)])
def test_half_a_manifest(content: dict[str, Any], sha256: str | None, events: int | None) -> None:
    """One of the two is something to compare with, but does not make a file verified."""
    manifest = parse_manifest(URL, json.dumps(content).encode())
    assert manifest == Manifest(URL, sha256, events)
    assert not manifest.complete


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"<html>not found</html>", "no JSON"),
        (b"", "no JSON"),
        (b'["sha256"]', "list"),
        (b'{"md5": "1", "bytes": 3}', "bytes, md5"),
        (b"{}", "nothing"),
        (b'{"sha256": "abc"}', "'abc'"),
        (b'{"digest": "md5:abc", "count": 1}', "'md5:abc'"),
        (b'{"sha256": 12}', "12"),
        (b'{"count": "many"}', "'many'"),
        (b'{"count": true}', "True"),
        (b'{"count": -1}', "-1"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes, found: str) -> None:
    """The message says where it is, what was expected and what came."""
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(URL, content)
    for part in (URL, found, "sha256", "count", "GH_ARCHIVE_URL"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["2025-03-01-7.json.gz.manifest.json", "2025-03-01-7.manifest.json"])
def test_a_manifest_lies_beside_its_file(tmp_path: Path, name: str) -> None:
    """In a folder and over HTTP, under both names, it comes with the file."""
    path = write_hour(tmp_path, HOUR, [b"{}"])
    content = json.dumps({"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "count": 1}).encode()
    (tmp_path / name).write_bytes(content)
    with archive_server() as server:
        server.files = {path.name: path.read_bytes(), name: content}
        for source, base in ((str(tmp_path), tmp_path.as_uri()), (server.url, server.url)):
            with GHArchive(source).fetch(HOUR) as file:
                assert file.manifest == Manifest(f"{base}/{name}", file.sha256, 1)
                assert file.verify_events(1)
                with pytest.raises(ManifestMismatch, match=r"holds 2 events, but .* says 1\."):
                    file.verify_events(2)


def test_the_name_with_the_whole_file_name_comes_first(tmp_path: Path) -> None:
    """Of two manifests the more exactly named one is read."""
    write_hour(tmp_path, HOUR, [b"{}"])
    (tmp_path / "2025-03-01-7.manifest.json").write_bytes(b'{"count": 1}')
    (tmp_path / "2025-03-01-7.json.gz.manifest.json").write_bytes(b'{"count": 2}')
    with GHArchive(str(tmp_path)).fetch(HOUR) as file:
        assert file.manifest is not None
        assert file.manifest.events == 2


def test_without_a_manifest_nothing_is_verified(tmp_path: Path) -> None:
    """Its absence is no error."""
    write_hour(tmp_path, HOUR, [b"{}"])
    with GHArchive(str(tmp_path)).fetch(HOUR) as file:
        assert file.manifest is None
        assert not file.verify_events(99)


def test_another_digest_is_refused(tmp_path: Path) -> None:
    """The message names file, manifest, both digests and what to do."""
    path = write_hour(tmp_path, HOUR, [b"{}"])
    (tmp_path / "2025-03-01-7.manifest.json").write_text(json.dumps({"sha256": SHA, "count": 1}))
    with pytest.raises(ManifestMismatch) as caught:
        GHArchive(str(tmp_path)).fetch(HOUR).__enter__()
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    for part in (path.as_uri(), "2025-03-01-7.manifest.json", found, SHA, "GH_ARCHIVE_URL"):
        assert part in str(caught.value)
