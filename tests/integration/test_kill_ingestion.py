"""Runs that are killed with SIGKILL at random moments, and what is there after they are run again."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import random
import tempfile
import time
from datetime import datetime, timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path

import dagster as dg

from resources.configurable import GHArchiveResource, PostgresResource
from resources.postgres import Database, open_database
from resources.settings import Settings
from starsearch_assets.events.assets import events_asset
from starsearch_assets.partitions import Partitions, hour_key
from tests.doubles.archive_server import ArchiveServer, archive_server
from tests.factories import at, event, item, line

KILLS = 16
FIRST = at("2025-03-01 20:00")
HOURS = [FIRST + timedelta(hours=number) for number in range(KILLS)]
EVENTS = 1_500


def materialize(settings: Settings, source: str, first: str, last: str, folder: str) -> None:
    """Run the asset over a range of hours in this process; anything but success is an error."""
    tempfile.tempdir = folder  # a killed download leaves its file
    resources = {
        "postgres": PostgresResource(home=str(settings.home), database_url=settings.database_url.get_secret_value()),
        "gh_archive": GHArchiveResource(base_url=source),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [events_asset(Partitions(settings.model_copy(update={"starsearch_start": FIRST.date()})))],
            instance=instance,
            resources=resources,
            tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def file_name(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d}-{hour.hour}.json.gz"


def publish(archive: ArchiveServer) -> int:
    """Hour files with rejects and manifests, each with some events of the one before it; how many events there are."""
    for number, hour in enumerate(HOURS):
        lines = [b"no event"]
        for event_id in range(number * EVENTS, (number + 1) * EVENTS + 100):
            time = f"{FIRST + timedelta(hours=event_id // EVENTS, seconds=event_id % 3600):%Y-%m-%d %H:%M:%S}"
            payload = {"action": "opened", "issue": item(event_id, f"Issue {event_id}")}
            lines.append(line(event(event_id, "IssuesEvent", time, payload)))
        name = file_name(hour)
        content = archive.files[name] = gzip.compress(b"\n".join(lines), 1, mtime=0)
        described = {"sha256": hashlib.sha256(content).hexdigest(), "count": len(lines)}
        archive.files[f"{name}.manifest.json"] = json.dumps(described).encode()
    return KILLS * EVENTS + 100


def state(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Everything that a load leaves, but for the numbers and times that any two loads differ in."""
    return {
        "events": database.fetch_all(
            "SELECT created_at, event_id, type, repo_id, repo_name, actor_id, actor_login, md5(payload::text)"
            " FROM events ORDER BY 1, 2, 3"
        ),
        "ledger": database.fetch_all(
            "SELECT url, hour, status, sha256, bytes, events, rejected, sanitized, first_event_at, last_event_at,"
            " error, etag, verified FROM ingest_ledger ORDER BY url"
        ),
        "inserted": database.fetch_all("SELECT sum(inserted) FROM ingest_ledger"),
        "rejects": database.fetch_all(
            "SELECT url, line_number, reason, raw FROM rejected_events JOIN ingest_ledger USING (source_id)"
            " ORDER BY 1, 2"
        ),
        "dirty": database.fetch_all("SELECT kind, day FROM dirty_days ORDER BY 1, 2"),
        "audits": database.fetch_all("SELECT partition, passed FROM newest_audits ORDER BY 1"),
        "waiting": database.fetch_all("SELECT * FROM waiting_partitions"),
    }


def test_a_load_killed_anywhere_and_run_again_leaves_what_an_undisturbed_one_leaves(
    settings: Settings, database: Database, undisturbed: Settings, processes: ForkServerContext, tmp_path: Path
) -> None:
    """Each of sixteen hours is killed once, at moments spread over a load; then all are run: same rows, same ledger."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    keys = [hour_key(hour) for hour in HOURS]

    def run(settings: Settings, first: str, last: str) -> multiprocessing.process.BaseProcess:
        process = processes.Process(target=materialize, args=(settings, archive.url, first, last, str(scratch)))
        process.start()
        return process

    def asked(hour: datetime, times: int, process: multiprocessing.process.BaseProcess) -> None:
        """Wait for a run's request for the hour's file: there its work begins."""
        while len(archive.asked(file_name(hour))) < times:
            assert process.is_alive()
            time.sleep(0.002)

    with archive_server() as archive:
        total = publish(archive)
        archive.pause = 0.02
        process = run(undisturbed, keys[0], keys[0])
        asked(HOURS[0], 1, process)
        started = time.monotonic()
        process.join()
        duration = time.monotonic() - started
        process = run(undisturbed, keys[0], keys[-1])
        process.join()
        assert process.exitcode == 0
        order = random.Random(0)
        moments = [(number + order.random()) / KILLS * duration for number in range(KILLS)]
        for moment, hour in zip(order.sample(moments, KILLS), HOURS, strict=True):
            before = len(archive.asked(file_name(hour)))
            process = run(settings, hour_key(hour), hour_key(hour))
            asked(hour, before + 1, process)
            process.join(moment)
            process.kill()
            process.join()
        loaded = database.fetch_value("SELECT count(*) FROM ingest_ledger WHERE status = 'loaded'")
        assert loaded < KILLS  # some were killed before their end
        process = run(settings, keys[0], keys[-1])
        process.join()
        assert process.exitcode == 0
    found = state(database)
    with open_database(undisturbed) as other:
        expected = state(other)
    assert len(expected["events"]) == total
    assert {row[2] for row in expected["ledger"]} == {"loaded"}
    assert expected["inserted"] == [(total,)]
    for part, rows in expected.items():
        assert found[part] == rows, part
