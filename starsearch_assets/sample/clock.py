"""The sample's window of time, and choices that depend on nothing but their key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")

WINDOW_START = datetime(2025, 10, 6, tzinfo=UTC)
WINDOW_HOURS = 72
WINDOW_END = WINDOW_START + timedelta(hours=WINDOW_HOURS)
SLIM_SINCE = datetime(2025, 10, 7, 15, tzinfo=UTC)
FAT_HOURS = int((SLIM_SINCE - WINDOW_START).total_seconds()) // 3600

_BUSY = (3, 2, 2, 2, 3, 3, 5, 7, 10, 12, 12, 11, 10, 12, 13, 13, 12, 11, 9, 8, 7, 6, 5, 4)
_GAPS = (4, 9, 17, 31, 52, 75, 110, 160, 240, 400, 700)


def digest(*key: object) -> str:
    """Forty hexadecimal digits, the same for the same key everywhere: commit ids of the sample."""
    return hashlib.sha256("\x1f".join(str(part) for part in key).encode()).hexdigest()[:40]


def draw(n: int, *key: object) -> int:
    """A number in [0, n) that is decided by `key` alone.

    Unlike a random generator it has no state: an entry added to a catalogue changes no other entry.
    """
    return int(digest(*key)[:15], 16) % n


def pick(options: Sequence[T], *key: object) -> T:
    """One of `options`, decided by `key` alone."""
    return options[draw(len(options), *key)]


def moment(first_hour: int, end_hour: int, *key: object) -> datetime:
    """A second in hours [first_hour, end_hour) of the window; day hours are likelier than night hours."""
    weights = [_BUSY[hour % 24] for hour in range(first_hour, end_hour)]
    left = draw(sum(weights), *key, "hour")
    hour = first_hour
    for weight in weights:
        if left < weight:
            break
        left -= weight
        hour += 1
    return WINDOW_START + timedelta(hours=hour, seconds=draw(3600, *key, "second"))


def later(moment_before: datetime, *key: object) -> datetime:
    """A while after `moment_before`: minutes to half a day; what falls into the night mostly waits."""
    after = moment_before + timedelta(minutes=pick(_GAPS, *key, "gap"), seconds=draw(60, *key, "second"))
    if after.hour < 6 and draw(10, *key, "night") < 6:
        after += timedelta(hours=6)
    return after


def stamp(moment_: datetime) -> str:
    """The moment as GitHub writes it: `2025-10-06T12:34:56Z`."""
    return moment_.strftime("%Y-%m-%dT%H:%M:%SZ")
