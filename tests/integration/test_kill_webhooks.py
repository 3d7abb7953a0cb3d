"""The service and the asset under SIGKILL, SIGTERM and a database that fails: what was acknowledged is there, once."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext

import httpx
import psycopg

from resources.embedded_postgres import EmbeddedPostgres
from resources.postgres import Database, open_database
from resources.settings import Settings
from starsearch_assets.deliveries.process import read_hour
from tests.factories import item
from tests.integration.content import content, track
from tests.integration.webhooks import (
    Service,
    arrive,
    delivery,
    encoded,
    headers,
    outcomes,
    process_dirty,
    read_all,
    service,
    this_hour,
    waited_for,
)

KILLS = 10
SENDERS = 8


def one(number: int) -> bytes:
    """The body of the delivery that opens an issue."""
    return encoded(
        delivery(
            "opened", issue=item(number, f"Issue {number}", updated_at="2025-11-01T10:00:00Z") | {"body": "x" * 5000}
        )
    )


class Senders:
    """Clients that send one delivery after the other, and note which were acknowledged; what fails is sent no more."""

    def __init__(self, running: Service) -> None:
        self._running = running
        self._numbers = iter(range(1, 1_000_000))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.acknowledged: set[bytes] = set()
        self.statuses: set[int] = set()
        self._pool = ThreadPoolExecutor(SENDERS)
        self._work = [self._pool.submit(self._send) for _ in range(SENDERS)]

    def _send(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.is_set():
                with self._lock:
                    body = one(next(self._numbers))
                try:
                    reply = client.post(
                        f"{self._running.url}/webhooks/github", content=body, headers=headers("issues", body)
                    )
                except httpx.HTTPError:
                    time.sleep(0.02)
                    continue
                with self._lock:
                    self.statuses.add(reply.status_code)
                    if reply.status_code == 202:
                        self.acknowledged.add(hashlib.sha256(body).digest())

    def more_than(self, count: int) -> bool:
        return waited_for(lambda: len(self.acknowledged) > count, 60)

    def stop(self) -> set[bytes]:
        self._stop.set()
        for work in self._work:
            work.result()
        self._pool.shutdown()
        return self.acknowledged


def stored(database: Database) -> list[bytes]:
    return [bytes(sha256) for (sha256,) in database.fetch_all("SELECT sha256 FROM service.inbox")]


def test_what_was_acknowledged_survives_kills_of_the_service(settings: Settings, database: Database) -> None:
    """Ten SIGKILLs at random moments under load: every delivery with a 202 is there, once, and becomes content."""
    track(database)
    order = random.Random(0)
    with service(settings) as running:
        senders = Senders(running)
        for _ in range(KILLS):
            assert senders.more_than(len(senders.acknowledged))
            time.sleep(order.random() / 3)
            running.kill()
            running.start()
        assert senders.more_than(len(senders.acknowledged))
        acknowledged = senders.stop()
    found = stored(database)
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    assert senders.statuses == {202}
    assert read_all(database).deliveries == len(found)
    process_dirty(database)
    assert database.fetch_value("SELECT count(*) FROM issues WHERE title = 'Issue ' || number") == len(found)
    assert database.fetch_value("SELECT count(*) FROM events") == 0


def test_sigterm_lets_accepted_deliveries_be_committed(settings: Settings, database: Database) -> None:
    """Everything under way is answered and committed before the process ends, and the counters with it."""
    with service(settings) as running:
        senders = Senders(running)
        assert senders.more_than(20)
        running.stop()
        acknowledged = senders.stop()
    assert set(stored(database)) == acknowledged
    assert outcomes(database) == {("issues", "accepted"): len(acknowledged)}


def test_a_full_disk_is_told_and_passes(settings: Settings, database: Database) -> None:
    """PostgreSQL's 53100 becomes 503 with Retry-After; nothing is acknowledged then, and it goes on by itself."""
    with service(settings) as running:
        assert running.deliver("issues", one(1)).status_code == 202
        database.execute(
            "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'could not extend file' USING ERRCODE = '53100'; END $$"
        )
        database.execute(
            "CREATE TRIGGER disk_full BEFORE INSERT ON service.inbox FOR EACH ROW EXECUTE FUNCTION disk_full()"
        )
        for number in (2, 3):
            reply = running.deliver("issues", one(number))
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "10")
            assert "nothing of this one is stored" in reply.json()["detail"]
        assert len(stored(database)) == 1
        database.execute("DROP TRIGGER disk_full ON service.inbox")
        assert running.deliver("issues", one(2)).status_code == 202
        assert len(stored(database)) == 2
        wanted = {("issues", "accepted"): 2, ("issues", "unavailable"): 2}
        assert waited_for(lambda: outcomes(database) == wanted)
        assert "could not extend file" in running.log


def test_a_lost_connection_is_made_again(settings: Settings, database: Database, server: EmbeddedPostgres) -> None:
    """The server ends the session, and later refuses every new one for a while: 503, then 202."""
    name = database.fetch_value("SELECT current_database()")
    with (
        service(settings) as running,
        psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as superuser,
    ):
        assert running.deliver("issues", one(1)).status_code == 202
        superuser.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'starsearch-webhooks'"
        )
        superuser.execute("ALTER ROLE starsearch_service NOLOGIN")
        try:
            assert running.deliver("issues", one(2)).status_code == 503
            assert running.deliver("issues", one(2)).status_code == 503
        finally:
            superuser.execute("ALTER ROLE starsearch_service LOGIN")
        assert running.deliver("issues", one(2)).status_code == 202
    assert len(stored(database)) == 2, name


def test_a_transaction_that_hangs_is_given_up(settings: Settings, database: Database) -> None:
    """Somebody holds a lock on the inbox: what comes is refused while GitHub still waits for the answer."""
    with service(settings) as running:
        with database.transaction() as connection:
            connection.execute("LOCK TABLE service.inbox IN EXCLUSIVE MODE")
            assert running.deliver("issues", one(1)).status_code == 503
        assert running.deliver("issues", one(1)).status_code == 202


def read_this(settings: Settings) -> None:
    """Read the hour of the test in a process of its own."""
    with open_database(settings) as database:
        read_hour(database, this_hour_of(database))


def this_hour_of(database: Database):  # type: ignore[no-untyped-def]
    return database.fetch_value("SELECT date_trunc('hour', max(received_at), 'UTC') FROM service.inbox")


def read_until_killed(processes: ForkServerContext, settings: Settings, database: Database, moment: float) -> None:
    """Read the hour in a process that is killed so long after its first rows."""
    process = processes.Process(target=read_this, args=(settings,))
    process.start()
    assert waited_for(lambda: database.fetch_value("SELECT count(*) FROM deliveries") > 0 or not process.is_alive())
    process.join(moment)
    process.kill()
    process.join()


def test_an_hour_killed_anywhere_and_read_again_is_as_if_undisturbed(
    settings: Settings, database: Database, processes: ForkServerContext
) -> None:
    """Twelve kills spread over the reading of one hour; then the same rows and content as without them."""
    track(database)
    numbers = range(1, 6_001)
    hour = this_hour()
    arrive(database, [("issues", encoded({"no": "delivery"}))], hour)
    with database.transaction() as connection:
        for number in numbers:
            connection.execute(
                "INSERT INTO service.inbox (source, sha256, body, headers, repo_id, received_at)"
                " VALUES ('webhook', sha256(%(body)b), %(body)b, '{\"x-github-event\": \"issues\"}', 1001, %(hour)s)",
                {"body": one(number), "hour": hour},
            )

    def state() -> object:
        rows = "SELECT sha256, event, action, payload, item_at, observed_at, renewed, reason FROM deliveries ORDER BY 1"
        return database.fetch_all(rows), database.fetch_all("SELECT kind, day FROM dirty_days ORDER BY 1, 2")

    def empty() -> None:
        database.execute("TRUNCATE deliveries, dirty_days")
        database.execute(
            "INSERT INTO service.inbox_hours (source, hour) VALUES ('webhook', %s) ON CONFLICT DO NOTHING", [hour]
        )

    started = time.monotonic()
    read_hour(database, hour)
    duration = time.monotonic() - started
    expected = state()
    assert database.fetch_all("SELECT * FROM service.inbox_hours") == []
    order = random.Random(1)
    halves = 0
    for kill in range(12):
        empty()
        read_until_killed(processes, settings, database, (kill + order.random()) / 12 * duration)
        halves += 0 < database.fetch_value("SELECT count(*) FROM deliveries") < 6_001
        if kill % 3 == 2:  # what one kill left is read on; the next starts anew
            read_hour(database, hour)
            assert state() == expected
            assert database.fetch_all("SELECT * FROM service.inbox_hours") == []
    assert halves > 0
    read_hour(database, hour)
    process_dirty(database)
    once = content(database)
    read_hour(database, hour)
    assert state() == ([*expected[0]], [])  # type: ignore[index]
    assert content(database) == once
    assert len(once["issues"]) == 6_000
