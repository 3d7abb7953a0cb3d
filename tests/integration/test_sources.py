"""What the ledger keeps of a source's own words: ETags that spare a download, manifests that verify one."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.configurable import GHArchiveResource, PostgresResource
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.events.assets import events_asset
from starsearch_assets.partitions import Partitions, hour_key
from tests.doubles.archive_server import ArchiveServer, Reply, archive_server
from tests.factories import at, event, line

HOUR = at("2025-03-01 07:00")
NAME = "2025-03-01-7.json.gz"
MANIFEST = f"{NAME}.manifest.json"


def push(event_id: int) -> bytes:
    return line(event(event_id, "PushEvent", "2025-03-01 07:20", {"push_id": event_id}))


def packed(*lines: bytes) -> bytes:
    return gzip.compress(b"\n".join(lines), mtime=0)


@pytest.fixture
def archive() -> Iterator[ArchiveServer]:
    with archive_server() as archive:
        archive.files[NAME] = packed(push(1), push(2))
        yield archive


def materialize(settings: Settings, source: str) -> tuple[str | None, str]:
    """Run the hour's partition: (status in its metadata, or None where nothing was materialized; what failed)."""
    resources = {
        "postgres": PostgresResource(home=str(settings.home), database_url=settings.database_url.get_secret_value()),
        "gh_archive": GHArchiveResource(base_url=source),
    }
    asset = events_asset(Partitions(settings.model_copy(update={"starsearch_start": HOUR.date()})))
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset], instance=instance, resources=resources, partition_key=hour_key(HOUR), raise_on_error=False
        )
        failures = [str(failure.step_failure_data) for failure in result.get_step_failure_events()]
        materializations = result.get_asset_materialization_events()
    statuses = [one.materialization.metadata["status"].value for one in materializations]
    return (statuses[0] if statuses else None), "".join(failures)


def ledger(database: Database, *columns: str) -> tuple[Any, ...]:
    """Columns of the only row."""
    (row,) = database.fetch_all(f"SELECT {', '.join(columns)} FROM ingest_ledger")
    return row


def manifest(content: bytes, count: int, digest: str | None = None) -> bytes:
    return json.dumps({"sha256": digest or hashlib.sha256(content).hexdigest(), "count": count}).encode()


def test_a_loaded_hour_is_not_downloaded_again(settings, database, archive):
    """The ETag is kept and sent: 304, status `unchanged` with the figures of the load; a changed file is read again."""
    assert materialize(settings, archive.url) == ("loaded", "")
    etag = f'"{hashlib.md5(archive.files[NAME]).hexdigest()}"'
    assert ledger(database, "etag", "verified") == (etag, False)
    assert materialize(settings, archive.url) == ("unchanged", "")
    assert [headers.get("If-None-Match") for headers in archive.asked(NAME)] == [None, etag]
    assert database.fetch_all("SELECT passed, details ->> 'events' FROM newest_audits") == [(True, "2")]
    archive.files[NAME] = packed(push(1), push(2), push(3))
    assert materialize(settings, archive.url) == ("loaded", "")
    assert ledger(database, "etag", "events") == (f'"{hashlib.md5(archive.files[NAME]).hexdigest()}"', 3)


def test_the_same_bytes_under_another_etag(settings, database, archive):
    """A server that comes to send ETags, or other ones: the file is not stored again, and the new one is kept."""
    archive.etags = False
    assert materialize(settings, archive.url) == ("loaded", "")
    assert ledger(database, "etag") == (None,)
    archive.etags = True
    assert materialize(settings, archive.url) == ("unchanged", "")
    assert ledger(database, "etag") == (f'"{hashlib.md5(archive.files[NAME]).hexdigest()}"',)


def test_an_error_noted_since_the_load_is_over_when_the_file_is_unchanged(settings, database, archive):
    """The hour stays loaded while its source refuses it, with the reason; 304 clears that."""
    materialize(settings, archive.url)
    archive.misbehave(NAME, Reply(403))
    assert "403" in materialize(settings, archive.url)[1]
    status, error = ledger(database, "status", "error")
    assert (status, "403" in error) == ("loaded", True)
    assert materialize(settings, archive.url) == ("unchanged", "")
    assert ledger(database, "status", "error", "events") == ("loaded", None, 2)


def test_a_hour_that_failed_is_asked_for_without_its_etag(settings, database, archive):
    """What was never stored is downloaded, whatever the server says of its ETag."""
    good = archive.files[NAME]
    archive.files[MANIFEST] = manifest(good, 3)
    assert materialize(settings, archive.url)[0] is None
    archive.files[MANIFEST] = manifest(good, 2)
    assert materialize(settings, archive.url) == ("loaded", "")
    assert [headers.get("If-None-Match") for headers in archive.asked(NAME)] == [None, None]


def test_a_file_that_agrees_with_its_manifest_is_verified(settings, database, archive):
    """Rejected lines count, blank ones do not; the ledger says that digest and count were compared."""
    archive.files[NAME] = packed(push(1), b"no event", b"", b"  ", push(2))
    archive.files[MANIFEST] = manifest(archive.files[NAME], 3)
    assert materialize(settings, archive.url) == ("loaded", "")
    assert ledger(database, "verified", "events", "rejected") == (True, 2, 3)


def test_half_a_manifest_verifies_nothing(settings, database, archive):
    """A count alone is compared, and the file does not count as verified."""
    archive.files[MANIFEST] = b'{"count": 2}'
    assert materialize(settings, archive.url) == ("loaded", "")
    assert ledger(database, "verified") == (False,)


@pytest.mark.parametrize("of", ["digest", "count"])
@pytest.mark.parametrize("folder", [True, False])
def test_a_mismatch_fails_the_partition_and_stores_nothing(settings, database, archive, tmp_path, of, folder):
    """Both values are in the failure and in the ledger; no event, reject or dirty day stays."""
    content = archive.files[NAME] = packed(push(1), b"no event", push(2))
    right, wrong = hashlib.sha256(content).hexdigest(), hashlib.sha256(b"other").hexdigest()
    archive.files[MANIFEST] = manifest(content, 3, wrong) if of == "digest" else manifest(content, 4)
    for name, bytes_ in archive.files.items():
        (tmp_path / name).write_bytes(bytes_)
    source = str(tmp_path) if folder else archive.url
    status, failure = materialize(settings, source)
    assert status is None
    expected = (right, wrong) if of == "digest" else ("holds 3 events", "says 4")
    state, error, url = ledger(database, "status", "error", "url")
    assert state == "failed"
    assert url.endswith(NAME)
    for value in (*expected, MANIFEST, "GH_ARCHIVE_URL"):
        assert value in error
        assert value in failure
    for table in ("events", "rejected_events", "dirty_days", "newest_audits"):
        assert database.fetch_value(f"SELECT count(*) FROM {table}") == 0


def test_a_plain_file_fails_under_its_own_name(settings, database, tmp_path):
    """An uncompressed file's row in the ledger is the one that it has when it loads."""
    path: Path = tmp_path / NAME.removesuffix(".gz")
    path.write_bytes(push(1))
    beside = tmp_path / f"{path.name}.manifest.json"
    beside.write_bytes(manifest(b"other", 1))
    assert materialize(settings, str(tmp_path))[0] is None
    assert ledger(database, "url", "status") == (path.as_uri(), "failed")
    beside.write_bytes(manifest(push(1), 1))
    assert materialize(settings, str(tmp_path)) == ("loaded", "")
    assert ledger(database, "url", "status", "error", "verified") == (path.as_uri(), "loaded", None, True)


def test_a_manifest_that_is_none_fails_the_partition(settings, database, archive):
    """What cannot be verified is not stored, and the reason is said."""
    archive.files[MANIFEST] = b"<html>"
    assert "is no manifest" in materialize(settings, archive.url)[1]
    assert ledger(database, "status") == ("failed",)


def test_a_cut_download_is_loaded_whole(settings, database, archive):
    """Through cuts and a changed range, the events are those of the file."""
    archive.files[NAME] = packed(*(push(number) for number in range(5_000)))
    archive.misbehave(NAME, Reply(failure="cut", cut_at=3_000), Reply(failure="cut", cut_at=5_000))
    archive.files[MANIFEST] = manifest(archive.files[NAME], 5_000)
    assert materialize(settings, archive.url) == ("loaded", "")
    assert [headers.get("Range") for headers in archive.asked(NAME)] == [None, "bytes=3000-", "bytes=8000-"]
    assert ledger(database, "verified", "events") == (True, 5_000)
