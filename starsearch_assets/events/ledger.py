"""What the ledger knows of a file before it is asked for."""

from __future__ import annotations

from resources.postgres import Database
from starsearch_assets.events.load import HourResult


def loaded_etag(database: Database, url: str) -> str | None:
    """The ETag that the file from `url` had when it was loaded; None: not loaded, or the server sent none."""
    value = database.fetch_value("SELECT etag FROM ingest_ledger WHERE url = %s AND status = 'loaded'", [url])
    return None if value is None else str(value)


def unchanged(database: Database, url: str) -> HourResult:
    """The figures of a loaded file that its source still has; an error noted since is over."""
    with database.transaction() as connection:
        row = connection.execute(
            "UPDATE ingest_ledger SET error = NULL WHERE url = %s RETURNING events, rejected, sanitized,"
            " withheld, bytes",
            [url],
        ).fetchone()
    assert row is not None
    events, rejected, sanitized, withheld, size = row
    return HourResult("unchanged", url, events, 0, rejected, sanitized, withheld, size)
