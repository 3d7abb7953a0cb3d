"""How `events` is kept: the same behaviour with native partitions and with TimescaleDB."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import psycopg
import pytest

from resources.embedded_postgres import OWNER, EmbeddedPostgres
from resources.postgres import Database
from resources.schema import migrate
from starsearch_assets.events.storage import NativePartitions, TimescaleHypertable, event_storage
from tests.factories import at, event, write_hour
from tests.integration.hours import fetched

DAYS = [date(2025, 2, 28), date(2025, 3, 1), date(2026, 1, 1)]


def partitions(database: Database) -> dict[str, str]:
    """Partition name -> its bounds."""
    return dict(
        database.fetch_all(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'events'::regclass ORDER BY 1"
        )
    )


def test_a_partition_a_day(database: Database) -> None:
    """One partition a UTC day, [midnight, midnight), made once, also over the end of a month."""
    storage = event_storage(database)
    assert isinstance(storage, NativePartitions)
    storage.prepare(DAYS)
    storage.prepare([DAYS[0]])
    found = partitions(database)
    assert list(found) == ["events_20250228", "events_20250301", "events_20260101"]
    assert found["events_20250228"] == "FOR VALUES FROM ('2025-02-28 00:00:00+00') TO ('2025-03-01 00:00:00+00')"


def test_partitions_have_the_key_and_the_indexes(database: Database) -> None:
    """What the table promises holds in each partition: the primary key, and the index by repository."""
    event_storage(database).prepare(DAYS[:1])
    definitions = [
        row[0] for row in database.fetch_all("SELECT indexdef FROM pg_indexes WHERE tablename = 'events_20250228'")
    ]
    assert len(definitions) == 2
    assert any("UNIQUE" in text and "(created_at, event_id, type)" in text for text in definitions)
    assert any("(repo_id, created_at)" in text for text in definitions)


def test_a_partition_is_made_while_readers_read(database: Database) -> None:
    """ATTACH waits for no reader and no writer of other days."""
    storage = event_storage(database)
    storage.prepare(DAYS[:1])
    with ThreadPoolExecutor(1) as pool, database.transaction() as reader:
        reader.execute("SELECT count(*) FROM events").fetchone()
        reader.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
        pool.submit(storage.prepare, DAYS[1:2]).result(timeout=10)
        assert "events_20250301" in partitions(database)


def test_an_event_on_the_last_microsecond_of_its_day(database: Database, tmp_path: Path) -> None:
    """The window is [start, end)."""
    last = event(1, "PushEvent", "2025-03-01 10:00", {}) | {"created_at": "2025-03-01T23:59:59.999999Z"}
    write_hour(tmp_path, at("2025-03-01 23:00"), [last])
    fetched(database, tmp_path, at("2025-03-01 23:00"))
    assert list(partitions(database)) == ["events_20250301"]


@pytest.fixture
def timescale(server: EmbeddedPostgres) -> Iterator[Database]:
    """A migrated database in which TimescaleDB was installed first."""
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone():
            pytest.skip("this PostgreSQL has no extension timescaledb (pg_available_extensions)")
        connection.execute(f"CREATE DATABASE timescale OWNER {OWNER}")
    for extension in ("timescaledb", "vector"):
        with psycopg.connect(server.url("postgres", "timescale"), autocommit=True) as connection:
            connection.execute(f"CREATE EXTENSION {extension}")  # type: ignore[arg-type]
    migrate(server.url(database="timescale"))
    with Database(server.url(database="timescale")) as database:
        yield database
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE timescale WITH (FORCE)")


def test_a_hypertable_keeps_the_same_promises(timescale: Database, tmp_path: Path) -> None:
    """Chosen by the migrations; events of several days are stored, each key once."""
    assert isinstance(event_storage(timescale), TimescaleHypertable)
    days = [event(number, "PushEvent", f"2025-03-0{number} 10:00", {}) for number in (1, 2, 3, 3)]
    write_hour(tmp_path, at("2025-03-01 10:00"), days)
    assert fetched(timescale, tmp_path, at("2025-03-01 10:00")).inserted == 3
    assert timescale.fetch_value("SELECT count(*) FROM events") == 3
    assert timescale.fetch_value("SELECT count(*) FROM timescaledb_information.chunks") == 3
