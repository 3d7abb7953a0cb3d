"""Hour files into `events`: what a load leaves, whatever happens to it."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import stamina

from resources.configurable import GHArchiveResource, PostgresResource
from resources.embedded_postgres import EmbeddedPostgres
from resources.errors import CorruptFile
from resources.gh_archive import GHArchive
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.events import read
from starsearch_assets.events.assets import events_asset
from starsearch_assets.events.load import load_hour
from starsearch_assets.partitions import Partitions
from tests.doubles.archive_server import archive_server
from tests.factories import at, comment, event, item, line, write_hour
from tests.integration.hours import HOUR, REAL_HOURS, dirty, event_ids, fetched, ledger, loaded, pull, push
from tests.integration.processes import in_threads, until, waiting


def materialize(settings: Settings, source: str, first: datetime, last: datetime) -> dg.ExecuteInProcessResult:
    """Run the asset `events` over a range of hours."""
    assert settings.database_url is not None
    ends = {"start": f"{first:%Y-%m-%d-%H}:00", "end": f"{last:%Y-%m-%d-%H}:00"}
    resources = {
        "postgres": PostgresResource(home=str(settings.home), database_url=settings.database_url.get_secret_value()),
        "gh_archive": GHArchiveResource(base_url=source),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [events_asset(Partitions(settings.model_copy(update={"starsearch_start": first.date()})))],
            instance=instance,
            resources=resources,
            raise_on_error=False,
            tags={f"dagster/asset_partition_range_{end}": key for end, key in ends.items()},
        )


def test_three_real_hours(database: Database, real_data: Path) -> None:
    """17,727 events, no rejects, the ledger's figures add up, and a second run adds nothing."""
    folder = real_data / "gharchive" / "2015"
    results = [fetched(database, folder, hour) for hour in REAL_HOURS]
    assert {result.status for result in results} == {"loaded"}
    assert sum(result.inserted for result in results) == 17_727
    assert database.fetch_value("SELECT count(*) FROM events") == 17_727
    again = [fetched(database, folder, hour) for hour in REAL_HOURS]
    assert {(result.status, result.inserted) for result in again} == {("unchanged", 0)}
    assert [result.events for result in again] == [result.events for result in results]
    assert database.fetch_value("SELECT count(*) FROM events") == 17_727
    assert database.fetch_all(
        "SELECT sum(events), sum(inserted), sum(rejected), sum(sanitized) FROM ingest_ledger"
    ) == [(17_727, 17_727, 0, 0)]


def test_real_body_with_nul_is_kept(database: Database, real_data: Path) -> None:
    """The issue comment of event 3486775274 is there with the character escaped, and the place is recorded."""
    result = fetched(database, real_data / "gharchive" / "2016", at("2016-01-01 01:00"))
    assert result.sanitized == 1
    rows = database.fetch_all(
        "SELECT s.line_number, s.reason, e.payload::text FROM events e JOIN sanitized_events s"
        " USING (created_at, event_id, type) WHERE event_id = 3486775274"
    )
    assert len(rows) == 1
    number, reason, payload = rows[0]
    with gzip.open(real_data / "gharchive" / "2016" / "2016-01-01-1.json.gz") as file:
        raw = next(one for position, one in enumerate(file, 1) if position == number)
    assert b"3486775274" in raw
    assert b"\\u0000" in raw
    assert "U+0000" in reason
    assert "\\\\u0000" in payload


def test_a_real_damaged_file_spares_its_neighbours(
    settings: Settings, database: Database, real_data: Path, tmp_path: Path
) -> None:
    """Its partition fails with its name and the reason; nothing of it is stored; the hours around it are whole."""
    folder = tmp_path / "hours"
    folder.mkdir()
    year = real_data / "gharchive" / "2015"
    (folder / "2015-01-01-3.json.gz").symlink_to(year / "2015-01-01-3.json.gz")
    (folder / "2015-01-01-4.json.gz").symlink_to(real_data / "gharchive" / "corrupt" / "2015-01-01-11.json.gz")
    (folder / "2015-01-01-5.json.gz").symlink_to(year / "2015-01-01-5.json.gz")
    result = materialize(settings, str(folder), REAL_HOURS[0], REAL_HOURS[2])
    assert not result.success
    message = str(result.get_step_failure_events()[0].step_failure_data)
    assert "2015-01-01-4.json.gz" in message
    assert "Not a gzipped file" in message
    rows = ledger(database, "status", "error", "events")
    counts = database.fetch_all(
        "SELECT l.hour, count(*) FROM events e JOIN ingest_ledger l USING (source_id) GROUP BY 1 ORDER BY 1"
    )
    assert sorted(status for status, _, _ in rows) == ["failed", "loaded", "loaded"]
    failure = next(error for status, error, _ in rows if status == "failed")
    assert "2015-01-01-4.json.gz" in failure
    assert "Not a gzipped file" in failure
    assert [hour for hour, _ in counts] == [REAL_HOURS[0], REAL_HOURS[2]]
    assert sum(count for _, count in counts) == sum(events for status, _, events in rows if status == "loaded")


def test_a_real_file_cut_in_the_middle_is_completed_later(
    settings: Settings, database: Database, real_data: Path, tmp_path: Path
) -> None:
    """The cut file leaves no row anywhere but the ledger's failure; the whole one under its name clears that."""
    folder = tmp_path / "hours"
    folder.mkdir()
    whole = (real_data / "gharchive" / "2015" / "2015-01-01-3.json.gz").read_bytes()
    path = folder / "2015-01-01-3.json.gz"
    path.write_bytes(whole[: len(whole) // 2])
    assert not materialize(settings, str(folder), REAL_HOURS[0], REAL_HOURS[0]).success
    tables = ("events", "rejected_events", "sanitized_events", "dirty_days")
    assert [database.fetch_value(f"SELECT count(*) FROM {table}") for table in tables] == [0, 0, 0, 0]
    ((status, error),) = ledger(database, "status", "error")
    assert status == "failed"
    assert path.as_uri() in error
    assert "ended before" in error
    path.write_bytes(whole)
    assert materialize(settings, str(folder), REAL_HOURS[0], REAL_HOURS[0]).success
    with gzip.open(path) as file:
        lines = sum(1 for _ in file)
    assert database.fetch_value("SELECT count(*) FROM events") == lines
    assert ledger(database, "status", "error", "events") == [("loaded", None, lines)]


def test_the_figures_of_the_ledger(database: Database, tmp_path: Path) -> None:
    """Events, new ones, rejects, sanitized, size, digest and the span of times are the file's."""
    loaded(database, tmp_path / "a", pull(1))
    result = loaded(
        database,
        tmp_path / "b",
        pull(1),
        push(2, "2025-03-01 06:59"),
        pull(3, "2025-03-01 08:01", body="\x00"),
        b"no",
        b"",
    )
    assert (result.events, result.inserted, result.rejected, result.sanitized) == (3, 1 + 1, 2, 1)
    with GHArchive(str(tmp_path / "b")).fetch(HOUR) as file:
        expected = (file.url, HOUR, "loaded", file.sha256, file.size, 3, 2, 2, 1)
    columns = ("url", "hour", "status", "sha256", "bytes", "events", "inserted", "rejected", "sanitized")
    assert ledger(database, *columns)[1] == expected
    assert ledger(database, "first_event_at", "last_event_at", "error")[1] == (
        at("2025-03-01 06:59"), at("2025-03-01 08:01"), None,
    )  # fmt: skip
    rejects = database.fetch_all("SELECT line_number, reason, raw FROM rejected_events ORDER BY 1")
    assert [(number, raw) for number, _, raw in rejects] == [(4, b"no"), (5, b"")]
    assert rejects[0][1].startswith("not JSON: ")
    assert rejects[1][1] == "empty line"


def test_an_event_in_two_files_is_stored_once(database: Database, tmp_path: Path) -> None:
    """The file that brought it first is its source; within one file it counts once, too."""
    loaded(database, tmp_path, pull(1), pull(2), pull(2))
    later = loaded(database, tmp_path, pull(2), pull(3), hour=HOUR + timedelta(hours=1))
    assert (later.events, later.inserted) == (2, 1)
    assert database.fetch_all("SELECT event_id, hour FROM events JOIN ingest_ledger USING (source_id) ORDER BY 1") == [
        (1, HOUR),
        (2, HOUR),
        (3, HOUR + timedelta(hours=1)),
    ]


def test_one_id_with_another_time_or_type_is_another_event(database: Database, tmp_path: Path) -> None:
    """Ids restarted in 2025: the key is (created_at, id, type)."""
    loaded(database, tmp_path, pull(1), push(1, "2025-03-01 07:10"), pull(1, "2025-03-01 07:11"))
    assert event_ids(database) == [1, 1, 1]


def test_events_lie_on_their_own_day(database: Database, tmp_path: Path) -> None:
    """A file around midnight fills the partitions of both days, by UTC, also for times in another zone."""
    zoned = pull(4) | {"created_at": "2025-03-01T23:30:00-08:00"}
    around = (pull(1, "2025-03-01 23:59"), pull(2, "2025-03-02 00:00"), pull(3, "2025-02-28 12:00"))
    loaded(database, tmp_path, *around, zoned, hour=at("2025-03-01 23:00"))
    assert database.fetch_all("SELECT event_id, tableoid::regclass::text FROM events ORDER BY 1") == [
        (1, "events_20250301"), (2, "events_20250302"), (3, "events_20250228"), (4, "events_20250302"),
    ]  # fmt: skip
    assert {day for _, day in dirty(database)} == {date(2025, 2, 28), date(2025, 3, 1), date(2025, 3, 2)}


def test_rejects_are_those_of_the_newest_copy(database: Database, tmp_path: Path) -> None:
    """A file that is loaded again replaces its rejects and sanitized lines, and leaves those of others alone."""
    loaded(database, tmp_path, b"other", hour=HOUR + timedelta(hours=1))
    loaded(database, tmp_path, b"one", pull(1, body="\x00"), b"two")
    again = loaded(database, tmp_path, pull(1, body="\x00"), b"three", pull(2))
    assert (again.events, again.inserted, again.rejected) == (2, 1, 1)
    assert database.fetch_all("SELECT line_number, raw FROM rejected_events ORDER BY source_id, 1") == [
        (1, b"other"), (2, b"three"),
    ]  # fmt: skip
    assert database.fetch_all("SELECT line_number, event_id FROM sanitized_events") == [(1, 1)]
    assert ledger(database, "events", "inserted", "rejected") == [(0, 0, 1), (2, 2, 1)]


def test_a_file_of_garbage_is_refused(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rejected bytes than fit into memory: the message names the file; nothing is stored, rejects neither."""
    monkeypatch.setattr(read, "_REJECTS_LIMIT", 1000)
    path = write_hour(tmp_path, HOUR, [pull(1), *[b"garbage"] * 50])
    with pytest.raises(CorruptFile, match="not an hour file") as caught:
        fetched(database, tmp_path)
    assert path.as_uri() in str(caught.value)
    assert (event_ids(database), ledger(database, "url")) == ([], [])


def test_a_line_past_the_limit_costs_itself(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reject, cut to what is kept of it; the events around it are stored."""
    monkeypatch.setattr("resources.json_lines.LIMIT", 4000)
    monkeypatch.setattr(read, "_RAW_LIMIT", 1000)
    huge = line(pull(2, body="x" * 10_000))
    result = loaded(database, tmp_path, pull(1), huge, pull(3))
    assert (event_ids(database), result.rejected) == ([1, 3], 1)
    assert database.fetch_all("SELECT line_number, raw FROM rejected_events") == [(2, huge[:1000])]


def test_a_number_that_postgresql_refuses_costs_its_line(database: Database, tmp_path: Path) -> None:
    """A push whose payload no COPY takes as it stands: the line is rejected, the rest of the file is stored."""
    refused = line(push(2)).replace(b'"push_id": 2', b'"push_id": 1e999999')
    assert refused != line(push(2))
    result = loaded(database, tmp_path, push(1), refused, push(3))
    assert (result.inserted, result.rejected) == (2, 1)
    assert event_ids(database) == [1, 3]


def test_days_are_dirty_for_the_kinds_that_events_tell_of(database: Database, tmp_path: Path) -> None:
    """Exactly the pairs (kind, day) of the file's events; a push makes nothing dirty."""
    issue = event(2, "IssuesEvent", "2025-03-02 01:00", {"action": "opened", "issue": item(1, "A")})
    release = event(3, "ReleaseEvent", "2025-03-03 01:00", {"action": "published", "release": {"tag_name": "v1"}})
    loaded(database, tmp_path, pull(1), issue, release, push(4, "2025-03-04 01:00"))
    assert set(dirty(database)) == {
        ("pull_request", date(2025, 3, 1)),
        ("pull_request", date(2025, 3, 2)),
        ("issue", date(2025, 3, 2)),
        ("release", date(2025, 3, 3)),
    }


def test_a_late_file_makes_its_days_dirty_again(database: Database, tmp_path: Path) -> None:
    """A later file with new events raises the version; one that brings nothing new does not."""
    loaded(database, tmp_path, pull(1))
    first = dirty(database)
    loaded(database, tmp_path, pull(2), hour=HOUR - timedelta(hours=3))
    late = dirty(database)
    assert late.keys() == first.keys()
    assert all(late[key] > first[key] for key in first)
    loaded(database, tmp_path / "elsewhere", pull(1), pull(2))
    fetched(database, tmp_path)
    assert dirty(database) == late


def test_an_hour_that_is_missing_is_recorded_and_can_come_later(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    """404 long after the hour: status `missing`; the file, in either form, replaces that row."""
    with archive_server() as server:
        assert materialize(settings, server.url, HOUR, HOUR).success
        server.files["2025-03-01-7.json.gz"] = gzip.compress(line(pull(1)))
        assert ledger(database, "url", "status") == [(f"{server.url}/2025-03-01-7.json.gz", "missing")]
        assert materialize(settings, server.url, HOUR, HOUR).success
        assert ledger(database, "status", "error", "events") == [("loaded", None, 1)]
    assert materialize(settings, str(tmp_path), HOUR, HOUR).success
    path = write_hour(tmp_path, HOUR, [pull(2)], compress=False)
    assert materialize(settings, str(tmp_path), HOUR, HOUR).success
    assert ledger(database, "url", "status")[1:] == [(path.as_uri(), "loaded")]
    assert database.fetch_all("SELECT partition, passed FROM newest_audits") == [("2025-03-01-07:00", True)]


def test_a_source_that_is_down_is_recorded(settings: Settings, database: Database) -> None:
    """The hour fails, the ledger says so, and a later load clears it."""
    with archive_server() as server:
        source = server.url
    with stamina.set_testing(True, attempts=4, cap=True):
        result = materialize(settings, source, HOUR, HOUR)
    assert not result.success
    ((url, status, error),) = ledger(database, "url", "status", "error")
    assert (url, status) == (f"{source}/2025-03-01-7.json.gz", "failed")
    assert "GH_ARCHIVE_URL" in error


def test_a_damaged_copy_does_not_hide_what_was_loaded(settings: Settings, database: Database, tmp_path: Path) -> None:
    """What an earlier copy brought stays loaded, with the error beside it until the file is whole again."""
    path = write_hour(tmp_path, HOUR, [pull(1)])
    whole = path.read_bytes()
    assert materialize(settings, str(tmp_path), HOUR, HOUR).success
    path.write_bytes(whole[:-3])
    assert not materialize(settings, str(tmp_path), HOUR, HOUR).success
    ((status, error, events),) = ledger(database, "status", "error", "events")
    assert (status, events, event_ids(database)) == ("loaded", 1, [1])
    assert "damaged" in error
    path.write_bytes(whole)
    assert materialize(settings, str(tmp_path), HOUR, HOUR).success
    assert ledger(database, "status", "error", "events") == [("loaded", None, 1)]


def test_the_same_file_twice_at_once(database: Database, tmp_path: Path) -> None:
    """One load stores, the other waits and finds nothing to do; the figures are those of one load."""
    write_hour(tmp_path, HOUR, [*(pull(number) for number in range(300)), b"broken"])
    results = in_threads(lambda: fetched(database, tmp_path), lambda: fetched(database, tmp_path))
    assert sorted((result.status, result.inserted) for result in results) == [("loaded", 300), ("unchanged", 0)]
    assert event_ids(database) == list(range(300))
    assert ledger(database, "events", "inserted", "rejected") == [(300, 300, 1)]


def test_files_of_one_new_day_at_once(database: Database, tmp_path: Path) -> None:
    """All make the day's partition, one succeeds, nobody fails, and shared events are stored once."""
    hours = [at("2025-03-01 00:00") + timedelta(hours=number) for number in range(4)]
    for number, hour in enumerate(hours):
        mine = [pull(1000 * number + count, f"2025-03-01 0{number}:30") for count in range(200)]
        write_hour(tmp_path, hour, [*mine, *(pull(count, "2025-03-01 09:00") for count in range(50))])
    results = in_threads(*(lambda hour=hour: fetched(database, tmp_path, hour) for hour in hours))  # type: ignore[misc]
    assert sum(result.inserted for result in results) == 850
    assert len(event_ids(database)) == 850
    assert database.fetch_value("SELECT sum(inserted) FROM ingest_ledger") == 850
    assert database.fetch_value("SELECT count(DISTINCT tableoid) FROM events") == 1


def test_two_files_that_wait_for_one_another(database: Database, tmp_path: Path, server: EmbeddedPostgres) -> None:
    """Files with the same events in another order deadlock; the load that PostgreSQL ends is tried again."""
    loaded(database, tmp_path, push(99))  # the partition is there
    write_hour(tmp_path, HOUR + timedelta(hours=1), [push(1), push(2)])
    insert = (
        "INSERT INTO starsearch.events (created_at, event_id, type, repo_id, repo_name, source_id, payload)"
        " VALUES ('2025-03-01 07:20Z', %s, 'PushEvent', 1, 'x', 1, '{}')"
    )
    name = database.fetch_value("SELECT current_database()")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(server.url("postgres", name)) as other:
        other.execute("SET deadlock_timeout TO '1h'")  # the load is the one that finds the deadlock
        other.execute(insert, [2])
        loading = pool.submit(fetched, database, tmp_path, HOUR + timedelta(hours=1))
        until(lambda: waiting(database) == 1)
        other.execute(insert, [1])  # returns when the load has been ended
        other.commit()
        assert loading.result().status == "loaded"
    assert event_ids(database) == [1, 2, 99]


def test_a_load_that_is_killed_leaves_nothing(database: Database, tmp_path: Path, server: EmbeddedPostgres) -> None:
    """Its connection is terminated in the middle of COPY; the same load again is complete."""
    write_hour(tmp_path, HOUR, [b"broken", *(pull(number) for number in range(2000))])
    name = database.fetch_value("SELECT current_database()")
    killed = threading.Event()

    def kill(stored: int) -> None:
        if stored and not killed.is_set():
            killed.set()
            with psycopg.connect(server.url("postgres", name), autocommit=True) as administrator:
                copying = administrator.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = %s AND query LIKE 'COPY%%' AND pid <> pg_backend_pid()",
                    [name],
                ).fetchall()
                assert copying == [(True,)]

    with GHArchive(str(tmp_path)).fetch(HOUR) as file, pytest.raises(psycopg.OperationalError):
        load_hour(database, file, progress=kill)
    tables = ("events", "rejected_events", "ingest_ledger", "dirty_days")
    assert [database.fetch_value(f"SELECT count(*) FROM {table}") for table in tables] == [0, 0, 0, 0]
    assert fetched(database, tmp_path).inserted == 2000
    assert database.fetch_value("SELECT count(*) FROM rejected_events") == 1


def test_blocks_of_new_and_known_events_alternate(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever share of a file is known, each event is stored once and the new ones are counted."""
    monkeypatch.setattr("resources.json_lines.BLOCK", 7000)
    monkeypatch.setattr("starsearch_assets.events.write._BLOCK", 2000)
    monkeypatch.setattr("starsearch_assets.events.write._PIECE", 500)
    loaded(database, tmp_path, *(push(number) for number in range(0, 100, 7)))
    loaded(database, tmp_path, *(push(number) for number in range(200, 300)), hour=HOUR + timedelta(hours=1))
    result = loaded(
        database, tmp_path, *(push(number, "2025-03-01 07:20") for number in range(400)), hour=HOUR + timedelta(hours=2)
    )
    assert event_ids(database) == list(range(400))
    assert (result.events, result.inserted) == (400, 400 - 15 - 100)


def test_both_shapes_of_2021_and_later(database: Database, tmp_path: Path) -> None:
    """Reviews and comments of any age are kept with the text that somebody wrote."""
    said = comment(5, "LGTM", submitted_at="2025-03-01T09:00:00Z")
    review = event(1, "PullRequestReviewEvent", "2025-03-01 07:00", {"review": said, "pull_request": item(1, "A")})
    loaded(database, tmp_path, review)
    assert database.fetch_value("SELECT payload #>> '{review,body}' FROM events") == "LGTM"


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A load must end its own transaction: psycopg warns where it had to be ended for it."""
    yield
    assert [record.message for record in caplog.records if "error ignored in rollback" in record.message] == []
