"""Puts the events into hour files as GH Archive does, blemishes included."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from starsearch_assets.sample import truth
from starsearch_assets.sample.cast import BOTS
from starsearch_assets.sample.clock import SLIM_SINCE, WINDOW_HOURS, WINDOW_START, draw, stamp
from starsearch_assets.sample.items import plan_items, plan_releases
from starsearch_assets.sample.payloads import Object, actor
from starsearch_assets.sample.story import Event, tell_story
from starsearch_assets.sample.truth import BrokenLine, SampleTruth

_FIRST_FAT_ID = 55_703_118_402
_FIRST_SLIM_ID = 5_004_270_166
_REF_TYPES = frozenset({"PushEvent", "CreateEvent", "DeleteEvent", "PublicEvent"})
_LATE_HOURS = (8, 11, 15, 33, 37, 40, 57, 62)
_DUPLICATE_HOUR = 34
_BROKEN_HOUR, _BROKEN_LINE = 20, 7


@dataclass(frozen=True, slots=True)
class _Line:
    event_id: int
    event: Event
    text: str


def write_sample(directory: Path) -> SampleTruth:
    """Write the sample's 72 hour files into `directory`, which is made if need be, and return its truth.

    Each file appears at once or not at all. Contents are the same on every machine; so are the compressed
    bytes where zlib is the same. Raises OSError when the directory cannot be written.
    """
    items, releases = plan_items(), plan_releases()
    events = tell_story(items, releases)
    ids, shared = _event_ids(events)
    files: list[list[str]] = [[] for _ in range(WINDOW_HOURS)]
    lines: list[list[_Line]] = [[] for _ in range(WINDOW_HOURS)]
    for event_id, event in zip(ids, events, strict=True):
        lines[_hour(event)].append(_Line(event_id, event, _to_json(event_id, event)))
    late = 0
    for hour in range(WINDOW_HOURS):
        own = lines[hour]
        moved = 1 + hour % 2 if hour in _LATE_HOURS else 0
        late += moved
        keep = len(own) - moved
        files[hour] += [line.text for line in own[:keep]]
        if moved:
            files[hour + 1] += [line.text for line in own[keep:]]
    files[_DUPLICATE_HOUR + 1].insert(0, files[_DUPLICATE_HOUR][-1])
    files[_BROKEN_HOUR].insert(_BROKEN_LINE - 1, _cut(files[_BROKEN_HOUR][_BROKEN_LINE]))

    directory.mkdir(parents=True, exist_ok=True)
    names = [_name(hour) for hour in range(WINDOW_HOURS)]
    for name, texts in zip(names, files, strict=True):
        _write_atomically(directory / name, _gzip("".join(f"{text}\n" for text in texts).encode()))
    return SampleTruth(
        files=tuple(names),
        events=len(events),
        lines=sum(len(texts) for texts in files),
        events_by_type=dict(sorted(Counter(event.type for event in events).items())),
        duplicate_lines=1,
        late_lines=late + 1,
        broken_lines=(BrokenLine(names[_BROKEN_HOUR], _BROKEN_LINE),),
        shared_event_id=str(shared),
        slim_since=SLIM_SINCE,
        items=truth.item_counts(items, releases),
        untitled_pull_requests=truth.untitled(items),
        bots=BOTS,
        rename=truth.rename(),
        retitled=truth.retitled(items),
        nul_item=truth.flagged(items, "nul"),
        longest_item=truth.flagged(items, "long-log"),
        pull_request_types=truth.pull_request_types(items),
        typescript_ranking=truth.typescript_ranking(items),
        lottery=truth.lottery(items),
        tailwind_and_rust=truth.tailwind_and_rust(items),
        searches=truth.searches(items),
        unanswerable=truth.UNANSWERABLE,
    )


def _event_ids(events: list[Event]) -> tuple[list[int], int]:
    """Ids in order of time: one sequence while fat, two interleaved ones after the restart.

    The two do not know of each other, so that a number may occur in both. It does once, on purpose:
    returned second.
    """
    fat, refs, rest = _FIRST_FAT_ID, _FIRST_SLIM_ID, _FIRST_SLIM_ID + 1
    ids: list[int] = []
    for position, event in enumerate(events):
        step = 1 + draw(60, "id", position)
        if not event.slim:
            fat += step
            ids.append(fat)
        elif event.type in _REF_TYPES:
            refs += 2 * step
            ids.append(refs)
        else:
            rest += 2 * step
            ids.append(rest)
    even = [number for number, event in zip(ids, events, strict=True) if event.slim and number % 2 == 0]
    odd = [i for i, event in enumerate(events) if event.slim and event.type not in _REF_TYPES]
    middle = even[len(even) // 2]
    before = max(i for i in odd if ids[i] < middle)
    ids[before] = middle
    return ids, middle


def _hour(event: Event) -> int:
    return int((event.created_at - WINDOW_START).total_seconds()) // 3600


def _to_json(event_id: int, event: Event) -> str:
    name = event.repository.name_at(event.created_at)
    record: Object = {
        "id": str(event_id),
        "type": event.type,
        "actor": actor(event.actor),
        "repo": {"id": event.repository.id, "name": name, "url": f"https://api.github.com/repos/{name}"},
        "payload": event.payload,
        "public": True,
        "created_at": stamp(event.created_at),
        "org": actor(name.split("/")[0]),
    }
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def _cut(text: str) -> str:
    return text[: len(text) * 3 // 5]


def _name(hour: int) -> str:
    at = WINDOW_START + timedelta(hours=hour)
    return f"{at:%Y-%m-%d}-{at.hour}.json.gz"


def _gzip(data: bytes) -> bytes:
    """A gzip member (RFC 1952) whose header holds no time and no operating system."""
    compressor = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = compressor.compress(data) + compressor.flush()
    header = b"\x1f\x8b\x08\x00" + b"\x00" * 4 + b"\x00\xff"
    return header + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
