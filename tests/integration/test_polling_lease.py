"""One poller at a time: who lost the lease writes nothing."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from resources.inbox import Arrival, put
from resources.postgres import Database
from resources.settings import Settings
from starsearch_assets.polling.lease import Lease, LeaseLost


def test_who_lost_the_lease_writes_nothing(settings: Settings, service: Database) -> None:
    """Neither events nor cursors, however late it notices; the new holder does."""
    old, new = Lease(service, "old"), Lease(service, "new")
    assert old.take() is None
    assert new.take() == "old"
    service.execute("UPDATE polling_lease SET expires_at = now()")
    assert new.take() is None
    body = [Arrival("events_api", b"{}")]
    with pytest.raises(LeaseLost), old.transaction() as connection:
        put(connection, body)
    with pytest.raises(LeaseLost):
        old.renew()
    old.release()
    assert service.fetch_value("SELECT count(*) FROM inbox") == 0
    with new.transaction() as connection:
        put(connection, body)
    assert service.fetch_value("SELECT count(*) FROM inbox") == 1
    new.release()
    assert old.take() is None


def test_nobody_takes_over_in_the_middle_of_a_transaction(settings: Settings, service: Database) -> None:
    """A lease that expires meanwhile is taken only after what its holder was writing is committed."""
    old, new = Lease(service, "old", timedelta(seconds=0.5)), Lease(service, "new")
    assert old.take() is None
    takes = threading.Thread(target=lambda: any(new.take() is None for _ in iter(int, 1)))
    with old.transaction() as connection:
        put(connection, [Arrival("events_api", b"{}")])
        takes.start()
        takes.join(1.0)
        assert takes.is_alive()
        assert service.fetch_value("SELECT holder FROM polling_lease WHERE expires_at < clock_timestamp()") == "old"
    takes.join()
    assert service.fetch_value("SELECT holder FROM polling_lease") == "new"
    assert service.fetch_value("SELECT count(*) FROM inbox") == 1
