"""Which events of a block the table holds already, and whose events must not come back."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from resources.postgres import Connection, Database, sql
from starsearch_assets.events.parse import EventRow, Key, pair_of, read_key

_SAMPLE = 8  # lines of a block whose keys decide whether it is worth asking for those of all
_PAIR = Struct("16s")


class Known:
    """The keys of stored events of some times, compared exactly."""

    def __init__(self, connection: Connection, keys: Sequence[Key | None]) -> None:
        self._pairs = _stored_pairs(connection, keys)
        self.times = [
            key.created_at if key is not None and key.pair in self._pairs.get(key.type, ()) else None for key in keys
        ]
        """For each of the keys: the time of its event if that is stored."""

    def __contains__(self, row: EventRow) -> bool:
        return pair_of(row.created_at, row.event_id) in self._pairs.get(row.type, ())


def look_up(database: Database, lines: Sequence[bytes], *, sample: bool) -> Known | None:
    """What is known of a block's events; None if that is nothing.

    sample: look at eight lines first, and if these are new take all for new. On a connection of its own, because
    the load's is busy with COPY: what is not committed is not known.
    """
    with database.transaction() as connection:
        # The planner, which knows nothing of a partition that was just filled, would read all of it every time.
        connection.execute("SET LOCAL enable_seqscan TO off")
        if sample:
            some = [read_key(raw) for raw in lines[:: len(lines) // _SAMPLE + 1]]
            if not any(Known(connection, some).times):
                return None
        known = Known(connection, [read_key(raw) for raw in lines])
    return known if any(known.times) else None


def _stored_pairs(connection: Connection, keys: Sequence[Key | None]) -> dict[str, set[bytes]]:
    """(time, id) of all stored events, by type, that were created when one of `keys` was: 16 bytes an event."""
    times = {key.created_at for key in keys if key is not None}
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(sql(__package__, "known"), [list(times)]).fetchall() if times else []
    return {kind: {pair for (pair,) in _PAIR.iter_unpack(pairs)} for kind, pairs in rows}


class Forgotten:
    """Repositories and persons that asked to be forgotten, or turned private."""

    def __init__(self, connection: Connection) -> None:
        rows = connection.execute("SELECT subject, subject_id FROM tombstones").fetchall()
        self._repositories = {subject_id for subject, subject_id in rows if subject == "repository"}
        self._persons = {subject_id for subject, subject_id in rows if subject == "person"}

    def __bool__(self) -> bool:
        return bool(self._repositories or self._persons)

    def __contains__(self, row: EventRow) -> bool:
        return row.repo_id in self._repositories or row.actor_id in self._persons
