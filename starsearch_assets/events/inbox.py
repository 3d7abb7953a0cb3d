"""What the Events API gave in one hour, read from the inbox as if it were an hour file of lines."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime, timedelta

from resources.inbox import EVENTS_API
from resources.json_lines import BLOCK
from resources.postgres import Database
from starsearch_assets.events.load import HourResult, load_hour

_ROWS_A_FETCH = 1000
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class InboxHour:
    """The events received in one hour, oldest arrival first; what an hour file is to `load_hour`.

    sha256: hex digest of the digests of its items. size: bytes of their bodies.
    """

    database: Database
    hour: datetime
    sha256: str
    size: int
    etag: str | None = None
    timeline: bool = False

    @property
    def url(self) -> str:
        """Its name in the ledger."""
        return f"inbox://{EVENTS_API}/{self.hour:%Y-%m-%d-%H}"

    def verify_events(self, events: int) -> bool:  # noqa: ARG002
        """False: nobody says how many there should be."""
        return False

    def blocks(self) -> Generator[tuple[int, list[bytes]], None, None]:
        """(number of the first line, from 1; raw events), streamed in blocks of about 4 MiB."""
        first, block, size = 1, list[bytes](), 0
        with self.database.transaction() as connection, connection.cursor(name="inbox", binary=True) as cursor:
            cursor.itersize = _ROWS_A_FETCH
            cursor.execute(
                "SELECT body FROM service.inbox WHERE source = %s AND received_at >= %s AND received_at < %s"
                " ORDER BY inbox_id",
                [EVENTS_API, self.hour, self.hour + _HOUR],
            )
            for (body,) in cursor:
                block.append(body)
                size += len(body)
                if size >= BLOCK:
                    yield first, block
                    first, block, size = first + len(block), [], 0
        if block:
            yield first, block


def load_inbox_hour(database: Database, hour: datetime, run_id: str | None = None) -> HourResult | None:
    """Store the events received in `hour` (UTC); None where there are none.

    The hour is cleared only in the version that was read, so that what arrives meanwhile brings it back.
    """
    version = database.fetch_value(
        "SELECT version FROM service.inbox_hours WHERE source = %s AND hour = %s", [EVENTS_API, hour]
    )
    ((count, sha256, size),) = database.fetch_all(
        "SELECT count(*), encode(sha256(string_agg(sha256, ''::bytea ORDER BY inbox_id)), 'hex'),"
        " sum(octet_length(body)) FROM service.inbox WHERE source = %s AND received_at >= %s AND received_at < %s",
        [EVENTS_API, hour, hour + _HOUR],
    )
    result = load_hour(database, InboxHour(database, hour, sha256, int(size)), run_id) if count else None
    database.execute(
        "DELETE FROM service.inbox_hours WHERE source = %s AND hour = %s AND version = %s", [EVENTS_API, hour, version]
    )
    return result
