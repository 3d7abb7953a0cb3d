"""The lines of one hour file: those that are new become rows, all are counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from resources.errors import CorruptFile
from resources.postgres import Database
from starsearch_assets.events.known import Forgotten, look_up
from starsearch_assets.events.parse import BadLine, EventRow, parse_line
from starsearch_assets.events.timeline import TimelineParser

_RAW_LIMIT = 1024 * 1024
_REJECTS_LIMIT = 64 * 1024 * 1024  # bytes of rejected lines that one load holds in memory

Parse = Callable[[bytes], EventRow]


def line_parser(*, timeline: bool, careful: bool = False) -> Parse:
    """What parses the lines of one file; `timeline`: of an hour before 2015."""
    now = datetime.now(UTC)
    return TimelineParser(now, careful=careful) if timeline else partial(parse_line, now=now, careful=careful)


@dataclass
class Tally:
    """Counts and notes of one pass over the file at `url`. withheld: events of whom was forgotten."""

    url: str
    events: int = 0
    withheld: int = 0
    rejected: list[tuple[int, str, bytes]] = field(default_factory=list)
    sanitized: list[tuple[int, datetime, int, str, str]] = field(default_factory=list)
    first: datetime | None = None
    last: datetime | None = None
    rejected_bytes: int = 0
    _newest: datetime | None = None

    @property
    def lines(self) -> int:
        """Lines that are not blank, as a manifest counts them."""
        return self.events + self.withheld + sum(1 for _, _, raw in self.rejected if raw.strip())

    def count(self, created_at: datetime) -> None:
        """Count an event of the file, whether it is new or not."""
        self.events += 1
        if created_at is not self._newest:  # one object for all events of a second
            self._newest = created_at
            self.first = min(self.first or created_at, created_at)
            self.last = max(self.last or created_at, created_at)

    def count_all(self, times: Collection[datetime]) -> None:
        """Count events by their times."""
        distinct = set(times)
        for created_at in distinct:
            self.count(created_at)
        self.events += len(times) - len(distinct)

    def reject(self, number: int, reason: str, raw: bytes) -> None:
        """Note a line that is no event.

        Raises:
            CorruptFile: the rejected lines outgrow the memory that is set aside for them.
        """
        self.rejected.append((number, reason, raw[:_RAW_LIMIT]))
        self.rejected_bytes += min(len(raw), _RAW_LIMIT) + 100
        if self.rejected_bytes > _REJECTS_LIMIT:
            raise CorruptFile(
                f"{self.url}: {len(self.rejected):,} of the first {number:,} lines are not events (the last: {reason}):"
                " this is not an hour file of GH Archive. Nothing of it was stored; put the right file in its place"
                " and materialize the hour again."
            )


class BlockReader:
    """Reads the blocks of one file, and looks at the table before it parses where that seems to pay.

    It does for the first block, wherever the block before held stored events, and when it is told to.
    """

    def __init__(self, database: Database, parse: Parse, forgotten: Forgotten, tally: Tally) -> None:
        self._database, self._parse, self._forgotten, self._tally = database, parse, forgotten, tally
        self._looking = False

    def rows(self, first: int, lines: Sequence[bytes], *, look: bool) -> Iterator[EventRow]:
        """The rows of a block, whose first line has the number `first`, without those known to be stored.

        A line whose key is stored is that event: the rest of it is not read.
        """
        known = None
        if look or self._looking or first == 1:
            known = look_up(self._database, lines, sample=first == 1)
        self._looking = known is not None
        if known is None:
            yield from self.parsed(enumerate(lines, first))
            return
        self._tally.count_all([time for time in known.times if time is not None])
        pairs = zip(lines, known.times, strict=True)
        rest = ((number, raw) for number, (raw, stored_at) in enumerate(pairs, first) if stored_at is None)
        yield from (row for row in self.parsed(rest) if row not in known)

    def parsed(self, lines: Iterable[tuple[int, bytes]]) -> Iterator[EventRow]:
        """The rows of numbered lines, whether stored or not."""
        parse, forgotten, tally = self._parse, self._forgotten or None, self._tally
        for number, raw in lines:
            try:
                row = parse(raw)
            except BadLine as reason:
                tally.reject(number, str(reason), raw)
                continue
            if forgotten is not None and row in forgotten:
                tally.withheld += 1
                continue
            tally.count(row.created_at)
            if row.sanitized is not None:
                tally.sanitized.append((number, row.created_at, row.event_id, row.type, row.sanitized))
            yield row
